"""The landing sensor: it asks for one run when the bucket differs from what is loaded, and never for the same again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.instance import open_instance, run_graph
from netflix_assets.resources import landing_bucket
from netflix_assets.samples import generate
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests.conftest import landing_key


@dataclass
class Watched:
    """A home with a sensor over it, whose ticks follow each other as the daemon's do."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    cursor: str | None = None
    sensor: str = "movielens_landing"

    def tick(self) -> dg.RunRequest | str:
        """What the next tick asks for, or why it asks for nothing."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"bucket": landing_bucket(self.settings)}
        )
        result = self.defs.resolve_sensor_def(self.sensor).evaluate_tick(context)
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

    def load(self) -> None:
        assert run_graph(self.settings, self.defs, select="group:raw").success


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    home = tmp_path_factory.mktemp("sensors")
    settings = read_settings(home=home, settle_seconds=0)
    with pytest.MonkeyPatch.context() as patch, landing_bucket(settings).open():
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        with open_instance(settings) as instance:
            yield Watched(settings, build_defs(settings), instance)


def run_key(asked: dg.RunRequest | str) -> Any:
    assert isinstance(asked, dg.RunRequest), asked
    return asked.run_key


def movielens_files(folder: Path) -> list[tuple[str, Path]]:
    """Sample files of one source, with their keys."""
    keys = [(landing_key(path), path) for path in generate(folder, scale=0.01)]
    return [(key, path) for key, path in keys if key.startswith("movielens/")]


def test_an_empty_bucket_is_waited_for(watched: Watched) -> None:
    assert watched.tick() == (
        "waiting for the first file of movielens/movies, movielens/ratings, movielens/tags, movielens/links"
    )
    other = Watched(watched.settings, watched.defs, watched.instance, sensor="netflix_landing")
    assert other.tick() == "waiting for the first file of netflix/titles, netflix/credits"


def test_new_files_are_asked_for_in_one_run(watched: Watched) -> None:
    for key, path in movielens_files(watched.settings.home / "samples"):
        with landing_bucket(watched.settings).open() as store:
            store.put(key, path)
    asked = watched.tick()
    assert run_key(asked) == "movielens-1"
    assert asked.tags["netflix/attempt"] == "1"  # type: ignore[union-attr]
    assert "movielens/ratings" in asked.tags["netflix/behind"]  # type: ignore[union-attr]
    assert not watched.settings.warehouse_file.exists()  # a tick never wakes the warehouse


def test_a_state_whose_runs_fail_is_asked_for_again_and_then_given_up(watched: Watched) -> None:
    assert [run_key(watched.tick()) for _ in range(2)] == ["movielens-2", "movielens-3"]
    assert "3 runs failed for this state of the bucket; not asked again" in str(watched.tick())


def test_nothing_is_asked_for_when_the_tables_are_level(watched: Watched) -> None:
    watched.load()
    assert watched.tick() == "the raw tables are level with the bucket"


def test_a_source_that_has_no_file_yet_asks_for_nothing_and_one_file_is_enough(watched: Watched) -> None:
    other = Watched(watched.settings, watched.defs, watched.instance, sensor="netflix_landing")
    assert other.tick() == "the raw tables are level with the bucket"
    other.put("netflix/credits.csv", "person_id,id,name,character,role\n1,tm1,Ada Belabra,Nurse,ACTOR\n")
    assert watched.tick() == "the raw tables are level with the bucket"
    asked = other.tick()
    assert run_key(asked) == "netflix-1"
    assert asked.tags["netflix/behind"] == "netflix/credits"  # type: ignore[union-attr]
    watched.load()
    assert other.tick() == watched.tick() == "the raw tables are level with the bucket"


def test_content_that_returns_to_an_earlier_state_is_asked_for_again(watched: Watched) -> None:
    a, b = "userId,movieId,rating,timestamp\n1,1,4.0,1\n", "userId,movieId,rating,timestamp\n1,1,2.0,1\n"
    keys = []
    for content in (a, b, a):
        watched.put("movielens/ratings-x.csv", content)
        keys.append(run_key(watched.tick()))
        watched.load()
        assert watched.tick() == "the raw tables are level with the bucket"
    assert keys == ["movielens-4", "movielens-5", "movielens-6"]


def test_nothing_is_asked_for_while_a_run_is_under_way(watched: Watched) -> None:
    watched.put("movielens/ratings-y.csv", "userId,movieId,rating,timestamp\n1,2,4.0,1\n")
    job = watched.defs.resolve_job_def("everything")
    run = watched.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert watched.tick() == "a run is under way; it is asked again when that has ended"
    watched.instance.report_run_failed(run)
    assert run_key(watched.tick()) == "movielens-7"
