"""An HTTP server for tests that speaks the part of Slack's Web API that alerts use, and can fail in every way.

It rejects what Slack rejects: wrong tokens, unknown channels and messages, texts that are too long. A fault happens
before a call is handled (nothing was done) or after it (it was done, and the client does not know).
"""

import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

TOKEN, CHANNEL = "xoxb-canary-of-the-tests-4711", "C0ALERTS"

Fault = Literal[
    "500 before", "500 after", "reset before", "reset after", "silence before", "silence after", "429", "html"
]
FAULTS: tuple[Fault, ...] = (
    "500 before", "500 after", "reset before", "reset after", "silence before", "silence after", "429", "html",
)  # fmt: skip
SILENCE_S = 0.6  # longer than the tests' client timeout


class _Refused(Exception):
    """An answer with ok: false."""


@dataclass
class SlackServer:
    """The server's state. ``fault`` gets the method's name; None means no fault."""

    fault: Callable[[str], Fault | None] = lambda _: None
    silence_s: float = SILENCE_S
    retry_after_s: int = 1
    unreadable: bool = False  # the app may not read the channel
    messages: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    edits: list[str] = field(default_factory=list)
    url: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def parents(self) -> list[dict[str, Any]]:
        """The messages in the channel, without replies."""
        return [each for each in self.messages if "thread_ts" not in each]

    def forget(self) -> None:
        """Reset everything."""
        for each in (self.messages, self.calls, self.edits):
            each.clear()
        self.fault, self.silence_s, self.unreadable = lambda _: None, SILENCE_S, False

    def answer(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "auth.test": lambda _: {"user": "netflix-assets"},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
        }
        with self._lock:
            try:
                if method != "auth.test" and given.get("channel") != CHANNEL:
                    raise _Refused("channel_not_found")
                return {"ok": True, **handlers[method](given)}
            except _Refused as error:
                return {"ok": False, "error": str(error)}

    def _post(self, given: dict[str, Any]) -> dict[str, Any]:
        _check_content(given)
        ts = f"{time.time():.0f}.{next(self._numbers):06d}"
        self.messages.append({**given, "ts": ts})
        return {"channel": CHANNEL, "ts": ts}

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        _check_content(given)
        message = self._find(given["ts"])
        message.update(given)
        self.edits.append(given["text"])
        return {"channel": CHANNEL, "ts": given["ts"]}

    def _history(self, given: dict[str, Any]) -> dict[str, Any]:
        if self.unreadable:
            raise _Refused("missing_scope")
        found = [each for each in reversed(self.parents) if float(each["ts"]) >= float(given.get("oldest", 0))]
        start, limit = int(given.get("cursor") or 0), int(given.get("limit", 100))
        page = found[start : start + limit]
        following = str(start + limit) if start + limit < len(found) else ""
        return {"messages": _shown(page, given), "response_metadata": {"next_cursor": following}}

    def _find(self, ts: str) -> dict[str, Any]:
        for each in self.messages:
            if each["ts"] == ts:
                return each
        raise _Refused("message_not_found")


def _shown(messages: list[dict[str, Any]], given: dict[str, Any]) -> list[dict[str, Any]]:
    with_metadata = given.get("include_all_metadata") in ("1", "true", True)
    return [{name: value for name, value in each.items() if with_metadata or name != "metadata"} for each in messages]


def _check_content(given: dict[str, Any]) -> None:
    if not given.get("text"):
        raise _Refused("no_text")
    if len(given["text"]) > 40_000:
        raise _Refused("msg_too_long")
    if not isinstance(given.get("metadata", {}).get("event_payload", {}), dict):
        raise _Refused("invalid_metadata_format")


@contextmanager
def slack_server(**options: Any) -> Iterator[SlackServer]:
    """A running server."""
    slack = SlackServer(**options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            address = urlsplit(self.path)
            method = address.path.removeprefix("/api/")
            given = json.loads(body) if body.startswith("{") else dict(parse_qsl(body or address.query))
            slack.calls.append(method)
            fault = slack.fault(method)
            if fault and fault.endswith("before"):
                return self.fail(fault)
            if fault == "429":
                return self.say(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(slack.retry_after_s)})
            if fault == "html":
                return self.say(200, "<html>a proxy in the way</html>")
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            answer = slack.answer(method, given) if known else {"ok": False, "error": "invalid_auth"}
            return self.fail(fault) if fault else self.say(200, answer)

        do_GET = do_POST

        def fail(self, fault: str) -> None:
            self.close_connection = True
            if fault.startswith("500"):
                self.say(500, {"ok": False, "error": "internal_error"})
            elif fault.startswith("reset"):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                time.sleep(slack.silence_s)

        def say(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away, which is the point
    slack.url = f"http://127.0.0.1:{server.server_port}/api/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
