"""An HTTP proxy in front of an S3 server that passes everything through and fails on command.

``test_s3_faults.py`` scripts the faults. Requests are forwarded with their original headers, including Host, which is
signed. Every request is recorded with its time, so that tries can be counted.
"""

import http.client
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Request:
    """One request as it arrived: ``kind`` is list, get, head or put; ``key`` the object, or the listed prefix."""

    kind: str
    key: str
    range: str | None
    is_first_page: bool
    at: float
    has_failed: bool


@dataclass
class Response:
    """The server's response, which a fault can change before it is sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


# A fault gets the connection's handler and a function that fetches the server's response.
Fetch = Callable[[], Response]
Fault = Callable[["_Handler", Fetch], None]


def error(status: int, code: str, message: str = "Please try again.") -> Fault:
    """An S3 error with its XML body instead of the response."""

    def fail(handler: "_Handler", fetch: Fetch) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        handler.give(Response(status, [("Content-Type", "application/xml")], body))

    return fail


SLOW_DOWN = error(503, "SlowDown", "Please reduce your request rate.")
INTERNAL_ERROR = error(500, "InternalError", "We encountered an internal error.")


def reset(handler: "_Handler", fetch: Fetch) -> None:
    """A TCP reset instead of a response."""
    handler.reset()


def cut(share: float = 0.5, *, by_reset: bool = False) -> Fault:
    """A share of the body, then the connection closes; Content-Length announces the whole body."""

    def fail(handler: "_Handler", fetch: Fetch) -> None:
        response = fetch()
        handler.give(response, end=int(len(response.body) * share))
        if by_reset:
            handler.reset()

    return fail


def hang(seconds: float, *, share: float = 0.0) -> Fault:
    """Silence for this long, before the response or after a share of its body; then the rest."""

    def fail(handler: "_Handler", fetch: Fetch) -> None:
        response = fetch()
        end = int(len(response.body) * share)
        if end:
            handler.give(response, end=end)
        handler.proxy.closing.wait(seconds)
        if end:
            handler.send(response.body[end:])
        else:
            handler.give(response)

    return fail


def trickle(seconds: float, pieces: int = 20) -> Fault:
    """The whole body, evenly spread over this time: a slow connection."""

    def fail(handler: "_Handler", fetch: Fetch) -> None:
        response = fetch()
        step = -(-len(response.body) // pieces)
        handler.give(response, end=0)
        for start in range(0, len(response.body), step):
            handler.proxy.closing.wait(seconds / pieces)
            handler.send(response.body[start : start + step])

    return fail


def changed(change: Callable[[Response], Response]) -> Fault:
    """A changed response: another ETag, a shorter body, an earlier listing."""

    def fail(handler: "_Handler", fetch: Fetch) -> None:
        handler.give(change(fetch()))

    return fail


@dataclass
class Rule:
    """A fault for the first ``times`` requests of a kind (``*``: any) with a matching key."""

    fault: Fault
    kind: str = "*"
    key: str = ""
    times: float = float("inf")
    is_first_page: bool | None = None

    def matches(self, request: Request) -> bool:
        if self.kind not in ("*", request.kind) or not re.search(self.key, request.key):
            return False
        if self.is_first_page not in (None, request.is_first_page):
            return False
        self.times -= 1
        return self.times >= 0


@dataclass
class FaultProxy:
    """The running proxy. The first matching rule in ``rules`` fails a request; ``requests`` are those that arrived."""

    upstream: tuple[str, int]
    rules: list[Rule] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *rules: Rule) -> None:
        """Replace the rules and forget the requests so far."""
        with self.lock:
            self.rules[:] = rules
            self.requests.clear()

    def seen(self, kind: str = "*", key: str = "") -> list[Request]:
        """The requests of a kind with a matching key, in order of arrival."""
        with self.lock:
            found = list(self.requests)
        return [each for each in found if kind in ("*", each.kind) and re.search(key, each.key)]


@contextmanager
def fault_proxy(endpoint: str) -> Iterator[FaultProxy]:
    """A proxy in front of this server, on a free port of the loopback address."""
    target = urllib.parse.urlsplit(endpoint)
    proxy = FaultProxy((str(target.hostname), int(target.port or 80)))
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.proxy.lock:
            request = self._parse_request()
            rule = next((rule for rule in self.proxy.rules if rule.matches(request)), None)
            self.proxy.requests.append(replace(request, has_failed=rule is not None))
        with suppress(ConnectionError):  # the client has given up, as many tests intend
            if rule:
                rule.fault(self, lambda: self._forward(body))
            else:
                self.give(self._forward(body))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

    def _parse_request(self) -> Request:
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        key = urllib.parse.unquote(url.path).lstrip("/").partition("/")[2]
        kind = self.command.lower()
        if kind == "get" and not key:
            kind, key = "list", query.get("prefix", [""])[0]
        is_first = "continuation-token" not in query
        return Request(kind, key, self.headers.get("Range"), is_first, time.monotonic(), False)

    def _forward(self, body: bytes) -> Response:
        connection = http.client.HTTPConnection(*self.proxy.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
            length = response.getheader("Content-Length")
            content = response.read()
            if self.command == "HEAD" and length:
                headers.append(("Content-Length", length))
            return Response(response.status, headers, content)
        finally:
            connection.close()

    def give(self, response: Response, end: int | None = None) -> None:
        """Send the response. With ``end``, send only that many bytes of its body and close the connection."""
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(response.body)))
        if end is not None:
            self.close_connection = True
        self.end_headers()
        self.send(response.body[:end])

    def send(self, content: bytes) -> None:
        self.wfile.write(content)
        self.wfile.flush()

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()  # the socket is closed when nobody holds it any more
        self.connection.close()

    def send_response(self, code: int, message: str | None = None) -> None:
        self.send_response_only(code, message)  # without Server and Date of this proxy

    def log_message(self, format: str, *args: object) -> None:
        pass
