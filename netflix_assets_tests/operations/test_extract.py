"""Extracts as runs of Dagster: what they materialize and check, and what a run of the graph then says."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from netflix_assets.cli.app import cli
from netflix_assets.defs.dagster_internals import last_result
from netflix_assets.defs.extract.database_assets import by_database, table_key
from netflix_assets.defs.extract.database_checks import ROWS
from netflix_assets.defs.extract.database_sensor import INTERVAL_S, is_due, read_cursor
from netflix_assets.dev.business.load import load
from netflix_assets.dev.postgres import DATABASES, OWNER, READER, Postgres, temporary
from netflix_assets.operations import extract as operation
from netflix_assets.operations.demo import databases_to_extract
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import load_definitions, run_graph
from netflix_assets.settings import Settings, current_settings, read_settings
from netflix_assets.settings.named import DatabaseSettings
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import Demo

ORDERS = "postgres/shop/orders"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with temporary(tmp_path_factory.mktemp("postgres")) as running:
        load(running, scale=0.01, seed=1)
        yield running


@pytest.fixture
def settings(server: Postgres, demo: Demo, tmp_path: Path) -> Settings:
    shop = DatabaseSettings(url=server.address("shop"), password=server.passwords[READER])
    return read_settings(home=demo.parsed_in(tmp_path / "home"), databases={"shop": shop}, settle_seconds=0)


@pytest.fixture
def defs(settings: Settings) -> dg.Definitions:
    return load_definitions(settings)


def extract(settings: Settings, defs: dg.Definitions, *accepted: str) -> RunOutcome:
    return operation.extract(settings, defs, "shop", accepted, lambda _: None)


def execute(server: Postgres, statement: str) -> None:
    with closing(server.connect("shop", OWNER)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


def test_the_demo_extracts_what_contracts_name_and_what_never_was(
    settings: Settings, defs: dg.Definitions, tmp_path: Path
) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(settings.contracts, contracts, ignore=shutil.ignore_patterns("crm.yaml"))
    without_crm = settings.model_copy(update={"contracts": contracts})
    assert databases_to_extract(without_crm, DATABASES) == ["finance", "shop"]
    assert extract(settings, defs).success
    assert databases_to_extract(without_crm, DATABASES) == ["finance"]
    assert databases_to_extract(settings, DATABASES) == ["crm", "finance"]


def test_a_change_in_the_database_is_extracted_loaded_and_compared(
    server: Postgres, settings: Settings, defs: dg.Definitions
) -> None:
    tables = {table_key(each).to_user_string() for each in by_database(settings.sources())["shop"]}
    first = extract(settings, defs)
    assert first.success
    assert set(first.materialized) == tables
    assert (first.passed_checks, first.failed_checks, first.warned_checks) == (3 * len(tables), (), ())

    loaded = run_graph(settings, defs, select='key:"raw/shop/orders"')
    assert loaded.success, loaded.errors
    assert loaded.materialized == ("raw/shop/orders",)
    assert loaded.failed_checks == ()

    execute(server, "update orders set note = 'changed' where order_id = (select min(order_id) from orders)")
    execute(server, "delete from order_lines where order_id = (select max(order_id) from orders)")
    landing = settings.s3_folder / "landing" / "shop"
    before = {path.relative_to(landing).as_posix() for path in landing.rglob("*.zst")}
    assert extract(settings, defs).success
    new = {path.relative_to(landing).as_posix() for path in landing.rglob("*.zst")} - before
    assert {name.partition("/")[0] for name in new} == {"orders", "order_lines"}
    again = run_graph(settings, defs, select='key:"raw/shop/orders" or key:"raw/shop/order_lines"')
    assert again.failed_checks == ()


def test_a_table_is_counted_again_when_something_has_come(
    server: Postgres, settings: Settings, defs: dg.Definitions
) -> None:
    check = dg.AssetCheckKey(dg.AssetKey(["raw", "shop", "order_lines"]), ROWS)

    def compare() -> dg.AssetCheckEvaluation:
        run_graph(settings, defs, select='key:"raw/shop/order_lines"')
        with open_instance(settings) as instance:
            found = last_result(instance, check)
        assert found is not None
        return found

    def is_reused(found: dg.AssetCheckEvaluation) -> bool:
        return "reused" in found.metadata

    extract(settings, defs)
    first, again = compare(), compare()
    assert (first.passed, is_reused(first)) == (True, False)
    assert (again.passed, is_reused(again)) == (True, True)
    assert again.metadata["rows_here"] == first.metadata["rows_here"]
    assert again.description == "nothing was extracted or loaded since the last comparison"

    line = "(order_id, line_number) = (select order_id, line_number from order_lines order by 1, 2 limit 1)"
    execute(server, f"update order_lines set line_number = 0 where {line}")  # the contract begins at 1
    extract(settings, defs)
    for _ in range(2):  # a failure is never reused
        wrong = compare()
        assert (wrong.passed, is_reused(wrong)) == (False, False)
        assert wrong.metadata["rows_here"].value == wrong.metadata["rows_there"].value - 1
        assert "1 rejected: netflix-assets rejects list --dataset shop/order_lines" in (wrong.description or "")

    execute(server, "update order_lines set line_number = 1 where line_number = 0")
    extract(settings, defs)
    assert [is_reused(each) for each in (compare(), compare()) if each.passed] == [False, True]


def test_a_refused_table_fails_a_check_and_the_others_go_on(
    server: Postgres, settings: Settings, defs: dg.Definitions
) -> None:
    assert extract(settings, defs).success
    execute(server, "create table kept as select * from stock_levels; truncate stock_levels")
    try:
        refused = extract(settings, defs)
        assert refused.success
        check = "postgres/shop/stock_levels: table_is_extracted"
        assert refused.failed_checks == (check,)
        assert "netflix-assets sources extract shop --accept shop/stock_levels" in refused.check_messages[check]
        assert "postgres/shop/stock_levels" not in refused.materialized
        assert ORDERS in refused.materialized
        assert extract(settings, defs, "shop/stock_levels").failed_checks == ()
    finally:
        execute(server, "insert into stock_levels select * from kept; drop table kept")


def test_a_database_that_is_away_is_retried_and_fails_nothing_else(settings: Settings, defs: dg.Definitions) -> None:
    away = settings.model_copy(
        update={
            "databases": {"shop": DatabaseSettings(url="postgresql://reader@127.0.0.1:1/shop")},
            "step_retries": 1,
            "step_retry_delay_seconds": 0.0,
        }
    )
    outcome = extract(away, load_definitions(away))
    assert not outcome.success
    assert len(outcome.errors) == 1
    assert "database 'shop' cannot be reached" in outcome.errors[0]
    assert run_graph(away, defs, select='key:"raw/movielens/tags"').success


def test_tables_are_due_by_their_cadence(settings: Settings) -> None:
    (orders,) = (each for each in by_database(settings.sources())["shop"] if each.name == "orders")
    assert orders.extract is not None
    every = orders.extract.every_minutes * 60
    assert is_due(orders, {}, now=1_000_000)
    assert not is_due(orders, {orders.id: 1_000_000}, now=1_000_000 + every - INTERVAL_S)
    assert is_due(orders, {orders.id: 1_000_000}, now=1_000_000 + every)
    assert is_due(orders, {orders.id: 1_000_000}, now=999_000)  # the clock was set back
    assert read_cursor("no JSON") == {}


def test_the_sensor_requests_the_tables_that_are_due(settings: Settings, defs: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        sensor = defs.get_sensor_def("extract_shop")
        first = sensor.evaluate_tick(context)
        (request,) = first.run_requests or ()
        assert {key.to_user_string() for key in request.asset_selection or ()} >= {ORDERS, "postgres/shop/products"}
        context = dg.build_sensor_context(instance=instance, definitions=defs, cursor=first.cursor)
        assert sensor.evaluate_tick(context).skip_message == "no table is due"
        skipped = defs.get_sensor_def("extract_crm").evaluate_tick(context)
        assert skipped.skip_message == "the database has no address: NETFLIX_POSTGRES_CRM is not set"


def test_check_names_what_is_missing_with_the_grant(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETFLIX_HOME", str(tmp_path))
    monkeypatch.setenv("NETFLIX_POSTGRES_SHOP", server.address("shop"))
    monkeypatch.setenv("NETFLIX_POSTGRES_SHOP_PASSWORD", server.passwords[READER])
    execute(server, "revoke select on orders from netflix_reader")
    current_settings.cache_clear()
    try:
        denied = CliRunner().invoke(cli, ["sources", "check", "shop"])
        assert denied.exit_code == 1
        (line,) = (each for each in denied.output.splitlines() if "no right to read it" in each)
        assert line.startswith("shop/orders: no right to read it: GRANT SELECT (")
        execute(server, line.partition("read it: ")[2])
        mended = CliRunner().invoke(cli, ["sources", "check"])
        assert mended.exit_code == 0, mended.output
        assert "shop: PostgreSQL " in mended.output
        assert server.passwords[READER] not in denied.output + mended.output
        hostile = run(tmp_path, "sources", "check", PGSERVICE="nowhere", PGOPTIONS="-c nothing=1", PGTZ="Asia/Kolkata")
        assert hostile.stdout == mended.stdout
    finally:
        current_settings.cache_clear()
