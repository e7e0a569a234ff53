"""Requests of APIs as runs of Dagster, by command and by sensor, and what the graph makes of the responses."""

import re
import shutil
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import duckdb
import pytest

from netflix_assets.contracts.loading import CONTRACTS_DIR
from netflix_assets.contracts.model import Source
from netflix_assets.defs.extract import api_sensor
from netflix_assets.defs.extract.api_assets import response_asset_key
from netflix_assets.defs.extract.api_sensor import RETRY_S, api_job
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.dev.apis import KEY, serve_apis, variables_for
from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates
from netflix_assets.operations import request as operation
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import load_definitions, run_graph
from netflix_assets.operations.sources import choose_sources
from netflix_assets.settings import REPO, Settings, read_settings
from netflix_assets.settings.named import ApiSettings
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import Demo

CANARY = "wr0ng/canary+key=="
FRIDAY, MONDAY = date(2024, 12, 27), date(2024, 12, 30)


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with serve_apis() as port:
        yield variables_for(port)


@pytest.fixture
def settings(variables: dict[str, str], demo: Demo, tmp_path: Path) -> Settings:
    names = ("frankfurter", "openexchangerates", "alphavantage")
    apis = {name: ApiSettings(url=variables[f"NETFLIX_API_{name.upper()}"], key=KEY) for name in names}
    return read_settings(home=demo.parsed_in(tmp_path / "home"), apis=apis, settle_seconds=0)


@pytest.fixture
def defs(settings: Settings) -> dg.Definitions:
    return load_definitions(settings)


def source(settings: Settings, name: str) -> Source:
    (found,) = choose_sources(settings, [name]).apis
    return found


def backfill(settings: Settings, defs: dg.Definitions, name: str, first: date, last: date) -> list[RunOutcome]:
    missing = operation.missing_between(settings, source(settings, name), first, last)
    return [operation.request(settings, defs, dataset, names, lambda _: None) for dataset, names in missing]


def files_with(home: Path, text: str) -> list[Path]:
    """The files of a home, logs and Dagster's storage among them, that contain a text as it is or in an address."""
    forms = [text.encode(), quote(text, safe="").encode()]
    return [path for path in home.rglob("*") if path.is_file() and any(form in path.read_bytes() for form in forms)]


def rows(settings: Settings, defs: dg.Definitions, table: str, columns: str) -> list[tuple]:
    outcome = run_graph(settings, defs, select=f'key:"raw/{table.replace("_", "/", 1)}"')
    assert outcome.success
    assert outcome.refused == ()
    with duckdb.connect(settings.warehouse_file, read_only=True) as connection:
        return connection.execute(f"select {columns} from raw.{table}_current order by all").fetchall()


def test_days_of_rates_land_load_and_are_not_requested_again(settings: Settings, defs: dg.Definitions) -> None:
    (outcome,) = backfill(settings, defs, "frankfurter", FRIDAY, MONDAY)
    assert (outcome.success, set(outcome.materialized)) == (True, {"api/frankfurter/rates"})
    assert outcome.extracted == (("api/frankfurter/rates", "4 responses with 28 records"),)
    loaded = set(rows(settings, defs, "frankfurter_rates", "rate_date, currency, rate"))
    # Saturday and Sunday have Friday's rates.
    assert loaded == {
        (day, currency, rate) for day in (FRIDAY, MONDAY) for currency, rate in (daily_rates(day) or {}).items()
    }
    assert backfill(settings, defs, "frankfurter", FRIDAY, MONDAY) == []


def test_each_answer_is_a_partition_of_its_asset(settings: Settings, defs: dg.Definitions) -> None:
    backfill(settings, defs, "frankfurter", FRIDAY, MONDAY)
    with open_instance(settings) as instance:
        (dataset,) = source(settings, "frankfurter").datasets
        records = instance.fetch_materializations(response_asset_key(dataset), limit=20).records
    found = {each.partition_key: each.asset_materialization.metadata["dagster/row_count"].value for each in records}
    assert found == {f"2024-12-{number}": 7 for number in range(27, 31)}


def test_a_gap_is_a_partition_that_is_not_requested_again(settings: Settings, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_DIR, contracts)
    file = contracts / "frankfurter.yaml"
    wrong = file.read_text().replace('path: "/', 'gap_statuses: [404]\n      path: "/nothing-')
    file.write_text(wrong)
    settings = settings.model_copy(update={"contracts": contracts})
    defs = load_definitions(settings)
    (outcome,) = backfill(settings, defs, "frankfurter", FRIDAY, FRIDAY)
    assert outcome.extracted == (("api/frankfurter/rates", "0 responses with 0 records, 1 gap"),)
    with open_instance(settings) as instance:
        (record,) = instance.fetch_materializations(dg.AssetKey(["api", "frankfurter", "rates"]), limit=2).records
    assert (record.partition_key, record.asset_materialization.metadata["gap"].value) == ("2024-12-27", True)
    assert backfill(settings, defs, "frankfurter", FRIDAY, FRIDAY) == []


def test_headlines_load_with_what_the_provider_says(settings: Settings, defs: dg.Definitions) -> None:
    backfill(settings, defs, "alphavantage", FRIDAY, MONDAY)
    loaded = set(rows(settings, defs, "alphavantage_news", "url, title, provider_score"))
    days = [date(2024, 12, number) for number in range(27, 31)]
    assert loaded == {
        (each["url"], each["title"], each["overall_sentiment_score"]) for day in days for each in headlines(day)
    }


def test_rates_of_now_are_requested_once_an_hour(
    settings: Settings, defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = source(settings, "openexchangerates").datasets[0]
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%HZ")
    if datetime.now(UTC).minute < 5:
        assert operation.missing_now(settings, source(settings, "openexchangerates")) == []
        return
    ((found, names),) = operation.missing_now(settings, source(settings, "openexchangerates"))
    assert (found, names) == (dataset, [hour])
    assert operation.request(settings, defs, dataset, names, lambda _: None).success
    assert operation.missing_now(settings, source(settings, "openexchangerates")) == []
    assert len(rows(settings, defs, "openexchangerates_rates", "currency")) == 8


def test_an_api_that_refuses_the_key_fails_the_check_and_names_it(
    settings: Settings, variables: dict[str, str]
) -> None:
    wrong = ApiSettings(url=variables["NETFLIX_API_ALPHAVANTAGE"], key=CANARY)
    settings = settings.model_copy(update={"apis": {"alphavantage": wrong}})
    (outcome,) = backfill(settings, load_definitions(settings), "alphavantage", FRIDAY, FRIDAY)
    assert outcome.failed_checks == ("api/alphavantage/news: api_answers",)
    (message,) = outcome.check_messages.values()
    assert "the parameter apikey is invalid or missing" in message
    assert len(operation.missing_between(settings, source(settings, "alphavantage"), FRIDAY, FRIDAY)) == 1
    assert files_with(settings.home, CANARY) == []


def test_without_a_key_the_source_is_awaited_and_nothing_fails(settings: Settings) -> None:
    settings = settings.model_copy(update={"apis": {}})
    defs = load_definitions(settings)
    for api in (each for each in settings.sources() if each.api is not None):
        with pytest.raises(InputError, match=f"NETFLIX_API_{api.source.upper()}"):
            operation.missing_now(settings, api)
    outcome = run_graph(settings, defs, select='key:"raw/alphavantage/news" or key:"raw/frankfurter/rates"')
    assert (outcome.success, outcome.failed_checks) == (True, ())
    assert outcome.awaited == {"raw/alphavantage/news", "raw/frankfurter/rates"}


def test_the_sensor_requests_what_is_missing_and_then_waits(
    settings: Settings, defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dataset,) = source(settings, "frankfurter").datasets
    sensor, now = defs.resolve_sensor_def(api_job(dataset)), time.time()

    def tick(cursor: str | None, at: float) -> Any:
        monkeypatch.setattr(api_sensor.time, "time", lambda: at)
        with open_instance(settings) as instance:
            context = dg.build_sensor_context(
                instance=instance, cursor=cursor, resources={"bucket": landing_bucket(settings)}
            )
            return sensor.evaluate_tick(context)

    first = tick(None, now)
    (request,) = first.run_requests
    expected = [each.name for each in api_sensor.recent_periods(dataset.requested, datetime.now(UTC))]
    assert (request.tags["dagster/asset_partition_range_start"], len(expected)) == (expected[0], 10)
    assert request.tags["dagster/asset_partition_range_end"] == expected[-1]
    assert tick(first.cursor, now + RETRY_S - 1).skip_message == "no other period is ready"
    assert len(tick(first.cursor, now + RETRY_S + 1).run_requests) == 1  # none has landed
    operation.request(settings, defs, dataset, expected, lambda _: None)
    assert tick(first.cursor, now + RETRY_S + 1).skip_message == "no period is missing"


def test_the_commands(settings: Settings, variables: dict[str, str]) -> None:
    home = settings.home
    checked = run(home, "sources", "check", "alphavantage", "frankfurter", **variables)
    assert "alphavantage/news: answers for " in checked.stdout
    command = ("sources", "backfill", "alphavantage", "--from", "2024-12-30", "--to", "2024-12-31")
    filled = run(home, *command, **variables)
    assert "api/alphavantage/news: 2 responses with " in filled.stdout
    again = run(home, *command, **variables)
    assert "No period is missing; nothing to do" in again.stdout
    assert KEY not in "".join(each.stdout + each.stderr for each in (checked, filled, again))
    assert files_with(home, KEY) == []


@pytest.mark.long
def test_an_api_is_added_as_the_docs_say(variables: dict[str, str], tmp_path: Path) -> None:
    text = (REPO / "docs" / "apis.md").read_text(encoding="utf-8")
    (contract,) = re.findall(r"   ```yaml\n(   source: pounds\n.*?)   ```", text, re.DOTALL)
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_DIR, contracts)
    (contracts / "pounds.yaml").write_text(textwrap.dedent(contract), encoding="utf-8")
    address = {"NETFLIX_API_POUNDS": f"{variables['NETFLIX_API_FRANKFURTER']}/v1", "NETFLIX_CONTRACTS": str(contracts)}
    home = tmp_path / "home"
    checked = run(home, "sources", "check", "pounds", **address)
    assert checked.stdout.startswith("pounds/rates: answers for "), checked.stderr
    commands = re.findall(r"`(netflix-assets sources backfill pounds [^`]*)`", text)
    filled = run(home, *commands[0].split()[1:], **address)
    assert "api/pounds/rates: 12 responses with 12 records" in filled.stdout, filled.stderr
    loaded = run(home, "run", "--select", 'key:"raw/pounds/rates"', **address)
    assert loaded.returncode == 0, loaded.stderr
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        found = connection.execute("select distinct rate_date, currency from raw.pounds_rates_current").fetchall()
    days = [date(2024, 12, number) for number in range(20, 32)]
    assert set(found) == {(day, "GBP") for day in days if daily_rates(day)}
