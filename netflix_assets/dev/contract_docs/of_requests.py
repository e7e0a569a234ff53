"""Examples of the options of an API and of requests to it. They are contracts only: nothing is requested."""

from collections.abc import Mapping
from typing import Any

from netflix_assets.dev.contract_docs.example import Example, Files

_API = {"url": "https://api.example.com/v1"}
_REQUEST = {"path": "/items", "per": "day", "start": "2026-01-01", "ready_after_minutes": 1500}
_JSON = {"format": "json"}


def _api(option: str, right: Any, wrong: Any) -> Example:
    return Example(f"Api.{option}", {}, {"api": {**_API, option: right}}, {"api": {**_API, option: wrong}})


def _authentication(option: str, right: Mapping[str, Any], wrong: Mapping[str, Any]) -> Example:
    uses = ({"api": {**_API, "authentication": dict(each)}} for each in (right, wrong))
    return Example(f"Authentication.{option}", {}, *uses)


def _request(option: str, right: Any, wrong: Any) -> Example:
    uses = ({"request": {**_REQUEST, option: each}} for each in (right, wrong))
    return Example(f"Request.{option}", _JSON, *uses)


def _paging(option: str, right: Mapping[str, Any], wrong: Mapping[str, Any]) -> Example:
    uses = ({"request": {**_REQUEST, "paging": dict(each)}} for each in (right, wrong))
    return Example(f"Paging.{option}", _JSON, *uses)


def _records(option: str, records: Mapping[str, Any], right: str, wrong: str) -> Example:
    entry = {**_JSON, "records": dict(records)}
    return Example(f"Records.{option}", entry, Files({"things.json": right}), Files({"things.json": wrong}))


API = (
    _api("url", "https://api.example.com/v1", "https://me:secret@api.example.com"),
    _api("authentication", {"kind": "bearer"}, {"kind": "bearer", "key": "secret"}),
    _api("requests_per_minute", 10, 0),
    _api("timeout_seconds", 60, 0),
    _authentication("kind", {"kind": "bearer"}, {"kind": "cookie"}),
    _authentication("name", {"kind": "parameter", "name": "apikey"}, {"kind": "parameter"}),
)

REQUEST = (
    _request("path", "/items/{start:%Y-%m-%d}", "/items/{day}"),
    _request("parameters", {"from": "{start:%Y%m%dT%H%M}", "to": "{last:%Y%m%dT%H%M}"}, {"from": "{start}"}),
    _request("per", "hour", "week"),
    _request("time_zone", "Europe/Berlin", "Berlin"),
    _request("start", "2026-01-01", "2026-02-30"),
    _request("ready_after_minutes", 1500, -1),
    Example(
        "Request.history",
        _JSON,
        {"request": {**_REQUEST, "history": False, "ready_after_minutes": 5}},
        {"request": {**_REQUEST, "history": False}},
    ),
    _request("look_back", 7, 0),
    _request("paging", {"kind": "page", "parameter": "page"}, {"kind": "page"}),
    _request("gap_statuses", [404], [200]),
    _paging("kind", {"kind": "link", "next": "/links/next"}, {"kind": "link", "parameter": "page"}),
    _paging("parameter", {"kind": "offset", "parameter": "skip"}, {"kind": "offset"}),
    _paging(
        "first", {"kind": "page", "parameter": "page", "first": 0}, {"kind": "page", "parameter": "page", "first": -1}
    ),
    _paging(
        "next",
        {"kind": "cursor", "parameter": "after", "next": "/meta/cursor"},
        {"kind": "cursor", "parameter": "after"},
    ),
    _paging("max_pages", {"kind": "link", "max_pages": 50}, {"kind": "link", "max_pages": 0}),
    _records("at", {"at": "/data"}, '{"data": [{"item": 1, "label": "nut"}]}', '{"error": "too many requests"}'),
    _records(
        "name",
        {"at": "/data", "name": "label"},
        '{"data": {"nut": {"item": 1}}}',
        '{"data": ["nut"]}',
    ),
    _records(
        "value",
        {"at": "/data", "name": "label", "value": "item"},
        '{"data": {"nut": 1}}',
        '{"data": {"nut": [1]}}',
    ),
    _records(
        "keep",
        {"at": "/data", "keep": ["label"]},
        '{"label": "nut", "data": [{"item": 1}]}',
        '{"data": [{"item": 1}]}',
    ),
)
