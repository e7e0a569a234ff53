"""Order does not matter: the same object versions, in any order and with builds anywhere, give the same tables.

Every order ends with the same bucket. Raw rows, every dbt table and view, rejects and refusals must equal those of a
warehouse that only sees the final bucket and is built once from scratch. The same is proven for the commands' full
refresh and rebuild, for snapshot histories, and for two processes that load concurrently.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.ingest.replay import forget_refusals, replay_rejects
from netflix_assets.ingest.sync import sync
from netflix_assets.storage.objects import ObjectStore, objects_of
from netflix_assets.warehouse.builds import Build
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.purging import purge_loads
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.proof.arrivals import (
    CHAINS,
    MOVIES,
    TAGS,
    Put,
    Step,
    final_bucket,
    order,
    random,
    shuffled,
    strict,
)
from netflix_assets_tests.proof.quick_dbt import QuickDbt

DATASETS = all_datasets(load_sources())
TAGS_DATASET = dataset_by_id(load_sources(), "movielens/tags")
RATINGS = dataset_by_id(load_sources(), "movielens/ratings")

# Columns that are not compared, and why. Models tagged run_dependent are not compared either: they describe runs.
LEFT_OUT = {
    "_digest": "digests are made from load ids",
    "reflects_load_id": "as _load_id",
    "_order_load_id": "as _load_id",
    "_load_id": "load ids follow the order of commits, which is shuffled here",
    "reason": "the reason for a reject names the contract's bounds at that time, which the orders widen",
}

Tables = dict[str, list[str]]

# Tables of the business, of which nothing arrives here. dev/business/test_marts.py compares those.
OF_BUSINESS = re.compile(
    r"raw\.(crm|finance|shop|frankfurter|openexchangerates|alphavantage|sentiment)_"
    r"|staging\.stg_(crm|finance|shop|frankfurter|openexchangerates|alphavantage|sentiment)__"
    r"|core\.(dim_customer|dim_product|dim_promotions|dim_warehouses|fct_exchange_rates|fct_headline"
    r"|fct_order_lines|fct_production_orders|fct_shipments|fct_stock_levels)"
    r"|marts\.(obt_|mart_(customers_by_month|exchange_rates|headlines|product_margins|revenue_by_month"
    r"|revenue_by_segment|sales_by_product_type|sales_by_promotion|sentiment_by_day|stock_by_week|weekly_sales))"
)


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    return QuickDbt(tmp_path_factory.mktemp("quick_dbt"))


@pytest.fixture(scope="module")
def low_dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    """dbt with thresholds that these few ratings reach; comparing empty tables would prove nothing."""
    thresholds = {
        "liked_min_likes": 1,
        "co_rating_min_co_likes": 1,
        "consistency_min_ratings": 1,
        "segment_min_ratings": 1,
        "segment_n_clusters": 1,
        "similar_users_min_common": 1,
    }
    return QuickDbt(tmp_path_factory.mktemp("low_dbt"), variables=thresholds)


@dataclass
class Place:
    """A separate bucket and warehouse, and the actions on them."""

    store: ObjectStore
    home: Path
    dbt: QuickDbt
    is_strict: bool = False
    reuses: bool = False  # builds what differs from the last build, as runs do, and not everything, as dbt does

    @contextmanager
    def warehouse(self) -> Iterator[DuckDBWarehouse]:
        with DuckDBWarehouse(self.home / "warehouse.duckdb", wait_seconds=0) as warehouse:
            yield warehouse

    def contract(self, dataset: Dataset) -> Dataset:
        return strict(dataset) if self.is_strict else dataset

    def put(self, put: Put) -> None:
        upload = self.home / "upload"
        upload.write_bytes(put.content)
        self.store.put(put.key, upload)

    def sync(self, datasets: Sequence[Dataset] = DATASETS) -> None:
        with self.warehouse() as warehouse:
            for dataset in datasets:
                sync(self.contract(dataset), self.store, warehouse, "run", work_folder=self.home / "work")

    def replay(self) -> None:
        """The commands `replay` and `rejects replay`, for every dataset."""
        with self.warehouse() as warehouse:
            for dataset in DATASETS:
                warehouse.prepare(dataset)
                forget_refusals(dataset, warehouse, objects_of(dataset, self.store))
                (self.home / "replay").mkdir(exist_ok=True)
                replay_rejects(self.contract(dataset), warehouse, "replay", self.home / "replay")

    def purge(self) -> None:
        """The job `retention` with a contract that keeps no superseded version, whether a build has applied it or not.

        The job waits for a build only because publishing counts the rows that the build read.
        """
        with self.warehouse() as warehouse:
            for dataset in DATASETS:
                warehouse.prepare(dataset)
                now = datetime.now(UTC)
                applied = Build("", "", "", now, now, inputs=warehouse.last_loads())
                purge_loads(dataset.model_copy(update={"keep_versions": 1}), warehouse, applied)

    def rebuild(self, dataset: Dataset) -> None:
        with self.warehouse() as warehouse:
            warehouse.prepare(dataset)
            warehouse.forget_dataset(dataset)
        self.sync([dataset])

    def build(self, *arguments: str) -> None:
        self.sync()
        self.dbt.build(self.home, *arguments)

    def build_again(self, of_facts: bool = False) -> None:
        """Build after something may have changed: everything, or the facts and what they are made of."""
        self.sync()
        if self.reuses:
            self.dbt.build_what_differs(self.home, self.dbt.upstream_of_stateful() if of_facts else None)
        else:
            self.dbt.build(self.home, *(("--select", *self.dbt.stateful()) if of_facts else ()))

    def listing(self) -> list[tuple[str, str]]:
        return [(listed.key, listed.etag) for dataset in DATASETS for listed in objects_of(dataset, self.store)]

    def tables(self) -> Tables:
        """Everything that must not depend on the order: name -> rows as text, sorted."""
        relations = [*(f"raw.{dataset.table}_current" for dataset in DATASETS), *self.dbt.relations()]
        with self.warehouse() as warehouse:
            found = {name: rows_of(warehouse, name) for name in relations}
            reject_columns = ("dataset", "object_key", "record_number", "line_number", "column_name", "raw_text")
            found["open rejects"] = sorted(
                repr([row[name] for name in reject_columns]) for row in warehouse.rejected_rows()
            )
            found["refused objects"] = sorted(
                repr((each.listed.version[1:], each.outcome, each.reason))
                for dataset in DATASETS
                for each in warehouse.refused_objects(dataset)
            )
        return found

    def load_ids(self, dataset: Dataset) -> list[int]:
        with self.warehouse() as warehouse:
            return [load.load_id for load in warehouse.loads(dataset)]

    def ledger(self) -> list[tuple]:
        with self.warehouse() as warehouse:
            return warehouse.execute(
                "select dataset, load_id, object_key, etag, parent_load_id from ops.loads order by all"
            )


def rows_of(warehouse: DuckDBWarehouse, relation: str) -> list[str]:
    columns = [row[0] for row in warehouse.execute(f"describe {relation}")]
    kept = ", ".join(f'"{column}"' for column in columns if column not in LEFT_OUT)
    return sorted(map(repr, warehouse.execute(f"select {kept} from {relation}")))


def digest(tables: Tables) -> str:
    return hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()


@contextmanager
def place(bucket, folder: Path, name: str, dbt: QuickDbt) -> Iterator[Place]:
    """A place under a prefix of the test's bucket; its folder is removed at the end."""
    home = folder / name
    home.mkdir()
    with LandingBucket(bucket=bucket.name, prefix=f"{name}/", local_home=str(bucket.home)).open() as store:
        yield Place(store, home, dbt)
    shutil.rmtree(home)


# ---------------------------------------------------------------- any order


def take_steps(steps: Sequence[Step], at: Place) -> None:
    """Take the steps. After each build, the facts must contain the winners of the raw rows."""
    at.is_strict = True
    for step in steps:
        if isinstance(step, Put):
            at.put(step)
            continue
        match step.name:
            case "widen":
                at.is_strict = False
            case "sync":
                at.sync()
            case "replay":
                at.replay()
            case "purge":
                at.purge()
            case "rebuild":
                at.rebuild(dataset_by_id(load_sources(), step.of))
            case "build":
                at.build_again()
                _assert_winners(at)
            case "build facts":
                at.build_again(of_facts=True)
                _assert_winners(at)
            case "full refresh":
                at.build("--full-refresh")
                _assert_winners(at)
            case other:
                raise AssertionError(other)


def _assert_winners(at: Place) -> None:
    """The facts equal the winners that Python picks from the raw rows: the last by time, then key, then value.

    The versions of a rating are the last rows of each second, by key, then value; each ends when the next begins.
    """
    with at.warehouse() as warehouse:
        ratings = warehouse.execute(
            "select user_id, movie_id, rated_at_epoch_s, _object_key, rating from raw.movielens_ratings_current"
        )
        scores = warehouse.execute(
            "select movie_id, tag_id, _object_key, relevance from raw.movielens_genome_scores_current"
        )
        fct_ratings = warehouse.execute("select user_id, movie_id, epoch(rated_at), rating from core.fct_ratings")
        versions = warehouse.execute(
            """
            select user_id, movie_id, version_number, epoch(valid_from), epoch(valid_to), rating, is_current
            from core.fct_rating_versions
            """
        )
        fct_scores = warehouse.execute("select movie_id, tag_id, relevance from core.fct_genome_scores")
    expected = {row[:2]: (row[2], row[4]) for row in sorted(ratings, key=lambda row: row[2:])}
    assert sorted(fct_ratings) == sorted((*key, *value) for key, value in expected.items())
    assert sorted(versions, key=lambda row: row[:3]) == list(_versions(ratings))
    assert sorted(fct_scores) == sorted({row[:2]: (*row[:2], row[3]) for row in sorted(scores)}.values())


def _versions(rows: Iterable[tuple]) -> Iterator[tuple]:
    """The expected rows of fct_rating_versions, by key and version number.

    ``rows``: user, film, second, object key, stars; all current rows of raw.
    """
    by_key: dict[tuple, dict[int, object]] = defaultdict(dict)
    for row in sorted(rows):
        by_key[row[:2]][row[2]] = row[4]  # the last of a second wins
    for key, stars in sorted(by_key.items()):
        seconds = [*stars, None]
        for number, (since, until) in enumerate(pairwise(seconds), start=1):
            yield (*key, number, since, until, stars[since], until is None)


@pytest.fixture
def reference(bucket, tmp_path, low_dbt) -> tuple[Tables, list[tuple[str, str]]]:
    """The tables of a warehouse that only sees the final bucket, and that bucket's listing."""
    with place(bucket, tmp_path, "reference", low_dbt) as fresh:
        for put in final_bucket():
            fresh.put(put)
        fresh.build("--full-refresh")
        return fresh.tables(), fresh.listing()


def test_every_order_of_arrival_gives_the_tables_of_a_full_refresh(bucket, tmp_path, low_dbt, reference, cases):
    tables, listing = reference
    empty = {name for name, rows in tables.items() if not rows}
    assert empty == {name for name in tables if OF_BUSINESS.match(name)}, "nothing to compare"
    ledgers = set()
    number = cases(2)
    for case in range(number):
        steps = order(random(f"order {case}"))
        with place(bucket, tmp_path, f"order-{case}", low_dbt) as at:
            at.reuses = case % 3 != 2
            try:
                take_steps(steps, at)
                if at.reuses:
                    at.build_again()
                    assert at.dbt.build_what_differs(at.home).to_build == frozenset(), "built without a change"
                assert at.listing() == listing
                _assert_same_tables(at.tables(), tables)
            except BaseException:  # also an interrupt: the printed order reproduces the failure
                print(f"order {case}:", *steps, sep="\n  ")
                raise
            ledgers.add(tuple(at.ledger()))
    assert len(ledgers) == number, "two orders were the same"


def _assert_same_tables(found: Tables, expected: Tables) -> None:
    for name, rows in expected.items():
        missing, surplus = Counter(rows) - Counter(found[name]), Counter(found[name]) - Counter(rows)
        assert (missing, surplus) == (Counter(), Counter()), f"{name}: missing {missing}, surplus {surplus}"
    assert digest(found) == digest(expected)


# ---------------------------------------------------------------- real files

PIECES = 6


@pytest.mark.skipif("REAL_DATA" not in os.environ, reason="needs $REAL_DATA, a folder with MovieLens files")
def test_real_ratings_in_any_order_give_the_tables_of_a_full_refresh(bucket, tmp_path, dbt):
    """Real ratings in overlapping pieces; some pieces arrive first in a version that is corrected later."""
    folder, chance = Path(os.environ["REAL_DATA"]), random("real files")
    header, *lines = (folder / "ratings.csv").read_text().splitlines(keepends=True)
    whole = [
        Put(f"movielens/{name}.csv", "a", (folder / f"{name}.csv").read_bytes()) for name in ("movies", "tags", "links")
    ]
    pieces = [lines[number::PIECES] + chance.sample(lines, 500) for number in range(PIECES)]
    last = [
        Put(f"movielens/ratings-{at}.csv", "b", (header + "".join(piece)).encode()) for at, piece in enumerate(pieces)
    ]
    worse = [_with_faults(piece, chance) for piece in pieces[:3]]
    first = [Put(each.key, "a", (header + "".join(piece)).encode()) for each, piece in zip(last, worse, strict=False)]
    with place(bucket, tmp_path, "real-reference", dbt) as fresh:
        for put in [*whole, *last]:
            fresh.put(put)
        fresh.build("--full-refresh")
        expected = fresh.tables()
    with place(bucket, tmp_path, "real", dbt) as at:
        for round_of in (first, chance.sample([*whole, *last], 6), [*last, *whole]):
            for put in chance.sample(round_of, len(round_of)):
                at.put(put)
            at.build()
        _assert_same_tables(at.tables(), expected)
    assert len(expected["core.fct_ratings"]) == len({tuple(line.split(",")[:2]) for line in lines})


def _with_faults(piece: Sequence[str], chance: Random) -> list[str]:
    """The piece with other ratings at the same second, later times, fewer rows, and an unknown film."""
    changed = []
    for line in chance.sample(piece, len(piece) - 200):
        user, movie, rating, at = line.rstrip().split(",")
        stars = chance.choice([rating, rating, rating, "0.5", "5.0"])
        changed.append(f"{user},{movie},{stars},{int(at) + chance.choice([0, 0, 0, 86_400])}\n")
    return [*changed, "1,999999,3.0,1000000000\n"]


# ---------------------------------------------------------------- snapshots


@dataclass(frozen=True)
class History:
    """A snapshot: its source, its key, and the columns in which a change creates a version."""

    name: str
    source: str
    key: tuple[str, ...]
    values: tuple[str, ...]

    def now(self, at: Place) -> dict[tuple, tuple]:
        """Key -> values now in the snapshot's source."""
        with at.warehouse() as warehouse:
            rows = warehouse.execute(f"select {', '.join((*self.key, *self.values))} from {self.source}")
        return {row[: len(self.key)]: row[len(self.key) :] for row in rows}

    def versions(self, at: Place) -> dict[tuple, list[tuple]]:
        """Key -> its versions in the snapshot, by time: values, valid from, valid to."""
        found = defaultdict(list)
        columns = ", ".join((*self.key, *self.values))
        with at.warehouse() as warehouse:
            for row in warehouse.execute(
                f"select {columns}, dbt_valid_from, dbt_valid_to from snapshots.{self.name} order by dbt_valid_from"
            ):
                found[row[: len(self.key)]].append((row[len(self.key) : -2], *row[-2:]))
        return found


HISTORIES = (
    History("snap_tags", "core.fct_tags", ("user_id", "movie_id", "tag"), ("tagged_at",)),
    History("snap_movies", "core.dim_movies", ("movie_id",), ("original_title", "genres")),
)


def test_snapshot_histories_are_consistent_in_every_order(bucket, tmp_path, dbt, cases):
    names = [history.name for history in HISTORIES]
    for case in range(-(-cases(10) // 10)):
        with place(bucket, tmp_path, f"history-{case}", dbt) as at:
            seen: dict[str, dict[tuple, list]] = {name: defaultdict(list) for name in names}
            previous: dict[str, dict[tuple, tuple]] = {name: {} for name in names}
            for put in shuffled((*TAGS, *MOVIES), random(f"history {case}")):
                at.put(put)
                at.sync()
                at.dbt.build(at.home, "--select", *(f"+{name}" for name in names))
                for history in HISTORIES:
                    now = history.now(at)
                    for key, values in now.items():
                        if previous[history.name].get(key) != values:
                            seen[history.name][key].append(values)
                    previous[history.name] = now
                    _assert_consistent_history(history.versions(at), seen[history.name], now)
            taken = [history.versions(at) for history in HISTORIES]
            at.dbt.build(at.home, "--select", *names)
            assert [history.versions(at) for history in HISTORIES] == taken, (
                "a second snapshot without changes added a version"
            )
        for name in names:
            assert any(len(versions) > 2 for versions in seen[name].values()), f"no key has a history in {name}"


def _assert_consistent_history(found: dict[tuple, list], seen: dict[tuple, list], now: dict[tuple, tuple]) -> None:
    """Versions follow each other without overlap and are those that the builds saw; current ones equal the source."""
    assert {key: [version[0] for version in versions] for key, versions in found.items()} == seen
    for versions in found.values():
        for (_, _, until), (_, since, _) in pairwise(versions):
            assert until is not None
            assert until <= since
        assert versions[-1][2] is None or versions[-1][1] < versions[-1][2]
    current = {key: version[0] for key, versions in found.items() for version in versions if version[2] is None}
    assert current == now


# ---------------------------------------------------------------- the commands

BUILD = "build"  # not a command: a build without dbt's tests, which saves time
# `make test-long` takes the first way, `--cases N` the first N: a run with all of dbt's tests is slow.
WAYS = (
    ("rebuild movielens/ratings", "run --select raw/movielens/ratings", BUILD),
    ("rebuild movielens/ratings", "run"),
    ("run --full-refresh",),
)


def test_rebuild_and_full_refresh_reproduce_the_tables(tmp_path, dbt, cases):
    with LandingBucket(bucket="landing", local_home=str(tmp_path)).open() as store:
        at = Place(store, tmp_path, dbt)
        for puts in ([versions[0] for versions in CHAINS], final_bucket()):
            for put in puts:
                at.put(put)
            at.build()
        before = at.tables()
        for way in WAYS[: cases(1)]:
            ids = at.load_ids(RATINGS)
            for command in way:
                at.build() if command == BUILD else _run(command, at.home)
            _assert_same_tables(at.tables(), before)
            if way[0].startswith("rebuild"):
                assert min(at.load_ids(RATINGS)) == max(ids) + 1, "the ratings were not reloaded"


def _run(command: str, home: Path) -> None:
    done = subprocess.run(
        [COMMAND, *command.split()],
        env={**os.environ, "NETFLIX_HOME": str(home), "NETFLIX_SETTLE_SECONDS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    # One file of the final bucket is refused, so `run` exits with 3.
    assert done.returncode == (3 if command.startswith("run") else 0), done.stdout + done.stderr


# ---------------------------------------------------------------- concurrent processes

ROUNDS = 3


def test_two_concurrent_processes_load_every_version_once(bucket, tmp_path):
    file, keys = tmp_path / "warehouse.duckdb", [f"movielens/ratings-{name}.csv" for name in "abcd"]
    uploaded: dict[str, list[str]] = {key: [] for key in keys}
    # Both see b and c; only one of them sees a, and only the other d.
    with _loader(bucket, file, "first", keys[:3]) as first, _loader(bucket, file, "second", keys[1:]) as second:
        for number in range(1, ROUNDS + 1):
            for key in keys:
                bucket.put(
                    key, f"userId,movieId,rating,timestamp\n{number},1,4.0,{number}\n{number},2,4.0,{len(key)}\n"
                )
            for listed in objects_of(RATINGS, bucket.store):
                uploaded[listed.key].append(listed.etag)
            for loader in (first, second):
                loader.stdin.write("\n")
                loader.stdin.flush()
            assert [loader.stdout.readline() for loader in (first, second)] == ["done\n"] * 2
    with DuckDBWarehouse(file, wait_seconds=0) as warehouse:
        loads = warehouse.loads(RATINGS)
        runs = dict(warehouse.execute("select load_id, run_id from ops.loads"))
        assert [load.load_id for load in loads] == list(range(1, 4 * ROUNDS + 1))
        assert [load.loaded_at for load in loads] == sorted(load.loaded_at for load in loads)
        for key in keys:
            assert [load.listed.etag for load in loads if load.listed.key == key] == uploaded[key]
        assert {runs[load.load_id] for load in loads if load.listed.key == keys[0]} == {"first"}
        assert {runs[load.load_id] for load in loads if load.listed.key == keys[3]} == {"second"}
        found = rows_of(warehouse, "raw.movielens_ratings_current")
    with DuckDBWarehouse(tmp_path / "serial.duckdb", wait_seconds=0) as serial:
        sync(RATINGS, bucket.store, serial, "serial", work_folder=tmp_path / "work")
        assert found == rows_of(serial, "raw.movielens_ratings_current")
    assert len(found) == 2 * len(keys)


@contextmanager
def _loader(bucket, file: Path, run_id: str, keys: Sequence[str]) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "netflix_assets_tests.proof.loader", bucket.home, bucket.name, file, run_id, *keys]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loader:
        try:
            assert loader.stdout.readline() == "ready\n"
            yield loader
        except BaseException:  # also on an interrupt or a timeout, end the process
            loader.kill()
            raise
        loader.stdin.close()
        assert loader.wait(60) == 0
