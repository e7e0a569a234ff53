"""A home of an earlier version opens with this code; one of a newer version is refused in words."""

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.operations.status import read_status
from netflix_assets.settings import read_settings
from netflix_assets.warehouse.builds import BUILD_TABLES, Builds
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.errors import WarehouseError

TAGS = dataset_by_id(load_sources(), "movielens/tags")


@pytest.fixture
def settings(tmp_path):
    """A home whose ops tables are those of commit b1db215: builds had no ``retry_of``, and there were no versions."""
    settings = read_settings(home=tmp_path / "home")
    with DuckDBWarehouse(settings.warehouse_file) as warehouse:
        warehouse.prepare(TAGS)
        Builds(warehouse).prepare()
        warehouse.execute("alter table ops.builds drop column retry_of")
        warehouse.execute("drop table ops.schema_version")
        warehouse.execute("insert into ops.load_locks values ('movielens/ratings', 7)")
    return settings


def columns(settings) -> dict[tuple[str, str], dict[str, str]]:
    with DuckDBWarehouse(settings.warehouse_file, read_only=True) as warehouse:
        return warehouse.columns(("ops",))


def test_reading_an_older_home_upgrades_it_and_keeps_its_rows(settings):
    assert read_status(settings).published["problem"].startswith("no build has been recorded yet")
    assert set(columns(settings)["ops", "builds"]) == set(BUILD_TABLES["builds"])
    with open_ledger(settings) as ledger:
        assert ledger.execute("select * from ops.load_locks where last_load_id = 7") == [("movielens/ratings", 7)]


def test_a_run_upgrades_an_older_home(settings):
    with DuckDBWarehouse(settings.warehouse_file) as warehouse:
        warehouse.prepare(TAGS)
        Builds(warehouse).prepare()
    assert list(columns(settings)["ops", "schema_version"]) == ["v1", "v2", "v3", "v4"]
    assert "retry_of" in columns(settings)["ops", "builds"]


def test_a_newer_home_is_refused(settings):
    with DuckDBWarehouse(settings.warehouse_file) as warehouse:
        warehouse.prepare(TAGS)
        warehouse.execute("alter table ops.schema_version add column v99 timestamp")
    message = r"a newer version of netflix_assets wrote this warehouse \(ops tables v99, this code knows v4\). Update"
    with pytest.raises(WarehouseError, match=message), open_ledger(settings):
        pass
    with DuckDBWarehouse(settings.warehouse_file) as warehouse, pytest.raises(WarehouseError, match=message):
        warehouse.prepare(TAGS)
