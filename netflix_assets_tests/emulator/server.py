"""The emulator's process: ``python -m netflix_assets_tests.emulator.server --port 0 --s3-folder DIR [--log FILE]``.

It prints its port, speaks the protocol of Snowflake's connectors over plain HTTP, and ends at SIGTERM or with its
parent. Any login succeeds: users and privileges are not emulated. Tests can also use, under ``/emulator/``:
``statements?since=N``, the received statements in order; ``databases`` to create and drop one; ``faults`` to make
statements fail; ``end-sessions``.
"""

import argparse
import base64
import gzip
import itertools
import json
import os
import re
import secrets
import signal
import tempfile
import threading
import uuid
import warnings
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qs, urlsplit

from netflix_assets_tests.emulator import adaptations
from netflix_assets_tests.emulator.errors import SQLError, as_sql_error

adaptations.install()  # before fakesnow creates its first database

from fakesnow.instance import FakeSnow  # noqa: E402

from netflix_assets_tests.emulator.locks import Locks  # noqa: E402
from netflix_assets_tests.emulator.session import DEFAULT_TIME_ZONE, Session  # noqa: E402
from netflix_assets_tests.emulator.stages import Stages  # noqa: E402

_EPOCH = datetime(1970, 1, 1)
_PARENT_POLL_S = 1.0


@dataclass
class Emulator:
    """The account: databases, stages and the sessions of all clients."""

    s3_folder: Path
    home: Path
    log_file: TextIO | None = None
    sessions: dict[str, Session] = field(default_factory=dict)
    statements: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)  # user -> fingerprints; others log in with any key

    def __post_init__(self) -> None:
        self._fakesnow = FakeSnow(create_database_on_connect=False, create_schema_on_connect=False)
        self._stages = Stages(self.s3_folder, self.home)
        self._locks = Locks()
        self._numbers = itertools.count(1)
        self._changing = threading.Lock()

    def log_in(self, query: dict[str, str], parameters: dict[str, Any]) -> tuple[str, Session]:
        with self._changing:
            number = next(self._numbers)
            connection = self._fakesnow.connect(query.get("databaseName"), query.get("schemaName") or "PUBLIC")
            session = Session(number, connection, self._stages, self._locks)
            session.role = query.get("roleName", "").upper() or None
            session.warehouse = query.get("warehouse", "").upper() or None
            session.set_parameters({name: value for name, value in parameters.items() if value is not None})
            token = secrets.token_urlsafe(16)
            self.sessions[token] = session
        return token, session

    def log_out(self, token: str) -> None:
        session = self.sessions.pop(token, None)
        if session is not None:
            session.close()

    def change_databases(self, statement: str) -> None:
        """CREATE or DROP DATABASE for a test, in a session that the log does not show."""
        with Session(0, self._fakesnow.connect(), self._stages, self._locks) as session:
            session.run(statement, [])

    def end_sessions(self, database: str) -> int:
        """End the sessions in a database, as Snowflake ends idle ones. Clients notice with their next statement."""
        tokens = [token for token, session in self.sessions.items() if session.database == database]
        for token in tokens:
            self.log_out(token)
        return len(tokens)

    def fault(self, text: str, *, after: bool) -> SQLError | None:
        """The error that a test requested for this statement, before or after it runs."""
        with self._changing:
            for fault in self.faults:
                if fault["after"] == after and fault["times"] > 0 and re.search(fault["pattern"], text, re.I | re.S):
                    fault["times"] -= 1
                    return SQLError(fault["message"], fault["errno"], fault["sqlstate"])
        return None

    def note(self, session: Session, text: str, bindings: list[Any]) -> dict[str, Any]:
        with self._changing:
            entry = {
                "number": len(self.statements) + 1, "session": session.number, "query_tag": session.query_tag,
                "database": session.database, "schema": session.schema, "role": session.role,
                "warehouse": session.warehouse, "text": text, "bindings": [str(each) for each in bindings[:50]],
                "error": None,
            }  # fmt: skip
            self.statements.append(entry)
            if self.log_file is not None:
                self.log_file.write(json.dumps(entry) + "\n")
                self.log_file.flush()
        return entry


class Handler(BaseHTTPRequestHandler):
    """One client connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    emulator: Emulator

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/emulator/statements":
            since = int(parse_qs(url.query).get("since", ["0"])[0])
            self._answer(self.emulator.statements[since:])
        else:
            self._answer({"success": False, "message": f"emulator: no {url.path}", "code": "000002", "data": None})

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self._body()
        try:
            answer = self._route(url.path, query, body)
        except Exception as error:
            answer = _failure(error)
        self._answer(answer)

    def _route(self, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if path == "/session/v1/login-request":
            return self._log_in(query, body["data"])
        if path == "/queries/v1/query-request":
            return self._query(body)
        if path == "/emulator/faults":
            self.emulator.faults[:] = body["faults"]
            return {"success": True}
        if path == "/emulator/keys":
            self.emulator.keys[body["user"]] = body["fingerprints"]
            return {"success": True}
        if path == "/emulator/databases":
            self.emulator.change_databases(body["statement"])
            return {"success": True}
        if path == "/emulator/end-sessions":
            return {"success": True, "ended": self.emulator.end_sessions(body["database"])}
        if path == "/session" and query.get("delete"):
            self.emulator.log_out(self._token())
        return {"data": None, "code": None, "message": None, "success": True}

    def _log_in(self, query: dict[str, str], data: dict[str, Any]) -> dict[str, Any]:
        wanted = self.emulator.keys.get(data.get("LOGIN_NAME", "").upper())
        if wanted is not None and _key_of(data.get("TOKEN", "")) not in wanted:
            return {"data": None, "code": "390144", "message": "JWT token is invalid.", "success": False}
        token, session = self.emulator.log_in(query, data.get("SESSION_PARAMETERS") or {})
        autocommit = session.parameters.get("autocommit", True)
        info = {
            "databaseName": session.database, "schemaName": session.schema, "roleName": session.role,
            "warehouseName": session.warehouse,
        }  # fmt: skip
        data = {
            "token": token, "masterToken": token, "serverVersion": "10.0.0", "sessionId": session.number,
            "sessionInfo": info, "parameters": [
                {"name": "AUTOCOMMIT", "value": autocommit},
                {"name": "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", "value": 3600},
                {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
            ],
        }  # fmt: skip
        return {"data": data, "success": True, "code": None, "message": None}

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        session = self.emulator.sessions.get(self._token())
        if session is None:
            return {"data": None, "code": "390104", "message": "Session no longer exists.", "success": False}
        bindings = _parse_bindings(body.get("bindings") or {})
        text = body["sqlText"]
        is_description = bool(body.get("describeOnly"))
        entry = {} if is_description else self.emulator.note(session, text, bindings)
        try:
            self._fail_if_requested(text, after=False)
            answer = session.run(text, bindings, describe_only=is_description)
            self._fail_if_requested(text, after=True)
            if answer.upload is not None:
                return {"data": answer.upload, "success": True}
            payload = answer.payload()
        except Exception as error:
            failure = _failure(error)
            entry["error"] = failure["message"]
            return failure
        data = payload | {
            "parameters": [{"name": "TIMEZONE", "value": session.parameters.get("timezone", DEFAULT_TIME_ZONE)}],
            "queryId": str(uuid.uuid4()), "finalDatabaseName": session.database, "finalSchemaName": session.schema,
            "finalRoleName": session.role, "finalWarehouseName": session.warehouse,
        }  # fmt: skip
        return {"data": data, "success": True, "code": None, "message": None}

    def _fail_if_requested(self, text: str, *, after: bool) -> None:
        fault = self.emulator.fault(text, after=after)
        if fault is not None:
            raise fault

    def _token(self) -> str:
        return self.headers.get("Authorization", "").partition('"')[2].rstrip('"')

    def _body(self) -> dict[str, Any]:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return json.loads(content) if content else {}

    def _answer(self, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """The statement log covers the requests."""


def _key_of(token: str) -> str:
    """The fingerprint of the key that a JSON web token names in ``iss``: ``ACCOUNT.USER.SHA256:<fingerprint>``."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) or "{}")
    return str(claims.get("iss", "")).partition("SHA256:")[2]


def _failure(error: Exception) -> dict[str, Any]:
    sql_error = as_sql_error(error)
    code = f"{sql_error.errno:06d}"
    return {
        "data": {"errorCode": code, "sqlState": sql_error.sqlstate, "queryId": str(uuid.uuid4())},
        "code": code,
        "message": str(sql_error),
        "success": False,
    }


def _parse_bindings(bindings: dict[str, dict[str, Any]]) -> list[Any]:
    values = [bindings[str(at)] for at in range(1, len(bindings) + 1)]
    if any(isinstance(each["value"], list) for each in values):
        raise NotImplementedError("executemany with server-side binding")
    return [_parse_binding(each["type"], each["value"]) for each in values]


def _parse_binding(kind: str, value: str | None) -> Any:
    # fakesnow reads decimals as integers (and fails), reads doubles as texts, and loses the microseconds of floats.
    if value is None:
        return None
    if kind == "FIXED":
        return int(value) if value.lstrip("-").isdigit() else Decimal(value)
    if kind == "REAL":
        return float(value)
    if kind == "BOOLEAN":
        return value.lower() == "true"
    if kind == "DATE":
        return date(1970, 1, 1) + timedelta(milliseconds=int(value))
    if kind.startswith("TIMESTAMP"):
        moment = _EPOCH + timedelta(microseconds=int(value.split()[0]) // 1000)
        return moment if kind == "TIMESTAMP_NTZ" else moment.replace(tzinfo=UTC)
    return value


def main() -> None:
    warnings.filterwarnings(
        "ignore", "Arrow output on a DB-API result"
    )  # caused by the way fakesnow asks DuckDB for Arrow
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    parser.add_argument("--s3-folder", type=Path, required=True, help="has a folder for each bucket")
    parser.add_argument("--log", type=Path, help="write the statements to this file too, one JSON object a line")
    arguments = parser.parse_args()
    parent = os.getppid()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory(prefix="emulator-") as home:
        log_file = arguments.log.open("a", encoding="utf-8") if arguments.log else None
        Handler.emulator = Emulator(arguments.s3_folder, Path(home), log_file)
        server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        print(server.server_port, flush=True)
        # A new parent process means that ours has died.
        while os.getppid() == parent and not stopped.wait(_PARENT_POLL_S):
            pass
    os._exit(0)  # DuckDB's destructors save nothing and print a lot


if __name__ == "__main__":
    main()
