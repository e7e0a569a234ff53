"""Canaries in every credential: no run, failure, log or answer writes or shows them.

The credentials are AWS's own variables and every secret field of the settings, so that a new field is covered as soon
as it is declared. The search covers all output, every file under $NETFLIX_HOME, and the rows of every database there.
"""

import base64
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import traceback
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from netflix_assets.definitions import build_defs
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import REPO, Settings, SettingsError, current_settings, read_settings
from netflix_assets.storage.local_s3 import LocalS3, lease
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets_tests.demo import COMMAND, Demo
from netflix_assets_tests.waiting import free_port

DBT = Path(sys.executable).with_name("dbt")

# ---------------------------------------------------------------- canaries


def secret_variables(model: type[BaseSettings] = Settings) -> Iterator[str]:
    """The environment variable of each secret setting, including nested settings."""
    for name, declared in model.model_fields.items():
        if isinstance(declared.annotation, type) and issubclass(declared.annotation, BaseSettings):
            yield from secret_variables(declared.annotation)
        elif SecretStr.__name__ in str(declared.annotation):
            yield f"{model.model_config['env_prefix']}{name}".upper()


def canary(variable: str) -> str:
    # Characters that other encodings change, and no two canaries with the same beginning.
    return f"{variable[::-1].title()}/canary+{variable.lower()}=="


def make_key(passphrase: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    ).decode()


def credentials() -> dict[str, str]:
    """Every variable that holds a credential, with its value."""
    aws = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    secrets = {name: canary(name) for name in (*aws, *secret_variables(), "NETFLIX_POSTGRES_SHOP_PASSWORD")}
    # The access key is part of a header and of the server's configuration: no special characters.
    secrets["AWS_ACCESS_KEY_ID"] = "".join(filter(str.isalnum, secrets["AWS_ACCESS_KEY_ID"]))
    secrets["NETFLIX_HEARTBEAT_URL"] = f"http://127.0.0.1:9/{secrets['NETFLIX_HEARTBEAT_URL']}"
    secrets["NETFLIX_SNOWFLAKE_PRIVATE_KEY"] = make_key(secrets["NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"])
    return secrets


def forms(secret: str) -> Iterator[bytes]:
    """The forms of a secret: plain, in a URL, in JSON, and in base64 at any position of a text."""
    if secret.startswith("-----"):  # any line of a key gives it away
        for line in secret.splitlines()[1:-1]:
            yield from forms(line)
        return
    yield from {secret.encode(), urllib.parse.quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    for shift in range(3):  # the groups of six bits that depend only on the secret
        yield base64.b64encode(b"x" * shift + secret.encode())[4 if shift else 0 : -4]


@dataclass
class Trap:
    """Credentials, and the places that are searched for them."""

    home: Path
    credentials: Mapping[str, str]
    printed: list[bytes] = field(default_factory=list)

    def leaks(self) -> list[str]:
        """Each leak: the name of the variable and where its value was found."""
        places = [(f"output {number}", text) for number, text in enumerate(self.printed)]
        for path in self.home.rglob("*"):
            if path.is_file():
                places.append((str(path.relative_to(self.home)), path.read_bytes()))
                places += [(f"rows of {path.relative_to(self.home)}", rows) for rows in rows_of(path)]
        wanted = {name: set(forms(secret)) for name, secret in self.credentials.items()}
        return sorted(
            f"{name} in {place}"
            for place, text in places
            for name, shapes in wanted.items()
            if any(shape in text for shape in shapes)
        )

    def run(self, *command: str | Path, code: int, **environment: str) -> str:
        """Run a command with every credential in its environment, and return its output."""
        variables = {**os.environ, "COLUMNS": "200", **environment}
        done = subprocess.run(
            command, env=variables, cwd=REPO / "dbt", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        self.printed.append(done.stdout)
        assert done.returncode == code, done.stdout.decode()
        return done.stdout.decode()

    def run_graph(self, select: str, **changes: object) -> RunOutcome:
        """Run the graph in this process, which saves seconds of imports."""
        settings = read_settings(home=self.home, step_retries=0, **changes)
        outcome = run_graph(settings, build_defs(settings), select=select)
        self.printed.append(repr(outcome).encode())
        return outcome


def rows_of(path: Path) -> Iterator[bytes]:
    """The rows of a database. In its file they may be compressed, or split between two pages."""
    if path.suffix == ".db":
        with closing(sqlite3.connect(path)) as connection:
            yield "\n".join(connection.iterdump()).encode()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as opened:
            for schema, table in opened.execute("select schema_name, table_name from duckdb_tables()").fetchall():
                yield str(opened.execute(f'select * from {schema}."{table}"').fetchall()).encode()


# ---------------------------------------------------------------- a Snowflake that refuses


class Refusal(http.server.BaseHTTPRequestHandler):
    """A Snowflake that does not know the user's key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = {"success": False, "code": "390144", "message": "JWT token is invalid. [1f2e]", "data": {}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def refusing_snowflake() -> Iterator[dict[str, str]]:
    """The variables of an account that refuses every login."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield {
            "NETFLIX_ENV": "dev",
            "NETFLIX_SNOWFLAKE_ACCOUNT": "org-account",
            "NETFLIX_SNOWFLAKE_USER": "RUNNER",
            "NETFLIX_SNOWFLAKE_HOST": "127.0.0.1",
            "NETFLIX_SNOWFLAKE_PORT": str(server.server_port),
            "NETFLIX_SNOWFLAKE_PROTOCOL": "http",
        }
        server.shutdown()


# ---------------------------------------------------------------- what runs


@pytest.fixture(scope="module")
def trap(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    """A home with a bucket server that requires the canaries, and all of them in the environment."""
    secrets = credentials()
    home, elsewhere = demo.parsed_in(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("server")
    server = LocalS3(elsewhere, free_port(), secrets["AWS_ACCESS_KEY_ID"], secrets["AWS_SECRET_ACCESS_KEY"])
    variables = {
        **secrets,
        "NETFLIX_HOME": str(home),
        "NETFLIX_S3_ENDPOINT": server.endpoint,
        "DAGSTER_HOME": str(home / "dagster"),
        "NETFLIX_POSTGRES_SHOP": "postgresql://reader@127.0.0.1:9/shop",  # nobody listens there
        "NETFLIX_SLACK_CHANNEL": "C0CANARY",
        "NETFLIX_SLACK_BASE_URL": "http://127.0.0.1:9/",  # nobody listens there
    }
    with pytest.MonkeyPatch.context() as patch, lease(server, "landing"):
        for name, value in variables.items():
            patch.setenv(name, value)
        yield Trap(home, secrets)


@pytest.fixture
def searched(trap: Trap, capfd: pytest.CaptureFixture[str]) -> Iterator[Trap]:
    """The trap. After the test everything is searched, including its output."""
    current_settings.cache_clear()
    yield trap
    trap.printed += [text.encode() for text in capfd.readouterr()]
    current_settings.cache_clear()
    assert trap.leaks() == []


def test_every_secret_setting_has_a_canary(trap: Trap) -> None:
    assert {
        "NETFLIX_HASH_KEY",
        "NETFLIX_POSTGRES_SHOP_PASSWORD",
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY",
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        "NETFLIX_SNOWFLAKE_TOKEN",
    } <= set(trap.credentials)
    assert len(set(trap.credentials.values())) == len(trap.credentials)


def test_successful_and_failed_runs_leak_no_credential(searched: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    with landing_bucket(read_settings()).open() as store:
        links = searched.home.parent / "links.csv"
        links.write_text("movieId,imdbId,tmdbId\n1,0114709,862\n2,x,8844\n")
        store.put("movielens/links.csv", links)
    seed = "seeds/seed_movie_release_dates"
    done = searched.run_graph(f'key:"raw/movielens/links" or key:"{seed}"')
    assert (done.success, set(done.materialized)) == (True, {"raw/movielens/links", seed})
    # It reads a staging model that was not built.
    assert 'schema "staging" does not exist' in searched.run_graph("core/fct_tags").errors[0]
    assert "NotServableError" in searched.run_graph("published/marts").errors[0]
    assert "movielens/links" in searched.run(COMMAND, "status", code=0)
    assert "imdb_id" in searched.run(COMMAND, "rejects", "list", "--json", code=0)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not" + searched.credentials["AWS_SECRET_ACCESS_KEY"])
    assert "403 SignatureDoesNotMatch" in searched.run_graph("raw/movielens/links").errors[0]


def test_a_refused_snowflake_login_leaks_no_credential(searched: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_snowflake() as address:
        for name, value in address.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(WarehouseError, match=r"cannot open a Snowflake session: .*JWT token is invalid") as raised:
            warehouse(current_settings()).open().__enter__()
        searched.printed.append("".join(traceback.format_exception(raised.value)).encode())
        by_hand = {"DBT_TARGET_PATH": str(searched.home / "by-hand"), "DBT_LOG_PATH": str(searched.home / "by-hand")}
        assert "JWT token is invalid" in searched.run(DBT, "debug", code=1, **by_hand)


def test_an_extract_that_fails_leaks_no_credential(searched: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFLIX_STEP_RETRIES", "0")
    assert "database 'shop' cannot be reached" in searched.run(COMMAND, "sources", "extract", "shop", code=1)
    assert "database 'shop' cannot be reached" in searched.run(COMMAND, "sources", "check", code=1)
    url = f"postgresql://reader:{searched.credentials['NETFLIX_POSTGRES_SHOP_PASSWORD']}@127.0.0.1/shop"
    monkeypatch.setenv("NETFLIX_POSTGRES_SHOP", url)
    output = searched.run(COMMAND, "status", code=2)
    assert output.startswith("netflix-assets: NETFLIX_POSTGRES_SHOP: the address contains a password")


def test_a_refused_setting_is_not_shown(searched: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "-----BEGIN" + canary("a wrong one")
    searched.credentials = {**searched.credentials, "a wrong one": wrong}
    for name in secret_variables():
        with monkeypatch.context() as patch:
            patch.setenv(name, wrong)
            try:
                searched.printed.append(repr(read_settings()).encode())
            except SettingsError as error:
                searched.printed.append(str(error).encode())
    with monkeypatch.context() as patch:
        patch.setenv("NETFLIX_S3_ENDPOINT", f"https://user:{wrong}@host")
        output = searched.run(COMMAND, "status", code=2)
        assert output.startswith("netflix-assets: NETFLIX_S3_ENDPOINT: the address contains a user or password")


def test_serialized_definitions_have_no_credential(searched: Trap) -> None:
    production = read_settings(env="production")
    resources = {"bucket": landing_bucket(production), "warehouse": warehouse(production)}
    for defs in (build_defs(read_settings()), dg.Definitions(resources=resources)):
        serialized = serialize_value(RepositorySnap.from_def(defs.get_repository_def()))
        assert '"warehouse"' in serialized
        searched.printed.append(serialized.encode())


# ---------------------------------------------------------------- the trap itself


@pytest.mark.parametrize("shape", ["plain", "base64", "url", "sqlite", "duckdb", "key"])
def test_a_planted_credential_is_found(tmp_path: Path, shape: str) -> None:
    secrets = credentials()
    name = "NETFLIX_SNOWFLAKE_PRIVATE_KEY" if shape == "key" else "NETFLIX_SNOWFLAKE_TOKEN"
    secret = secrets[name]
    assert Trap(tmp_path, secrets).leaks() == []
    if shape == "sqlite":
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("create table t (c text)")
            connection.execute("insert into t values (?)", [f"{'x' * 4_080}{secret}"])
            connection.commit()
    elif shape == "duckdb":
        with duckdb.connect(str(tmp_path / "a.duckdb")) as opened:
            opened.execute("create table t as select ? as c from range(10000)", [f"text {secret}"])
    else:
        text = {
            "plain": f"password: {secret}",
            "base64": base64.b64encode(f"user:{secret}:".encode()).decode(),
            "url": f"https://host/?{urllib.parse.urlencode({'token': secret})}",
            "key": secret.replace("\n", "\\n"),
        }
        (tmp_path / "log").write_text(text[shape])
    assert any(name in leak for leak in Trap(tmp_path, secrets).leaks())
