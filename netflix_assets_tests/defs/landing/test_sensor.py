"""The landing sensor requests one run when the bucket differs from the loaded data, and never repeats a request."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets.contracts.model import all_datasets
from netflix_assets.definitions import build_defs
from netflix_assets.defs import published as publish
from netflix_assets.defs.landing import sensor as sensors
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw import assets as raw
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.defs.runs import hold_run_lock, lock_host
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import Settings, read_settings
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.conftest import landing_key, s3_client
from netflix_assets_tests.demo import Demo

UP_TO_DATE = "published tables are up to date"
IN_PROGRESS = "a run that syncs these datasets is in progress"
NO_NETFLIX = "waiting for the first netflix/titles, netflix/credits file"
RATINGS = "userId,movieId,rating,timestamp\n1,1,{},1\n"
TABLES = (
    'key:"raw/movielens/*" or key:"raw/netflix/*"'  # of files; loading those of databases and APIs takes 6 s longer
)


@dataclass
class Watched:
    """A home and its sensor. Ticks follow each other as the daemon's do, on a simulated clock."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    cursor: str | None = None
    later: float = 0.0

    def tick(self, after: float = 0.0) -> dg.RunRequest | str:
        """The run request of a tick ``after`` this many seconds, or why it requests nothing."""
        self.later += after
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"bucket": landing_bucket(self.settings)}
        )
        with pytest.MonkeyPatch.context() as patch:
            now = time.time() + self.later
            patch.setattr(sensors.time, "time", lambda: now)
            result = self.defs.resolve_sensor_def("landing").evaluate_tick(context)
        self.cursor = result.cursor
        if result.run_requests:
            (request,) = result.run_requests
            return request
        return str(result.skip_message)

    def put(self, key: str, text: str) -> None:
        path = self.settings.home / "upload.csv"
        path.write_text(text)
        with landing_bucket(self.settings).open() as store:
            store.put(key, path)

    def delete(self, key: str) -> None:
        s3_client(local_s3(self.settings.home)).delete_object(Bucket=self.settings.bucket, Key=key)

    def load(self, select: str = TABLES) -> None:
        assert run_graph(self.settings, self.defs, select=select).success

    def sync(self) -> None:
        """Load, and report the loaded data as published. ``test_published.py`` has real runs."""
        self.load()
        keys = {dataset.id: raw_key(dataset) for dataset in all_datasets(self.settings.sources())}
        events = self.instance.get_latest_materialization_events(keys.values())
        loaded = {name: events[key].asset_materialization for name, key in keys.items() if key in events}
        served = {name: each.metadata[raw.LOADS].value for name, each in loaded.items() if each is not None}
        event = dg.AssetMaterialization(PUBLISHED_KEY, metadata={publish.LOADS: dg.MetadataValue.json(served)})
        self.instance.report_runless_asset_event(event)

    def begin(self, job: str, *selection: str, **tags: str) -> dg.DagsterRun:
        """Record a run in progress in Dagster's storage."""
        return self.instance.create_run_for_job(
            self.defs.resolve_job_def(job),
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset(map(dg.AssetKey.from_user_string, selection)) or None,
            tags=tags,
        )


@pytest.fixture(scope="module")
def watched(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    home = demo.parsed_in(tmp_path_factory.mktemp("sensors"))
    settings = read_settings(home=home, settle_seconds=0)
    with pytest.MonkeyPatch.context() as patch, landing_bucket(settings).open():
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        with open_instance(settings) as instance:
            yield Watched(settings, build_defs(settings), instance)


def requested(request: dg.RunRequest | str) -> dg.RunRequest:
    assert isinstance(request, dg.RunRequest), request
    return request


def attempt(request: dg.RunRequest | str) -> Any:
    return requested(request).tags["netflix/attempt"]


def test_the_sensor_waits_while_the_bucket_is_empty(watched: Watched) -> None:
    assert watched.tick() == (
        "waiting for the first movielens/movies, movielens/ratings, movielens/tags, movielens/links file; " + NO_NETFLIX
    )
    watched.load()  # a manual run that finds nothing does not count as a file
    assert "waiting for the first movielens/movies" in str(watched.tick())


def test_new_files_are_requested_in_one_run(watched: Watched) -> None:
    files = [(landing_key(path), path) for path in generate(watched.settings.home / "samples", scale=0.01)]
    with landing_bucket(watched.settings).open() as store:
        for key, path in files:
            if key.startswith("movielens/") and "links" not in key:
                store.put(key, path)
        assert watched.tick() == "waiting for the first movielens/links file; " + NO_NETFLIX
        for key, path in files:
            if "links" in key:
                store.put(key, path)
    before = watched.settings.warehouse_file.stat().st_mtime_ns
    request = requested(watched.tick())
    assert request.tags["netflix/source"] == "movielens"
    assert "movielens/ratings" in request.tags["netflix/stale"]
    assert attempt(request) == "1"
    cursor = json.loads(watched.cursor or "")
    names = ("movies", "ratings", "tags", "links", "genome_tags", "genome_scores")
    assert (
        set(cursor["requested"])
        == {f"movielens/{name}" for name in names}
        >= set(request.tags["netflix/stale"].split(", "))
    )
    assert str(request.run_key).endswith(f"-{cursor['count']}-1")
    assert watched.settings.warehouse_file.stat().st_mtime_ns == before


def test_a_tick_does_not_open_the_warehouse(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the warehouse was opened")

    monkeypatch.setattr(duckdb, "connect", refuse)
    assert "attempt 1 of 3 failed; next attempt in" in str(watched.tick())


def test_a_failing_request_is_retried_until_it_is_exhausted(watched: Watched) -> None:
    keys = set()
    for number, after in (("2", 31), ("3", 601)):
        request = requested(watched.tick(after))
        assert attempt(request) == number
        keys.add(request.run_key)
    assert len(keys) == 2
    assert str(watched.tick(100_000)).startswith("exhausted: 3 runs failed for these files")
    assert json.loads(watched.cursor or "")["exhausted"] is True


def test_an_exhausted_request_is_repeated_after_a_successful_run_or_a_code_change(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.later = 0  # successful runs are recorded at the real time
    watched.cursor = json.dumps({**json.loads(watched.cursor or ""), "requested_at": time.time()})
    assert str(watched.tick()).startswith("exhausted")
    watched.load("raw/movielens/tags")
    assert [attempt(watched.tick(after)) for after in (1, 31, 601)] == ["1", "2", "3"]
    assert str(watched.tick(1)).startswith("exhausted")
    monkeypatch.setattr(sensors, "basis", lambda _: "fixed code")
    assert attempt(watched.tick(1)) == "1"


def test_nothing_is_requested_when_the_tables_are_up_to_date(watched: Watched) -> None:
    watched.later = 0
    watched.sync()
    assert watched.tick() == f"{UP_TO_DATE}; {NO_NETFLIX}"


def test_stale_datasets_of_two_sources_are_requested_in_one_run(watched: Watched) -> None:
    watched.put("netflix/credits.csv", "person_id,id,name,character,role\n1,tm1,Ada Belabra,Nurse,ACTOR\n")
    assert watched.tick() == f"{UP_TO_DATE}; waiting for the first netflix/titles file"
    titles = next(path for path in (watched.settings.home / "samples").iterdir() if path.name == "titles.csv")
    watched.put("netflix/titles.csv", titles.read_text())
    watched.put("movielens/ratings-x.csv", RATINGS.format(5.0))
    request = requested(watched.tick())
    assert request.tags["netflix/source"] == "movielens, netflix"
    assert request.tags["netflix/stale"] == "movielens/ratings, netflix/titles, netflix/credits"
    watched.sync()
    assert watched.tick() == UP_TO_DATE


def test_a_dataset_that_has_arrived_once_is_not_awaited_again(watched: Watched) -> None:
    watched.delete("netflix/titles.csv")
    assert requested(watched.tick()).tags["netflix/stale"] == "netflix/titles"
    watched.sync()
    assert watched.tick() == UP_TO_DATE


def test_content_that_returns_to_an_earlier_state_is_requested_again(watched: Watched) -> None:
    keys = []
    for stars in (4.0, 2.0, 4.0):
        watched.put("movielens/ratings-x.csv", RATINGS.format(stars))
        request = requested(watched.tick())
        assert attempt(request) == "1"
        keys.append(str(request.run_key))
        watched.sync()
        assert watched.tick() == UP_TO_DATE
    assert len(set(keys)) == 3
    assert keys[0].split("-")[0] == keys[2].split("-")[0] != keys[1].split("-")[0]


def test_a_run_that_loads_without_publishing_counts_as_an_attempt(watched: Watched) -> None:
    watched.put("movielens/ratings-x.csv", RATINGS.format(3.5))
    first = requested(watched.tick())
    assert (attempt(first), first.tags["netflix/stale"]) == ("1", "movielens/ratings")
    run_graph(watched.settings, watched.defs, select=TABLES)
    # As if this had been the requested run and its build had failed.
    run = watched.instance.get_runs(limit=1)[0]
    watched.instance.report_run_failed(run)
    for job in ("transformation", "netflix"):  # the files are loaded, so it waits for runs that publish
        other = watched.begin(job)
        assert watched.tick() == IN_PROGRESS
        watched.instance.report_run_failed(other)
    other = watched.begin("ingestion")
    second = requested(watched.tick(31))
    watched.instance.report_run_failed(other)
    assert (attempt(second), second.tags["netflix/stale"]) == ("2", "movielens/ratings")
    watched.later = 0
    watched.sync()
    assert watched.tick() == UP_TO_DATE


@pytest.mark.parametrize(
    ("job", "selection", "covers"),
    [
        ("everything", (), True),
        ("everything", ("raw/movielens/ratings",), True),
        ("everything", ("raw/movielens/tags", "staging/stg_movielens__ratings"), False),
        ("__ASSET_JOB", ("raw/movielens/ratings", "raw/movielens/tags"), True),
        ("__ASSET_JOB", ("raw/netflix/titles",), False),
        ("ingestion", (), True),
        ("movielens", (), True),
        ("netflix", (), False),
        ("transformation", (), False),
        ("retention", (), False),
    ],
)
def test_only_a_run_that_syncs_the_same_datasets_is_waited_for(
    watched: Watched, job: str, selection: tuple[str, ...], covers: bool
) -> None:
    watched.put("movielens/ratings-y.csv", RATINGS.format(1.5))
    watched.cursor = None
    run = watched.begin(job, *selection)
    try:
        assert (watched.tick() == IN_PROGRESS) is covers
    finally:
        watched.instance.report_run_failed(run)
    if covers:
        assert attempt(watched.tick()) == "1"


def test_a_run_with_a_dead_process_is_not_waited_for(watched: Watched) -> None:
    watched.cursor = None
    run = watched.begin("everything")
    with hold_run_lock(watched.instance, run.run_id):
        assert watched.tick() == IN_PROGRESS
    locks = Path(watched.instance.root_directory) / "run-locks"
    (locks / run.run_id).write_text(lock_host())  # as a killed process leaves it
    assert attempt(watched.tick()) == "1"
    assert watched.instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    elsewhere = watched.begin("everything")
    (locks / elsewhere.run_id).write_text("another machine")
    watched.cursor = None
    assert watched.tick() == IN_PROGRESS
    watched.instance.report_run_failed(elsewhere)
    assert attempt(watched.tick()) == "1"
