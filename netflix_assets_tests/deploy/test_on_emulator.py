"""The setup script on the emulator: a second setup keeps all data, and the cost views add up. Privileges are not
checked.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from netflix_assets.contracts.loading import CONTRACTS_DIR, load_sources
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse, query_tag
from netflix_assets_tests.emulator.fixtures import SnowflakeEmulator

ACCOUNT_USAGE = (
    "create database snowflake",
    "create schema snowflake.account_usage",
    "create table snowflake.account_usage.query_history (query_id varchar, query_tag varchar, warehouse_name varchar, "
    "query_type varchar, execution_status varchar, start_time timestamp_ltz, end_time timestamp_ltz, "
    "total_elapsed_time number, bytes_scanned number, credits_used_cloud_services float)",
    "create table snowflake.account_usage.query_attribution_history (query_id varchar, "
    "credits_attributed_compute float)",
    "create table snowflake.account_usage.warehouse_metering_history (start_time timestamp_ltz, "
    "warehouse_name varchar, credits_used float, credits_used_compute float, "
    "credits_attributed_compute_queries float)",
)


@dataclass(frozen=True)
class Account:
    """An emulated account for one environment."""

    server: SnowflakeEmulator
    script: list[str]

    def set_up(self) -> None:
        # The emulator has neither managed access nor privileges.
        self.server.execute(*(each.removesuffix(" with managed access") for each in self.script))

    def rows(self, query: str) -> list[tuple]:
        return self.server.execute(query)


@pytest.fixture
def account(snowflake_server: SnowflakeEmulator, setups, teardowns) -> Iterator[Account]:
    """The account with staging, which no other test uses. Its own teardown script removes it."""
    snowflake_server.execute(*ACCOUNT_USAGE)
    account = Account(snowflake_server, setups["staging"])
    account.set_up()
    try:
        yield account
    finally:
        snowflake_server.execute(*teardowns["staging"], "drop database snowflake")


def test_a_second_setup_keeps_rows_and_files(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text("1,2\n")
    database = "NETFLIX_STAGING"
    account.server.execute(
        f"create table {database}.raw.kept as select 7 as n",
        f"create table {database}_SERVING.marts.kept as select 8 as n",
        f"put 'file://{file}' @{database}.raw.normalised/one/ auto_compress = true",
    )
    account.set_up()
    assert account.rows(f"select n from {database}.raw.kept") == [(7,)]
    assert account.rows(f"select n from {database}_SERVING.marts.kept") == [(8,)]
    assert len(account.rows(f"list @{database}.raw.normalised/one/")) == 1


def test_the_loader_creates_no_schema_that_setup_created(account: Account) -> None:
    """Without the privilege, `create schema if not exists` fails even where the schema exists."""
    dataset = load_sources(CONTRACTS_DIR)[0].datasets[0]
    since = account.server.mark()
    with SnowflakeWarehouse(lambda: account.server.connect("NETFLIX_STAGING")) as warehouse:
        warehouse.prepare(dataset)
    sent = [each.line for each in account.server.statements(since)]
    assert [line for line in sent if line.startswith(f"create table if not exists raw.{dataset.table}")]
    assert not [line for line in sent if "schema" in line.split()[:2]]


def test_cost_views_add_up_this_environments_statements_by_run_and_asset(account: Account) -> None:
    load = query_tag("staging", "run-1", "raw/movielens/ratings")
    node = {"project": "netflix_assets", "env": "staging", "run": "run-1", "node": "model.x.fct", "asset": "core/fct"}
    build = json.dumps(node)
    tags = {
        "q1": load,
        "q2": load,
        "q3": build,
        "q4": json.dumps({**node, "run": ""}),  # dbt run by hand
        "other-env": query_tag("production", "run-1", "raw/movielens/ratings"),
        "other-project": json.dumps({"project": "else", "env": "staging", "run": "run-1"}),
        "no-json": "a person",
        "no-tag": "",
    }
    history, attribution = "snowflake.account_usage.query_history", "snowflake.account_usage.query_attribution_history"
    account.server.execute(
        *(
            f"insert into {history} values ('{query}', '{tag}', 'NETFLIX_STAGING_LOAD', 'COPY', 'SUCCESS', "
            "current_timestamp(), current_timestamp(), 1500, 10, 0.01)"
            for query, tag in tags.items()
        ),
        f"insert into {history} values ('long-ago', '{load}', 'NETFLIX_STAGING_LOAD', 'COPY', 'SUCCESS', "
        "dateadd('day', -200, current_timestamp()), dateadd('day', -200, current_timestamp()), 1500, 10, 0.01)",
        f"insert into {attribution} values ('q1', 0.5), ('q3', 0.25), ('q4', 0.125), ('other-env', 9)",
        "insert into snowflake.account_usage.warehouse_metering_history values "
        "(current_timestamp(), 'NETFLIX_STAGING_LOAD', 1.25, 1.0, 0.75), "
        "(current_timestamp(), 'NETFLIX_STAGING_LOAD', 1.0, 1.0, 0.5), "
        "(current_timestamp(), 'NETFLIX_PRODUCTION_LOAD', 5, 5, 5)",
    )
    views = "NETFLIX_STAGING.OPS.COST_OF"
    statements_seen = account.rows(f"select query_id, credits_compute from {views}_STATEMENTS order by 1")
    assert statements_seen == [("q1", 0.5), ("q2", None), ("q3", 0.25), ("q4", 0.125)]
    assert account.rows(f"select run_id, n_statements, seconds, credits_compute from {views}_RUNS") == [
        ("run-1", 3, 4.5, 0.75)
    ]
    columns = "asset, node, n_runs, n_statements, credits_compute, credits_compute_per_run"
    assert account.rows(f"select {columns} from {views}_ASSETS order by 1") == [
        ("core/fct", "model.x.fct", 1, 2, 0.375, 0.375),
        ("raw/movielens/ratings", None, 1, 2, 0.5, 0.5),
    ]
    columns = "warehouse_name, credits_billed, credits_of_statements, credits_idle"
    assert account.rows(f"select {columns} from {views}_WAREHOUSES") == [("NETFLIX_STAGING_LOAD", 2.25, 1.25, 0.75)]
