"""How files are written: what each option of a dialect reads, and what it does with a value that does not fit."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.export import write_rejects
from netflix_assets.ingest.replay import replay_rejects
from netflix_assets_tests.conftest import make_column, make_dataset

KEY = "shop/things.csv"
TWO = make_column("a"), make_column("b", nullable=True)


@pytest.fixture
def load(sync, bucket, warehouse):
    """Load a file. Returns its rows, the reasons of its rejects by line, and the reason if it is refused."""

    def loaded(content: str | bytes, dataset: Dataset):
        bucket.put(f"shop/{dataset.file_stem}.{dataset.extension}", content)
        report = sync(dataset)
        names = ", ".join(column.name for column in dataset.columns)
        rows = warehouse.execute(f"select {names} from raw.{dataset.table}_current order by _load_id, 1, 2")
        rejects = warehouse.execute(
            "select line_number, reason from ops.rejected_rows where dataset = ? order by 1", (dataset.id,)
        )
        if report.refused:
            return rows, dict(rejects), report.refused[0].reason
        assert sum(load.rows_in for load in report.loads) == len(rows) + len(rejects)
        return rows, dict(rejects), None

    return loaded


def two(**dialect: object) -> Dataset:
    return make_dataset(*TWO, dialect=dialect)


# ---------------------------------------------------------------- records


@pytest.mark.parametrize(
    ("dialect", "content", "rows", "rejects"),
    [
        ({"quote_char": "'"}, "a,b\n'x,1','it''s'\n\"y,z\n", [('"y', "z"), ("x,1", "it's")], {}),
        ({"quote_char": "'"}, "a,b\nit's,1\n2,3\n", [("2", "3")],
         {2: "unescaped quote (') inside a field; quote the field and double the inner quotes"}),
        ({"quote_char": None}, 'a,b\n"x,y"\n5" x,"\n', [('"x', 'y"'), ('5" x', '"')], {}),
        ({"quote_char": None}, "a,b\nx,1,2\n3,4\n", [("3", "4")], {2: "3 fields, but the header has 2"}),
        ({"escape_char": "\\"}, 'a,b\n"say \\"hi\\"",x\\,y\n', [('say "hi"', "x,y")], {}),
        ({"escape_char": "\\"}, 'a,b\n"one\ntwo ""3""","c:\\\\x"\n', [('one\ntwo "3"', "c:\\x")], {}),
        ({"escape_char": "\\", "quote_char": None}, 'a,b\nx\\,y,"\n1,l1\\\nl2\n', [("1", "l1\nl2"), ("x,y", '"')], {}),
        ({"escape_char": "\\", "missing_values": ["\\N"]}, 'a,b\nx,\\N\ny,N\nz,a\\Nb\n',
         [("x", None), ("y", "N"), ("z", "aNb")], {}),
        ({"delimiter": "::", "quote_char": None}, "a::b\nx:y::z\n", [("x:y", "z")], {}),
        ({"delimiter": "\x01", "quote_char": None}, "a\x01b\nx\x01y,z\n", [("x", "y,z")], {}),
        ({"delimiter": "¦"}, "a¦b\n\"x¦1\"¦y\n", [("x¦1", "y")], {}),
        ({"skip_initial_space": True}, 'a, b\nx, "y, z"\n  u,  v w \n', [("u", "v w "), ("x", "y, z")], {}),
        ({"comment_char": "#"}, '# made by x\na,b\n#1,2\nx,"y\n#z"\n"#q",r\n', [("#q", "r"), ("x", "y\n#z")], {}),
        ({"header_rows": [3]}, "Report\n\na,b\nx,y\n", [("x", "y")], {}),
        ({"header_rows": [1, 2]}, "a,\n,b\nx,y\n", [("x", "y")], {}),
        ({"footer_rows": 2}, "a,b\nx,y\n\nTotal\n1 row\n\n", [("x", "y")], {}),
        ({"header": False}, "x,y\nu\n", [("x", "y")], {2: "1 field, but the contract says 2"}),
        ({"header": False, "field_count": 3}, "x,y,z\n", [("x", "y")], {}),
    ],
)  # fmt: skip
def test_records(load, dialect, content, rows, rejects):
    found, reasons, refusal = load(content, two(**dialect))
    assert (found, reasons, refusal) == (rows, rejects, None)


def test_a_footer_that_is_a_record_refuses_the_file(load):
    dataset = make_dataset(make_column("a", "integer"), make_column("b"), dialect={"footer_rows": 1})
    rows, _, refusal = load("a,b\n1,x\n2,y\n", dataset)
    assert rows == []
    assert refusal == (
        "the contract says footer_rows: 1, but one of these lines is a valid record: '2,y'. If the file lacks its "
        "footer, upload it again; if files have none, correct the contract"
    )


def test_half_a_record_is_not_taken_for_the_footer(load):
    columns = make_column("a", "integer"), make_column("b"), make_column("c", "integer")
    dataset = make_dataset(*columns, dialect={"footer_rows": 1})
    rows, _, refusal = load("a,b,c\n1,x,1\n2,y", dataset)
    assert rows == []
    assert refusal == (
        "the contract says footer_rows: 1, but the last line looks like the start of a record: '2,y'. The file may be "
        "truncated; upload it again"
    )
    assert load("a,b,c\n1,x,1\nTotal,1", dataset) == ([(1, "x", 1)], {}, None)


@pytest.mark.parametrize(
    ("end", "refused"),
    [
        ('2,"one\ntwo"\n', True),  # the footer is missing
        ('2,"one\ntwo"', True),
        ('2,"one\ntw', True),
        ('2,"one\nTotal: 2\n', False),  # a quote that is not closed, above a footer
        ('2,"one\ntwo"\nTotal: 2\n', False),
        ('2,"one\ntwo"\nTotal: "2"', False),
    ],
)
def test_the_rest_of_a_quoted_record_is_no_footer(load, end, refused):
    dataset = make_dataset(make_column("a", "integer"), make_column("b"), dialect={"footer_rows": 1})
    rows, _, refusal = load(f"a,b\n1,x\n{end}", dataset)
    assert (rows == [], refusal is not None) == (refused, refused)
    if refused:
        assert "the last line is a part of the record that starts at line 3: 'tw" in refusal
        assert refusal.endswith("The file may be truncated; upload it again")


def test_an_unclosed_quote_of_another_kind_costs_its_line(load):
    dataset = make_dataset(make_column("a", "integer"), make_column("b"), dialect={"quote_char": "'"})
    rows, rejects, _ = load("a,b\n1,x\n2,'y\n3,z\n4,u\n", dataset)
    assert rows == [(1, "x"), (3, "z"), (4, "u")]
    assert rejects == {3: "opens a quote (') that is not closed; the lines after it are records and are read as such"}


def test_other_names_and_defaults_of_columns(load):
    columns = make_column("a", aliases=["A", "alpha"]), make_column("n", "integer", default="7")
    assert load("x,alpha\n1,u\n", make_dataset(*columns)) == ([("u", 7)], {}, None)
    assert load("A,n\nv,8\n", make_dataset(*columns)) == ([("v", 8)], {}, None)
    _, _, refusal = load("A,alpha\nv,w\n", make_dataset(*columns))
    assert refusal == "columns 'A', 'alpha' in the header are the same column of the contract, a"
    none = make_dataset(make_column("a"), make_column("b", nullable=True, default=""), name="none")
    assert load("a\nx\n", none) == ([("x", None)], {}, None)


def test_a_file_without_header_finds_columns_by_position(load):
    columns = make_column("b", position=3), make_column("c", "integer"), make_column("a", position=1)
    dataset = make_dataset(*columns, dialect={"header": False})
    assert load("x,-,y,1\nu,-,v,?\n", dataset) == ([("y", 1, "x")], {2: "c '?' is not an integer like 42"}, None)


# ---------------------------------------------------------------- values

EUROPE = {"decimal_char": ",", "group_char": "."}
BERLIN = {"time_zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("kind", "options", "text", "value"),
    [
        ("decimal(12,2)", EUROPE, "1.234.567,8", Decimal("1234567.80")),
        ("decimal(12,2)", EUROPE, "-1234,5", Decimal("-1234.50")),
        ("decimal(12,2)", EUROPE, ",5", Decimal("0.50")),
        ("double", {"decimal_char": ","}, "1,5e3", 1500.0),
        ("integer", {"group_char": "\u202f"}, "1\u202f234", 1234),
        ("integer", {"decimal_zeros": True}, "862.0", 862),
        ("bigint", {"decimal_zeros": True, "decimal_char": ","}, "862,00", 862),
        ("boolean", {"true_values": ["J"], "false_values": ["N"]}, "J", True),
        ("boolean", {"true_values": ["1"]}, "false", False),
        ("date", {"format": "%d.%m.%Y"}, "7.11.2026", date(2026, 11, 7)),
        ("date", {"format": "%d-%b-%Y"}, "01-Jan-1995", date(1995, 1, 1)),
        ("date", {"format": "epoch_s"}, "86400", date(1970, 1, 2)),
        ("timestamp", {"format": "epoch_ms"}, "-1", datetime(1969, 12, 31, 23, 59, 59, 999_000)),
        ("timestamp", {"format": "epoch_us"}, "1000001", datetime(1970, 1, 1, 0, 0, 1, 1)),
        ("timestamp", {"format": "%m/%d/%y %I:%M %p"}, "11/07/26 01:45 PM", datetime(2026, 11, 7, 13, 45)),
        ("timestamp", {"format": "%Y-%m-%dT%H:%M:%S%z"}, "2026-11-07T13:45:00+02:00", datetime(2026, 11, 7, 11, 45)),
        ("timestamp", {"format": "%Y-%m-%dT%H:%M:%S%z"}, "2026-11-07T13:45:00Z", datetime(2026, 11, 7, 13, 45)),
        ("timestamp", BERLIN, "2026-07-01 12:00:00", datetime(2026, 7, 1, 10)),
        ("timestamp", BERLIN, "2026-07-01T12:00:00+00:00", datetime(2026, 7, 1, 12)),
        ("text", {"missing_values": ["NA", "-"]}, "NA", None),
        ("integer", {"missing_values": ["NULL"]}, "NULL", None),
        ("json", {}, '{"a": [1, 2]}', '{"a": [1, 2]}'),
    ],
)  # fmt: skip
def test_values(load, kind, options, text, value):
    dataset = make_dataset(
        make_column("v", kind, nullable=True, **options), dialect={"delimiter": "|", "quote_char": None}
    )
    assert load(f"v\n{text}\n", dataset) == ([(value,)], {}, None)


@pytest.mark.parametrize(
    ("kind", "options", "text", "problem"),
    [
        ("decimal(12,2)", EUROPE, "1.23,5", "is not a number like 1.234,50"),
        ("decimal(12,2)", EUROPE, "1234.5", "is not a number like 1.234,50"),
        ("decimal(12,2)", EUROPE, "1,234", "is not a decimal(12,2) like 1.234,50"),
        ("decimal(12,2)", {**EUROPE, "max": 5}, "1.000,00", "is above the maximum 5"),
        ("integer", {"decimal_zeros": True}, "862.5", "is not an integer like 1234"),
        ("boolean", {"true_values": ["J"], "false_values": ["N"]}, "true", "is not one of J, N"),
        ("date", {"format": "%d.%m.%Y"}, "2026-11-07", "is not a valid date like 07.11.2026"),
        ("date", {"format": "%d.%m.%Y"}, "31.11.2026", "is not a valid date like 07.11.2026"),
        ("date", {"format": "%d.%m.%Y"}, "7. 11.2026", "is not a valid date like 07.11.2026"),
        ("timestamp", {"format": "epoch_ms"}, "1.5", "is not a time in ms like 1772000000000"),
        ("timestamp", {"format": "epoch_s"}, "99999999999999", "is not a time in s like 1772000000"),
        ("timestamp", BERLIN, "2026-03-29 02:30:00", "does not exist in Europe/Berlin: clocks were set forward"),
        ("timestamp", BERLIN, "2026-10-25 02:30:00", "is ambiguous in Europe/Berlin: clocks were set back"),
        ("timestamp", BERLIN, "2026-W01-1", "is not a valid timestamp like 2026-11-07 13:45:00"),
        ("text", {"missing_values": ["NA"]}, "NA", "means no value, but the column is not nullable"),
        ("json", {}, "{'a': 1}", "is not valid JSON"),
        ("json", {}, '{"a": NaN}', "is not valid JSON (NaN is not JSON)"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(load, kind, options, text, problem):
    dataset = make_dataset(
        make_column("n", "integer"), make_column("v", kind, **options), dialect={"delimiter": "|", "quote_char": None}
    )
    rows, rejects, _ = load(f"n|v\n1|{text}\n", dataset)
    assert rows == []
    assert rejects[2].startswith(f"v {text!r} {problem}")


def test_columns_override_the_dialect(load):
    columns = (
        make_column("a", "date"),
        make_column("b", "date", format="%Y%m%d"),
        make_column("c", missing_values=["x"]),
    )
    dataset = make_dataset(*columns, dialect={"date_format": "%d.%m.%Y", "missing_values": ["-"]})
    rows, rejects, _ = load("a,b,c\n07.11.2026,20261107,-\n-,20261107,y\n07.11.2026,20261107,x\n", dataset)
    assert rows == [(date(2026, 11, 7), date(2026, 11, 7), "-")]
    assert rejects == {
        3: "a '-' means no value, but the column is not nullable",
        4: "c 'x' means no value, but the column is not nullable",
    }


# ---------------------------------------------------------------- any dialect, any table


@dataclass
class Writer:
    """Writes tables in a random dialect, by code of its own."""

    chance: random.Random
    options: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pick = self.chance.choice
        quote = pick(['"', '"', "'", None])
        escape = pick([None, None, "\\", "^"])
        delimiters = [",", ";", "\t", "|", "¦", "\x01"]
        delimiter = pick([*delimiters, "::", "<>"] if quote is None and escape is None else delimiters)
        self.quote, self.escape, self.delimiter = quote, escape, delimiter
        self.above, self.below = pick([0, 0, 1, 3]), pick([0, 0, 1, 2])
        self.header = pick([True, True, False])
        self.comment = pick([None, None, "#", "//"])
        self.end = pick(["\n", "\r\n"])
        self.options = {"delimiter": delimiter, "quote_char": quote, "escape_char": escape, "footer_rows": self.below}
        self.options["comment_char"] = self.comment
        if self.header:
            self.options["header_rows"] = [self.above + 1]
        else:
            self.options["header"] = False

    def field(self, text: str) -> str:
        special = [self.delimiter, "\r", "\n", *[each for each in (self.quote, self.escape) if each]]
        needs = any(each in text for each in special) or text.startswith(self.comment or "\0")
        if self.quote and (needs or self.chance.random() < 0.2):
            return f"{self.quote}{self.inner(text)}{self.quote}"
        if self.escape:
            return "".join(f"{self.escape}{each}" if each in special else each for each in text)
        return text

    def inner(self, text: str) -> str:
        if self.escape:
            text = text.replace(self.escape, 2 * self.escape)
        mark = self.escape if self.escape and self.chance.random() < 0.5 else self.quote
        return text.replace(self.quote, f"{mark}{self.quote}")

    def can_write(self, text: str) -> bool:
        """Whether the dialect has a way to write this text."""
        if self.quote or self.escape:
            return not (self.quote is None and text.startswith(self.comment or "\0"))
        return not (self.delimiter in text or set(text) & {"\r", "\n"} or text.startswith(self.comment or "\0"))

    def file(self, names: list[str], rows: list[list[str]]) -> str:
        lines = [f"line {number} of a preamble" for number in range(self.above if self.header else 0)]
        lines += [self.delimiter.join(map(self.field, row)) for row in [*([names] if self.header else []), *rows]]
        if self.comment:
            lines.insert(
                self.chance.randrange(self.above if self.header else 0, len(lines)) + 1, f"{self.comment} a note"
            )
        return "".join(f"{line}{self.end}" for line in [*lines, *["end of file"] * self.below])


NASTY = [
    "",
    "x",
    "a,b",
    'say "hi"',
    "it's",
    "back\\slash",
    "^",
    "tab\there",
    "a;b|c",
    "é ¦",
    "two\nlines",
    "#1",
    "// x",
    "\\N",
]
Value = Callable[[random.Random], tuple[str, object]]


def _decimal(chance: random.Random) -> tuple[str, object]:
    cents = chance.randrange(-(10**9), 10**9)
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:,}".replace(",", ".") + f",{rest:02}", Decimal(cents) / 100


def _local(chance: random.Random) -> tuple[str, object]:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
        minutes=chance.randrange(0, 100_000)
    )  # before the clocks change
    return moment.astimezone(ZoneInfo("America/New_York")).strftime("%m/%d/%Y %H:%M"), moment.replace(tzinfo=None)


def _day(chance: random.Random) -> tuple[str, object]:
    day = date(1950, 1, 1) + timedelta(days=chance.randrange(40_000))
    return day.strftime("%d.%m.%Y"), day


KINDS: dict[str, tuple[dict[str, object], Value]] = {
    "text": ({}, lambda chance: (text := chance.choice(NASTY), text or None)),
    "decimal(12,2)": ({"decimal_char": ",", "group_char": "."}, _decimal),
    "integer": ({"missing_values": ["NA"]}, lambda chance: chance.choice([("NA", None), ("17", 17), ("", None)])),
    "boolean": ({"true_values": ["ja"], "false_values": ["nein"]}, lambda c: c.choice([("ja", True), ("nein", False)])),
    "date": ({"format": "%d.%m.%Y"}, _day),
    "timestamp": ({"format": "%m/%d/%Y %H:%M", "time_zone": "America/New_York"}, _local),
}


@dataclass
class Case:
    """A dataset in a random dialect, and a table: each row as texts and as values, without its number."""

    dataset: Dataset
    writer: Writer
    rows: list[tuple[list[str], list[object]]]

    def file(self, bad: set[int]) -> str:
        """The file, with a number that is none in the ``bad`` rows."""
        names = [column.name for column in self.dataset.columns]
        numbered = enumerate(self.rows)
        return self.writer.file(names, [[f"bad{at}" if at in bad else str(at), *texts] for at, (texts, _) in numbered])

    def values(self, numbers: set[int]) -> list[tuple[object, ...]]:
        return [(at, *values) for at, (_, values) in enumerate(self.rows) if at in numbers]


def make_case(name: str, seed: int) -> Case:
    chance = random.Random(f"{name} {seed}")  # noqa: S311
    writer = Writer(chance)
    kinds = [chance.choice(list(KINDS)) for _ in range(chance.randrange(1, 5))]
    columns = [make_column("n", "integer")]
    columns += [make_column(f"c{at}", kind, nullable=True, **KINDS[kind][0]) for at, kind in enumerate(kinds)]
    rows = []
    for _ in range(chance.randrange(1, 30)):
        row = [KINDS[kind][1](chance) for kind in kinds]
        if not rows or all(writer.can_write(text) for text, _ in row):
            texts = [text if writer.can_write(text) else "" for text, _ in row]
            rows.append((texts, [value if text else None for text, (_, value) in zip(texts, row, strict=True)]))
    return Case(make_dataset(*columns, name=f"{name}_{seed}", dialect=writer.options), writer, rows)


def test_any_dialect_gives_the_same_table(load, request):
    for seed in range(request.config.getoption("--cases") or 25):
        case = make_case("case", seed)
        content = case.file(bad=set())
        rows, rejects, refusal = load(content, case.dataset)
        found = sorted(rows, key=lambda row: row[0]), rejects, refusal
        assert found == (case.values({*range(len(case.rows))}), {}, None), (case.writer.options, content)


def test_rejects_of_any_dialect_are_exported_fixed_and_landed(load, sync, bucket, warehouse, tmp_path, request):
    for seed in range(request.config.getoption("--cases") or 25):
        case = make_case("reject", seed)
        dataset, everything = case.dataset, {*range(len(case.rows))}
        # A record of several lines is exported line by line.
        bad = {at for at, (texts, _) in enumerate(case.rows) if at % 3 == 0 and "\n" not in "".join(texts)}
        _, rejects, _ = load(case.file(bad), dataset)
        assert len(rejects) == len(bad)
        file = tmp_path / f"{dataset.name}.csv"
        write_rejects(dataset, warehouse.rejected_rows(dataset), file)
        bucket.put(f"{dataset.key_prefix}-fixed.csv", exported := file.read_bytes())
        assert sum(each.rows_loaded for each in sync(dataset).loads) == 0, (case.writer.options, exported)
        bucket.put(f"{dataset.key_prefix}-fixed.csv", exported.replace(b"bad", b""))
        assert sum(each.rows_loaded for each in sync(dataset).loads) == len(bad), (case.writer.options, exported)
        names = ", ".join(column.name for column in dataset.columns)
        rows = warehouse.execute(f"select {names} from raw.{dataset.table}_current order by n")
        assert rows == case.values(everything), (case.writer.options, exported)


def test_rejects_of_any_dialect_are_replayed(load, warehouse, tmp_path, request):
    for seed in range(request.config.getoption("--cases") or 25):
        case = make_case("replay", seed)
        load(case.file({0}), case.dataset)
        first, *others = case.dataset.columns
        relaxed = make_dataset(
            make_column("n", "integer", nullable=True, missing_values=["bad0"]),
            *others,
            name=case.dataset.name,
            dialect=case.writer.options,
        )
        [replayed] = replay_rejects(relaxed, warehouse, "run-2", tmp_path)
        assert (first.name, replayed.rows_loaded) == ("n", 1)
        names = ", ".join(column.name for column in others)
        [row] = warehouse.execute(f"select {names} from raw.{relaxed.table}_current where n is null")
        assert list(row) == case.rows[0][1], case.writer.options
