"""kill -9 of the real command loses nothing and loads nothing twice, at any moment.

`netflix-assets run --select group:raw` (Dagster run, S3, DuckDB file) is killed at random moments and at named points
of a load. The warehouse must then contain only complete loads. After one more run it must contain what an undisturbed
run of the same bucket loads. `make test-long` kills at every named point in turn, in one home, and at a few random
moments. With --cases N it kills at N random moments, and at every point in a separate home.
"""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
import yaml

from netflix_assets.contracts.loading import CONTRACTS_DIR, load_sources
from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.raw.assets import FINGERPRINT, raw_key
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.storage.local_s3 import LocalS3, lease, local_s3
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import s3_client
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.forks import FORKS
from netflix_assets_tests.proof import crashing

DATASETS = ("ratings", "tags", "movies")  # one of each mode; fewer assets, faster runs
RUN = ("run", "--select", "group:raw")
KILLED = -9
REFUSED = 3  # exit code of a run that refused an object
ENOUGH = 50  # with this many random kills, some must strike before, during and after the loads

# ---------------------------------------------------------------- what is in the bucket

Objects = dict[str, bytes]


def dice_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


def ratings(seed: int, count: int, *more: str, end: str = "\n") -> bytes:
    dice = dice_of(seed)
    lines = ["userId,movieId,rating,timestamp"]
    for film in dice.sample(range(1, 1000), count):
        lines.append(f"{dice.randint(1, 5)},{film},{dice.randint(1, 10) / 2},{dice.randint(10**9, 2 * 10**9)}")
    return end.join([*lines, *more, ""]).encode()


def tags(seed: int, count: int, *more: str) -> bytes:
    dice = dice_of(seed)
    lines = [f'{dice.randint(1, 9)},{dice.randint(1, 99)},"tag, {each}",{10**9 + each}' for each in range(count)]
    return "\n".join(["userId,movieId,tag,timestamp", *lines, *more, ""]).encode()


def movies(first: int, count: int, *more: str) -> bytes:
    lines = [f'{number},"Film, The {number} (1999)",Drama|Comedy' for number in range(first, first + count)]
    return "\n".join(["movieId,title,genres", *lines, *more, ""]).encode()


# Plain and quoted files, CRLF, gzip, rejected records, refused and ignored objects, one content twice.
OBJECTS: Objects = {
    "movielens/movies-1.csv": movies(1, 20),
    "movielens/movies-2.csv": movies(5, 40, "0,Film of no number,Drama"),
    "movielens/ratings-1.csv": ratings(1, 200),
    "movielens/ratings-2.csv": ratings(2, 150, "2.7,1,3.0,1", "1,2,7.5,1", "1,2,3.0", '1,"2"x,3.0,1', "1,2,3.0,"),
    "movielens/ratings-3.csv.gz": gzip.compress(ratings(3, 200, '1,"2000",3.0,4'), mtime=0),
    "movielens/ratings-4.csv": b"userId,movieId,timestamp\n1,2,3\n",
    "movielens/ratings-5.csv": ratings(5, 100, "", '1,"2000",3.5,5', end="\r\n"),
    "movielens/ratings-6.csv": b"userId,movieId,rating,timestamp\n",
    "movielens/ratings-7.csv": ratings(1, 90),
    "movielens/tags-1.csv": tags(1, 50),
    "movielens/tags-2.csv": tags(2, 50, "1,2,,3"),
    "movielens/tags-3.csv": tags(3, 60),
    "movielens/tags-4.csv": tags(1, 50),
    "movielens/tags-6.csv": "userId,movieId,tag,timestamp\n1,2,good,3\n".encode("utf-16"),
}
CHANGES: Objects = {
    "movielens/movies-3.csv": movies(8, 30, "0,Film of no number,Drama"),
    "movielens/ratings-1.csv": ratings(11, 120),
    "movielens/ratings-2.csv": ratings(12, 130, "1,2,3.0,4,5"),
    "movielens/ratings-4.csv": ratings(14, 80),
    "movielens/ratings-8.csv": ratings(18, 60),
    "movielens/tags-2.csv": tags(12, 20, "1,2,,3", "x,2,good,3"),
    "movielens/tags-5.csv": tags(15, 30),
    "movielens/tags-7.csv": b"userId,movieId,timestamp\n1,2,3\n",
}


# ---------------------------------------------------------------- what is in the warehouse


@dataclass(frozen=True)
class Content:
    """What was loaded from a bucket, by dataset; without load ids and times, which may differ."""

    versions: Mapping[str, set[tuple[str, str]]]  # (key, etag) of the current loads
    ledger: Mapping[str, list[tuple[Any, ...]]]
    current: Mapping[str, list[tuple[Any, ...]]]
    rejects: Mapping[str, list[tuple[Any, ...]]]
    refused: Mapping[str, list[tuple[Any, ...]]]
    raw: Mapping[str, list[tuple[Any, ...]]]  # all loads, superseded ones too

    def without_history(self) -> tuple[object, ...]:
        return self.ledger, self.current, self.rejects, self.refused


def content(home: Path, datasets: Iterable[Dataset]) -> Content:
    """The content of the warehouse. Asserts that each load is complete."""
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    with DuckDBWarehouse(home / "warehouse.duckdb", wait_seconds=0, read_only=True) as warehouse:
        tables = set(warehouse.execute("select table_schema, table_name from information_schema.tables"))
        for dataset in datasets:
            # The view is created last for a dataset, before anything is loaded.
            if ("raw", f"{dataset.table}_current") in tables:
                assert_complete(dataset, warehouse)
                found[dataset.id] = rows_of(dataset, warehouse)
    parts = ("ledger", "current", "rejects", "refused", "raw")
    return Content(
        {name: {(row[0], row[1]) for row in rows["ledger"]} for name, rows in found.items()},
        **{part: {name: rows[part] for name, rows in found.items()} for part in parts},
    )


def assert_complete(dataset: Dataset, warehouse: DuckDBWarehouse) -> None:
    counts = warehouse.counts(dataset)
    assert counts.unaccounted_loads == 0
    assert (counts.ledger_rows, counts.rejected_rows) == (counts.current_rows, counts.kept_rejects)
    loads = warehouse.execute(
        "select load_id, rows_loaded, rows_rejected, object_key, etag from ops.loads where dataset = ?", [dataset.id]
    )
    assert rows_by_load(warehouse, f"raw.{dataset.table}") == {load[0]: load[1] for load in loads if load[1]}
    rejects = rows_by_load(warehouse, "ops.rejected_rows", f"where dataset = '{dataset.id}'", "load_id")
    assert rejects == {load[0]: load[2] for load in loads if load[2]}
    profiled = rows_by_load(warehouse, "ops.profiles", f"where dataset = '{dataset.id}'", "load_id")
    assert profiled == {load[0]: len(dataset.columns) for load in loads if load[1]}
    assert len({load[3:] for load in loads}) == len({load[0] for load in loads}) == len(loads), "a version twice"


def rows_by_load(warehouse: DuckDBWarehouse, table: str, where: str = "", column: str = "_load_id") -> dict[int, int]:
    return dict(warehouse.execute(f"select {column}, count(*) from {table} {where} group by 1"))


def rows_of(dataset: Dataset, warehouse: DuckDBWarehouse) -> dict[str, list[tuple[Any, ...]]]:
    queries = {
        "ledger": "select object_key, etag, rows_in, rows_loaded, rows_rejected from ops.loads "
        f"where dataset = '{dataset.id}' and is_current",
        "current": f"select * exclude (_load_id) from raw.{dataset.table}_current",
        "rejects": "select rejects.object_key, record_number, line_number, column_name, reason, raw_text "
        "from ops.rejected_rows as rejects inner join ops.loads as loads using (dataset, load_id) "
        f"where dataset = '{dataset.id}' and is_current",
        "raw": f"select * exclude (_load_id) from raw.{dataset.table}",
    }
    rows = {name: warehouse.execute(f"{query} order by all") for name, query in queries.items()}
    refused = [
        (each.listed.key, each.listed.etag, each.outcome, each.reason) for each in warehouse.refused_objects(dataset)
    ]
    return {**rows, "refused": refused}


# ---------------------------------------------------------------- homes, buckets and the command


class Machine:
    """One S3 server, a fork server that has imported everything, and prepared homes to copy."""

    def __init__(self, folder: Path, server: LocalS3) -> None:
        self.folder = folder
        self.server = server
        self.contracts = folder / "contracts"
        self._write_contracts()
        [self.source] = load_sources(self.contracts)
        self._count = 0

    def _write_contracts(self) -> None:
        self.contracts.mkdir()
        whole = yaml.safe_load((CONTRACTS_DIR / "movielens.yaml").read_text(encoding="utf-8"))
        few = {**whole, "datasets": {name: whole["datasets"][name] for name in DATASETS}}
        (self.contracts / "movielens.yaml").write_text(yaml.safe_dump(few), encoding="utf-8")

    def new_name(self) -> str:
        self._count += 1
        return f"case-{self._count}"

    def new_bucket(self, objects: Objects) -> str:
        name = self.new_name()
        s3_client(self.server).create_bucket(Bucket=name)
        self.put(name, objects)
        return name

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        client = s3_client(self.server)
        for key in sorted(objects):  # the newest films last
            client.put_object(Bucket=bucket, Key=key, Body=objects[key])

    def new_home(self, like: Path | None = None, *, without: str | None = None) -> Path:
        home = self.folder / self.new_name()
        if like is None:
            home.mkdir()
        else:
            shutil.copytree(like, home, ignore=None if without is None else shutil.ignore_patterns(without))
        return home

    def environment(self, home: Path, bucket: str | None) -> dict[str, str]:
        """The command's environment; without a bucket of the shared server, it starts the home's own server."""
        common = {"NETFLIX_HOME": str(home), "NETFLIX_CONTRACTS": str(self.contracts)}
        if bucket is None:
            return {**common, "NETFLIX_SETTLE_SECONDS": "0"}
        return {
            **common,
            "NETFLIX_BUCKET": bucket,
            "NETFLIX_S3_ENDPOINT": self.server.endpoint,
            "AWS_ACCESS_KEY_ID": self.server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key,
        }

    def start(
        self, home: Path, bucket: str | None, *arguments: str, point: str | None = None, nth: int = 1
    ) -> ForkServerProcess:
        environment = self.environment(home, bucket)
        (home / "output").unlink(missing_ok=True)
        process = FORKS.Process(
            target=crashing.command, args=(list(arguments), environment, home / "output", point, nth)
        )
        process.start()
        return process

    def run(self, home: Path, bucket: str | None, *arguments: str, **options: Any) -> int | None:
        process = self.start(home, bucket, *arguments, **options)
        return ended(process)

    def timed_run(self, home: Path, bucket: str | None) -> float:
        started = time.monotonic()
        assert self.run(home, bucket, *RUN) == REFUSED, self.output(home)
        return time.monotonic() - started

    def output(self, home: Path) -> str:
        return (home / "output").read_text(encoding="utf-8")

    @cached_property
    def prepared(self) -> Path:
        """A home after a run over an empty bucket: Dagster's storage and dbt's manifest, but no warehouse."""
        home = self.new_home()
        assert self.run(home, self.new_bucket({}), *RUN) == 0, self.output(home)
        (home / "warehouse.duckdb").unlink()
        return home

    def content(self, home: Path) -> Content:
        return content(home, self.source.datasets)


def ended(process: ForkServerProcess) -> int | None:
    """Wait for a command to end. Returns its exit code."""
    process.join()
    end_children(process.pid)
    return process.exitcode


def end_children(session: int) -> None:
    # Dagster reads a step's output with `tail -F` and a watcher process; a kill between their starts leaves the tail.
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


@dataclass(frozen=True)
class Story:
    """A home and its bucket before the killed run, and the result of an undisturbed run.

    ``seconds``: duration of the undisturbed run. ``to_load``: the versions that the killed run has to load.
    ``changes``: objects that land between the kill and the next run. ``without``: a folder left out of the home.
    """

    home: Path
    bucket: str
    expected: Content
    seconds: float
    to_load: frozenset[tuple[str, str]]
    changes: Mapping[str, bytes] = field(default_factory=dict)
    without: str | None = None


class Stories:
    """The stories; each is run once undisturbed, when first used."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @cached_property
    def first(self) -> Story:
        """All objects are new."""
        return self._run_undisturbed(self._machine.prepared, self._machine.new_bucket(OBJECTS))

    @cached_property
    def cold(self) -> Story:
        """Like ``first``, but Dagster has no storage yet."""
        return self._run_undisturbed(self._machine.prepared, self.first.bucket, without="dagster")

    @cached_property
    def update(self) -> Story:
        """Some objects have been overwritten and some added since they were loaded."""
        loaded, bucket = self._machine.new_home(self._machine.prepared), self._machine.new_bucket(OBJECTS)
        self._machine.timed_run(loaded, bucket)
        before = versions(self._machine.content(loaded))
        self._machine.put(bucket, CHANGES)
        return self._run_undisturbed(loaded, bucket, before=before)

    @cached_property
    def changed(self) -> Story:
        """Objects are overwritten and added between the kill and the next run."""
        twin = self._run_undisturbed(self._machine.prepared, self._machine.new_bucket(OBJECTS | CHANGES))
        return replace(twin, to_load=self.first.to_load, changes=CHANGES)

    def _run_undisturbed(
        self, home: Path, bucket: str, *, without: str | None = None, before: frozenset[tuple[str, str]] = frozenset()
    ) -> Story:
        undisturbed = self._machine.new_home(home, without=without)
        seconds = self._machine.timed_run(undisturbed, bucket)
        expected = self._machine.content(undisturbed)
        return Story(home, bucket, expected, seconds, versions(expected) - before, without=without)


def versions(found: Content) -> frozenset[tuple[str, str]]:
    return frozenset().union(*found.versions.values())


@pytest.fixture(scope="module")
def machine(s3_server: LocalS3, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("crashes"), s3_server)


@pytest.fixture(scope="module")
def stories(machine: Machine) -> Stories:
    return Stories(machine)


# ---------------------------------------------------------------- kills


class Case:
    """A separate home in which a story runs with kills."""

    def __init__(self, machine: Machine, story: Story) -> None:
        self.machine, self.story = machine, story
        self.home = machine.new_home(story.home, without=story.without)
        self.bucket = machine.new_bucket(OBJECTS) if story.changes else story.bucket

    def run_killed_at(self, point: str, nth: int) -> int | None:
        return self.machine.run(self.home, self.bucket, *RUN, point=point, nth=nth)

    def run_killed_after(self, seconds: float) -> int | None:
        process = self.machine.start(self.home, self.bucket, *RUN)
        process.join(seconds)
        process.kill()
        return ended(process)

    def assert_complete(self) -> str:
        """Check the home between the kill and the next run. Returns what was loaded: nothing, part or all."""
        if not (self.home / "warehouse.duckdb").exists():
            return "nothing"
        loaded = self.story.to_load & versions(self.machine.content(self.home))
        return "all" if loaded == self.story.to_load else "part" if loaded else "nothing"

    def assert_status_is_right(self) -> None:
        assert self.machine.run(self.home, self.bucket, "status", "--json") == 0, self.machine.output(self.home)
        datasets = json.loads(self.machine.output(self.home))["datasets"]
        rows = {each["dataset"]: each["rows"] for each in datasets}
        assert set(rows) == {dataset.id for dataset in self.machine.source.datasets}
        if (self.home / "warehouse.duckdb").exists():
            found = self.machine.content(self.home).current
            assert rows == {name: len(found.get(name, ())) for name in rows}

    def run_again(self) -> float:
        """Run undisturbed. Returns the seconds it took."""
        self.machine.put(self.bucket, self.story.changes)
        return self.machine.timed_run(self.home, self.bucket)

    def assert_as_undisturbed(self) -> None:
        found, expected = self.machine.content(self.home), self.story.expected
        assert found.without_history() == expected.without_history()
        if not self.story.changes:  # with changes, the moment decides whether an overwritten version was loaded
            assert found.raw == expected.raw
        assert list((self.home / "tmp").iterdir()) == []
        assert dagster_knows_what_is_loaded(self.machine, self.home, self.bucket)
        shutil.rmtree(self.home)


def dagster_knows_what_is_loaded(machine: Machine, home: Path, bucket: str) -> bool:
    with (
        patch.dict(os.environ, DAGSTER_HOME=str(home / "dagster")),
        dg.DagsterInstance.get() as instance,
        LandingBucket(bucket=bucket, local_home=str(machine.server.home)).open() as store,
    ):
        listings = store.listings(machine.source)
        events = instance.get_latest_materialization_events([raw_key(each) for each in machine.source.datasets])
    return all(
        events[raw_key(each)].asset_materialization.metadata[FINGERPRINT].value == listings[each.id].fingerprint
        for each in machine.source.datasets
    )


def test_the_stories_have_something_to_lose(stories):
    for story in (stories.first, stories.update):
        assert {name: len(keys) for name, keys in story.expected.versions.items()}.keys() == {
            f"movielens/{name}" for name in DATASETS
        }
        assert len(story.to_load) > 2 * crashing.BATCH_OBJECTS
        assert all(story.expected.rejects.values())
        assert story.expected.refused["movielens/tags"]
    history = stories.update.expected
    assert {name for name in history.raw if len(history.raw[name]) > len(history.current[name])} == set(history.raw)


def test_killed_at_every_point(machine, stories, cases):
    case = Case(machine, stories.first)
    loaded = []
    for point in crashing.POINTS:
        if point in crashing.BETWEEN and not cases(0):
            continue
        assert case.run_killed_at(point, nth=1) == KILLED, f"{point}: {machine.output(case.home)}"
        loaded.append(case.assert_complete())
        if len(loaded) <= 2:  # a file without tables, and one with some of them
            case.assert_status_is_right()
    assert sorted(set(loaded), key=loaded.index) == ["nothing", "part"]
    assert len(list((case.home / "tmp").iterdir())) <= 1  # each run removes the leftovers of the one before
    case.run_again()
    case.assert_as_undisturbed()


def test_killed_at_a_point_of_an_update(machine, stories, cases):
    points = set(crashing.POINTS) - set(crashing.CREATION) if cases(0) else {"after COMMIT"}
    for point in sorted(points):
        case = Case(machine, stories.update)
        assert case.run_killed_at(point, nth=1) == KILLED, f"{point}: {machine.output(case.home)}"
        case.assert_complete()
        case.assert_status_is_right()
        case.run_again()
        case.assert_as_undisturbed()


def test_killed_at_random_moments(machine, stories, cases):
    struck = Counter()
    names = ("first", "update", "changed", "cold")
    seconds = stories.first.seconds
    for number in range(cases(1)):
        case = Case(machine, getattr(stories, names[number % len(names)]))
        outcome = case.run_killed_after(dice_of(number).uniform(0, seconds))
        assert outcome in (KILLED, REFUSED), machine.output(case.home)
        loaded = case.assert_complete()
        struck[loaded if outcome == KILLED else "ended before"] += 1
        case.assert_status_is_right()
        seconds = case.run_again()  # how long a run takes now, under the machine's current load
        case.assert_as_undisturbed()
    print(f"\nrandom kills, by what was loaded: {dict(struck)}")
    if struck.total() >= ENOUGH:
        assert set(struck) >= {"nothing", "part", "all"}


def test_the_installed_command_killed(machine, stories, cases):
    """Kill the installed command, with its own local S3; every second home contains only the files."""
    for number in range(1 + cases(0) // 25):
        is_new = number % 2 == 1
        home = machine.new_home(None if is_new else machine.prepared)
        copy_objects(home / "s3" / "landing")
        try:
            run_installed_and_kill(machine, home, within=10 if is_new else 0.3, after_first_write=not is_new)
            if (home / "warehouse.duckdb").exists():
                assert versions(machine.content(home)) <= stories.first.to_load
            machine.timed_run(home, bucket=None)
            assert not (home / "local-s3.pid").exists(), "the local S3 of the killed run is still running"
        finally:
            with lease(local_s3(home), "landing"):
                """Returning the last lease stops the server."""
        found, expected = machine.content(home), stories.first.expected
        assert (found.without_history(), found.raw) == (expected.without_history(), expected.raw)
        assert list((home / "tmp").iterdir()) == []
        shutil.rmtree(home)


def copy_objects(bucket: Path) -> None:
    for key, body in sorted(OBJECTS.items()):
        (bucket / key).parent.mkdir(parents=True, exist_ok=True)
        (bucket / key).write_bytes(body)


def run_installed_and_kill(machine: Machine, home: Path, *, within: float, after_first_write: bool) -> None:
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            [COMMAND, *RUN],
            env={**os.environ, **machine.environment(home, None)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with process:
        while after_first_write and process.poll() is None and not (home / "warehouse.duckdb.wal").exists():
            time.sleep(0.005)
        time.sleep(dice_of(int(home.name.split("-")[1])).uniform(0, within))
        process.kill()
    end_children(process.pid)
