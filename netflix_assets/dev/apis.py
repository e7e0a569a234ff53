"""Local servers of the three APIs that the contracts name, with invented rates and headlines.

They answer as the real ones do, with what there is until the last day of the samples: Frankfurter with the rate before
on days without one, Open Exchange Rates only for now, Alpha Vantage's errors with status 200. The last two want the key
``KEY``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets.dev.business.scenario import LAST_DAY
from netflix_assets.settings.named import variable_of

APIS = ("frankfurter", "openexchangerates", "alphavantage")
KEY = "sample-key"

_HOUR = timedelta(hours=1)


@contextmanager
def serve_apis(port: int = 0, last_day: date = LAST_DAY) -> Iterator[int]:
    """Serve for the length of the block. Yields the port.

    ``last_day``: there are rates and headlines up to the end of this day, and "now" is its last hour.
    """
    with ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"last_day": last_day})) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def address_of(name: str, port: int) -> str:
    """The address of one of ``APIS``."""
    return f"http://127.0.0.1:{port}/{name}"


def variables_for(port: int) -> dict[str, str]:
    """The variables with which the pipeline uses the servers on this port."""
    return {
        variable: value
        for name in APIS
        for variable, value in (
            (variable_of("apis", name), address_of(name, port)),
            (f"{variable_of('apis', name)}_KEY", KEY),
        )
    }


class _Handler(BaseHTTPRequestHandler):
    last_day: date

    def do_GET(self) -> None:
        """Answer a request."""
        address = urlsplit(self.path)
        _, name, *path = address.path.split("/")
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        answers = {
            "frankfurter": _frankfurter, "openexchangerates": _open_exchange_rates, "alphavantage": _alpha_vantage,
        }  # fmt: skip
        status, answer = answers[name](path, query, self.last_day) if name in answers else _NOT_FOUND
        body = json.dumps(answer, ensure_ascii=False, indent=1).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a demo prints what it does itself."""


_Answer = tuple[int, Mapping[str, Any]]
_NOT_FOUND: _Answer = (HTTPStatus.NOT_FOUND, {"message": "not found"})


def _frankfurter(path: Sequence[str], query: Mapping[str, str], last_day: date) -> _Answer:
    try:
        day = date.fromisoformat(path[-1])
    except ValueError:
        return _NOT_FOUND
    if query.get("base", "EUR") != "EUR":
        return _NOT_FOUND
    day = min(day, last_day)
    while (rates := daily_rates(day)) is None:
        day -= timedelta(days=1)
    shown = _numbers(_wanted(rates, query))
    return HTTPStatus.OK, {"amount": 1.0, "base": "EUR", "date": day.isoformat(), "rates": shown}


def _open_exchange_rates(path: Sequence[str], query: Mapping[str, str], last_day: date) -> _Answer:
    if query.get("app_id") != KEY:
        return HTTPStatus.UNAUTHORIZED, {"error": True, "status": 401, "message": "invalid_app_id"}
    if path != ["latest.json"]:
        return _NOT_FOUND
    now = datetime.combine(last_day + timedelta(days=1), time(), UTC) - _HOUR
    shown = _wanted(hourly_rates(now), query)
    return HTTPStatus.OK, {"timestamp": int(now.timestamp()), "base": "USD", "rates": _numbers(shown)}


def _alpha_vantage(path: Sequence[str], query: Mapping[str, str], last_day: date) -> _Answer:
    if query.get("apikey") != KEY:
        return HTTPStatus.OK, {"Error Message": "the parameter apikey is invalid or missing"}
    if path != ["query"] or query.get("function") != "NEWS_SENTIMENT":
        return HTTPStatus.OK, {"Error Message": "Invalid API call"}
    first, end = (datetime.strptime(query[name], "%Y%m%dT%H%M") for name in ("time_from", "time_to"))
    last = (end - timedelta(minutes=1)).date()
    days = [first.date() + timedelta(days=number) for number in range((min(last, last_day) - first.date()).days + 1)]
    feed = [each for day in days for each in headlines(day)]
    return HTTPStatus.OK, {"items": str(len(feed)), "feed": feed}


def _wanted(rates: Mapping[str, Decimal], query: Mapping[str, str]) -> Mapping[str, Decimal]:
    wanted = query["symbols"].split(",") if "symbols" in query else rates
    return {currency: rate for currency, rate in rates.items() if currency in wanted}


def _numbers(rates: Mapping[str, Decimal]) -> dict[str, float]:
    return {currency: float(rate) for currency, rate in rates.items()}
