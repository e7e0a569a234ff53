"""Value checks: Python and the SQL template must agree on every text."""

import math
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.values import find_fault
from netflix_assets.warehouse.duckdb.warehouse import DIALECT
from netflix_assets.warehouse.typing import literal, typed_select
from netflix_assets_tests.conftest import make_column, make_dataset

ACCEPTED = {
    "integer": ["0", "5", "+5", "-5", "-0", "007", "2147483647", "-2147483648", "0" * 5000 + "1"],
    "bigint": ["9223372036854775807", "-9223372036854775808", "+0", "0001"],
    "decimal(2,1)": ["4", "4.5", "4.00", "4.50000", "4.", ".5", "+4.5", "-0", "-9.9", "009.9", "4." + "0" * 5000],
    "decimal(5,0)": ["5", "5.", "5.0", ".0", "-99999"],
    "decimal(38,38)": ["0", "." + "9" * 38, "-0." + "9" * 38],
    "double": ["0", "5", "5.", ".5", "-0", "+1.5", "1e3", "1E+3", "1e-400", "1.7976931348623157e308", "007.5"],
    "boolean": ["true", "false", "True", "FALSE"],
    "date": ["2024-02-29", "0001-01-01", "9999-12-31"],
    "timestamp": ["2024-02-29 23:59:59", "2024-02-29T00:00:00", "2024-02-29 00:00:00.123456", "0999-01-01 00:00:00.5"],
    "text": ["x", " ", "nan", "é", "'", '"', "\n", "x" * 10_000],
}
REJECTED = {
    "integer": ["2.7", "5.", "0x10", "1_000", "1,000", "nan", "inf", "1e3", " 5", "5 ", "5\n", "--5", "+", "\u0665",
                "2147483648", "-2147483649", "9" * 5000, "five"],
    "bigint": ["9223372036854775808", "-9223372036854775809", "9" * 5000, "1.0"],
    "decimal(2,1)": ["4.25", "4.55", "10", "-10.0", "1e0", "nan", ".", "-", "4,5", " 4.5", "0x1", "\u0664.5",
                     "9.9" + "0" * 40 + "9", "9" * 5000],
    "decimal(5,0)": [".5", "5.5", "100000", "-."],
    "decimal(38,38)": ["1", "." + "9" * 39, "0." + "0" * 38 + "1"],
    "double": ["nan", "NaN", "inf", "-inf", "infinity", "1e400", "-1e400", "9" * 400, "0x10", "1_000", "1e", ".", " 5",
               "1d", "\u0661"],
    "boolean": ["1", "0", "t", "yes", "tRUE", "true ", "on"],
    "date": ["2023-02-29", "2023-13-01", "2023-1-1", "20230101", "01/02/2023", "2023-01-01 ", "0000-01-01", "infinity",
             "-infinity", "epoch", "12345-01-01", "0044-03-15 (BC)", "today", "\u0662\u0660\u0662\u0663-01-01"],
    "timestamp": ["2023-02-29 00:00:00", "2023-01-01 24:00:00", "2023-01-01 23:59:60", "2023-01-01 00:60:00",
                  "2023-01-01", "2023-01-01 00:00", "2023-01-01 00:00:00Z", "2023-01-01 00:00:00+01:00",
                  "2023-01-01 00:00:00.1234567", "infinity", "epoch", "0000-01-01 00:00:00", "12345-01-01 00:00:00",
                  "2023-01-01  00:00:00", "now"],
}  # fmt: skip

PLAIN = {kind: make_column("value", kind) for kind in ACCEPTED}
RULED = {
    "int in bounds": make_column("value", "integer", min=-3, max=1000),
    "int half bounds": make_column("value", "integer", min="0.5", max="99.5", multiple_of="0.5"),
    "int multiple": make_column("value", "bigint", multiple_of=7),
    "stars": make_column("value", "decimal(2,1)", min="0.5", max="5.0", multiple_of="0.5"),
    "money": make_column("value", "decimal(18,4)", min="-0.00005", max="1E+6", multiple_of="0.0025"),
    "wide": make_column("value", "decimal(38,0)", min="0.5"),
    "share": make_column("value", "double", min=0, max=1),
    "tenth": make_column("value", "double", min="0.1", max="1e300"),
    "tenths": make_column("value", "double", multiple_of="0.1"),
    "code": make_column("value", "text", pattern=r"\d{2,3}[-.]\w*"),
    "role": make_column("value", "text", values=("ACTOR", "it's", "1")),
    "digit": make_column("value", "integer", values=("1", "02")),
    "nullable": make_column("value", "integer", nullable=True, min=1),
    "nullable text": make_column("value", "text", nullable=True),
}
COLUMNS = {**PLAIN, **RULED}
# In a file without letters, the template checks less by regular expression.
NUMERIC_BYTES = set("0123456789.")
PARSERS = {
    "integer": int, "bigint": int, "double": float, "date": date.fromisoformat, "timestamp": datetime.fromisoformat,
    "boolean": lambda text: text.lower() == "true", "text": str,
}  # fmt: skip


def parsed(column: Column, text: str) -> object:
    if text == "":
        return None
    if column.scale is not None:
        return Decimal(text)
    if column.type in ("integer", "bigint"):
        return int(Decimal(text))
    return PARSERS[column.type](text)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        yield opened


def loaded(connection: duckdb.DuckDBPyConnection, column: Column, text: str, *, numeric: bool = False) -> list[object]:
    """The values that the SQL template accepts: one or none."""
    source = f"(values ({literal(text) if text else 'null'})) as texts (t0)"
    statement = typed_select(make_dataset(column), source, DIALECT, numeric=numeric)
    return [row[0] for row in connection.execute(statement).fetchall()]


def assert_agreement(connection: duckdb.DuckDBPyConnection, column: Column, text: str) -> None:
    expected = [parsed(column, text)] if find_fault(column, text) is None else []
    for numeric in (False, True) if set(text) <= NUMERIC_BYTES else (False,):
        found = loaded(connection, column, text, numeric=numeric)
        assert found == expected, (column.type, text, numeric)
        assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in ACCEPTED.items() for text in texts])
def test_accepted_forms(connection, kind, text):
    assert find_fault(PLAIN[kind], text) is None
    assert_agreement(connection, PLAIN[kind], text)


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in REJECTED.items() for text in texts])
def test_rejected_forms(connection, kind, text):
    assert find_fault(PLAIN[kind], text) is not None
    assert loaded(connection, PLAIN[kind], text) == []
    assert_agreement(connection, PLAIN[kind], text)


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        (PLAIN["integer"], "2.7", "value '2.7' is not an integer like 42"),
        (PLAIN["integer"], "2147483648", "value '2147483648' does not fit an integer"),
        (PLAIN["bigint"], "x", "value 'x' is not a bigint like 42"),
        (PLAIN["decimal(2,1)"], "4.25", "value '4.25' is not a decimal(2,1) like 4.5"),
        (PLAIN["decimal(2,1)"], "10", "value '10' does not fit decimal(2,1)"),
        (PLAIN["double"], "1e400", "value '1e400' does not fit a double"),
        (PLAIN["date"], "2023-02-29", "value '2023-02-29' is not a valid date"),
        (PLAIN["timestamp"], "2023-02-29 00:00:00", "value '2023-02-29 00:00:00' is not a valid timestamp"),
        (PLAIN["text"], "", "value is empty"),
        (RULED["stars"], "7.5", "value '7.5' is above the maximum 5.0"),
        (RULED["stars"], "0.0", "value '0.0' is below the minimum 0.5"),
        (RULED["stars"], "4.2", "value '4.2' is not a multiple of 0.5"),
        (RULED["role"], "DIRECTOR", "value 'DIRECTOR' is not one of ACTOR, it's, 1"),
        (RULED["code"], "x", r"value 'x' does not match \d{2,3}[-.]\w*"),
        (PLAIN["integer"], "9" * 100, f"value '{'9' * 60}…' does not fit an integer"),
    ],
)
def test_reasons(column, text, reason):
    assert find_fault(column, text) == reason


def test_rules_compare_doubles_as_doubles(connection):
    # 0.09999999999999999999 and 0.1 are the same double, so it cannot be below 0.1 once it is loaded.
    assert find_fault(RULED["tenth"], "0.09999999999999999999") is None
    assert_agreement(connection, RULED["tenth"], "0.09999999999999999999")
    assert find_fault(RULED["tenth"], "0.0999999999999999") == "value '0.0999999999999999' is below the minimum 0.1"


def test_a_pattern_matches_ascii_digits_only(connection):
    assert find_fault(RULED["code"], "\u0661\u0662-") is not None
    assert loaded(connection, RULED["code"], "\u0661\u0662-") == []


NUMBER_LIKE = st.text("0123456789+-._eE xXnafiINF,\u0665\u00a0", max_size=12)
DIGITS = st.text("0123456789", max_size=45)
NUMBERS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", "+", "-", "--"]),
        DIGITS,
        st.sampled_from(["", "", ".", ".", ".."]),
        st.sampled_from(["", "", "5", "50", "500", "25", "0" * 40]) | DIGITS,
        st.sampled_from(["", "", "", "e3", "E-7", "e+400", "e-400", "e", " ", "\n"]),
    ),
)
MOMENTS = st.builds(
    "{:04}-{:02}-{:02}{}{}".format,
    st.integers(0, 10_100),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from(["", " ", "T", "  "]),
    st.sampled_from(
        ["", "00:00:00", "23:59:59.999999", "24:00:00", "12:60:00", "12:00:60", "1:00:00", "12:00:00.1", "12:00"]
    )
    | st.builds(
        "{:02}:{:02}:{:02}.{}".format, st.integers(0, 25), st.integers(0, 61), st.integers(0, 61), st.integers(0)
    ),
)
WORDS = st.sampled_from(
    ["nan", "-nan", "inf", "Infinity", "-infinity", "epoch", "today", "now", "true", "TRUE", "t", "yes", "null", "NULL",
     "0044-03-15 (BC)", "ACTOR", "it's", "1", "02", "12-a", "123.", "0x1F", "1_000", "0b1", "1e0_1", "'", "''", "''''"]
)  # fmt: skip
TEXTS = st.one_of(
    st.just(""),
    NUMBER_LIKE,
    NUMBERS,
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-20, 200).map(lambda halves: str(halves / 10)),
    st.floats().map(repr),
    st.decimals(allow_nan=True, places=4).map(str),
    MOMENTS,
    st.dates().map(str),
    st.datetimes().map(str),
    WORDS,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
)


@settings(max_examples=35, deadline=None, derandomize=True, database=None)
@given(st.lists(TEXTS, min_size=1, max_size=30))
@example(["9" * 400, "9" * 39, "9" * 38, "0.5", ".5", "infinity", "0044-03-15 (BC)"])
def test_python_and_sql_agree_on_every_text(texts):
    with duckdb.connect() as connection:
        for name, column in COLUMNS.items():
            assert_texts_agree(connection, name, column, texts, numeric=False)
            assert_texts_agree(connection, name, column, [t for t in texts if set(t) <= NUMERIC_BYTES], numeric=True)


def assert_texts_agree(
    connection: duckdb.DuckDBPyConnection, name: str, column: Column, texts: list[str], *, numeric: bool
) -> None:
    if not texts:
        return
    # Many texts per statement: a statement costs a hundred times as much as a text. t1 identifies the text.
    rows = ", ".join(f"({literal(text) if text else 'null'}, '{at}')" for at, text in enumerate(texts))
    dataset = make_dataset(column, make_column("place", "integer"))
    statement = typed_select(dataset, f"(values {rows}) as texts (t0, t1)", DIALECT, numeric=numeric)
    found = {at: value for value, at in connection.execute(statement).fetchall()}
    expected = {at: parsed(column, text) for at, text in enumerate(texts) if find_fault(column, text) is None}
    wrong = [at for at in range(len(texts)) if (at in found, found.get(at)) != (at in expected, expected.get(at))]
    assert not wrong, (name, [(texts[at], found.get(at, "left out"), expected.get(at, "a fault")) for at in wrong])


def test_no_text_becomes_nan_or_infinity(connection):
    for text in ("nan", "inf", "1e400", "9" * 400):
        for numeric in (False, True):
            assert not any(
                math.isnan(value) or math.isinf(value)
                for value in loaded(connection, PLAIN["double"], text, numeric=numeric)
            )
