"""Whatever happens to the bucket and the loader, in any order: each object version counts once, and none is lost.

Hypothesis generates sequences of steps over three datasets (append, upsert, overwrite) in one bucket and one
warehouse. Objects are added, changed, reverted, deleted and broken, with wrong clocks. Runs complete, fail at any
statement or read, crash, run concurrently, and have objects change while they read. A model in plain Python predicts
the ledger and the tables after each step, to the row and to the load id.

A crash is simulated by reopening a copy of the database files of that moment; test_crashes.py kills real processes.
"""

import gzip
import hashlib
import itertools
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.ingest import sync as sync_module
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.loads import Counts
from netflix_assets_tests.conftest import s3_client

# Steps of a sequence. After each run, everything is compared.
STEPS = 20

BOUNDED_SEQUENCES = 10
LONG_SEQUENCES = 200  # enough for every kind of step

BUCKET = "sequences"
SOURCES = load_sources()
DATASETS = {name: dataset_by_id(SOURCES, f"movielens/{name}") for name in ("movies", "ratings", "tags")}
MIDNIGHT = datetime(2024, 5, 1, tzinfo=UTC)


def keys_of(name: str) -> list[str]:
    return [f"movielens/{name}{rest}" for rest in ("-0.csv", ".csv", "/part.csv.gz", "-z.csv")]


# ---------------------------------------------------------------- contents of objects


@dataclass(frozen=True)
class Content:
    """A possible content of an object. ``rejects``: numbers of its faulty records.

    ``refusal``: start of the reason if it is always refused. ``outcome``: refused or ignored.
    """

    name: str
    body: bytes
    rows: tuple[tuple, ...] = ()
    rejects: tuple[int, ...] = ()
    refusal: str = ""
    outcome: str = "refused"

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(f"<{self.name}>")

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


HEADERS = {"movies": "movieId,title,genres", "ratings": "userId,movieId,rating,timestamp",
           "tags": "userId,movieId,tag,timestamp"}  # fmt: skip
FAULTY = {"movies": "x,Film (1999),Drama", "ratings": "1,101,4.25,1600000001", "tags": "1,101,tag"}


def record(name: str, number: int) -> tuple[str, tuple]:
    """A record as text and as a row."""
    epoch = 1_600_000_000 + number
    if name == "movies":
        return f'{number},"Film, the ""{number}""",Drama', (number, f'Film, the "{number}"', "Drama")
    if name == "ratings":
        return f"{number},{number + 100},3.5,{epoch}", (number, number + 100, Decimal("3.5"), epoch)
    return f"{number},{number + 100},tag {number},{epoch}", (number, number + 100, f"tag {number}", epoch)


def content(name: str, label: str, *numbers: int, pack: bool = False, end: str = "\n") -> Content:
    """An object with these records, in order; 0 is a faulty one."""
    records = [record(name, number) if number else (FAULTY[name], None) for number in numbers]
    text = end.join([HEADERS[name], *(text for text, _ in records), ""]).encode()
    return Content(
        label,
        gzip.compress(text, mtime=0) if pack else text,
        tuple(row for _, row in records if row is not None),
        tuple(at for at, number in enumerate(numbers, start=1) if number == 0),
    )


def contents_of(name: str) -> list[Content]:
    lacking = HEADERS[name].partition(",")[2]
    return [
        content(name, "one", 1),
        content(name, "two", 1, 2),
        content(name, "a record twice", 3, 3),
        content(name, "CRLF", 4, 5, end="\r\n"),
        content(name, "packed", 5, 6, pack=True),
        content(name, "some faulty", 0, 7, 0, 1),
        content(name, "all faulty", 0, 0),
        Content("broken header", f"{lacking}\n1,2,3\n".encode(), refusal="the header is missing"),
        Content("empty", b"", refusal="the file is empty (0 bytes)"),
        Content("no records", f"{HEADERS[name]}\n".encode(), refusal="the file has a header but", outcome="ignored"),
    ]  # fmt: skip


CONTENTS = {name: contents_of(name) for name in DATASETS}


# ---------------------------------------------------------------- the model


@dataclass
class Loaded:
    """A load that the ledger must contain. Loads are identified by their position in it, from 1."""

    key: str
    content: Content
    modified: datetime
    superseded_by: int | None = None


@dataclass
class Model:
    """The expected state of a dataset.

    ``live``: objects in the bucket. ``quarantined``: refused versions of objects that were not loaded since -> reason.
    """

    name: str
    live: dict[str, tuple[Content, datetime]] = field(default_factory=dict)
    earlier: dict[str, list[Content]] = field(default_factory=dict)
    ledger: list[Loaded] = field(default_factory=list)
    quarantined: dict[tuple[str, Content], str] = field(default_factory=dict)

    @property
    def replaces_all(self) -> bool:
        return self.name == "movies"

    @property
    def current(self) -> list[Loaded]:
        return [load for load in self.ledger if load.superseded_by is None]

    @property
    def pending(self) -> list[str]:
        """Keys of the objects that the next run reads, in order; for an overwrite dataset, only the first of them."""
        open_keys = [key for key in sorted(self.live) if (key, self.live[key][0]) not in self.quarantined]
        if self.replaces_all:
            return self._newest(open_keys)
        loaded = {(load.key, load.content) for load in self.current}
        return [key for key in open_keys if (key, self.live[key][0]) not in loaded]

    def _newest(self, keys: list[str]) -> list[str]:
        if not keys:
            return []
        modified, key = max((self.live[key][1], key) for key in keys)
        for load in self.current:
            stays = load.key not in keys and (load.modified, load.key) > (modified, key)
            if stays or (load.key, load.content) == (key, self.live[key][0]):
                return []
        return [key]

    def refusal(self, key: str, content: Content) -> str:
        """Start of the reason for refusing this version now; empty when it loads."""
        replaced = [load for load in self.current if self.replaces_all or load.key == key]
        if not content.refusal and not content.rows and any(load.content.rows for load in replaced):
            return "all 2 records violate the contract"
        return content.refusal

    def take(self, key: str, content: Content, modified: datetime) -> None:
        """The loader processes one object version."""
        reason = self.refusal(key, content)
        if reason:
            self.quarantined[key, content] = reason
            return
        for load in self.current:
            if self.replaces_all or load.key == key:
                load.superseded_by = len(self.ledger) + 1
        self.ledger.append(Loaded(key, content, modified))
        self.quarantined = {version: reason for version, reason in self.quarantined.items() if version[0] != key}

    def take_live(self, *keys: str) -> None:
        for key in keys:
            self.take(key, *self.live[key])

    def live_load(self, key: str) -> Loaded | None:
        """The live load in the slot of this key."""
        return next((load for load in self.current if self.replaces_all or load.key == key), None)

    def take_late(self, staged: list[tuple[str, Content, datetime, Loaded | None]]) -> None:
        """A run continues with what it read before another run changed the ledger.

        Versions loaded meanwhile are skipped. Where the live load has changed since, the run lists again.
        """
        before = len(self.ledger)
        loaded = {(load.key, load.content) for load in self.current}
        skipped = [each for each in staged if not each[1].refusal and each[:2] in loaded]
        overtaken = [each for each in staged if not each[1].refusal and self.live_load(each[0]) is not each[3]]
        for each in staged:
            if each not in skipped and each not in overtaken:
                self.take(*each[:3])
        was_refused = self.replaces_all and len(self.ledger) == before and not skipped
        if was_refused or any(each not in skipped for each in overtaken):
            self.run()

    @property
    def has_reupload(self) -> bool:
        return self.replaces_all and any(
            self.live.get(load.key, (None, None))[0] == load.content and self.live[load.key][1] != load.modified
            for load in self.current
        )

    def update_last_modified(self) -> None:
        """The loaded bytes of an overwrite dataset were uploaded again: the load takes their last_modified."""
        for load in self.current:
            content, modified = self.live.get(load.key, (None, None))
            if self.replaces_all and load.content == content:
                load.modified = modified

    def run(self) -> None:
        """A run that completes."""
        self.update_last_modified()
        while self.pending:
            self.take_live(*self.pending)

    def batches(self, size: int) -> Iterator[list[str]]:
        """The batches a run commits; the caller processes each one before asking for the next."""
        if self.replaces_all:
            while self.pending:
                yield self.pending
        else:
            pending = self.pending
            yield from (pending[start : start + size] for start in range(0, len(pending), size))

    def assert_in_sync(self) -> None:
        """After a completed run, checked without the model's own run: everything that can be loaded is."""
        open_keys = [key for key, (content, _) in self.live.items() if not self.refusal(key, content)]
        versions = Counter((load.key, load.content) for load in self.current)
        assert max(versions.values(), default=1) == 1
        if not self.replaces_all:
            assert {(key, self.live[key][0]) for key in open_keys} <= set(versions)
        elif open_keys:
            [load] = self.current
            modified, key = max((self.live[key][1], key) for key in open_keys)
            is_newest = (load.key, load.content) == (key, self.live[key][0])
            assert is_newest or (load.key not in open_keys and (load.modified, load.key) > (modified, key))


# ---------------------------------------------------------------- faults


class Fault(Exception):
    """A failure that fails the run."""


class Crash(BaseException):
    """The process dies."""


@dataclass
class Trigger:
    """Acts once, when a point is reached for the n-th time (from 1). Thread-safe."""

    place: str = ""
    number: int = 0
    act: Callable[[], None] = lambda: None
    fired: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, place: str) -> None:
        with self._lock:
            self.number -= place == self.place
            fires = self.number == 0 and place == self.place and not self.fired
            self.fired = self.fired or fires
        if fires:
            self.act()


class WatchedWarehouse(DuckDBWarehouse):
    """Calls ``at`` before each statement, before BEGIN and COMMIT and after COMMIT."""

    at: Trigger = Trigger()
    inside = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.at("begin")
        with super().transaction():
            self.inside = True
            try:
                yield
                self.at("commit")
            finally:
                self.inside = False
        self.at("committed")

    def execute(self, statement, parameters=()):
        self.at("statement of a load" if self.inside else "statement")
        return super().execute(statement, parameters)


class WatchedStore:
    """The real bucket, with the sequence's clock; calls ``at`` before each read and in the middle of it."""

    def __init__(self, store, modified: Callable[[str], datetime]) -> None:
        self.bucket = store.bucket
        self.at = Trigger()
        self.fetched: list[str] = []
        self.real = store
        self._modified = modified

    def list(self, key_prefix):
        listing = self.real.list(key_prefix)
        return sorted(
            type(each)(each.bucket, each.key, each.etag, each.size, self._modified(each.key)) for each in listing
        )

    def read(self, listed):
        self.fetched.append(listed.key)
        self.at("read")
        blocks = b"".join(self.real.read(listed))
        yield blocks[: len(blocks) // 2]
        self.at("half a read")
        yield blocks[len(blocks) // 2 :]


# ---------------------------------------------------------------- the sequences


@dataclass
class World:
    """Shared by the sequences of a session: the S3 server, a folder, and counts of the steps."""

    server: object
    folder: Path
    client: object
    sequences: int = 0
    done: Counter = field(default_factory=Counter)


names = st.sampled_from(sorted(DATASETS))
versions = names.flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(keys_of(name)), st.sampled_from(CONTENTS[name]))
)
# Seconds between an object's clock and the previous one: the next second, the same, later, an hour back, an hour ahead.
clocks = st.sampled_from([1, 0, 60, -3600, 3600])
batches = st.sampled_from([1, 2, 1_000])

# Where a run can be interrupted, and about how often it passes there when it loads one object.
STATEMENTS = {"statement": 14, "begin": 2, "statement of a load": 11, "commit": 2, "committed": 2}
READS = {"read": 2, "half a read": 2}


def one_of(places: dict[str, int]) -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from([(place, number) for place, times in places.items() for number in range(1, times + 1)])


WEIGHTS = {
    "put": 12, "put_same_bytes_again": 2, "put_earlier_content": 3, "delete": 2, "run": 3, "failed_run": 6,
    "crashed_run": 5, "two_runs_at_once": 3, "changed_while_read": 2, "overtaken_run": 2,
}  # fmt: skip


def ledger_row(load: Loaded) -> tuple:
    loaded, rejected = len(load.content.rows), len(load.content.rejects)
    modified = load.modified.replace(tzinfo=None)
    is_current = load.superseded_by is None
    return load.key, load.content.etag, modified, loaded + rejected, loaded, rejected, load.superseded_by, is_current


class Sequence(RuleBasedStateMachine):
    """One sequence; its steps are counted by name."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.sequences += 1
        self.models = {name: Model(name) for name in DATASETS}
        self.now = MIDNIGHT
        self.failed = False
        self.number = self.world.sequences
        self.folder = self.world.folder / str(self.number)
        self.files = (self.folder / f"{number}" / "warehouse.duckdb" for number in itertools.count(1))
        self.resources = ExitStack()
        landing = LandingBucket(bucket=BUCKET, prefix=f"{self.number}/", local_home=str(self.world.server.home))
        self.store = WatchedStore(self.resources.enter_context(landing.open()), self.modified)
        self.warehouse = WatchedWarehouse(next(self.files), wait_seconds=0)

    def teardown(self) -> None:
        try:
            if not self.failed:
                for name in DATASETS:
                    self.complete(name)
        finally:
            self.warehouse.close()
            self.resources.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # What steps need

    @contextmanager
    def step(self, name: str) -> Iterator[Model]:
        self.failed = True  # until the step completes
        yield self.models[name]
        self.failed = False

    def done(self, *kinds: str) -> None:
        self.world.done.update(kinds)

    def modified(self, key: str) -> datetime:
        return next(model.live[key][1] for model in self.models.values() if key in model.live)

    def upload(self, model: Model, key: str, content: Content, clock: int) -> None:
        self.world.client.put_object(Bucket=BUCKET, Key=f"{self.number}/{key}", Body=content.body)
        model.live[key] = (content, self.now + timedelta(seconds=clock))
        model.earlier.setdefault(key, []).append(content)
        if abs(clock) < 3600:  # one sender's wrong clock does not move the sequence's clock
            self.now = model.live[key][1]

    def sync(self, name: str, warehouse=None, store=None, at: Trigger | None = None, batch: int = 1_000):
        """One sync by the real loader."""
        warehouse, store = warehouse or self.warehouse, store or self.store
        warehouse.at = store.at = at or Trigger()
        try:
            with patch.object(sync_module, "BATCH_OBJECTS", batch):
                return sync_module.sync(DATASETS[name], store, warehouse, "run-1", work_folder=self.folder / "work")
        finally:
            warehouse.at = store.at = Trigger()

    def complete(self, name: str) -> None:
        """Complete a run; check its report and its result, and that one more run does nothing."""
        model = self.models[name]
        before = len(model.ledger)
        report = self.sync(name)
        model.run()
        assert [load.load_id for load in report.loads] == self.load_ids(model)[before:]
        self.check_report(model, report)
        model.assert_in_sync()
        self.check(model)
        self.idle(model)

    def idle(self, model: Model) -> None:
        self.store.fetched.clear()
        ids = self.load_ids(model)
        report = self.sync(model.name)
        assert (report.loads, self.store.fetched) == ([], [])
        self.check_report(model, report)
        assert self.load_ids(model) == ids

    def load_ids(self, model: Model) -> list[int]:
        """The dataset's load ids in commit order, as far as row order shows it."""
        dataset = (DATASETS[model.name].id,)
        rows = self.warehouse.execute("select load_id from ops.loads where dataset = ? order by rowid", dataset)
        return [row[0] for row in rows]

    def check_report(self, model: Model, report) -> None:
        deleted = {load.listed.key for load in report.deleted}
        assert deleted == {load.key for load in model.current} - set(model.live)
        reported = {(each.listed.key, each.listed.etag): (each.outcome, each.reason) for each in report.refused}
        expected = {
            (key, content.etag): (content.outcome, reason)
            for (key, content), reason in model.quarantined.items()
            if key in model.live and model.live[key][0] == content
        }
        assert reported.keys() == expected.keys()
        for version, (outcome, reason) in expected.items():
            assert reported[version][0] == outcome
            assert reported[version][1].startswith(reason)

    def check(self, model: Model) -> None:
        """The ledger and the tables equal the model."""
        dataset, table = DATASETS[model.name], DATASETS[model.name].table
        # Ids may have gaps (an object refused inside a transaction uses one up); positions have none.
        ids = self.load_ids(model)
        positions = {load_id: position for position, load_id in enumerate(ids, start=1)}
        ledger = self.warehouse.execute(
            """
            select object_key, etag, last_modified, rows_in, rows_loaded, rows_rejected, superseded_by, is_current
            from ops.loads where dataset = ? order by load_id
            """,
            (dataset.id,),
        )
        found = [(*row[:6], positions.get(row[6]), row[7]) for row in ledger]
        assert found == [ledger_row(load) for load in model.ledger]
        assert ids == sorted(set(ids))
        moments = [load.loaded_at for load in self.warehouse.loads(dataset)]
        assert moments == sorted(moments)
        [[last]] = self.warehouse.execute("select last_load_id from ops.load_locks where dataset = ?", (dataset.id,))
        assert last >= max(ids, default=0)

        # The raw table has the rows of every load, the view those of current loads.
        names = ", ".join([*(column.name for column in dataset.columns), "_load_id"])
        rows = [(*row, load_id) for load_id, load in zip(ids, model.ledger, strict=True) for row in load.content.rows]
        assert Counter(self.warehouse.execute(f"select {names} from raw.{table}")) == Counter(rows)
        current = Counter((*row, load.key) for load in model.current for row in load.content.rows)
        names = names.replace("_load_id", "_object_key")
        assert Counter(self.warehouse.execute(f"select {names} from raw.{table}_current")) == current

        kept = [(row["object_key"], row["record_number"]) for row in self.warehouse.rejected_rows(dataset)]
        rejects = [(load.key, number) for load in model.current for number in load.content.rejects]
        assert sorted(kept) == sorted(rejects)
        quarantined = {(each.listed.key, each.listed.etag) for each in self.warehouse.refused_objects(dataset)}
        assert quarantined == {(key, content.etag) for key, content in model.quarantined}
        count = current.total()
        assert self.warehouse.counts(dataset) == Counts(0, count, count, len(rejects), len(rejects))

    def adopt(self, name: str, size: int) -> None:
        """After an aborted run: check that it left complete batches only, and apply them to the model."""
        model, dataset = self.models[name], DATASETS[name]
        self.warehouse.prepare(dataset)
        noted = self.warehouse.execute(
            "select last_modified from ops.loads where dataset = ? and is_current", (dataset.id,)
        )
        if noted != [(ledger_row(load)[2],) for load in model.current]:
            model.update_last_modified()  # a separate transaction, before anything is read
        left = len(self.load_ids(model)) - len(model.ledger)
        quarantined = {(each.listed.key, each.listed.etag) for each in self.warehouse.refused_objects(dataset)}
        for batch in model.batches(size):
            refused = [key for key in batch if model.refusal(key, model.live[key][0])]
            loads = len(batch) - len(refused)
            recorded = [key for key in refused if (key, model.live[key][0].etag) in quarantined]
            if loads > left or (loads == 0 and recorded != refused):
                model.take_live(*recorded)  # a refusal by validation is not a load and commits separately
                break
            model.take_live(*batch)
            left -= loads
        assert left == 0, f"{left} loads of a partly committed batch"
        self.check(model)

    def reopen(self, files: Path | None = None) -> None:
        """Reopen the warehouse, or the files that a crash left."""
        self.warehouse.close()
        self.warehouse = WatchedWarehouse(files or self.warehouse.file, wait_seconds=0)

    def second_run(self, name: str):
        """Another run in the middle of ours: its report, or None when it lost the race."""
        with WatchedWarehouse(self.warehouse.file, wait_seconds=0) as warehouse:
            try:
                return self.sync(name, warehouse, WatchedStore(self.store.real, self.modified))
            except duckdb.TransactionException:
                return None

    def crash(self, copy: Path) -> None:
        copy.parent.mkdir(parents=True)
        for file in self.warehouse.file.parent.iterdir():
            shutil.copy(file, copy.parent / file.name)
        raise Crash

    # Possible next steps

    # One rule with our own weights: by itself, Hypothesis leaves rules out of whole sequences, and most sequences were
    # runs over an empty bucket.
    @rule(step=st.runner().flatmap(lambda self: self.any_step()))
    def next(self, step):
        name, arguments = step
        getattr(self, name)(**arguments)

    def any_step(self) -> st.SearchStrategy[tuple[str, dict]]:
        possible = self.possible_steps()
        weighted = [name for name in possible for _ in range(WEIGHTS[name])]
        return st.sampled_from(weighted).flatmap(
            lambda name: st.tuples(st.just(name), st.fixed_dictionaries(possible[name]))
        )

    def possible_steps(self) -> dict[str, dict[str, st.SearchStrategy]]:
        """Names of possible steps, with their arguments."""
        steps = {"put": {"version": versions, "clock": clocks}, "run": {"name": names}}
        live = [(name, key) for name, model in self.models.items() for key in sorted(model.live)]
        if live:
            steps["put_same_bytes_again"] = {"found": st.sampled_from(live), "clock": clocks}
            steps["delete"] = {"found": st.sampled_from(live)}
        returns = self.returns()
        if returns:
            steps["put_earlier_content"] = {"version": st.sampled_from(returns), "clock": clocks}
        open_names = [name for name, model in self.models.items() if model.pending]  # a run reads something
        if open_names:
            name = st.sampled_from(open_names)
            anywhere = one_of({**STATEMENTS, **READS})
            steps["failed_run"] = {"name": name, "moment": anywhere, "batch": batches}
            steps["crashed_run"] = {"name": name, "moment": one_of(STATEMENTS), "batch": batches}
            steps["two_runs_at_once"] = {"name": name, "moment": one_of({**STATEMENTS, "read": 2})}
            steps["changed_while_read"] = {"version": name.flatmap(self.changes), "clock": clocks}
            steps["overtaken_run"] = {"version": name.flatmap(self.changes), "clock": clocks}
        return steps

    def returns(self) -> list[tuple[str, str, Content]]:
        """Contents that an object had before and does not have now."""
        return [
            (name, key, content)
            for name, model in self.models.items()
            for key, contents in sorted(model.earlier.items())
            for content in dict.fromkeys(contents)
            if content != model.live.get(key, (None,))[0]
        ]

    def changes(self, name: str) -> st.SearchStrategy[tuple[str, str, Content]]:
        """Objects of the dataset with a content other than their current one."""
        live = {(key, content) for key, (content, _) in self.models[name].live.items()}
        return st.sampled_from(
            [(name, key, content) for key in keys_of(name) for content in CONTENTS[name] if (key, content) not in live]
        )

    # Changes of the bucket

    def put(self, version, clock):
        name, key, content = version
        with self.step(name) as model:
            before = model.live[key][0] if key in model.live else None
            self.upload(model, key, content, clock)
            if before is None:
                self.done("put")
            elif before != content:
                self.done("fixed" if before.refusal and not content.refusal else "overwritten")

    def put_same_bytes_again(self, found, clock):
        name, key = found
        with self.step(name) as model:
            self.upload(model, key, model.live[key][0], clock)
            self.done("the same again")

    def put_earlier_content(self, version, clock):
        name, key, content = version
        with self.step(name) as model:
            self.upload(model, key, content, clock)
            self.done("returned")

    def delete(self, found):
        name, key = found
        with self.step(name) as model:
            self.world.client.delete_object(Bucket=BUCKET, Key=f"{self.number}/{key}")
            del model.live[key]
            self.done("deleted")

    # Runs of the loader

    def run(self, name):
        with self.step(name):
            self.complete(name)
            self.done("run")

    def failed_run(self, name, moment, batch):
        def fail() -> None:
            raise Fault

        self.aborted_run(name, Trigger(*moment, fail), batch, "failed")

    def crashed_run(self, name, moment, batch):
        copy = next(self.files)
        self.aborted_run(name, Trigger(*moment, partial(self.crash, copy)), batch, "crashed", copy)

    def aborted_run(self, name: str, trigger: Trigger, batch: int, kind: str, files: Path | None = None) -> None:
        with self.step(name) as model:
            try:
                self.sync(name, at=trigger, batch=batch)
            except (Fault, Crash):
                self.reopen(files)
                self.adopt(name, batch)
                self.done(f"{kind} at {trigger.place}")
            else:
                assert not trigger.fired
                model.run()
                self.check(model)

    def two_runs_at_once(self, name, moment):
        reports = []
        trigger = Trigger(*moment, lambda: reports.append(self.second_run(name)))
        with self.step(name) as model:
            before = len(model.ledger)
            try:
                reports.append(self.sync(name, at=trigger))
            except duckdb.TransactionException:
                reports.append(None)
            completed = [report for report in reports if report]
            assert completed  # one of the two succeeds
            model.run()
            new = sorted(load.load_id for report in completed for load in report.loads)
            assert new == self.load_ids(model)[before:]
            self.complete(name)
            self.done(*["two runs"] * trigger.fired, *["two runs, one lost"] * (None in reports))

    def changed_while_read(self, version, clock):
        """The object, or another one of its dataset, changes between the listing and the first read."""
        name, key, content = version

        reads_again = False

        def change() -> None:
            nonlocal reads_again
            others = [each for each in model.pending if each != key]
            before = len(model.ledger)
            # A second round follows when an object changed, or when an overwrite dataset's newest object is refused.
            reads_again = key in model.pending
            model.take_live(*others)
            reads_again = reads_again or (model.replaces_all and len(model.ledger) == before)
            self.upload(model, key, content, clock)

        with self.step(name) as model:
            self.sync(name, at=Trigger("read", 1, change))
            if reads_again:
                model.run()
            self.complete(name)
            self.done("changed while read")

    def overtaken_run(self, version, clock):
        """An object changes and another run loads it, after this run has read its objects and before it commits them.

        If the other run loaded something, this run lists again. If the object only returned to its loaded content, this
        run cannot notice; the next run corrects it.
        """
        name, key, content = version
        staged = []

        def overtake() -> None:
            staged.extend((each, *model.live[each], model.live_load(each)) for each in model.pending)
            self.upload(model, key, content, clock)
            model.run()
            self.second_run(name)

        with self.step(name) as model:
            # A repeated upload of the same bytes is recorded in a transaction before anything is read.
            self.sync(name, at=Trigger("begin", 1 + model.has_reupload, overtake))
            model.take_late(staged)
            self.check(model)
            self.complete(name)
            self.done("overtaken")


KINDS = {
    "put", "overwritten", "fixed", "the same again", "returned", "deleted", "run", "two runs", "two runs, one lost",
    "changed while read", "overtaken", *(f"crashed at {place}" for place in STATEMENTS),
    *(f"failed at {place}" for place in (*STATEMENTS, *READS)),
}  # fmt: skip


@pytest.fixture(scope="session")
def world(s3_server, tmp_path_factory) -> World:
    client = s3_client(s3_server)
    client.create_bucket(Bucket=BUCKET)
    return World(s3_server, tmp_path_factory.mktemp("sequences"), client)


def test_each_version_counts_once_whatever_happens(world, cases):
    wanted = cases(BOUNDED_SEQUENCES)
    is_bounded = wanted <= BOUNDED_SEQUENCES
    machine = type("Sequence", (Sequence,), {"world": world})
    # The bounded run is deterministic; the long one tries new sequences and prints the steps that failed.
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=wanted,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=is_bounded,
            # Shrinking a failing sequence takes minutes, too long for `make test-long`.
            phases=[Phase.generate] if is_bounded else [Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    figures = ", ".join(f"{kind} {count}" for kind, count in sorted(world.done.items()))
    print(f"{world.sequences} sequences: {figures}")
    assert world.sequences >= wanted
    # A kind of step that never happened proves nothing. A few sequences cannot cover every point of failure.
    is_long = wanted >= LONG_SEQUENCES
    wanted_kinds = KINDS if is_long else {kind.partition(" at ")[0] for kind in KINDS}
    missing = wanted_kinds - {kind if is_long else kind.partition(" at ")[0] for kind in world.done}
    assert not missing or wanted < BOUNDED_SEQUENCES, f"never done: {missing}"
