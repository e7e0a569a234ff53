"""Erasing a person, step by step: killed after any step and run again, and with leftovers that must be named.

A small build stands in for the run of the whole graph, which cli/test_erase.py makes.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import duckdb
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from netflix_assets.contracts.loading import dataset_by_id
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.ingest.sync import sync
from netflix_assets.operations import erase as module
from netflix_assets.operations.erase import check_person, erase, find
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.settings import Settings, read_settings
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets.warehouse.builds import Build, Builds
from netflix_assets.warehouse.duckdb.access import DuckDBAccess
from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher
from netflix_assets.warehouse.node_states import NodeState, NodeStates
from netflix_assets.warehouse.publishing import ServedTable
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.emulator.fixtures import SnowflakeDatabase

TABLES = (
    "create or replace table core.fct_tags as select user_id, tag from raw.movielens_tags_current",
    "create or replace table marts.mart_tags as select tag, count(*) as n from core.fct_tags group by tag",
)
CANARY = "zebra crossing at dusk"
SERVED = [
    ServedTable("core", "fct_tags", node_id="model.shop.fct_tags"),
    ServedTable("marts", "mart_tags", node_id="model.shop.mart_tags"),
]
TAGS = f"userId,movieId,tag,timestamp\n7,1,{CANARY},1\n8,1,common remark,1\n7,1,{CANARY},x\n"


def build_and_publish(
    settings: Settings, run_id: str = "a run of the graph", is_refresh: bool = True
) -> SimpleNamespace:
    """Build a table per user, a table of texts and a snapshot, record the build and publish it, as a run does.

    ``is_refresh``: whether the two tables are built, and not left as they are.
    """
    with warehouse(settings).open("transformer") as connection:
        for schema in ("core", "marts", "snapshots"):
            connection.make_schema(schema)
        for statement in (
            *(TABLES if is_refresh else ()),
            "create table if not exists snapshots.snap_tags (user_id integer, tag varchar)",
            "insert into snapshots.snap_tags select * from core.fct_tags",
        ):
            connection.execute(statement)
        builds = Builds(connection)
        builds.prepare()
        now, number = datetime.now(UTC), len(builds.all())
        done = Build(
            f"models-{number}", run_id, "", now, now, is_whole=True, has_passed=True, inputs=connection.last_loads()
        )
        sample = [{"user_id": 7, "tag": "x"}] if number == 0 else []
        builds.finish(done, [], [], {"test": sample})
        NodeStates(connection).record(
            NodeState(each.node_id, "code", "content", "success", None, None, run_id, done.invocation_id, now)
            for each in (SERVED if is_refresh else ())
        )
    with warehouse(settings).publisher() as publisher:
        publisher.publish(SERVED)
    return SimpleNamespace(success=True, errors=())


def load_and_build(settings: Settings, folder: Path) -> None:
    """Load a file that knows user 7 and publish two versions built from it."""
    tags = dataset_by_id(settings.sources(), "movielens/tags")
    with landing_bucket(settings).open() as store:
        (folder / "tags.csv").write_text(TAGS)
        store.put("movielens/tags.csv", folder / "tags.csv")
        with warehouse(settings).open() as connection:
            sync(tags, store, connection, "run", work_folder=folder / "work")
    for number in range(2):
        build_and_publish(settings, is_refresh=number == 0)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with two published versions that know user 7."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    found = read_settings(home=tmp_path / "home", settle_seconds=0)
    load_and_build(found, tmp_path)
    with warehouse(found).open() as connection:  # so that a search of bytes finds it
        connection.execute("pragma force_compression = 'uncompressed'")
        connection.execute("create table core.fct_old as select * from core.fct_tags")
    monkeypatch.setattr(module, "run_graph", lambda settings, *_, **__: build_and_publish(settings))
    return found


@pytest.fixture
def emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snowflake_database: SnowflakeDatabase, bucket: Bucket
) -> Iterator[Settings]:
    """The same in an account, with its serving database."""
    server, s3 = snowflake_database.server, local_s3(bucket.home)
    address, serving = server.address(), f"{snowflake_database.name}_SERVING"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, value in {
        "NETFLIX_ENV": "production", "NETFLIX_SNOWFLAKE_ACCOUNT": "org-account", "NETFLIX_SNOWFLAKE_USER": "RUNNER",
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY": key.private_bytes(*form).decode(),
        "NETFLIX_SNOWFLAKE_HOST": address["host"], "NETFLIX_SNOWFLAKE_PORT": str(address["port"]),
        "NETFLIX_SNOWFLAKE_PROTOCOL": "http", "NETFLIX_SNOWFLAKE_DATABASE": snowflake_database.name,
        "NETFLIX_BUCKET": bucket.name, "NETFLIX_S3_ENDPOINT": s3.endpoint, "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with server.new_database(serving):
        server.execute(*(f"create schema {serving}.{each}" for each in ("core", "marts", "core_next", "marts_next")))
        snowflake_database.execute(
            "create schema raw", "create schema ops", "create stage raw.normalised",
            f"create stage raw.landing url = 's3://{bucket.name}/production/'",
        )  # fmt: skip
        found = read_settings(home=tmp_path / "home")
        found.home.mkdir()
        load_and_build(found, tmp_path)
        monkeypatch.setattr(module, "run_graph", lambda settings, *_, **__: build_and_publish(settings))
        yield found


@pytest.mark.emulated
def test_a_person_is_erased_from_an_account(emulated: Settings) -> None:
    places = find(emulated, "7").places
    serving = str(emulated.serving_database).lower()
    assert places == {
        "raw.movielens_tags": 1, "ops.rejected_rows of movielens/tags": 1, "ops.failing_rows": 1, "core.fct_tags": 1,
        "snapshots.snap_tags": 2, f"{serving}.core.fct_tags": 1, f"{serving}.core_next.fct_tags": 1,
    }  # fmt: skip
    done = erase(emulated, Mock(), "7")
    assert (done.left.places, done.objects, len(done.forgotten)) == ({}, ["movielens/tags.csv"], 1)
    with warehouse(emulated).open("reader") as connection:
        assert connection.execute("select user_id, tag from core.fct_tags") == [(8, "common remark")]
        ledger = connection.execute("select rows_in, rows_loaded, rows_rejected, rows_erased from ops.loads")
        assert ledger == [(3, 1, 0, 2)]
    with warehouse(emulated).served() as served:
        assert served is not None
        assert served.query("select tag from marts.mart_tags")[1] == [("common remark",)]


def versions(settings: Settings) -> int:
    return len(list((settings.published_folder / "versions").iterdir()))


def assert_erased(settings: Settings) -> None:
    assert find(settings, "7", [CANARY]).places == {}
    assert versions(settings) == 1
    with warehouse(settings).open("reader") as connection:
        assert connection.execute("select user_id, tag from core.fct_tags") == [(8, "common remark")]
        ledger = connection.execute("select rows_in, rows_loaded, rows_rejected, rows_erased from ops.loads")
        assert ledger == [(3, 1, 0, 2)]


def test_a_person_is_found_everywhere_and_erased(settings: Settings) -> None:
    places = find(settings, "7").places
    assert set(places) >= {
        "raw.movielens_tags", "ops.rejected_rows of movielens/tags", "ops.failing_rows", "core.fct_tags",
        "snapshots.snap_tags", "warehouse.duckdb",
    }  # fmt: skip
    assert sum(place.endswith("fct_tags.parquet") for place in places) == 2
    done = erase(settings, Mock(), "7")
    assert done.left.places == {}
    assert (done.objects, done.unread) == (["movielens/tags.csv"], [])
    assert len(done.forgotten) == 2
    assert_erased(settings)
    again = erase(settings, Mock(), "7")
    assert (again.found.places, again.left.places) == ({}, {})


# In the order in which erasing reaches them.
POINTS: dict[str, tuple[object, str]] = {
    "the list": (module.erasures, "record_erasure"),
    "a dataset's lock": (module.Warehouse, "lock"),
    "rows deleted": (module.erasures, "delete_rows"),
    "rejects deleted": (module.erasures, "delete_rejects"),
    "a dataset": (module, "erase_person"),
    "built tables": (module.erasures, "delete_built"),
    "the run": (module, "run_graph"),
    "all versions removed": (DuckDBPublisher, "forget_others"),
    "the file rewritten": (DuckDBAccess, "clear_deleted"),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_after_any_step_is_completed_by_running_it_again(settings: Settings, point: str) -> None:
    killed = multiprocessing.get_context("fork").Process(target=erase_and_die, args=(settings, *POINTS[point]))
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert erase(settings, Mock(), "7").left.places == {}
    assert_erased(settings)


def test_no_file_that_versions_share_keeps_a_person(settings: Settings) -> None:
    """Also not when a run publishes between two attempts to erase."""
    folders = list((settings.published_folder / "versions").iterdir())
    shared = ("netflix.duckdb", "parquet/core/fct_tags.parquet", "parquet/marts/mart_tags.parquet")
    assert len({(folder / file).stat().st_ino for file in shared for folder in folders}) == len(shared)
    killed = multiprocessing.get_context("fork").Process(target=erase_and_die, args=(settings, *POINTS["built tables"]))
    killed.start()
    killed.join(60)
    build_and_publish(settings, is_refresh=False)
    assert erase(settings, Mock(), "7").left.places == {}
    assert_erased(settings)
    (version,) = (settings.published_folder / "versions").iterdir()
    assert all((version / file).stat().st_nlink == 1 for file in shared)
    with duckdb.connect(str(version / "netflix.duckdb"), read_only=True) as connection:
        assert connection.execute("select user_id from core.fct_tags").fetchall() == [(8,)]


def erase_and_die(settings: Settings, owner: object, name: str) -> None:
    original: Callable[..., object] = getattr(owner, name)

    def dies(*arguments: object, **options: object) -> None:
        original(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dies)
    erase(settings, Mock(), "7")


def test_a_run_that_fails_is_reported_and_the_published_version_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = SimpleNamespace(success=False, errors=("core/fct_tags: a test failed",))
    monkeypatch.setattr(module, "run_graph", lambda *_, **__: failed)
    with pytest.raises(OperationError, match=r"(?s)could not be rebuilt.*a test failed.*run the same command again"):
        erase(settings, Mock(), "7")
    assert versions(settings) == 2
    monkeypatch.setattr(module, "run_graph", lambda settings, *_, **__: build_and_publish(settings))
    assert erase(settings, Mock(), "7").left.places == {}
    assert_erased(settings)


def test_copies_that_nobody_knows_of_are_named(settings: Settings) -> None:
    copy = settings.home / "dagster" / "history" / "runs" / "run.db"
    copy.parent.mkdir(parents=True)
    copy.write_text(json.dumps({"tag": CANARY}))
    with warehouse(settings).open() as connection:
        connection.execute("create table core.an_old_copy as select 7 as similar_user_id")
    done = erase(settings, Mock(), "7")
    assert done.left.places == {"dagster/history/runs/run.db": 1}


def test_a_pinned_version_is_unpinned(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rebuilt = Mock()
    monkeypatch.setattr(module.publish, "rebuild_dashboards", rebuilt)
    monkeypatch.setattr(module.publish, "open_instance", lambda _: nullcontext(Mock()))
    with warehouse(settings).publisher() as publisher:
        publisher.pin(publisher.versions()[1].version)
    assert erase(settings, Mock(), "7").left.places == {}
    assert rebuilt.called
    assert_erased(settings)


@pytest.mark.parametrize(("user", "expected"), [("7", "7"), (" 007 ", "7")])
def test_ids_are_read_in_one_form(tmp_path: Path, user: str, expected: str) -> None:
    assert check_person(read_settings(home=tmp_path), user) == expected


def test_what_cannot_be_erased_is_refused(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    with pytest.raises(InputError, match=r"'7a' is not a user: movielens/ratings has user_id as integer"):
        check_person(settings, "7a")
    with pytest.raises(InputError, match="branches do not publish"):
        check_person(settings.model_copy(update={"schema_prefix": "pr_1_"}), "7")
    with pytest.raises(OperationError, match="nothing has been loaded yet"):
        find(settings, "7")
