"""Comparing two sets of tables: planted changes are found exactly, and nothing else is."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netflix_assets.contracts.visibility import Showable
from netflix_assets.warehouse import comparison
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.diff import EXAMPLES, HIDDEN, Change, TableDiff, compare
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.publishing import ServedTable, TableSet
from netflix_assets_tests.emulator.fixtures import SnowflakeDatabase

EVERYTHING = Showable(None)

# Column -> type, and values that are easily taken for one another.
COLUMNS = {
    "id": "integer", "part": "varchar", "amount": "double", "price": "decimal(12,2)", "is_new": "boolean",
    "day": "date", "at": "timestamp", "label": "varchar", "order": "bigint",
}  # fmt: skip
VALUES: dict[str, Sequence[Any]] = {
    "amount": (None, 0.0, 0.1, 0.1 + 2**-56, 1e300, math.nan, math.inf, -math.inf),
    "price": (None, Decimal("0.00"), Decimal("0.10"), Decimal("-0.10"), Decimal("9999999999.99")),
    "is_new": (None, True, False),
    "day": (None, date(1970, 1, 1), date(1970, 1, 2), date(9999, 12, 31)),
    "at": (None, datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 0, 1), datetime(2024, 2, 29, 23, 59, 59)),
    "label": (None, "", " ", "a", "A", "a'b", 'a"b', "NULL", "\\", "é", "é", "🎬"),
    "order": (None, 0, -1, 2**53, 2**53 + 1),
}
Row = dict[str, Any]


class Sides:
    """Two schemas of one database with the same tables."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        (self.database,) = warehouse.execute("select current_database()")[0]

    def make(self, schema: str, rows: Sequence[Row], columns: dict[str, str] = COLUMNS, table: str = "t") -> None:
        quoted = self.warehouse.dialect.identifier
        self.warehouse.execute(f"create schema if not exists {schema}")
        names = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
        self.warehouse.execute(f"create or replace table {schema}.{table} ({names})")
        for at in range(0, len(rows), 500):
            values = ", ".join(
                f"({', '.join(literal(row[name], columns[name]) for name in columns)})" for row in rows[at : at + 500]
            )
            self.warehouse.execute(f"insert into {schema}.{table} select * from (values {values}) as v")

    def compare(self, *marts: ServedTable, shown: Showable = EVERYTHING) -> list[TableDiff]:
        before, after = (TableSet(self.database, {"marts": schema}) for schema in ("marts", "pr_1_marts"))
        return list(compare(self.warehouse, before, after, marts, shown))

    def compare_but(self, unchanged: dict[str, int], *marts: ServedTable) -> list[TableDiff]:
        before, after = (TableSet(self.database, {"marts": schema}) for schema in ("marts", "pr_1_marts"))
        return list(compare(self.warehouse, before, after, marts, EVERYTHING, unchanged))

    def one(self, mart: ServedTable, shown: Showable = EVERYTHING) -> TableDiff:
        (found,) = self.compare(mart, shown=shown)
        return found


def literal(value: Any, kind: str) -> str:
    if isinstance(value, float):
        text = repr(value)
    elif isinstance(value, str):
        return "'" + value.replace("'", "''").replace("\\", "{backslash}") + "'"
    else:
        text = str(value)
    return f"cast({'null' if value is None else repr(text)} as {kind})"


@pytest.fixture(params=["duckdb", pytest.param("snowflake", marks=pytest.mark.emulated)])
def sides(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sides]:
    with ExitStack() as stack:
        if request.param == "duckdb":
            warehouse: Warehouse = stack.enter_context(DuckDBWarehouse(tmp_path / "warehouse.duckdb"))
        else:
            from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse

            database: SnowflakeDatabase = request.getfixturevalue("snowflake_database")
            warehouse = stack.enter_context(SnowflakeWarehouse(database.connect))
        yield _escaping(warehouse, monkeypatch)


def _escaping(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Sides:
    execute, backslash = warehouse.execute, warehouse.dialect.literal("\\")[1:-1]
    made = Sides(warehouse)
    monkeypatch.setattr(
        warehouse, "execute", lambda text, *more: execute(text.replace("{backslash}", backslash), *more)
    )
    return made


KEYED = ServedTable("marts", "t", key=("id", "part"))
KEYLESS = ServedTable("marts", "t")

rows = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})
keys = st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", "", "é"]))


def row_of(key: tuple[int, str], values: Row) -> Row:
    return {"id": key[0], "part": key[1], **values}


def comparable(value: Any) -> Any:
    """Equal for values that the warehouses take for equal: NaN equals itself, and True is not 1."""
    return ("nan",) if isinstance(value, float) and math.isnan(value) else (type(value), value)


@given(before=st.dictionaries(keys, rows, max_size=25), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_planted_changes_of_keyed_rows_are_found_exactly(
    sides: Sides, before: dict[tuple[int, str], Row], data: st.DataObject
) -> None:
    after = dict(before)
    for key in data.draw(st.sets(st.sampled_from(sorted(before))) if before else st.just(set())):
        column = data.draw(st.sampled_from(list(VALUES)))
        after[key] = {**after[key], column: data.draw(st.sampled_from(VALUES[column]))}
    for key in data.draw(st.sets(st.sampled_from(sorted(before))) if before else st.just(set())):
        del after[key]
    after |= data.draw(st.dictionaries(keys.filter(lambda key: key not in before), rows, max_size=5))
    sides.make("marts", [row_of(*each) for each in before.items()])
    sides.make("pr_1_marts", [row_of(*each) for each in after.items()])

    found = sides.one(KEYED)

    changed = {
        (key, column)
        for key in before.keys() & after.keys()
        for column in VALUES
        if comparable(before[key][column]) != comparable(after[key][column])
    }
    assert (found.rows_before, found.rows_after) == (len(before), len(after))
    assert found.added == len(after.keys() - before.keys())
    assert found.removed == len(before.keys() - after.keys())
    assert found.changed == len({key for key, _ in changed})
    assert found.columns == Counter(column for _, column in changed)
    assert found.state == ("different" if before.keys() != after.keys() or changed else "same")
    assert key_set(found.examples_added) <= after.keys() - before.keys()
    assert len(found.examples_added) == min(found.added, EXAMPLES)
    assert key_set(found.examples_removed) <= before.keys() - after.keys()
    assert len(found.examples_removed) == min(found.removed, EXAMPLES)
    assert {(one, each.column) for each in found.examples_changed for one in key_set([each.key])} <= changed
    assert Counter(each.column for each in found.examples_changed) == {
        column: min(count, EXAMPLES) for column, count in found.columns.items()
    }


def key_set(examples: Sequence[Any]) -> set[tuple[int, str]]:
    return {(int(each["id"]), each["part"]) for each in examples}


@given(before=st.lists(rows, max_size=12), removed=st.sets(st.integers(0, 11)), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_planted_changes_of_a_multiset_are_found_exactly(
    sides: Sides, before: list[Row], removed: set[int], data: st.DataObject
) -> None:
    before = [row_of((1, "a"), row) for row in before]
    kept = [row for at, row in enumerate(before) if at not in removed]
    repeated = data.draw(st.lists(st.sampled_from(before), max_size=4)) if before else []
    after = [*kept, *repeated, *(row_of((1, "a"), row) for row in data.draw(st.lists(rows, max_size=3)))]
    after = data.draw(st.permutations(after))
    sides.make("marts", before)
    sides.make("pr_1_marts", after)
    counts_before, counts_after = (
        Counter(tuple(map(comparable, row.values())) for row in side) for side in (before, after)
    )
    for mart in (KEYLESS, KEYED):  # a key that repeats is no key
        if mart is KEYED and max(len(before), len(after)) < 2:
            continue
        found = sides.one(mart)
        assert found.added == (counts_after - counts_before).total()
        assert found.removed == (counts_before - counts_after).total()
        assert (found.changed, found.columns) == (0, {})
        assert len(found.examples_added) == min(found.added, EXAMPLES)
        assert len(found.examples_removed) == min(found.removed, EXAMPLES)


def test_a_change_is_shown_with_its_key_and_both_values(sides: Sides) -> None:
    row = row_of((7, "a"), {name: values[1] for name, values in VALUES.items()})
    sides.make("marts", [row, {**row, "id": 8}])
    sides.make("pr_1_marts", [{**row, "label": "new", "day": None}, {**row, "id": 8}])
    key = {"id": "7", "part": "a"}
    assert sides.one(KEYED).examples_changed == (
        Change(key, "day", "1970-01-01", None),
        Change(key, "label", "", "new"),
    )


def test_hidden_columns_are_counted_and_not_shown(sides: Sides) -> None:
    row = row_of((7, "secret key"), dict.fromkeys(VALUES))
    sides.make("marts", [{**row, "label": "secret"}])
    sides.make("pr_1_marts", [{**row, "label": "secrets", "order": 3}, {**row, "id": 9}])
    found = sides.one(KEYED, shown=Showable(frozenset({"id", "order"})))
    assert found.columns == {"label": 1, "order": 1}
    assert found.examples_changed == (
        Change({"id": "7", "part": HIDDEN}, "label", HIDDEN, HIDDEN),
        Change({"id": "7", "part": HIDDEN}, "order", None, "3"),
    )
    assert found.examples_added == ({"id": "9", "part": HIDDEN},)
    assert "secret" not in repr(found)


def test_columns_that_come_go_or_change_their_type(sides: Sides) -> None:
    sides.make("marts", [{"id": 1, "n": 2, "old": 1}, {"id": 2, "n": 3, "old": 1}], {
        "id": "integer", "n": "integer", "old": "integer"
    })  # fmt: skip
    sides.make("pr_1_marts", [{"id": 1, "n": Decimal("2.0"), "fresh": 1}, {"id": 2, "n": Decimal("3.5"), "fresh": 1}], {
        "id": "integer", "n": "decimal(5,1)", "fresh": "integer"
    })  # fmt: skip
    found = sides.one(ServedTable("marts", "t", key=("id",)))
    assert (found.columns_added, found.columns_removed) == (("fresh",), ("old",))
    assert list(found.columns_retyped) == ["n"]
    assert (found.changed, found.columns) == (1, {"n": 1})


def test_the_load_of_a_row_is_not_compared(sides: Sides) -> None:
    columns = {"id": "integer", "_load_id": "integer"}
    sides.make("marts", [{"id": 1, "_load_id": 1}], columns)
    sides.make("pr_1_marts", [{"id": 1, "_load_id": 2}], columns)
    assert sides.one(ServedTable("marts", "t", key=("id",))).state == "same"


def test_new_dropped_and_unbuilt_tables_are_told_apart(sides: Sides) -> None:
    one = {"id": "integer"}
    for table in ("kept", "dropped", "not_built", "describes_runs"):
        sides.make("marts", [{"id": 1}, {"id": 2}], one, table)
    for table in ("kept", "fresh"):
        sides.make("pr_1_marts", [{"id": 1}, {"id": 2}], one, table)
    sides.make("pr_1_marts", [{"id": 3}], one, "describes_runs")
    project = [ServedTable("marts", name, key=("id",)) for name in ("kept", "fresh", "not_built")]
    found = sides.compare(*project, ServedTable("marts", "describes_runs", is_run_dependent=True))
    assert [(each.name, each.state, each.added, each.removed) for each in found] == [
        ("marts.dropped", "dropped", 0, 2),
        ("marts.fresh", "new", 2, 0),
        ("marts.kept", "same", 0, 0),
        ("marts.not_built", "not built", 0, 0),
    ]


def test_tables_that_are_known_to_be_the_same_are_not_read(sides: Sides) -> None:
    one = {"id": "integer"}
    for table in ("changed", "shared"):
        sides.make("marts", [{"id": 1}], one, table)
        sides.make("pr_1_marts", [{"id": 2}], one, table)
    marts = [ServedTable("marts", name, key=("id",)) for name in ("changed", "shared")]
    found = sides.compare_but({"marts.shared": 7}, *marts)
    assert [(each.name, each.state, each.rows_before, each.rows_after, each.added) for each in found] == [
        ("marts.changed", "different", 1, 1, 1),
        ("marts.shared", "same", 7, 7, 0),
    ]


def test_few_and_most_buckets_are_read_alike(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "BUCKETS", 64)
    columns = {"id": "integer", "n": "integer"}
    sides.make("marts", [{"id": number, "n": number % 7} for number in range(300)], columns)
    sides.make("pr_1_marts", [{"id": number, "n": number % 7} for number in range(300)], columns)
    mart = ServedTable("marts", "t", key=("id",))
    assert sides.one(mart).state == "same"
    sides.warehouse.execute("update pr_1_marts.t set n = n + 1 where id in (17, 271)")
    sides.warehouse.execute("delete from pr_1_marts.t where id = 5")
    few = sides.one(mart)
    assert (few.added, few.removed, few.changed, few.columns) == (0, 1, 2, {"n": 2})
    sides.warehouse.execute("update pr_1_marts.t set n = n + 1")
    most = sides.one(mart)
    assert (most.added, most.removed, most.changed, most.columns) == (0, 1, 299, {"n": 299})
    assert len(most.examples_changed) == EXAMPLES


@pytest.mark.parametrize("key", [("user_id", "movie_id", "day"), ("user_id", "movie_id")], ids=["unique", "repeated"])
def test_rows_of_new_loads_and_rows_beside_them_are_compared_alike(sides: Sides, key: tuple[str, ...]) -> None:
    """A load of a few rows: the result is that of a comparison that knows no loads, whatever else differs."""
    columns = {"user_id": "integer", "movie_id": "integer", "day": "integer", "n": "integer"}
    days = range(2) if "day" not in key else range(1, 3)
    before = [
        {"user_id": user, "movie_id": movie, "day": day, "n": 1, "_load_id": 1}
        for user in range(20)
        for movie in range(10)
        for day in days
    ]
    after = [dict(row) for row in before]
    after[0] |= {"n": 2}  # another value, although the load is the same
    after[7] |= {"n": 2, "_load_id": 2}  # a new load
    after[6] |= {"n": 3}  # the other version of the same IDs, whose load is the same
    del after[30]
    after.append({"user_id": 99, "movie_id": 1, "day": 1, "n": 1, "_load_id": 2})
    before[40] |= {"_load_id": 0}  # the same row, from a load that is gone
    with_loads = columns | {"_load_id": "integer"}
    for table, found in (("with_loads", with_loads), ("t", columns)):
        sides.make("marts", before, found, table)
        sides.make("pr_1_marts", after, found, table)
    plain, by_loads = sides.compare(*(ServedTable("marts", name, key=key) for name in ("t", "with_loads")))
    assert counts_of(plain) == counts_of(by_loads)
    assert (plain.added, plain.removed, plain.changed) == ((1, 1, 3) if "day" in key else (4, 4, 0))


def counts_of(found: TableDiff) -> tuple[Any, ...]:
    examples = (found.examples_added, found.examples_removed, found.examples_changed)
    counts = (found.rows_before, found.rows_after, found.added, found.removed, found.changed, found.columns)
    return (found.state, *counts, *map(len, examples))


def test_lists_are_compared_by_their_elements(sides: Sides) -> None:
    kind, value = ("varchar[]", "['a', {}]") if isinstance(sides.warehouse, DuckDBWarehouse) else ("array", "")
    for schema, second in (("marts", "'b'"), ("pr_1_marts", "'c'")):
        sides.make(schema, [], {"id": "integer", "names": kind})
        for key, element in ((1, "'b'"), (2, second)):
            listed = value.format(element) if value else f"array_construct('a', {element})"
            sides.warehouse.execute(f"insert into {schema}.t select {key}, {listed}")
    found = sides.one(ServedTable("marts", "t", key=("id",)))
    assert (found.changed, found.columns) == (1, {"names": 1})
    assert "b" in str(found.examples_changed[0].before)
