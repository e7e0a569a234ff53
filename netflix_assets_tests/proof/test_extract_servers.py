"""Extracts of servers that are replaced, restarted, restored, promoted or wrapped around, and extractors killed -9."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netflix_assets.defs.resources import LandingBucket
from netflix_assets.dev import postgres as servers
from netflix_assets.dev.postgres import Postgres
from netflix_assets.extract.postgres import run as run_module
from netflix_assets.extract.postgres.keys import KnownKeys
from netflix_assets.extract.postgres.session import Identity
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.extract.postgres import fixtures
from netflix_assets_tests.extract.postgres.database import Database, dataset
from netflix_assets_tests.extract.postgres.fixtures import connect_admin, database_on, run_program
from netflix_assets_tests.extract.postgres.test_hazards import CREATE, FILL, LATEST
from netflix_assets_tests.forks import FORKS
from netflix_assets_tests.waiting import free_port, until

postgres, database = fixtures.postgres, fixtures.database

_SEGMENT = 2**20  # transactions in a file of pg_xact
_SEGMENT_BYTES = 2**18

Compare = Callable[[Database], None]


@pytest.fixture
def compare(warehouse: Warehouse, sync: Callable[..., SyncReport]) -> Compare:
    """Sync what has landed and compare it with the table of a database."""

    def compare_rows(database: Database) -> None:
        assert not sync(dataset()).refused
        there = database.rows("select order_id, amount, nullif(note, '') from orders order by order_id")
        assert list(warehouse.query(LATEST)[1]) == there

    return compare_rows


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """A server of this test alone. Stopping it is the test's business where it replaces it."""
    server = servers.start(tmp_path / "primary", durable=False)
    try:
        yield server
    finally:
        servers.stop(server)


@pytest.fixture
def shop(server: Postgres, bucket: Bucket, tmp_path: Path) -> Database:
    with connect_admin(server) as admin:
        admin.execute("alter system set autovacuum = off")
        admin.execute("select pg_reload_conf()")
    shop = database_on(server, "shop", bucket, tmp_path)
    shop.execute(CREATE, FILL)
    return shop


def restart(server: Postgres) -> None:
    servers.start(server.folder, durable=False)


# ---------------------------------------------------------------- replicas


@pytest.fixture
def replica(server: Postgres, tmp_path: Path) -> Iterator[Postgres]:
    replica = replace(server, folder=tmp_path / "replica", port=free_port())
    replica.folder.mkdir()
    address = f"host=127.0.0.1 port={server.port} user=postgres password={server.passwords['postgres']}"
    run_program(server, "pg_basebackup", "-D", str(replica.data), "-d", address, "-R", "-X", "stream", "-c", "fast")
    servers._launch(replica, durable=False)
    try:
        yield replica
    finally:
        servers.stop(replica)


def catch_up(primary: Database, replica: Database) -> None:
    ((position,),) = primary.rows("select pg_current_wal_insert_lsn()::text")
    until(lambda: replica.rows(f"select pg_last_wal_replay_lsn() >= '{position}'")[0][0], "the replica is behind")


def test_replica(
    shop: Database, replica: Postgres, bucket: Bucket, tmp_path: Path, compare: Compare, server: Postgres
) -> None:
    copy = database_on(replica, "shop", bucket, tmp_path)
    with shop.connect() as slow:
        slow.execute("insert into orders values (101, 1, 'committed late')")
        slow.execute("savepoint a")
        slow.execute("insert into orders values (102, 1, 'under a savepoint')")
        shop.execute("insert into orders values (103, 1, 'early')")
        catch_up(shop, copy)
        first = copy.extract_one()
        assert first.state.is_replica
        slow.execute("release a")
        slow.commit()
    catch_up(shop, copy)
    second = copy.extract_one()
    assert (second.whole, second.state.changed) == ("", 3)
    compare(shop)

    # The primary is read in between; the replica is behind it.
    copy.rows("select pg_wal_replay_pause()::text")
    shop.execute("update orders set note = 'x' where order_id = 1", "delete from orders where order_id = 2")
    third = shop.extract_one()
    assert (third.whole, third.state.changed, third.state.deleted) == ("", 1, 1)
    assert "the replica is behind" in copy.refused()
    compare(shop)
    copy.rows("select pg_wal_replay_resume()::text")
    shop.execute("insert into orders values (104, 1, 'later')")
    catch_up(shop, copy)
    assert (copy.extract_one().whole, copy.extract_one().keys) == ("", ())
    compare(shop)

    # The replica takes over without what it has not received: 105 never was, and 2 is deleted there too.
    with connect_admin(replica) as admin:
        admin.execute("alter system set primary_conninfo = ''")
        admin.execute("select pg_reload_conf()")
        until(lambda: not copy.rows("select 1 from pg_stat_wal_receiver"))
    shop.execute("insert into orders values (105, 1, 'lost')", "update orders set note = 'lost' where order_id = 5")
    shop.extract_one()
    copy.rows("select pg_promote()")
    with connect_admin(replica, "shop") as admin:
        for number in range(106, 140):  # the same transaction numbers again
            admin.execute(f"insert into orders values ({number}, 1, 'after the failover')")
    failed_over = copy.extract_one()
    assert failed_over.whole == "the server was restarted, restored, failed over or replaced"
    assert failed_over.state.deleted == 1
    compare(copy)


# ---------------------------------------------------------------- restarts and restores


def test_restored_copy_is_read_again(shop: Database, server: Postgres, compare: Compare) -> None:
    """The copy goes on with the numbers that the extract before has seen, and beyond: only the restart tells."""
    shop.extract_one()
    servers.stop(server)
    shutil.copytree(server.data, server.folder / "copy", copy_function=_copy)
    shutil.copystat(server.data, server.folder / "copy")
    _give(server.folder / "copy", server.data)
    restart(server)
    shop.execute(
        "update orders set note = 'undone' where order_id <= 3", "insert into orders values (200, 1, 'undone')"
    )
    second = shop.extract_one()
    compare(shop)
    servers.stop(server)
    shutil.rmtree(server.data)
    (server.folder / "copy").rename(server.data)
    restart(server)
    for number in range(300, 330):
        shop.execute(f"insert into orders values ({number}, 1, repeat('x', 1000))")
    third = shop.extract_one()
    assert third.state.xmax > second.state.xmax
    assert third.state.position > second.state.position
    assert "restore" in third.whole
    assert third.state.deleted == 1
    compare(shop)


def _copy(source: str, target: str) -> str:
    shutil.copy2(source, target)
    _give(Path(target), Path(source))
    return target


def _give(path: Path, like: Path) -> None:
    found = like.stat()
    for each in [path, *(path.rglob("*") if path.is_dir() else ())]:
        os.chown(each, found.st_uid, found.st_gid)


def test_crash_that_loses_commits(shop: Database, server: Postgres, compare: Compare) -> None:
    """With synchronous_commit = off the last commits may not survive. An extract waits for them, or has not seen them.

    A backend that dies takes the others with it; the server goes on, and its start time stays.
    """
    shop.extract_one()
    for number in range(8):
        shop.execute(
            f"insert into orders values ({400 + number}, 1, 'committed')", "delete from orders where order_id = 9"
        )
        if number % 2:
            shop.extract_one()
        with connect_admin(server, "shop") as victim:
            os.kill(victim.info.backend_pid, signal.SIGKILL)
        until(lambda: servers.is_running(server), seconds=30)
    shop.extract_one()
    compare(shop)


def test_wraparound(shop: Database, server: Postgres, compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transaction numbers jump while the server is stopped, as if a billion transactions had come between."""
    # Else the restart alone would be a reason to read everything.
    monkeypatch.setattr(Identity, "is_continued_by", lambda self, other: self.system == other.system)
    shop.extract_one()
    old_rows = set(range(10, 51))
    for step, number in enumerate([1_500_000_000, 3_000_000_000, 2**32 - 60], start=1):
        jump(server, number)
        shop.execute(f"update orders set note = 'step {step}' where order_id < 10")
        found = shop.extract_one()
        assert found.whole == ""
        assert 9 <= found.state.changed <= 9 + len(old_rows)
        compare(shop)
    for number in range(100):
        shop.execute(f"update orders set note = 'across {number}' where order_id = {number % 10 + 1}")
    across = shop.extract_one()
    assert across.whole == ""
    assert across.state.xmax > 2**32 > across.state.xmax - 200
    compare(shop)
    jump(server, 1_500_000_000)
    jump(server, 3_000_000_000)
    shop.execute("update orders set note = 'after too many' where order_id < 10")
    assert shop.extract_one().whole == "too many transactions since the previous extract"
    compare(shop)


def jump(server: Postgres, number: int) -> None:
    """Let the server go on from a transaction number, less than 2**31 away, with all rows frozen."""
    run_program(server, "vacuumdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "--all", "--freeze")
    servers.stop(server)
    run_program(server, "pg_resetwal", "-D", str(server.data), "-x", str(number))
    segment = server.data / "pg_xact" / f"{number // _SEGMENT:04X}"
    if not segment.exists():
        segment.write_bytes(bytes(_SEGMENT_BYTES))
        _give(segment, server.data)
    restart(server)


# ---------------------------------------------------------------- kill -9


def extract_and_die(url: str, password: str, home: Path, bucket: str, s3_home: Path, point: str, nth: int) -> None:
    """Extract, and die at the nth pass of a point."""
    left = nth

    def light() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            if point == f"before {name}":
                light()
            result = original(*arguments, **options)
            if point == f"after {name}":
                light()
            return result

        setattr(owner, name, wrapped)

    for owner, name in KILL_POINTS:
        around(owner, name)
    with LandingBucket(bucket=bucket, local_home=str(s3_home)).open() as store:
        here = Database(url, password, Bucket(bucket, s3_home, store, home / "upload"), home)
        here.extract(dataset())


KILL_POINTS: list[tuple[Any, str]] = [
    (run_module, "open_session"),
    (run_module._Extractor, "_write"),
    (run_module._Extractor, "_compare"),
    (S3ObjectStore, "put"),
    (run_module, "write_state"),
    (KnownKeys, "save"),
]
POINTS = [f"{when} {name}" for _, name in KILL_POINTS for when in ("before", "after")]


def test_killed_extractors(
    database: Database, bucket: Bucket, compare: Compare, cases: Callable[[int], int], tmp_path: Path
) -> None:
    """kill -9 at every named point and at random moments, with changes between; the next extract heals."""
    dice = random.Random(1)  # noqa: S311 - no secret
    database.execute(CREATE, FILL)
    home = tmp_path
    kills = 0
    for point in [*POINTS, *["random"] * min(cases(4), 100)]:
        number = dice.randrange(1, 60)
        database.execute(
            f"delete from orders where order_id = {number}",
            f"insert into orders values ({dice.randrange(100, 160)}, 1, '{point}') on conflict do nothing",
            f"update orders set note = '{point}', order_id = order_id + 1000 where order_id = {number + 2}",
        )
        arguments = (database.url, database.password, home, bucket.name, bucket.home, point, dice.randrange(1, 3))
        process = FORKS.Process(target=extract_and_die, args=arguments)
        process.start()
        process.join(dice.random() * 0.6 if point == "random" else 60)
        if process.is_alive():
            process.kill()
            process.join()
        kills += process.exitcode == -signal.SIGKILL
        if dice.random() < 0.3:
            database.rows("select pg_sleep(0.05)")
            until(lambda: extracts(database))
            compare(database)
    until(lambda: extracts(database))
    compare(database)
    assert kills >= len(POINTS) // 2
    assert not [*(home / "home" / "tmp").iterdir()]  # what was killed left nothing behind
    print(f"{kills} extractors killed")


def extracts(database: Database) -> bool:
    """Extract; False while the server still has the lock of the one that was killed."""
    try:
        database.extract_one()
    except ConnectionError:
        time.sleep(0.05)
        return False
    return True
