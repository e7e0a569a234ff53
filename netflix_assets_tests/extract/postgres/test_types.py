"""How each PostgreSQL type arrives: as its value, as a documented text, or as a reject; never as another value."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from netflix_assets.extract.postgres.run import Extracted
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.extract.postgres.database import Database, dataset

REJECTED = "(rejected)"
DIGITS = "12345678901234567890123456789012345.678"

# PostgreSQL's type, the contract's type, and values as SQL with what the warehouse has.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("smallint", "integer", {"-32768": -32768, "32767": 32767, "null": None}),
    ("integer", "bigint", {"2147483647": 2147483647}),
    ("bigint", "bigint", {"9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63)}),
    ("bigint", "integer", {"2147483648": REJECTED, "7": 7}),
    ("numeric(38,3)", "decimal(38,3)", {DIGITS: Decimal(DIGITS), "-0.001": Decimal("-0.001"), "'NaN'": REJECTED}),
    (
        "numeric",
        "decimal(12,2)",
        {"1.50": Decimal("1.50"), "1.005": REJECTED, "1e20": REJECTED, "'Infinity'": REJECTED},
    ),
    ("numeric", "bigint", {"7": 7, "7.5": REJECTED}),
    ("numeric", "text", {"1e-30": "0." + "0" * 29 + "1", "'NaN'": "NaN"}),
    ("real", "double", {"0.1": 0.1, "1e30": 1e30}),
    (
        "double precision",
        "double",
        {"0.1": 0.1, "1e308": 1e308, "5e-324": 5e-324, "'NaN'": REJECTED, "'-Infinity'": REJECTED},
    ),
    ("boolean", "boolean", {"true": True, "false": False, "null": None}),
    ("date", "date", {"'2024-02-29'": date(2024, 2, 29), "'infinity'": REJECTED, "'0044-03-15 BC'": REJECTED}),
    (
        "timestamp",
        "timestamp",
        {
            "'2024-02-29 23:59:59.999999'": datetime(2024, 2, 29, 23, 59, 59, 999999),
            "'-infinity'": REJECTED,
            "'10000-01-01'": REJECTED,
        },
    ),
    (
        "timestamptz",
        "timestamp",
        {
            "'2024-07-01 02:00+02'": datetime(2024, 7, 1),
            "'2024-01-01 00:00 America/New_York'": datetime(2024, 1, 1, 5),
            "'infinity'": REJECTED,
            "'0044-03-15 12:00 BC'": REJECTED,
        },
    ),
    ("time", "text", {"'23:59:59.5'": "23:59:59.5", "'24:00'": "24:00:00"}),
    ("timetz", "text", {"'12:00+02'": "12:00:00+02"}),
    ("interval", "text", {"'1 year 2 mons -3 days 04:05:06.7'": "P1Y2M-3DT4H5M6.7S"}),
    ("uuid", "text", {"'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}),
    ("bytea", "text", {r"'\x00ff5c0a'": "00ff5c0a", "''": None}),
    ("jsonb", "json", {"""'{"a": "x\\ny", "b": [1, null]}'""": '{"a": "x\\ny", "b": [1, null]}'}),
    ("json", "text", {"""'{"b": 1,  "b": 2}'""": '{"b": 1,  "b": 2}'}),
    ("integer[]", "json", {"'{1,null,3}'": "[1,null,3]", "'{{1,2},{3,4}}'": "[[1,2],[3,4]]"}),
    ("text[]", "text", {"""array['a,b', '"q"', null]""": '["a,b","\\"q\\"",null]'}),
    ("pair", "json", {"row(1, 'x, \"y\"')": '{"one":1,"two":"x, \\"y\\""}'}),
    ("colour", "text", {"'red'": "red", "'dark, blue'": "dark, blue"}),
    ("positive", "bigint", {"7": 7}),
    ("small", "decimal(5,2)", {"1.25": Decimal("1.25")}),
    ("very_small", "decimal(5,2)", {"1.25": Decimal("1.25")}),
    ("inet", "text", {"'::1/64'": "::1/64"}),
    ("money", "text", {"1234.5": "$1,234.50"}),
    ("char(6)", "text", {"'ab'": "ab", "' a'": " a"}),
    ("varchar(9)", "text", {"'ab  '": "ab  "}),
    ("int4range", "text", {"'[1,5)'": "[1,5)"}),
    ("bit(3)", "text", {"B'101'": "101"}),
    (
        "text",
        "text",
        {
            "''": None,
            "null": None,
            "'NULL'": "NULL",
            r"'\.'": r"\.",
            r"'\N'": r"\N",
            r"E'a\n\\.\nb'": "a\n\\.\nb",
            r"E'\r\n'": "\r\n",
            r"E'a\rb'": "a\rb",
            """'"'""": '"',
            "'a,\"b\",c'": 'a,"b",c',
            "' spaces '": " spaces ",
            r"U&'\+01F600 \00e9e\0301 \2028'": "\U0001f600 \u00e9e\u0301 \u2028",
            r"E'\x01\x1f\x7f\t'": "\x01\x1f\x7f\t",
            "'0x10'": "0x10",
            "repeat('é', 3000)": "é" * 3000,
        },
    ),
]
TYPES = (
    "create type pair as (one integer, two text)",
    "create type colour as enum ('red', 'dark, blue')",
    "create domain positive as bigint check (value > 0)",
    "create domain small as numeric(5,2)",
    "create domain very_small as small",
)


def test_types(database: Database, warehouse: Warehouse, sync: Callable[..., SyncReport]) -> None:
    database.execute(*TYPES)
    datasets = []
    for number, (kind, contract, values) in enumerate(CASES):
        rows = ", ".join(f"({at}, cast({value} as {kind}))" for at, value in enumerate(values))
        database.execute(
            f"create table t{number} (id integer primary key, v {kind})", f"insert into t{number} values {rows}"
        )
        columns = [
            {"name": "id", "type": "bigint", "description": "Id."},
            {"name": "v", "type": contract, "nullable": True, "description": "Value."},
        ]
        tolerance = {"rejected_rows": 1000, "rejected_share": 1}
        datasets.append(
            dataset(
                name=f"t{number}", key=["id"], columns=columns, tolerance=tolerance, extract={"table": f"t{number}"}
            )
        )
    for outcome in database.extract(*datasets):
        assert isinstance(outcome, Extracted), outcome
    wrong = []
    for one, (kind, contract, values) in zip(datasets, CASES, strict=True):
        report = sync(one)
        rows = dict(warehouse.query(f"select id, v from raw.shop_{one.name}_current")[1])
        found = {value: rows.get(at, REJECTED) for at, value in enumerate(values)}
        if report.refused or found != values:
            wrong.append((kind, contract, found, report.refused))
        rejects = warehouse.query(f"select count(*) from ops.rejected_rows where dataset = '{one.id}'")[1][0][0]
        assert rejects == list(values.values()).count(REJECTED)
    assert not wrong


@pytest.mark.parametrize(
    ("kind", "contract"),
    [
        ("text", "bigint"),
        ("double precision", "bigint"),
        ("double precision", "decimal(9,2)"),
        ("bigint", "boolean"),
        ("date", "timestamp"),
        ("timestamp", "date"),
        ("money", "decimal(9,2)"),
        ("time", "timestamp"),
        ("boolean", "integer"),
    ],
)
def test_types_that_do_not_fit_are_refused(database: Database, kind: str, contract: str) -> None:
    database.execute(f"create table orders (order_id bigint primary key, v {kind})")
    columns = [dataset().columns[0], {"name": "v", "type": contract, "nullable": True, "description": "Value."}]
    assert "but the contract says" in database.refused(dataset(columns=columns))


def test_names_are_never_sql(database: Database, warehouse: Warehouse, sync: Callable[..., SyncReport]) -> None:
    names = {
        "a": 'Order "Id"',
        "b": "o'brien; drop table orders; --",
        "c": "select",
        "d": "Größe %s {}",
        "e": "A",
        "f": "a",
    }
    quoted = {key: '"' + name.replace('"', '""') + '"' for key, name in names.items()}
    relation = '"Odd schema"."; drop table ""orders""; --"'
    definition = f"{quoted['a']} bigint primary key, " + ", ".join(f"{quoted[key]} text" for key in "bcdef")
    database.execute(
        'create schema "Odd schema"',
        f"create table {relation} ({definition})",
        f"insert into {relation} values (1, 'b', 'c', 'd', 'e', 'f'), (2, 'b2', 'c2', 'd2', 'e2', 'f2')",
    )
    columns = [
        {"name": key, "source_name": name, "type": "bigint" if key == "a" else "text", "nullable": key != "a",
         "description": "A column."}
        for key, name in names.items()
    ]  # fmt: skip
    one = dataset(key=["a"], columns=columns, extract={"table": 'Odd schema.; drop table "orders"; --'})
    database.extract_one(one)
    database.execute(f"delete from {relation} where {quoted['a']} = 2", f"update {relation} set {quoted['e']} = 'E'")
    second = database.extract_one(one)
    assert (second.state.changed, second.state.deleted) == (1, 1)
    report = sync(one)
    assert not report.refused
    query = (
        "select a, b, c, d, e, f, is_deleted from raw.shop_orders_current "
        "where extract_number = (select max(extract_number) from raw.shop_orders_current) order by a"
    )
    assert list(warehouse.query(query)[1]) == [
        (1, "b", "c", "d", "E", "f", False),
        (2, None, None, None, None, None, True),
    ]
