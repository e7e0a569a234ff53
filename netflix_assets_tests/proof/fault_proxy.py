"""An HTTP proxy in front of an S3 server that passes everything through and fails on command.

It proves nothing by itself: ``test_s3_faults.py`` gives it the faults. Requests go on with the headers they came with,
the Host among them, because that is signed. Every request is noted with its time, so that attempts can be counted.
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
    """What the server answered, for a fault to change before it goes out."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


# A fault gets the connection's handler and the server's answer (asked for when it is called).
Answer = Callable[[], Response]
Fault = Callable[["_Handler", Answer], None]


def error(status: int, code: str, message: str = "Please try again.") -> Fault:
    """An S3 error with its XML body, in place of the answer."""

    def fail(handler: "_Handler", answer: Answer) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        handler.give(Response(status, [("Content-Type", "application/xml")], body))

    return fail


SLOW_DOWN = error(503, "SlowDown", "Please reduce your request rate.")
INTERNAL_ERROR = error(500, "InternalError", "We encountered an internal error.")


def reset(handler: "_Handler", answer: Answer) -> None:
    """The connection ends with a TCP reset, without an answer."""
    handler.reset()


def cut(share: float = 0.5, *, by_reset: bool = False) -> Fault:
    """A share of the body (its length is announced whole), then the connection ends."""

    def fail(handler: "_Handler", answer: Answer) -> None:
        response = answer()
        handler.give(response, end=int(len(response.body) * share))
        if by_reset:
            handler.reset()

    return fail


def hang(seconds: float, *, share: float = 0.0) -> Fault:
    """Nothing for this long, before the answer or after a share of its body; then the rest."""

    def fail(handler: "_Handler", answer: Answer) -> None:
        response = answer()
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
    """The whole body, evenly spread over this time: a slow line."""

    def fail(handler: "_Handler", answer: Answer) -> None:
        response = answer()
        step = -(-len(response.body) // pieces)
        handler.give(response, end=0)
        for start in range(0, len(response.body), step):
            handler.proxy.closing.wait(seconds / pieces)
            handler.send(response.body[start : start + step])

    return fail


def changed(change: Callable[[Response], Response]) -> Fault:
    """The answer, changed: another ETag, a shorter body, an earlier listing."""

    def fail(handler: "_Handler", answer: Answer) -> None:
        handler.give(change(answer()))

    return fail


@dataclass
class Rule:
    """A fault for requests of a kind (``*`` any) whose key matches, so many times."""

    fault: Fault
    kind: str = "*"
    key: str = ""
    times: float = float("inf")
    is_first_page: bool | None = None

    def wants(self, request: Request) -> bool:
        if self.kind not in ("*", request.kind) or not re.search(self.key, request.key):
            return False
        if self.is_first_page not in (None, request.is_first_page):
            return False
        self.times -= 1
        return self.times >= 0


@dataclass
class FaultProxy:
    """The running proxy: ``rules`` say what fails (the first that wants a request), ``requests`` what arrived."""

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
        """From now on these faults and no others; what arrived so far is forgotten."""
        with self.lock:
            self.rules[:] = rules
            self.requests.clear()

    def seen(self, kind: str = "*", key: str = "") -> list[Request]:
        """The requests of a kind for keys that match, in order of arrival."""
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
            request = self._noted()
            rule = next((rule for rule in self.proxy.rules if rule.wants(request)), None)
            self.proxy.requests.append(replace(request, has_failed=rule is not None))
        with suppress(ConnectionError):  # the client has given up, which is what many a test wants
            if rule:
                rule.fault(self, lambda: self._ask(body))
            else:
                self.give(self._ask(body))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

    def _noted(self) -> Request:
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        key = urllib.parse.unquote(url.path).lstrip("/").partition("/")[2]
        kind = self.command.lower()
        if kind == "get" and not key:
            kind, key = "list", query.get("prefix", [""])[0]
        is_first = "continuation-token" not in query
        return Request(kind, key, self.headers.get("Range"), is_first, time.monotonic(), False)

    def _ask(self, body: bytes) -> Response:
        connection = http.client.HTTPConnection(*self.proxy.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
            length = answer.getheader("Content-Length")
            content = answer.read()
            if self.command == "HEAD" and length:
                headers.append(("Content-Length", length))
            return Response(answer.status, headers, content)
        finally:
            connection.close()

    def give(self, response: Response, end: int | None = None) -> None:
        """Send the answer; only the first ``end`` bytes of its body, where given (then the connection ends)."""
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
