"""A real HTTP server whose answers a test writes, and the contract of an API that it stands for."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.extract.api.periods import Period, periods_between
from netflix_assets.extract.api.run import Outcome, missing_periods, request_periods
from netflix_assets.settings import Settings, read_settings
from netflix_assets.settings.named import ApiSettings
from netflix_assets_tests.conftest import Bucket

KEY = "s3cr3t/key+1=="
NEWS: dict[str, Any] = {
    "source": "wire",
    "name": "news",
    "description": "News.",
    "mode": "upsert",
    "key": ["id"],
    "format": "json",
    "records": {"at": "/feed"},
    "freshness": {"warn_after_days": 1, "fail_after_days": 2},
    "columns": [
        {"name": "id", "type": "integer", "description": "Id."},
        {"name": "title", "type": "text", "nullable": True, "description": "Title."},
    ],
}
REQUEST = {
    "path": "/news/{start:%Y-%m-%d}",
    "parameters": {"to": "{last:%Y-%m-%dT%H:%M:%S}"},
    "per": "day",
    "start": "2026-11-01",
    "ready_after_minutes": 1440,
}
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """A request as the server has received it."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


Reply = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]  # status, JSON or bytes, headers


@dataclass
class Server:
    """``answer``: what is replied to a request; None closes the connection. ``asked``: the requests so far."""

    url: str
    answer: Callable[[Asked], Reply | None] = lambda asked: (200, {"feed": []})
    asked: list[Asked] = field(default_factory=list)

    def replies(self, *replies: Reply | None) -> None:
        """Give these answers, one after the other."""
        left = iter(replies)
        self.answer = lambda asked: next(left)


@contextmanager
def serve() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(address.query).items()}
            asked = Asked(address.path, query, {name.lower(): value for name, value in self.headers.items()})
            server.asked.append(asked)
            reply = server.answer(asked)
            if reply is None:
                return
            status, content, *headers = reply
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server = Server(f"http://127.0.0.1:{listening.server_address[1]}")
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()


def source(request: Mapping[str, Any] | None = None, api: Mapping[str, Any] | None = None, **changes: Any) -> Source:
    """The contract of an API with one dataset."""
    dataset = Dataset.model_validate({**NEWS, **changes, "request": {**REQUEST, **(request or {})}})
    return Source(
        source="wire",
        description="A news wire.",
        api={"url": "https://wire.example", "requests_per_minute": 60_000, "timeout_seconds": 1, **(api or {})},
        datasets=(dataset,),
    )


@dataclass
class Api:
    """An API under test: its server, and the bucket in which answers land."""

    server: Server
    bucket: Bucket
    settings: Settings

    def request(self, wire: Source, first: str = "2026-11-27", last: str = "2026-11-27") -> list[Outcome]:
        (dataset,) = wire.datasets
        missing = missing_periods(dataset, self.periods(wire, first, last), self.bucket.store)
        return request_periods(wire, dataset, missing, self.settings, self.bucket.store)

    def periods(self, wire: Source, first: str, last: str) -> list[Period]:
        request = wire.datasets[0].requested
        return periods_between(request, date.fromisoformat(first), date.fromisoformat(last), NOW)

    @property
    def keys(self) -> list[str]:
        return [listed.key for listed in self.bucket.store.list("")]

    def read(self, key: str) -> bytes:
        (listed,) = self.bucket.store.list(key)
        return b"".join(self.bucket.store.read(listed))


def settings_for(server: Server, home: Any, key: str | None = KEY) -> Settings:
    return read_settings(home=home, apis={"wire": ApiSettings(url=server.url, key=key)})
