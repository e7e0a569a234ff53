"""The warehouse's file written anew: deleted values leave it, everything else stays, and a kill leaves it whole."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import duckdb
import pytest

from netflix_assets.warehouse.duckdb import rewrite as rewrite_module
from netflix_assets.warehouse.duckdb.rewrite import rewrite
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.errors import HeldError

CANARY = b"a text of one person"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A warehouse from which the canary's row was deleted and checkpointed."""
    path = tmp_path / "warehouse.duckdb"
    with DuckDBWarehouse(path) as warehouse:
        for statement in (
            "pragma force_compression = 'uncompressed'", "create schema ops", "create schema raw", "create schema core",
            "create table ops.loads (load_id integer not null)", "insert into ops.loads values (1)",
            "create table raw.things (_load_id integer, text varchar, price decimal(7,2), seen_at timestamp)",
            "create view raw.things_current as select things.* from raw.things inner join ops.loads "
            "on things._load_id = loads.load_id",
            "create view core.v as select * from raw.things_current",
            f"insert into raw.things select 1, '{CANARY.decode()}' || i, i / 100, to_timestamp(i)::timestamp "
            "from range(100000) as numbers (i)",
            "checkpoint", "delete from raw.things where price > 0.01", "checkpoint",
        ):  # fmt: skip
            warehouse.execute(statement)
        warehouse.execute("update raw.things set text = 'kept'")
    return path


def content(path: Path) -> tuple:
    with DuckDBWarehouse(path, read_only=True) as warehouse:
        rows = sorted(warehouse.execute("select * from core.v"))
        return rows, warehouse.columns(("ops", "raw", "core")), warehouse.execute("select * from ops.loads")


def test_deleted_values_leave_the_file_and_all_else_stays(file: Path) -> None:
    before = content(file)
    assert CANARY in file.read_bytes()
    assert len(before[0]) == 2
    rewrite(file, 0)
    assert CANARY not in file.read_bytes()
    assert content(file) == before
    assert {path.suffix for path in file.parent.iterdir()} == {".duckdb", ".lock"}


@pytest.mark.parametrize("point", ["_copy", "replace"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_leaves_a_whole_file_and_the_next_rewrite_completes(file: Path, point: str, when: str) -> None:
    before = content(file)
    killed = multiprocessing.get_context("fork").Process(target=rewrite_and_die, args=(file, point, when))
    killed.start()
    killed.join(30)
    assert killed.exitcode == -signal.SIGKILL
    assert content(file) == before
    rewrite(file, 0)
    assert content(file) == before
    assert all(CANARY not in path.read_bytes() for path in file.parent.iterdir())


def rewrite_and_die(file: Path, point: str, when: str) -> None:
    owner = rewrite_module if point == "_copy" else Path
    original = getattr(owner, point)

    def dies(*arguments: object) -> None:
        if when == "after":
            original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, point, dies)
    rewrite(file, 0)


def test_a_held_file_is_waited_for_then_named(file: Path) -> None:
    holder = hold(file, seconds=2)
    with pytest.raises(HeldError, match=f"is held by process {holder.pid}"):
        rewrite(file, 0)
    rewrite(file, 30)
    holder.join()
    assert CANARY not in file.read_bytes()


def hold(file: Path, seconds: float) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold_for, args=(file, seconds, ready))
    holder.start()
    assert ready.wait(30)
    return holder


def hold_for(file: Path, seconds: float, ready) -> None:
    with duckdb.connect(str(file)):
        ready.set()
        time.sleep(seconds)


def test_a_writer_that_waits_writes_into_the_new_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = rewrite_module._copy
    writers: list[multiprocessing.process.BaseProcess] = []

    def copies_while_a_writer_waits(*arguments) -> None:
        writers.append(multiprocessing.get_context("spawn").Process(target=write, args=(file,)))
        writers[0].start()
        time.sleep(1.5)
        original(*arguments)

    monkeypatch.setattr(rewrite_module, "_copy", copies_while_a_writer_waits)
    rewrite(file, 0)
    writers[0].join(30)
    assert content(file)[2] == [(1,), (2,)]
    assert CANARY not in file.read_bytes()


def write(file: Path) -> None:
    with DuckDBWarehouse(file, wait_seconds=30) as warehouse:
        warehouse.execute("insert into ops.loads values (2)")


def test_the_log_of_a_killed_writer_is_not_lost(file: Path) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=write_and_die, args=(file,))
    writer.start()
    writer.join(30)
    assert file.with_name(f"{file.name}.wal").exists()
    rewrite(file, 0)
    assert content(file)[2] == [(1,), (3,)]
    assert {path.suffix for path in file.parent.iterdir()} == {".duckdb", ".lock"}


def write_and_die(file: Path) -> None:
    connection = duckdb.connect(str(file))
    connection.execute("insert into ops.loads values (3)")
    threading.Event().wait(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
