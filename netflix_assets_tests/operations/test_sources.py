"""Which databases and APIs commands are about, and what they say of wrong names, days and variables."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from netflix_assets.contracts.model import Source
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.extract import check_addresses
from netflix_assets.operations.request import check_days
from netflix_assets.operations.sources import choose_sources, unknown_variables
from netflix_assets.settings import Settings, read_settings
from netflix_assets.settings.named import ApiSettings, DatabaseSettings
from netflix_assets_tests.cli.command import run

KEY = "sample-key"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    apis = {
        "frankfurter": ApiSettings(url="http://127.0.0.1:9/v1"),
        "openexchangerates": ApiSettings(key=KEY),
        "frankfurtr": ApiSettings(url="http://127.0.0.1:9/v1"),
    }
    databases = {"shopp": DatabaseSettings(url="postgresql://reader@127.0.0.1:9/shop")}
    return read_settings(home=tmp_path, apis=apis, databases=databases)


def source(settings: Settings, name: str) -> Source:
    (found,) = choose_sources(settings, [name]).apis
    return found


def test_variables_that_no_contract_names_are_told(settings: Settings, tmp_path: Path) -> None:
    assert unknown_variables(settings) == [
        "NETFLIX_POSTGRES_SHOPP is set, but no contract names the database 'shopp'",
        "NETFLIX_API_FRANKFURTR is set, but no contract names the API 'frankfurtr'",
    ]
    done = run(tmp_path, "sources", "extract", NETFLIX_API_FRANKFURTR="http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert "NETFLIX_API_FRANKFURTR is set, but no contract names the API 'frankfurtr'. No " in done.stderr


def test_a_database_without_an_address_is_named_before_a_run(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"database 'shop' has no address. Set NETFLIX_POSTGRES_SHOP to postgresql://"):
        check_addresses(settings, ["shop"])
    done = run(tmp_path, "sources", "extract", "shop")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("days", [timedelta(days=400), timedelta(days=-60_000)])
def test_days_that_cannot_be_requested_are_told_from_days_that_are_there(settings: Settings, days: timedelta) -> None:
    day = datetime.now(UTC).date() + days
    with pytest.raises(InputError, match=r"rates can be requested from 2023-01-01 to \d{4}-\d\d-\d\d$"):
        check_days(source(settings, "frankfurter"), day, day)


def test_the_past_of_an_api_without_history_cannot_be_requested(settings: Settings) -> None:
    advice = "serves only current values: netflix-assets sources extract openexchangerates$"
    with pytest.raises(InputError, match=advice):
        check_days(source(settings, "openexchangerates"), date(2024, 12, 1), date(2024, 12, 2))
