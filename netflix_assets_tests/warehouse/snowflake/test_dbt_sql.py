"""The SQL of the dbt project for Snowflake, checked without a server.

The target `snowflake` compiles without credentials, and Snowflake runs every query with the same meaning as DuckDB
(``sql.py``).
"""

from collections import Counter
from typing import Any

import pytest
from dbt.adapters.snowflake.impl import SnowflakeAdapter

from netflix_assets_tests.warehouse.snowflake.dbt_project import (
    DATABASE,
    PREFIX,
    SnowflakeDbt,
)
from netflix_assets_tests.warehouse.snowflake.sql import faults

pytestmark = pytest.mark.emulated


def test_only_models_are_built_in_a_branchs_schemas(dbt: SnowflakeDbt) -> None:
    nodes = [node for node in dbt.manifest.nodes.values() if node.resource_type in ("model", "seed", "snapshot")]
    layers = {"staging", "intermediate", "core", "marts", "seeds", "snapshots"}
    assert {node.schema for node in nodes} == {PREFIX + layer for layer in layers}
    assert {source.schema for source in dbt.manifest.sources.values()} == {"raw", "ops"}
    assert {node.database for node in nodes} == {DATABASE}


def test_every_materialization_has_its_relation_type(dbt: SnowflakeDbt) -> None:
    models = [node for node in dbt.manifest.nodes.values() if node.resource_type == "model"]
    kinds = {node.config.materialized for node in models}
    assert kinds == {"view", "table", "incremental", "ephemeral", "dynamic_table"}
    assert [node.name for node in models if node.config.materialized == "dynamic_table"] == ["mart_activity_by_hour"]


@pytest.mark.parametrize("state", ["first build", "tables there"])
def test_every_query_runs_on_snowflake_with_the_same_meaning(
    dbt: SnowflakeDbt, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models, snapshots, analyses and tests, compiled both for a first build and for existing tables."""

    def relations(adapter: SnowflakeAdapter, schema: Any) -> list[Any]:
        built = (node for node in dbt.manifest.nodes.values() if node.schema == schema.schema.lower())
        tables = [node for node in built if state == "tables there" and node.resource_type in ("model", "snapshot")]
        return [
            adapter.Relation.create(
                database=DATABASE, schema=schema.schema.upper(), identifier=node.alias.upper(), type="table"
            )
            for node in tables
        ]

    monkeypatch.setattr(SnowflakeAdapter, "list_relations_without_caching", relations)
    columns = dbt.columns()
    compiled = {each.node.unique_id: each.node.compiled_code for each in dbt.run("compile", "--no-populate-cache")}
    kinds = Counter(name.split(".")[0] for name in compiled)
    assert min(kinds["model"], kinds["test"], kinds["snapshot"], kinds["analysis"]) > 0
    is_incremental = "affected_keys" in compiled["model.netflix_assets.fct_ratings"]
    assert is_incremental == (state == "tables there")
    wrong = {name: faults(sql, columns) for name, sql in compiled.items() if sql}
    assert {name: listed for name, listed in wrong.items() if listed} == {}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select string_split(a, '|') from t", "string_split() is not a Snowflake function: write macro split_to_list"),
        ("select no_such_function(a) from t", "no_such_function() is not a Snowflake function"),
        ("select t.a.epoch() from t", "epoch() is not a Snowflake function"),
        ("select * from range(3)", "range() is not a Snowflake function"),
        ("select unnest([1, 2]) as a", "array is written differently"),
        ("select a[1] from t", "bracket is written differently"),
        ("from t select a", "begins with select"),
        ("select a from t where a ~ 'x'", "does not parse"),
        ("select a // b from t", "// starts a comment"),
        (r"select regexp_replace(a, '\d', '') from t", "a backslash in a text literal"),
        ("select a from t order by a desc", "1 of 1 orders lack nulls first or last"),
        ("select trim(a) from t", "trim() removes only spaces"),
        ("select 1 as a where false", "a where without a from"),
        ("select a as start from t", "start is a reserved word"),
        ("select n / 2 as half from db.s.t", "a quotient of decimals"),
        ("select 1.0 / n as share from db.s.t", "a quotient of decimals"),
        ("select avg(n) as mean from db.s.t", "the mean of decimals"),
        ("select cast(x * 2 as integer) as whole from db.s.t", "halves are rounded"),
        ("select cast(a as date) + 1 as next_day from db.s.t", "arithmetic on a date"),
        ("select a + interval '1 day' as next_day from t", "add days"),
    ],
)
def test_sql_that_snowflake_lacks_or_reads_differently_is_reported(sql: str, expected: str) -> None:
    columns = {"db": {"s": {"t": {"n": "integer", "x": "double", "a": "varchar"}}}} if "db.s.t" in sql else None
    assert expected in "\n".join(faults(sql, columns))


@pytest.mark.parametrize(
    "sql",
    [
        "select cast(n as double) / 2.0 as half, 1.5 * x / n as part, cast(floor(x) as integer) as whole from db.s.t",
        "select max(n) as n from db.s.t group by x having count(*) > 1",
        "select row_number() over (partition by n order by x desc nulls last) as place from db.s.t",
    ],
)
def test_sql_that_both_warehouses_share_is_not_reported(sql: str) -> None:
    assert faults(sql, {"db": {"s": {"t": {"n": "integer", "x": "double"}}}}) == []
