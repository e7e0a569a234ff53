"""What is proposed for unknown files, proved by loading them under the proposal."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netflix_assets.contracts.loading import load_source
from netflix_assets.contracts.model import Dataset
from netflix_assets.dev.forms import FORMS
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.profile.compare import compare
from netflix_assets.ingest.profile.proposal import Proposal, propose
from netflix_assets.ingest.profile.readings import MISSING
from netflix_assets.ingest.trial import TrialResult, check_files, open_trial


def dataset_of(proposal: Proposal, folder: Path) -> Dataset:
    path = folder / "proposal.yaml"
    content = {"source": proposal.source, "description": "?", "datasets": {proposal.name: proposal.entry}}
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_source(path).datasets[0]


def propose_text(folder: Path, content: str | bytes, name: str = "things.csv") -> tuple[Proposal, TrialResult]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    proposal = propose([path], "shop", "things", folder / "work")
    (result,) = check_files(dataset_of(proposal, folder), [path], folder / "work")
    return proposal, result


def types(proposal: Proposal) -> dict[str, str]:
    return {column["name"]: column["type"] for column in proposal.entry["columns"]}


def found(proposal: Proposal, subject: str) -> str:
    (finding,) = (each for each in proposal.findings if each.subject == subject)
    return finding.proposal


def rows(count: int, line: str) -> str:
    return "".join(line.format(i=i, d=f"{i % 28 + 1:02}", c=f"{i % 100:02}") + "\n" for i in range(count))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_real_forms_are_proposed_so_that_they_load(tmp_path: Path, form: Any) -> None:
    for name, content in form.files.items():
        proposal, result = propose_text(tmp_path, content, name)
        assert (result.outcome, result.rejected) == ("loads", 0), (result, proposal.entry)


def test_a_european_file(tmp_path: Path) -> None:
    text = "Beleg-Nr;Kunde;Tag;Betrag;Menge\n" + rows(150, "{i};Müller {c};{d}.03.2024;1.{i:03},{c};NA")
    proposal, result = propose_text(tmp_path, text.encode("latin-1"))
    assert result.rows == 150
    assert types(proposal) == {
        "beleg_nr": "integer", "kunde": "text", "tag": "date", "betrag": "decimal(9,2)", "menge": "text",
    }  # fmt: skip
    assert proposal.entry["encoding"] == "latin-1"
    assert proposal.entry["dialect"] == {
        "delimiter": ";", "missing_values": ["NA"], "decimal_char": ",", "group_char": ".",
    }  # fmt: skip
    assert proposal.entry["key"] == ["beleg_nr"]


@pytest.mark.parametrize(
    ("values", "kind", "options"),
    [
        (["007", "012", "100"], "text", {}),
        (["1", "-5", "2000000"], "integer", {}),
        (["1", "3000000000"], "bigint", {}),
        (["1", "12345678901234567890"], "decimal(38,0)", {}),
        (["1", "9" * 39], "text", {}),
        (["4.0", "", "862.0"], "integer", {"nullable": True, "decimal_zeros": True}),
        (["10.00", "2.50"], "decimal(9,2)", {}),
        (["0.1234567891", "12.5"], "double", {}),
        (["1e-5", "2"], "double", {}),
        (["yes", "no"], "boolean", {"true_values": ["yes"], "false_values": ["no"]}),
        (["true", "FALSE"], "boolean", {}),
        (["2024-01-31", "2024-02-01"], "date", {}),
        (["01-Jan-1995", "31-Dec-1999"], "date", {"format": "%d-%b-%Y"}),
        (["12/31/2024", "01/02/2024"], "date", {"format": "%m/%d/%Y"}),
        (["31/12/2024", "01/02/2024"], "date", {"format": "%d/%m/%Y"}),
        (["2024-01-31 10:00:00", "2024-01-31 10:00:00.5"], "timestamp", {}),
        (["2024-01-31T10:00:00Z"], "timestamp", {"time_zone": "UTC"}),
        (["31.01.2024 10:15"], "timestamp", {"format": "%d.%m.%Y %H:%M"}),
        (["1,234,567.5", "1,000.25"], "decimal(18,2)", {}),
        (["1'234", "12"], "integer", {}),
        (["NULL", "5"], "integer", {"nullable": True}),
        (["?", "5"], "integer", {"nullable": True}),
        (["a", "NA"], "text", {}),
        (["", ""], "text", {"nullable": True}),
        (["2024-02-30"], "text", {}),
    ],
)
def test_a_column_is_proposed_by_all_its_values(
    tmp_path: Path, values: list[str], kind: str, options: dict[str, Any]
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "thing"], *enumerate(values)])
    proposal, result = propose_text(tmp_path, text.getvalue())
    column = proposal.entry["columns"][1]
    assert column == {"name": "thing", "type": kind, **options, "description": "thing in the file."}
    assert (result.rows, result.rejected) == (len(values), 0)


@pytest.mark.parametrize(
    ("text", "dialect", "columns"),
    [
        ("a;b\n1.234,50;19,00\n2,00;7,5\n", {"delimiter": ";", "decimal_char": ",", "group_char": "."}, [{}, {}]),
        ("a;b\n1'234;1.5\n1;2.5\n", {"delimiter": ";", "group_char": "'"}, [{}, {}]),
        (
            "a;b\n1.234,50;862.0\n2,00;\n",
            {"delimiter": ";", "decimal_char": ","},
            [{"group_char": "."}, {"decimal_char": "."}],
        ),
        ("a;b\n1.5;1.234,50\n2.5;1,5\n", {"delimiter": ";"}, [{}, {"decimal_char": ",", "group_char": "."}]),
    ],
)
def test_groups_of_one_column_are_those_of_the_file(
    tmp_path: Path, text: str, dialect: dict[str, Any], columns: list[dict[str, Any]]
) -> None:
    proposal, result = propose_text(tmp_path, text)
    assert (proposal.entry["dialect"], result.rows) == (dialect, 2)
    kept = [{name: each[name] for name in ("decimal_char", "group_char") if name in each}
            for each in proposal.entry["columns"]]  # fmt: skip
    assert kept == columns


@pytest.mark.parametrize(
    ("name", "kind"), [("created_at", "timestamp"), ("votes", "integer"), ("timestamp", "timestamp")]
)
def test_epochs_are_timestamps_where_the_name_says_so(tmp_path: Path, name: str, kind: str) -> None:
    proposal, result = propose_text(tmp_path, f"id,{name}\n" + rows(20, "{i},9000000{c}"))
    assert types(proposal)[name] == kind
    alternatives = " ".join(proposal.columns[1].alternatives)
    assert ("integer" in alternatives) if kind == "timestamp" else ("epoch_s" in alternatives)
    assert result.rows == 20


def test_a_few_odd_values_are_named_and_rejected(tmp_path: Path) -> None:
    proposal, result = propose_text(tmp_path, "id,n\n" + rows(200, "{i},{i}") + "200,many\n")
    assert types(proposal) == {"id": "integer", "n": "integer"}
    assert list(proposal.columns[1].rejects) == [("many", 1)]
    assert "99.50% of 201 values" in proposal.columns[1].evidence
    assert (result.rows, result.rejected) == (200, 1)
    assert result.reasons[0].text == "n 'many' is not an integer like 42"


def test_a_country_code_is_no_missing_value(tmp_path: Path) -> None:
    text = "id,country,n\n0,NA,NA\n1,DE,1\n2,,3\n"
    proposal, result = propose_text(tmp_path, text)
    assert proposal.entry["dialect"] == {"missing_values": ["NA"]}
    assert proposal.entry["columns"][1]["missing_values"] == []
    assert result.rows == 3


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("a|b\n" + rows(9, "{i}|x"), {"delimiter": "|"}),
        ("a\tb\n" + rows(9, '{i}\t"x" y'), {"delimiter": "\t", "quote_char": None}),
        (rows(9, "{i}::x{i}::7"), {"delimiter": "::", "quote_char": None, "header": False}),
        ("sep=;\na;b\n" + rows(9, "{i};x"), {"delimiter": ";", "header_rows": [2]}),
        ("Report\n\na,b\n" + rows(9, "{i},x"), {"header_rows": [3]}),
        ("# made by x\na,b\n" + rows(9, "{i},x"), {"comment_char": "#", "header_rows": [2]}),
        ("a, b\n" + rows(9, "{i}, x"), {"skip_initial_space": True}),
        ("a,b\n" + rows(9, "{i},x") + "Total: 9\n", {"footer_rows": 1}),
        ("a,b\n" + rows(9, '{i},"x \\" y"'), {"escape_char": "\\", "quote_char": '"'}),
        ("a;b\n" + rows(9, "{i},5;{i},25"), {"delimiter": ";", "decimal_char": ","}),
        (rows(9, "{i},x{i}"), {"header": False}),
    ],
)
def test_a_dialect_is_proposed(tmp_path: Path, text: str, dialect: dict[str, Any]) -> None:
    proposal, result = propose_text(tmp_path, text)
    assert proposal.entry.get("dialect", {}) == dialect
    assert (result.rows, result.rejected) == (9, 0)


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_index_of_a_data_frame_is_left_out(tmp_path: Path, name: str) -> None:
    proposal, result = propose_text(tmp_path, f"{name},id,n\n" + rows(9, "{i},{c},1"))
    assert list(types(proposal)) == ["id", "n"]
    assert found(proposal, "pandas index") == "left out"
    assert result.rows == 9


@pytest.mark.parametrize(("index", "names"), [("", ["id", "n"]), ("label", ["id", "n", "label"])])
def test_the_unnamed_index_of_a_parquet_file_is_left_out(tmp_path: Path, index: str, names: list[str]) -> None:
    stored = index or "__index_level_0__"
    table = pa.table({"id": ["a", "b"], "n": [1, 1], stored: [5, 7]})
    described = {"index_columns": [stored], "columns": []}
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(described)}), tmp_path / "made.parquet")
    proposal, result = propose_text(tmp_path, (tmp_path / "made.parquet").read_bytes(), "things.parquet")
    assert list(types(proposal)) == names
    assert [each.subject for each in proposal.findings].count("pandas index") == (not index)
    assert (proposal.entry["key"], result.rows) == (["id"], 2)
    pq.write_table(table.drop_columns([stored]), tmp_path / "things-2.parquet")
    (later,) = check_files(dataset_of(proposal, tmp_path), [tmp_path / "things-2.parquet"], tmp_path / "work")
    assert later.outcome == ("refused" if index else "loads")


ACCIDENTS = "created_at,account_id,id,price,note\n"


def _orders(count: int, start: int = 0, *, without: int = 0) -> str:
    return "".join(
        f"2024-01-01 {i // 3600:02}:{i // 60 % 60:02}:{i % 60:02},{i * 7919 % 9973},"
        f"{f'o-{i}' if i >= start + without else ''},{i}.5,some text {i}\n"
        for i in range(start, start + count)
    )


def test_one_record_without_an_id_does_not_change_the_key(tmp_path: Path) -> None:
    proposal, result = propose_text(tmp_path, ACCIDENTS + _orders(300, without=1))
    (key,) = (each for each in proposal.findings if each.subject == "key")
    assert (proposal.entry["key"], key.evidence) == (
        ["id"],
        "different in 299, missing in 1; the key rejects 1 record",
    )
    assert "created_at" in key.alternatives
    assert (result.rows, result.rejected, result.reasons[0].columns) == (299, 1, "id")


@pytest.mark.parametrize("left_out", ["account_id,id", "id"])
def test_times_and_texts_are_no_keys_by_themselves(tmp_path: Path, left_out: str) -> None:
    drop = {"account_id,id": (1, 2), "id": (2,)}[left_out]
    lines = [line.split(",") for line in (ACCIDENTS + _orders(300)).splitlines()]
    kept = [",".join(value for at, value in enumerate(line) if at not in drop) for line in lines]
    proposal, _ = propose_text(tmp_path, "\n".join(kept) + "\n")
    assert proposal.entry["key"] == ([] if len(drop) == 2 else ["account_id"])
    (key,) = (each for each in proposal.findings if each.subject == "key")
    assert "created_at or note" in key.alternatives


def test_a_repeated_id_of_another_table_is_no_key(tmp_path: Path) -> None:
    text = "account_id,id\n" + "".join(f"{max(i, 1)},{max(i, 1)}\n" for i in range(300))
    proposal, _ = propose_text(tmp_path, text)
    assert proposal.entry["key"] == ["id"]
    assert "the same as an earlier one of the file in 1" in " ".join(each.evidence for each in proposal.findings)
    proposal, _ = propose_text(tmp_path, text.replace("account_id,id", "account_id,user_id"))
    assert proposal.entry["key"] == []


def test_a_column_that_some_files_lack_has_a_default(tmp_path: Path) -> None:
    paths = [tmp_path / "a-1.csv", tmp_path / "a-2.csv"]
    paths[0].write_text("id,n\n1,2\n")
    paths[1].write_text("id,n,note\n3,4,new\n")
    proposal = propose(paths, "shop", "a", tmp_path / "work")
    results = check_files(dataset_of(proposal, tmp_path), paths, tmp_path / "work")
    assert [(each.rows, each.rejected) for each in results] == [(1, 0), (1, 0)]


@pytest.mark.parametrize(
    ("second", "mode"),
    [("1,a\n2,b\n3,c\n4,d\n5,e\n", "overwrite"), ("5,e\n6,f\n", "upsert"), ("6,f\n7,g\n", "append")],
)
def test_the_mode_follows_from_the_keys_of_several_files(tmp_path: Path, second: str, mode: str) -> None:
    paths = [tmp_path / "a-2024-01-01.csv", tmp_path / "a-2024-01-02.csv"]
    paths[0].write_text("id,name\n1,a\n2,b\n3,c\n4,d\n5,e\n")
    paths[1].write_text(f"id,name\n{second}")
    proposal = propose(paths, "shop", "a", tmp_path / "work")
    assert (proposal.entry["mode"], proposal.entry["key"]) == (mode, ["id"])
    (finding,) = (each for each in proposal.findings if each.subject == "mode")
    effects = {"append": "every record of every file stays", "upsert": "latest counts", "overwrite": "newest file"}
    assert effects[mode] in finding.evidence
    assert proposal.entry["freshness"] == {"warn_after_days": 2, "fail_after_days": 5}


def test_a_key_of_several_columns(tmp_path: Path) -> None:
    text = "user,film,stars\n" + "".join(f"{user},{film},3\n" for user in range(9) for film in range(9))
    proposal, _ = propose_text(tmp_path, text)
    assert proposal.entry["key"] == ["user_", "film"] or proposal.entry["key"] == ["user", "film"]


def test_members_of_json_objects_are_columns(tmp_path: Path) -> None:
    lines = [
        {
            "id": 1,
            "at": "2024-01-31T10:00:00Z",
            "price": 1.25,
            "buyer": {"city": "Köln", "zip": "01067"},
            "tags": ["a"],
        },
        {"id": 2, "at": "2024-01-31T10:00:00.5+01:00", "price": None, "buyer": {"city": "Bonn"}, "tags": []},
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    proposal, result = propose_text(tmp_path, text, "things.jsonl")
    assert types(proposal) == {
        "id": "integer", "at_": "timestamp", "price": "decimal(9,2)", "buyer_city": "text", "buyer_zip": "text",
        "tags": "json",
    }  # fmt: skip
    columns = {column["name"]: column for column in proposal.entry["columns"]}
    assert columns["buyer_zip"]["path"] == "/buyer/zip"
    assert [name for name, column in columns.items() if column.get("nullable")] == ["price", "buyer_zip"]
    assert proposal.entry["format"] == "jsonl"
    assert (result.rows, result.rejected) == (2, 0)


def test_parquet_keeps_its_own_types(tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    table = pa.table(
        {
            "orderId": pa.array([1, 2], pa.int64()),
            "small": pa.array([1, None], pa.int16()),
            "amount": pa.array([Decimal("1.50"), Decimal("2.25")], pa.decimal128(12, 2)),
            "day": [date(2024, 1, 31)] * 2,
            "at": pa.array([datetime(2024, 1, 31)] * 2, pa.timestamp("us", tz="UTC")),
            "code": ["01", "2"],
            "nested": [{"a": 1}, None],
            "span": pa.array([1, 2], pa.duration("s")),
        }
    )
    pq.write_table(table, path)
    proposal, result = propose_text(tmp_path, path.read_bytes(), path.name)
    assert types(proposal) == {
        "order_id": "bigint", "small": "integer", "amount": "decimal(12,2)", "day": "date", "at_": "timestamp",
        "code": "text", "nested": "json",
    }  # fmt: skip
    (at,) = (column for column in proposal.entry["columns"] if column["name"] == "at_")
    assert at["time_zone"] == "UTC"
    assert found(proposal, "left out") == "span"
    assert (proposal.entry["format"], proposal.entry["key"]) == ("parquet", ["order_id"])
    assert (result.rows, result.rejected, result.warnings) == (2, 0, ("column 'span' is not in the contract; ignored",))
    known, later = dataset_of(proposal, tmp_path), tmp_path / "things-2.parquet"
    pq.write_table(table.set_column(4, "at", table["at"].cast(pa.timestamp("us"))), later)
    proposal = propose([later], known.source, known.name, tmp_path / "work", known)
    differences = compare(known, proposal, check_files(known, [later], tmp_path / "work"))
    assert [(each.subject, each.proposal) for each in differences] == [("time zone", "at_: none")]


def test_a_header_with_a_duplicate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="column 'a' twice"):
        propose_text(tmp_path, "a,b,a\n1,2,3\n")


KINDS: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(10**6), 10**6),
    "bigint": st.integers(-(2**62), 2**62),
    "decimal": st.decimals(-(10**6), 10**6, places=2),
    "double": st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: float(f"{value:.12e}")),
    "date": st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    "timestamp": st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31)).map(lambda at: at.replace(microsecond=0)),
    "boolean": st.booleans(),
    "text": st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12),
}
DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d")


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]], str, str]:
    """Kinds of columns, rows of values (None is missing), a delimiter and a date format."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    row = st.tuples(*(st.one_of(st.none(), KINDS[kind]) if draw(st.booleans()) else KINDS[kind] for kind in kinds))
    values = draw(st.lists(row, min_size=1, max_size=25))
    return kinds, [list(each) for each in values], draw(st.sampled_from(",;\t|")), draw(st.sampled_from(DATE_FORMATS))


def write(kinds: Sequence[str], values: Sequence[Sequence[Any]], delimiter: str, date_format: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["number", *(f"{kind} {at}" for at, kind in enumerate(kinds))])
    for number, row in enumerate(values):
        writer.writerow([number, *("" if value is None else _text(value, date_format) for value in row)])
    return text.getvalue()


def _text(value: Any, date_format: str) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.strftime(date_format)
    return repr(value) if isinstance(value, float) else str(value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example((["date"], [[date(2000, 1, 2)], [None]], ",", "%m/%d/%Y"))
@example((["text"], [["1E400"], [None]], ",", "%Y-%m-%d"))  # looks like a double, and is larger than any
@given(tables())
def test_a_proposal_holds_every_value(tmp_path: Path, table: tuple[list[str], list[list[Any]], str, str]) -> None:
    kinds, values, delimiter, date_format = table
    path = tmp_path / "things.csv"
    path.write_text(write(kinds, values, delimiter, date_format), encoding="utf-8", newline="")
    proposal = propose([path], "shop", "things", tmp_path / "work")
    dataset = dataset_of(proposal, tmp_path)
    with open_trial(dataset, tmp_path / "work") as trial:
        result = trial.load(dataset, path)
        assert (result.outcome, result.rows, result.rejected) == ("loads", len(values), 0), result
        names = ", ".join(column.name for column in dataset.columns[1:])
        loaded = trial.warehouse.execute(f"select {names} from raw.shop_things order by number")
    for row, expected in zip(loaded, values, strict=True):
        for column, value, wanted in zip(proposal.columns[1:], row, expected, strict=True):
            if date_format in column.alternatives:  # no date tells the day from the month, and the proposal says so
                swapped = value and value.strftime(column.options["format"])
                assert swapped == (wanted and _text(wanted, date_format)), (column, value, wanted)
            else:
                assert _same(value, wanted, date_format), (column, value, wanted)


def _same(value: Any, wanted: Any, date_format: str) -> bool:
    """Whether a loaded value is the one that was written: the type may be another that holds it, or text."""
    if wanted is None or value is None:  # a text may be a word for "no value", and an empty one is none
        return value is None and (wanted is None or str(wanted) in MISSING)
    if isinstance(value, str):
        return value == _text(wanted, date_format)
    if isinstance(value, datetime) and not isinstance(wanted, datetime):  # an epoch: the name has "time" in it
        return value == datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(seconds=int(wanted))
    if isinstance(value, bool) or isinstance(wanted, bool | date):
        return bool(value == wanted)
    if isinstance(wanted, float):
        return float(value) == wanted
    return bool(Decimal(str(value)) == Decimal(str(wanted)))


HEAD = "No;Day;Buyer;Amount;Place;Paid\n"
SALES = "".join(f"{i:05};{1 + i % 28:02}.0{1 + i % 9}.2024;Buyer {i};{i}.123,50;Rome;yes\n" for i in range(1, 300))
TOTAL = {"padded": "Sum;;;3.495.553,08;;\n", "empty": ";;;3.495.553,08;;\n", "short": "Total: 3.495.553,08\n"}


@pytest.mark.parametrize("total", TOTAL)
@pytest.mark.parametrize("title", ["", "Sales\n2024\n", "Sales;;;;;\nas of;01.02.2024;;;;\n"])
def test_titles_and_totals_are_no_records(tmp_path: Path, title: str, total: str) -> None:
    proposal, result = propose_text(tmp_path, title + HEAD + SALES + TOTAL[total])
    dialect = proposal.entry["dialect"]
    assert dialect["footer_rows"] == 1
    assert list(dialect.get("header_rows", [1])) == [title.count("\n") + 1]
    assert [column["name"] for column in proposal.entry["columns"]] == ["no", "day", "buyer", "amount", "place", "paid"]
    assert not any(column.get("nullable") for column in proposal.entry["columns"])
    assert (proposal.entry["key"], result.rows, result.rejected) == (["no"], 299, 0)


def test_half_a_record_at_the_end_is_no_footer(tmp_path: Path) -> None:
    proposal, result = propose_text(tmp_path, HEAD + SALES + "00300;01.02")
    assert "footer_rows" not in proposal.entry["dialect"]
    assert result.outcome == "refused"  # it would replace the whole table
    assert "A truncated file cannot replace the whole table" in result.reason


def test_a_later_delivery_is_read_by_the_contracts_dialect(tmp_path: Path) -> None:
    first, _ = propose_text(tmp_path, "Sales;;;;;\n" + HEAD + SALES + TOTAL["padded"])
    known = dataset_of(first, tmp_path)
    file = tmp_path / "things-2.csv"
    wider = SALES.replace("\n", ";new\n").replace("1.123,50", "1.123,505")
    file.write_text("Sales;;;;;;\n" + HEAD.replace("\n", ";Colour\n") + wider + "Sum;;;3.495.553,08;;;\n")
    proposal = propose([file], known.source, known.name, tmp_path / "work", known)
    differences = list(compare(known, proposal, check_files(known, [file], tmp_path / "work")))
    assert [(each.subject, each.proposal) for each in differences if each.subject != "rejects"] == [
        ("new column", "colour (text)"),
        ("type", "amount: decimal(18,2) -> decimal(18,3)"),
    ]


def test_a_later_delivery_of_json_is_compared_by_path(tmp_path: Path) -> None:
    def lines(*extra: tuple[str, object]) -> str:
        user = {"name": "x", "geo": {"lat": 1.5}}
        return "".join(f"{json.dumps({'id': i, 'user': user, **dict(extra)})}\n" for i in range(50))

    first, _ = propose_text(tmp_path, lines(), "things.jsonl")
    columns = [
        {"name": "id", "type": "integer", "description": "ID."},
        {"name": "lat", "type": "double", "path": "/user/geo/lat", "nullable": True, "description": "Latitude."},
        {"name": "others", "type": "json", "rest": True, "nullable": True, "description": "All others."},
    ]
    known = dataset_of(first, tmp_path)
    known = Dataset.model_validate({**known.model_dump(exclude={"dialect"}), "key": ("id",), "columns": columns})
    file = tmp_path / "things-2.jsonl"
    file.write_text(lines(("channel", "web")))
    proposal = propose([file], known.source, known.name, tmp_path / "work", known)
    assert list(compare(known, proposal, check_files(known, [file], tmp_path / "work"))) == []


@pytest.mark.parametrize(
    ("later", "says"),
    [
        ({"n": [True, False], "at": [1, 2]}, ["n: double -> boolean", "at_: timestamp -> bigint"]),
        ({"n": [1.5, 2.5], "at": [date(2024, 1, 1)] * 2}, ["at_: timestamp -> date"]),
    ],
)
def test_a_later_parquet_file_of_other_types_does_not_fit(
    tmp_path: Path, later: dict[str, Any], says: list[str]
) -> None:
    first, second = tmp_path / "things.parquet", tmp_path / "things-2.parquet"
    pq.write_table(pa.table({"n": [1.5, 2.5], "at": [datetime(2024, 1, 1)] * 2}), first)
    proposal, _ = propose_text(tmp_path, first.read_bytes(), first.name)
    known = dataset_of(proposal, tmp_path)
    pq.write_table(pa.table(later), second)
    proposal = propose([second], known.source, known.name, tmp_path / "work", known)
    differences = compare(known, proposal, check_files(known, [second], tmp_path / "work"))
    assert [each.proposal for each in differences if each.subject == "type"] == says


def test_a_later_delivery_with_values_written_otherwise(tmp_path: Path) -> None:
    first, _ = propose_text(tmp_path, "id,n,created_at\n" + rows(20, "{i},1.{c},2024-01-{d} 10:00:00"))
    known = dataset_of(first, tmp_path)
    file = tmp_path / "things-2.csv"
    file.write_text("id,n,created_at\n" + rows(20, '{i},"1,234.{c}",17000000{c}'))
    proposal = propose([file], known.source, known.name, tmp_path / "work", known)
    differences = list(compare(known, proposal, check_files(known, [file], tmp_path / "work")))
    assert [each.proposal for each in differences if each.subject == "written as"] == [
        "n: group_char: ,",
        "created_at: format: epoch_s",
    ]
