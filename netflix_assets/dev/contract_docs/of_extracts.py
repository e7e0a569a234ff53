"""Examples of the options of an extract from a database. They are contracts only: nothing is read."""

from collections.abc import Mapping
from typing import Any

from netflix_assets.dev.contract_docs.example import Example

_CHANGES = {"database": "shop", "table": "sales.orders", "mode": "changes"}
_VERSIONS = {"mode": "upsert", "key": ["item"]}
_CURSOR = {"database": "shop", "table": "items", "mode": "cursor", "cursor": "item"}


def _uses(right: Mapping[str, Any], wrong: Mapping[str, Any], **entry: Any) -> tuple[dict[str, Any], ...]:
    return {"extract": dict(right), **entry}, {"extract": dict(wrong), **entry}


def _changes(option: str, right: Any, wrong: Any) -> Example:
    """An example of an option beside those that every extract of changes has."""
    return Example(f"Extract.{option}", _VERSIONS, *_uses({**_CHANGES, option: right}, {**_CHANGES, option: wrong}))


def _deletes(option: str, right: Any, wrong: Any) -> Example:
    uses = _uses({**_CHANGES, "deletes": {option: right}}, {**_CHANGES, "deletes": {option: wrong}})
    return Example(f"Deletes.{option}", _VERSIONS, *uses)


EXTRACT = (
    _changes("database", "shop", "Web shop"),
    _changes("table", "sales.orders", "shop.sales.orders"),
    Example(
        "Extract.query",
        {},
        *_uses(
            {"database": "shop", "query": "select item, label from public.items", "mode": "snapshot"},
            {"database": "shop", "query": "select item, label from public.items", "mode": "changes"},
            mode="overwrite",
        ),
    ),
    Example(
        "Extract.mode",
        {},
        {"extract": {**_CHANGES, "mode": "snapshot"}, "mode": "overwrite"},
        {"extract": {**_CHANGES, "mode": "snapshot"}, **_VERSIONS},
    ),
    Example("Extract.cursor", _VERSIONS, *_uses(_CURSOR, {**_CURSOR, "cursor": "updated_at"})),
    Example("Extract.lag_minutes", _VERSIONS, *_uses({**_CURSOR, "lag_minutes": 30}, {**_CURSOR, "lag_minutes": -1})),
    _changes("every_minutes", 15, 0),
    _changes("deletes", {"rows": 1000}, {"days": 1}),
    _changes("left_out", ["card_number"], ["label"]),
)

DELETES = (_deletes("rows", 1000, -1), _deletes("share", 0.5, 2))
