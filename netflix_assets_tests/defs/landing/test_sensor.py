"""The landing sensor: it asks for one run when the bucket differs from what is loaded, and never for the same again."""

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
from netflix_assets.defs.runs import hold_run_lock, this_host
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance, run_graph
from netflix_assets.settings import Settings, read_settings
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.conftest import landing_key, s3_client
from netflix_assets_tests.demo import Demo

UP_TO_DATE = "published tables are up to date"
IN_PROGRESS = "a run that syncs these datasets is in progress"
NO_NETFLIX = "waiting for the first netflix/titles, netflix/credits file"
RATINGS = "userId,movieId,rating,timestamp\n1,1,{},1\n"


@dataclass
class Watched:
    """A home with the sensor over it, whose ticks follow each other as the daemon's do, by a clock of their own."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    cursor: str | None = None
    later: float = 0.0

    def tick(self, after: float = 0.0) -> dg.RunRequest | str:
        """What a tick so many seconds later asks for, or why it asks for nothing."""
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

    def load(self, select: str = "group:raw") -> None:
        assert run_graph(self.settings, self.defs, select=select).success

    def level(self) -> None:
        """Load, and let Dagster know that what was loaded is published; test_publish.py has real runs."""
        self.load()
        keys = {dataset.id: raw_key(dataset) for dataset in all_datasets(self.settings.sources())}
        events = self.instance.get_latest_materialization_events(keys.values())
        served = {name: events[key].asset_materialization.metadata[raw.LOADS].value for name, key in keys.items()}
        event = dg.AssetMaterialization(PUBLISHED_KEY, metadata={publish.LOADS: dg.MetadataValue.json(served)})
        self.instance.report_runless_asset_event(event)

    def begin(self, job: str, *selection: str, **tags: str) -> dg.DagsterRun:
        """A run that is under way, as far as Dagster's storage knows."""
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


def requested(asked: dg.RunRequest | str) -> dg.RunRequest:
    assert isinstance(asked, dg.RunRequest), asked
    return asked


def attempt(asked: dg.RunRequest | str) -> Any:
    return requested(asked).tags["netflix/attempt"]


def test_an_empty_bucket_is_waited_for(watched: Watched) -> None:
    assert watched.tick() == (
        "waiting for the first movielens/movies, movielens/ratings, movielens/tags, movielens/links file; " + NO_NETFLIX
    )
    watched.load()  # a run by hand that finds nothing makes no file arrive
    assert "waiting for the first movielens/movies" in str(watched.tick())


def test_new_files_are_asked_for_in_one_run(watched: Watched) -> None:
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
    asked = requested(watched.tick())
    assert asked.tags["netflix/source"] == "movielens"
    assert "movielens/ratings" in asked.tags["netflix/behind"]
    assert attempt(asked) == "1"
    memory = json.loads(watched.cursor or "")
    names = ("movies", "ratings", "tags", "links", "genome_tags", "genome_scores")
    assert (
        set(memory["requested"])
        == {f"movielens/{name}" for name in names}
        >= set(asked.tags["netflix/behind"].split(", "))
    )
    assert str(asked.run_key).endswith(f"-{memory['count']}-1")
    assert watched.settings.warehouse_file.stat().st_mtime_ns == before


def test_a_tick_does_not_open_the_warehouse(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the warehouse was opened")

    monkeypatch.setattr(duckdb, "connect", refuse)
    assert "attempt 1 of 3 failed; next attempt in" in str(watched.tick())


def test_a_state_whose_runs_fail_is_asked_for_again_and_then_parked(watched: Watched) -> None:
    keys = set()
    for number, after in (("2", 31), ("3", 601)):
        asked = requested(watched.tick(after))
        assert attempt(asked) == number
        keys.add(asked.run_key)
    assert len(keys) == 2
    assert str(watched.tick(100_000)).startswith("exhausted: 3 runs failed for these files")
    assert json.loads(watched.cursor or "")["exhausted"] is True


def test_what_is_parked_is_asked_for_again_when_a_run_has_succeeded_or_the_code_has_changed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.later = 0  # the runs that succeed do so by the real clock
    watched.cursor = json.dumps({**json.loads(watched.cursor or ""), "requested_at": time.time()})
    assert str(watched.tick()).startswith("exhausted")
    watched.load("raw/movielens/tags")
    assert [attempt(watched.tick(after)) for after in (1, 31, 601)] == ["1", "2", "3"]
    assert str(watched.tick(1)).startswith("exhausted")
    monkeypatch.setattr(sensors, "basis", lambda _: "mended code")
    assert attempt(watched.tick(1)) == "1"


def test_nothing_is_asked_for_when_the_tables_are_level(watched: Watched) -> None:
    watched.later = 0
    watched.level()
    assert watched.tick() == f"{UP_TO_DATE}; {NO_NETFLIX}"


def test_what_is_behind_of_two_sources_is_one_run(watched: Watched) -> None:
    watched.put("netflix/credits.csv", "person_id,id,name,character,role\n1,tm1,Ada Belabra,Nurse,ACTOR\n")
    assert watched.tick() == f"{UP_TO_DATE}; waiting for the first netflix/titles file"
    titles = next(path for path in (watched.settings.home / "samples").iterdir() if path.name == "titles.csv")
    watched.put("netflix/titles.csv", titles.read_text())
    watched.put("movielens/ratings-x.csv", RATINGS.format(5.0))
    asked = requested(watched.tick())
    assert asked.tags["netflix/source"] == "movielens, netflix"
    assert asked.tags["netflix/behind"] == "movielens/ratings, netflix/titles, netflix/credits"
    watched.level()
    assert watched.tick() == UP_TO_DATE


def test_a_required_dataset_that_was_there_once_is_not_waited_for_again(watched: Watched) -> None:
    watched.delete("netflix/titles.csv")
    assert requested(watched.tick()).tags["netflix/behind"] == "netflix/titles"
    watched.level()
    assert watched.tick() == UP_TO_DATE


def test_content_that_returns_to_an_earlier_state_is_asked_for_again(watched: Watched) -> None:
    keys = []
    for stars in (4.0, 2.0, 4.0):
        watched.put("movielens/ratings-x.csv", RATINGS.format(stars))
        asked = requested(watched.tick())
        assert attempt(asked) == "1"
        keys.append(str(asked.run_key))
        watched.level()
        assert watched.tick() == UP_TO_DATE
    assert len(set(keys)) == 3
    assert keys[0].split("-")[0] == keys[2].split("-")[0] != keys[1].split("-")[0]


def test_a_run_that_loads_and_does_not_publish_is_an_attempt_at_the_same_files(watched: Watched) -> None:
    watched.put("movielens/ratings-x.csv", RATINGS.format(3.5))
    first = requested(watched.tick())
    assert (attempt(first), first.tags["netflix/behind"]) == ("1", "movielens/ratings")
    run_graph(watched.settings, watched.defs, select="group:raw")
    # As if it had been the run that was asked for, and its build had failed.
    run = watched.instance.get_runs(limit=1)[0]
    watched.instance.report_run_failed(run)
    for job in ("transformation", "netflix"):  # it is loaded, so what publishes is what it waits for
        other = watched.begin(job)
        assert watched.tick() == IN_PROGRESS
        watched.instance.report_run_failed(other)
    other = watched.begin("ingestion")
    second = requested(watched.tick(31))
    watched.instance.report_run_failed(other)
    assert (attempt(second), second.tags["netflix/behind"]) == ("2", "movielens/ratings")
    watched.later = 0
    watched.level()
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
def test_only_a_run_that_brings_the_same_level_is_waited_for(
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


def test_a_run_whose_process_is_gone_is_not_waited_for(watched: Watched) -> None:
    watched.cursor = None
    run = watched.begin("everything")
    with hold_run_lock(watched.instance, run.run_id):
        assert watched.tick() == IN_PROGRESS
    locks = Path(watched.instance.root_directory) / "run-locks"
    (locks / run.run_id).write_text(this_host())  # as a killed process leaves it
    assert attempt(watched.tick()) == "1"
    assert watched.instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    elsewhere = watched.begin("everything")
    (locks / elsewhere.run_id).write_text("another machine")
    watched.cursor = None
    assert watched.tick() == IN_PROGRESS
    watched.instance.report_run_failed(elsewhere)
    assert attempt(watched.tick()) == "1"
