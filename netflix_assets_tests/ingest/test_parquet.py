"""Parquet: what each type gives, which types fit which columns, and the one outcome of each fault."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.json_lines import parse_json_line
from netflix_assets.ingest.parquet import Parquet
from netflix_assets.ingest.records import Record, find_faults, layout_of_contract
from netflix_assets.ingest.validate import validate
from netflix_assets_tests.conftest import make_column, make_dataset

UTC_MICROS = pa.timestamp("us", "UTC")
BERLIN = pa.timestamp("us", "Europe/Berlin")


def dataset(*columns, **changes) -> Dataset:
    return make_dataset(*columns, format="parquet", **changes)


PAIR = dataset(make_column("id", "integer", source_name="Id"), make_column("label", nullable=True))


def written(folder: Path, columns: dict[str, pa.Array] | pa.Table, **options) -> Path:
    path = folder / "object.parquet"
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return path


def read(folder: Path, columns: dict[str, pa.Array] | pa.Table, dataset: Dataset, **options) -> list[Record]:
    return list(Parquet(written(folder, columns, **options), dataset))


def texts(folder: Path, array: pa.Array, kind: str, **rules) -> list[str]:
    """The texts of a column x, after a round trip through the JSON that a reject would keep."""
    columns = dataset(make_column("x", kind, nullable=True, **rules))
    records = read(folder, {"x": array}, columns)
    layout = layout_of_contract(columns)
    again = [parse_json_line(record.text, columns) for record in records]
    assert [layout.loadable(record) for record in again] == [layout.loadable(record) for record in records]
    assert [find_faults(layout, record) for record in again] == [find_faults(layout, record) for record in records]
    return [record.fields[0] for record in records]


def reason(folder: Path, columns: dict[str, pa.Array] | pa.Table, dataset: Dataset = PAIR, **options) -> str:
    with pytest.raises(RefusedError) as raised:
        read(folder, columns, dataset, **options)
    return raised.value.reason


def test_columns_are_found_by_name_in_the_order_of_the_contract(tmp_path):
    path = written(tmp_path, {"extra": pa.array([0, 0]), "label": pa.array(["a", None]), "Id": pa.array([1, 2])})
    parquet = Parquet(path, PAIR)
    assert [(each.line, each.text, each.fields) for each in parquet] == [
        (1, '{"Id":1,"label":"a"}', ["1", "a"]),
        (2, '{"Id":2,"label":null}', ["2", ""]),
    ]
    assert parquet.unknown == ("extra",)


DAY = dt.date(2020, 2, 29)
NOON = dt.datetime(2020, 2, 29, 12, 0, 0, 123_456)
VALUES = [
    ("integer", pa.array([1, None, -5], pa.int8()), ["1", "", "-5"]),
    ("bigint", pa.array([2**63 - 1, -(2**63)]), ["9223372036854775807", "-9223372036854775808"]),
    ("bigint", pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    ("bigint", pa.array([Decimal(12345)], pa.decimal128(20, 0)), ["12345"]),
    ("decimal(5,2)", pa.array([Decimal("1.50")], pa.decimal128(9, 2)), ["1.50"]),
    ("decimal(38,2)", pa.array([Decimal("1.50")], pa.decimal256(60, 2)), ["1.50"]),
    ("decimal(5,2)", pa.array([3]), ["3"]),
    ("decimal(5,2)", pa.array([0.1, 1e-7, 1e22]), ["0.1", "0.0000001", "10000000000000000000000"]),
    ("decimal(5,2)", pa.array([0.1], pa.float32()), ["0.1"]),
    ("double", pa.array([0.1, 1.0, 1e300, float("nan"), -float("inf")]), ["0.1", "1", "1e+300", "nan", "-inf"]),
    ("double", pa.array([0.1], pa.float32()), ["0.10000000149011612"]),
    ("double", pa.array([0.5], pa.float16()), ["0.5"]),
    ("double", pa.array([Decimal("1.50")]), ["1.50"]),
    ("boolean", pa.array([True, False, None]), ["true", "false", ""]),
    ("date", pa.array([DAY, None]), ["2020-02-29", ""]),
    ("date", pa.array([DAY], pa.date64()), ["2020-02-29"]),
    ("timestamp", pa.array([NOON]), ["2020-02-29 12:00:00.123456"]),
    ("timestamp", pa.array([NOON], pa.timestamp("ns")), ["2020-02-29 12:00:00.123456"]),
    ("timestamp", pa.array([1_001], pa.timestamp("ns")), ["1970-01-01 00:00:00.000001001"]),
    ("timestamp", pa.array([0], BERLIN), ["1970-01-01 00:00:00.000000"]),
    ("text", pa.array(["a", "", None, "é\n"]), ["a", "", "", "é\n"]),
    ("text", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    ("text", pa.array(["a"], pa.large_string()), ["a"]),
    ("text", pa.array(["a"], pa.string_view()), ["a"]),
    ("text", pa.array([None], pa.null()), [""]),
    ("integer", pa.array(["1", "x"]), ["1", "x"]),
    ("timestamp", pa.array(["2020-01-01 00:00:00"]), ["2020-01-01 00:00:00"]),
    ("json", pa.array(['{"a": 1}', "{"]), ['{"a": 1}', "{"]),
    ("json", pa.array([{"a": 1, "b": [1.5, None]}, None]), ['{"a":1,"b":[1.5,null]}', ""]),
    ("json", pa.array([[NOON], [], None]), ['["2020-02-29 12:00:00.123456"]', "[]", ""]),
    ("json", pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), ["[1,2]", ""]),
    ("json", pa.array([[("a", True)], []], pa.map_(pa.string(), pa.bool_())), ['{"a":true}', "{}"]),
]


@pytest.mark.parametrize(("kind", "array", "expected"), VALUES, ids=lambda each: str(getattr(each, "type", ""))[:40])
def test_every_value_has_the_text_that_it_has_in_csv(tmp_path, kind, array, expected):
    assert texts(tmp_path, array, kind) == expected


@pytest.mark.parametrize(
    ("kind", "array", "fault"),
    [
        ("double", pa.array([float("nan")]), "x 'nan' is not a double like 4.5"),
        ("double", pa.array([float("inf")]), "x 'inf' is not a double like 4.5"),
        ("bigint", pa.array([2**64 - 1], pa.uint64()), "x '18446744073709551615' does not fit a bigint"),
        (
            "timestamp",
            pa.array([1], pa.timestamp("ns")),
            "x '1970-01-01 00:00:00.000000001' is not a timestamp like 2026-11-07 13:45:00",
        ),
        ("text", pa.array(["a\0b"]), "x has a NUL character (\\u0000), which is not text"),
        *(
            ("timestamp", pa.array([at], pa.timestamp("s")), f"x '{text}' is not a timestamp like 2026-11-07 13:45:00")
            for at, text in [
                (253_402_300_800, "10000-01-01 00:00:00.000"),
                (-62_135_596_801, "0000-12-31 23:59:59.000"),
                (10**14, f"<value out of range: {10**17}>"),
            ]
        ),
    ],
)  # fmt: skip
def test_values_without_a_place_in_the_table_are_rejected(tmp_path, kind, array, fault):
    columns = dataset(make_column("x", kind))
    [record] = read(tmp_path, {"x": array}, columns)
    assert find_faults(layout_of_contract(columns), record) == (("x",), (fault,))
    assert layout_of_contract(columns).loadable(record) is None or "NUL" not in fault


def test_options_of_the_contract(tmp_path):
    zeros = texts(tmp_path, pa.array([862.0, 2.5]), "integer", decimal_zeros=True)
    assert zeros == ["862", "2.5"]
    assert texts(tmp_path, pa.array([1_500]), "timestamp", format="epoch_ms") == ["1500"]
    comma = dataset(make_column("x", "double"), make_column("y", "double"), dialect={"decimal_char": ","})
    [record] = read(tmp_path, {"x": pa.array([1.5]), "y": pa.array(["1,5"])}, comma)
    for each in (record, parse_json_line(record.text, comma)):
        assert layout_of_contract(comma).loadable(each) == ["1.5", "1.5"]
    zone = dataset(make_column("x", "timestamp"), make_column("y", "timestamp"), dialect={"time_zone": "Europe/Berlin"})
    [record] = read(tmp_path, {"x": pa.array([NOON]), "y": pa.array([NOON], UTC_MICROS)}, zone)
    for each in (record, parse_json_line(record.text, zone)):
        assert layout_of_contract(zone).loadable(each) == ["2020-02-29 11:00:00.123456", "2020-02-29 12:00:00.123456"]


@pytest.mark.parametrize(
    ("array", "time_zone", "warns"),
    [
        (pa.array([NOON]), "UTC", True),
        (pa.array([NOON], UTC_MICROS), "UTC", False),
        (pa.array([NOON]), "Europe/Berlin", False),  # where the zone says what these times mean
        (pa.array([NOON]), None, False),
        (pa.array(["2020-02-29 12:00:00"]), "UTC", False),
    ],
)
def test_a_file_without_the_zone_of_the_contract_warns(tmp_path, array, time_zone, warns):
    declared = dataset(make_column("seen_at", "timestamp", source_name="x", time_zone=time_zone))
    path = written(tmp_path, {"x": array})
    file = validate(iter([path.read_bytes()]), declared, tmp_path / "copy")
    wanted = "column 'x' has no time zone in this file, but the contract says UTC; its times are read as UTC"
    assert list(file.warnings) == ([wanted] if warns else [])


def test_int96_keeps_nanoseconds_and_far_years(tmp_path):
    far = dataset(make_column("x", "timestamp", nullable=True), make_column("y", nullable=True))
    array = pa.array([1_001, 1_000, None], pa.timestamp("ns"))
    records = read(tmp_path, {"y": pa.array(["a", "b", "c"]), "x": array}, far, use_deprecated_int96_timestamps=True)
    assert [each.fields for each in records] == [
        ["1970-01-01 00:00:00.000001001", "a"],
        ["1970-01-01 00:00:00.000001", "b"],
        ["", "c"],
    ]


def test_paths_rest_aliases_and_defaults(tmp_path):
    columns = dataset(
        make_column("zip", "integer", path="/customer/address/zip", nullable=True),
        make_column("id", "integer", aliases=("key",)),
        make_column("city", path="/customer/address/city", nullable=True),
        make_column("lang", default="de"),
        make_column("more", "json", rest=True),
    )
    customers = [{"address": {"city": "Bonn", "zip": 53111}, "name": "x"}, {"address": None, "name": None}, None]
    table = {"key": pa.array([1, 2, 3]), "customer": pa.array(customers), "100%": pa.array([1.5, None, 2.5])}
    records = read(tmp_path, table, columns)
    assert [each.fields for each in records] == [
        ["53111", "1", "Bonn", "de", '{"100%":1.5}'],
        ["", "2", "", "de", '{"100%":null}'],
        ["", "3", "", "de", '{"100%":2.5}'],
    ]
    assert records[0].text == '{"customer":{"address":{"zip":53111,"city":"Bonn"}},"key":1,"100%":1.5}'
    assert [parse_json_line(each.text, columns).fields for each in records] == [each.fields for each in records]


def test_missing_and_duplicate_columns_are_refused(tmp_path):
    assert reason(tmp_path, {"Idx": pa.array([1]), "label": pa.array(["a"])}) == (
        "the file is missing column 'Id' and has unknown column 'Idx'; expected: Id,label"
    )
    twice = pa.table([pa.array([1]), pa.array([1]), pa.array(["a"])], names=["Id", "Id", "label"])
    assert reason(tmp_path, twice) == "duplicate column 'Id' in the file"
    both = dataset(make_column("id", "integer", aliases=("key",)))
    assert reason(tmp_path, {"id": pa.array([1]), "key": pa.array([1])}, both) == (
        "columns 'id', 'key' in the file are the same column of the contract, id"
    )


@pytest.mark.parametrize(
    ("kind", "array", "found", "fix"),
    [
        ("integer", pa.array([1.0]), "double", "declare `type: double`, or export it as integer"),
        ("date", pa.array([Decimal("1.5")]), "decimal128(2, 1)", "declare `type: decimal(2,1)`, or export it as date"),
        ("text", pa.array([b"a"]), "binary", "export it as text"),
        ("text", pa.array([1]), "int64", "declare `type: bigint`, or export it as text"),
        ("date", pa.array([NOON]), "timestamp[us]", "declare `type: timestamp`, or export it as date"),
        ("timestamp", pa.array([DAY]), "date32[day]", "declare `type: date`, or export it as timestamp"),
        ("boolean", pa.array([1]), "int64", "declare `type: bigint`, or export it as boolean"),
        ("double", pa.array([True]), "bool", "declare `type: boolean`, or export it as double"),
        ("text", pa.array([[1]]), "list<element: int64>", "declare `type: json`, or export it as text"),
        ("json", pa.array([1]), "int64", "declare `type: bigint`, or export it as text"),
        ("timestamp", pa.array([dt.time(1)]), "time64[us]", "export it as timestamp"),
    ],
)  # fmt: skip
def test_types_that_do_not_fit_are_refused(tmp_path, kind, array, found, fix):
    expected = f"column 'x' is {found}, but the contract says {kind}; {fix}"
    assert reason(tmp_path, {"x": array}, dataset(make_column("x", kind))) == expected


def test_what_json_cannot_say_is_refused(tmp_path):
    assert reason(tmp_path, {"x": pa.array([[b"a"]])}, dataset(make_column("x", "json"))) == (
        "column 'x' holds binary, for which JSON has no form; export it as text"
    )


def test_a_path_must_lead_through_structs(tmp_path):
    columns = dataset(make_column("x", path="/tags/0"))
    assert reason(tmp_path, {"tags": pa.array([["a"]])}, columns) == (
        "'/tags/0' in the contract leads into a list<element: string>, but only a struct has members; declare "
        "`type: json` for the whole value"
    )


def test_damaged_files_are_refused(tmp_path):
    content = written(tmp_path, {"Id": pa.array(range(9_000)), "label": pa.array(["a"] * 9_000)}).read_bytes()
    path = tmp_path / "object.parquet"

    def refused(changed: bytes) -> str:
        path.write_bytes(changed)
        with pytest.raises(RefusedError) as raised:
            list(Parquet(path, PAIR))
        return raised.value.reason

    early = "the Parquet file ends early; upload it again"
    assert refused(content[:-1]) == early
    assert refused(content[: len(content) // 2]) == early
    assert refused(b"PAR1") == early
    assert refused(b"PAR1" + bytes(20) + b"PAR1").startswith("the Parquet file is damaged or not supported (")
    assert refused(b"Id,label\n1,a\n").startswith("the file is not Parquet; ")
    assert refused(content[:-4] + b"PARE") == "the Parquet file is encrypted; export it without encryption"
    page = content.index(b"PAR1") + 200
    broken = content[:page] + bytes(byte ^ 0xFF for byte in content[page : page + 40]) + content[page + 40 :]
    assert refused(broken).startswith("the Parquet file is damaged or not supported (")


def test_text_that_is_not_utf8_is_refused(tmp_path):
    broken = pa.array([b"\xff"], pa.binary()).view(pa.string())
    assert "is not valid UTF-8" in reason(tmp_path, {"Id": pa.array([1]), "label": broken})


def test_many_rows_and_row_groups(tmp_path):
    count = 20_001
    table = {"Id": pa.array(range(count)), "label": pa.array(["x"] * count)}
    records = read(tmp_path, table, PAIR, row_group_size=7_000)
    assert [each.line for each in records] == list(range(1, count + 1))
    assert [each.fields[0] for each in records] == list(map(str, range(count)))
    assert read(tmp_path, {"Id": pa.array([], pa.int64()), "label": pa.array([], pa.string())}, PAIR) == []


FUZZED = {
    "bigint": (st.integers(-(2**63), 2**63 - 1), pa.int64(), int),
    "double": (st.floats(allow_nan=False, allow_infinity=False), pa.float64(), float),
    "decimal(38,9)": (st.decimals(-(10**28), 10**28, places=9, allow_nan=False), pa.decimal128(38, 9), Decimal),
    "boolean": (st.booleans(), pa.bool_(), {"true": True, "false": False}.__getitem__),
    "date": (st.dates(), pa.date32(), dt.date.fromisoformat),
    "timestamp": (st.datetimes(), pa.timestamp("us"), dt.datetime.fromisoformat),
    "text": (st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), pa.string(), str),
}


@given(st.data())
@settings(deadline=None)
def test_every_loadable_value_says_what_arrow_says(tmp_path_factory, data):
    kinds = data.draw(st.lists(st.sampled_from(list(FUZZED)), min_size=1, max_size=4))
    count = data.draw(st.integers(1, 5))
    columns = dataset(*(make_column(f"c{at}", kind, nullable=True) for at, kind in enumerate(kinds)))
    values = [data.draw(st.lists(st.none() | FUZZED[kind][0], min_size=count, max_size=count)) for kind in kinds]
    table = {
        f"c{at}": pa.array(each, FUZZED[kind][1]) for at, (kind, each) in enumerate(zip(kinds, values, strict=True))
    }
    layout = layout_of_contract(columns)
    for at, record in enumerate(read(tmp_path_factory.mktemp("fuzz"), table, columns, row_group_size=2)):
        assert not find_faults(layout, record)[1]
        loadable = layout.loadable(record)
        assert loadable == layout.loadable(parse_json_line(record.text, columns))
        for kind, text, column in zip(kinds, loadable, values, strict=True):
            expected = column[at]
            assert text == "" if expected in (None, "") else FUZZED[kind][2](text) == expected
