"""Fixtures that several tests share: a real S3 server for the session, a bucket and a warehouse for each test."""

import itertools
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import boto3
import pytest
from filelock import FileLock

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset, Freshness
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.ingest.sync import sync as sync_dataset
from netflix_assets.settings import read_settings
from netflix_assets.settings.environment import protect_bucket
from netflix_assets.storage.local_s3 import LocalS3, lease, local_s3
from netflix_assets.storage.locks import is_held
from netflix_assets.storage.objects import ObjectStore
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.demo import Demo, create_demo
from netflix_assets_tests.emulator import fixtures
from netflix_assets_tests.emulator.fixtures import SnowflakeDatabase

snowflake_server, snowflake_database = fixtures.snowflake_server, fixtures.snowflake_database

_bucket_numbers = itertools.count(1)
_MEMORY = Path("/dev/shm")  # noqa: S108
# Files that take 15 to 170 s of CPU. While test_graph.py creates the demo, files come that do not wait for it; while
# cli/test_erase.py creates a second home, files come that do not read it as cli/test_publish.py does.
_SLOWEST = (
    "warehouse/snowflake/test_graph.py", "warehouse/snowflake/test_edges.py", "test_graph.py",
    "ingest/test_validate.py", "defs/test_reuse.py", "proof/test_contract_changes.py", "defs/test_retry.py",
    "ingest/profile/test_proposal.py",
    "warehouse/snowflake/test_dbt_builds.py", "cli/test_erase.py", "defs/test_published.py", "test_definitions.py",
    "proof/test_edges.py", "proof/test_crashes.py", "cli/test_publish.py", "proof/test_shuffles.py",
    "proof/test_snapshot_crashes.py", "defs/dbt/test_project.py", "cli/test_run.py", "cli/test_bad_files.py",
    "cli/test_app.py", "defs/landing/test_sensor.py", "settings/test_environment.py", "ingest/test_sync.py",
    "cli/test_home.py", "ingest/test_dialects.py", "dev/test_docs.py", "cli/test_add_dataset.py", "test_secrets.py",
)  # fmt: skip
_SESSION = "netflix-assets-tests-"
_IN_MEMORY, _LOCK, _DEADLINE = pytest.StashKey[Path](), pytest.StashKey[FileLock](), pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--warehouse", choices=["duckdb", "snowflake"], default="duckdb", help="what `warehouse` is")
    parser.addoption("--cases", type=int, help="how many cases each suite in proof/ runs; without it, a few")
    parser.addoption(
        "--minutes", type=float, help="start no test after so many minutes; the week decides what is first"
    )
    parser.addoption("--files", help="a folder of CSV files for proof/test_foreign.py; without it, it makes its own")
    parser.addoption("--report", help="where proof/test_foreign.py writes the outcome of each file, as JSON")


@pytest.hookimpl(tryfirst=True)  # before pytest makes its folder
def pytest_configure(config: pytest.Config) -> None:
    # What a script starts in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    protect_bucket(read_settings())
    # A whole run commits 1,700 events one by one: 60 s on a disk, 51 s where none has to reach a disk. The tests kill
    # processes, not machines. They need 2.5 GB; somebody's own files may need more.
    if config.option.basetemp is not None or config.option.files or not _MEMORY.is_dir():
        return
    _remove_old_sessions()
    if shutil.disk_usage(_MEMORY).free > 6 * 2**30:
        folder = Path(mkdtemp(prefix=_SESSION, dir=_MEMORY))
        config.stash[_LOCK] = lock = FileLock(folder / "session.lock")
        lock.acquire()
        config.option.basetemp = str(folder / "tests")
        config.stash[_IN_MEMORY] = folder


def _remove_old_sessions() -> None:
    """Remove what failed sessions left: twenty of them filled 24 GB of memory, and the machine stood still."""
    for folder in _MEMORY.glob(f"{_SESSION}*"):
        with suppress(OSError):  # another user's, or removed by another session
            if not is_held(folder / "session.lock"):
                shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the slowest files first, so that no process is left alone with one at the end; others keep their order.

    With another warehouse, only tests that use it run: the others have run already.
    """
    order = {Path(__file__).parent / name: rank for rank, name in enumerate(_SLOWEST)}
    if gone := [path.name for path in order if not path.exists()]:
        raise pytest.UsageError(f"conftest.py lists files that are not there: {', '.join(gone)}")
    items.sort(key=lambda item: order.get(item.path, len(order)))
    if config.option.minutes:
        config.stash[_DEADLINE] = time.monotonic() + config.option.minutes * 60
        place = _shuffled({item.path for item in items})
        items.sort(key=lambda item: place[item.path])
    if config.option.warehouse != "duckdb":
        others = [item for item in items if "warehouse" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def _shuffled(paths: set[Path]) -> dict[Path, int]:
    """The place of each file in a run of limited time: every week begins with others."""
    year, week, _ = datetime.now(UTC).isocalendar()
    names = {path: path.relative_to(Path(__file__).parent).as_posix() for path in paths}
    places = sorted(paths, key=lambda path: sha256(f"{year}-{week} {names[path]}".encode()).digest())
    return {path: place for place, path in enumerate(places)}


@pytest.hookimpl(tryfirst=True)  # before fixtures
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.monotonic() > item.config.stash.get(_DEADLINE, math.inf):
        pytest.skip(f"not reached within {item.config.option.minutes:g} minutes")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Give the memory back; what failed can be looked at until the next session."""
    if (folder := session.config.stash.get(_IN_MEMORY, None)) and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of one test; ``put`` uploads by S3."""

    name: str
    home: Path
    store: ObjectStore
    scratch: Path

    def put(self, key: str, content: str | bytes) -> None:
        self.scratch.write_bytes(content.encode() if isinstance(content, str) else content)
        self.store.put(key, self.scratch)

    def delete(self, key: str) -> None:
        s3_client(local_s3(self.home)).delete_object(Bucket=self.name, Key=key)


def s3_client(server: LocalS3):
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A home in which `netflix-assets demo` has run once; to be copied, not changed."""
    return create_demo(tmp_path_factory)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalS3]:
    with lease(local_s3(tmp_path_factory.mktemp("s3_home")), "landing") as server:
        yield server


@pytest.fixture
def bucket(s3_server: LocalS3, tmp_path: Path) -> Iterator[Bucket]:
    name = f"bucket-{next(_bucket_numbers)}"
    # By S3, not as a folder: the server looks at its folder once a second only.
    s3_client(s3_server).create_bucket(Bucket=name)
    with LandingBucket(bucket=name, local_home=str(s3_server.home)).open() as store:
        yield Bucket(name, s3_server.home, store, tmp_path / "upload")


@pytest.fixture
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """An empty warehouse of the kind that ``--warehouse`` names, so that one suite is the contract of both."""
    if request.config.getoption("--warehouse") == "snowflake":
        yield request.getfixturevalue("emulated_warehouse")
        return
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=0) as connection:
        yield connection


@pytest.fixture
def emulated_warehouse(snowflake_database: SnowflakeDatabase, bucket: Bucket) -> Iterator[Warehouse]:
    from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse

    snowflake_database.execute(
        "create schema raw",
        "create schema ops",
        f"create stage raw.landing url = 's3://{bucket.name}/'",
        "create stage raw.normalised",
    )
    with SnowflakeWarehouse(snowflake_database.connect) as connection:
        yield connection


@pytest.fixture
def sync(bucket: Bucket, warehouse: Warehouse, tmp_path: Path) -> Callable[..., SyncReport]:
    """Sync a dataset with the test's bucket, or with ``store``, into the test's warehouse, or ``into`` another one."""

    def sync_test_dataset(
        dataset: Dataset, *, store: ObjectStore = bucket.store, into: Warehouse = warehouse, **options: object
    ) -> SyncReport:
        return sync_dataset(dataset, store, into, "run-1", work_folder=tmp_path / "work", **options)

    return sync_test_dataset


def landing_key(path: Path) -> str:
    """The key under which `netflix-assets land` puts a file: that of the dataset that its name begins with."""
    (key,) = (f"{each.source}/{path.name}" for each in load_sources() if each.dataset_of(f"{each.source}/{path.name}"))
    return key


def make_dataset(*columns: Column, name: str = "things", **changes: object) -> Dataset:
    """A dataset of a made-up source; ``changes`` are fields of the contract."""
    entry = {
        "source": "shop",
        "name": name,
        "description": "Things.",
        "mode": "append",
        "key": (),
        "columns": columns,
        "freshness": Freshness(warn_after_days=1, fail_after_days=2),
        **changes,
    }
    return Dataset.model_validate(entry)


def make_column(name: str, kind: str = "text", **rules: object) -> Column:
    return Column.model_validate({"name": name, "type": kind, "description": "A column.", **rules})
