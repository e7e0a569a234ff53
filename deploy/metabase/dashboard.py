"""Create or update a collection with one dashboard and its questions in Metabase, found by their names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from api import Metabase

PLAN = Path(__file__).with_name("business.yaml")
# What an update of a dashboard accepts of each card on it.
_PLACED = (
    "id", "card_id", "action_id", "row", "col", "size_x", "size_y", "dashboard_tab_id", "parameter_mappings",
    "inline_parameters", "visualization_settings", "series",
)  # fmt: skip


def push_dashboard(metabase: Metabase, database_id: int, plan: Mapping[str, Any]) -> None:
    """Write what differs from the plan, and print what was written."""
    collection_id = _push_collection(metabase, plan["collection"])
    items = metabase.get(f"collection/{collection_id}/items", models=["card", "dashboard"])["data"]
    ids = {(item["model"], item["name"]): item["id"] for item in items}
    card_ids = {
        question["name"]: _push(
            metabase, "card", ids.get(("card", question["name"])), _card(question, database_id, collection_id)
        )
        for question in plan["questions"]
    }
    wanted = {**plan["dashboard"], "collection_id": collection_id}
    dashboard_id = _push(metabase, "dashboard", ids.get(("dashboard", wanted["name"])), wanted)
    _place(metabase, dashboard_id, [*_placed_questions(plan, card_ids), _placed_text(plan["text"])])


def read_plan(path: Path = PLAN) -> dict[str, Any]:
    """Return the collection, the dashboard and its questions."""
    plan: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return plan


def _push_collection(metabase: Metabase, wanted: Mapping[str, Any]) -> int:
    top = [each for each in metabase.get("collection") if each.get("location") == "/"]
    # A person's own collection may have any name.
    found = [each["id"] for each in top if each["name"] == wanted["name"] and not each.get("personal_owner_id")]
    return _push(metabase, "collection", found[0] if found else None, wanted)


def _push(metabase: Metabase, kind: str, found_id: int | None, wanted: Mapping[str, Any]) -> int:
    """Create an object, or change what differs. Returns its id."""
    if found_id is None:
        print(f"Created {kind} {wanted['name']}")
        return int(metabase.post(kind, dict(wanted))["id"])
    found = metabase.get(f"{kind}/{found_id}")
    changes = {name: value for name, value in wanted.items() if not _holds(_readable(name, found.get(name)), value)}
    if changes:
        metabase.put(f"{kind}/{found_id}", changes)
        print(f"Updated {kind} {wanted['name']}: {', '.join(changes)}")
    return found_id


def _holds(found: Any, wanted: Any) -> bool:
    """Return whether what was found has all that is wanted. Metabase adds settings of its own."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_holds(found.get(name), value) for name, value in wanted.items())
    return bool(found == wanted)


def _card(question: Mapping[str, Any], database_id: int, collection_id: int) -> dict[str, Any]:
    return {
        "name": question["name"],
        "description": question["description"],
        "display": question["display"],
        "dataset_query": _native(database_id, question["sql"]),
        "visualization_settings": question.get("settings", {}),
        "collection_id": collection_id,
    }


def _native(database_id: int, sql: str) -> dict[str, Any]:
    return {"type": "native", "database": database_id, "native": {"query": sql.strip()}}


def _readable(name: str, value: Any) -> Any:
    """Return a value as it was sent. Metabase 0.57 and later answer with queries in a newer form, as stages."""
    if name == "dataset_query" and "stages" in value:
        return _native(value["database"], value["stages"][0].get("native") or "")
    return value


def _placed_questions(plan: Mapping[str, Any], card_ids: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"card_id": card_ids[question["name"]], "visualization_settings": {}, **_at(question["place"])}
        for question in plan["questions"]
    ]


def _placed_text(text: Mapping[str, Any]) -> dict[str, Any]:
    virtual = {"display": "text", "name": None, "archived": False, "dataset_query": {}, "visualization_settings": {}}
    settings = {"virtual_card": virtual, "text": text["markdown"]}
    return {"card_id": None, "visualization_settings": settings, **_at(text["place"])}


def _at(place: list[int]) -> dict[str, int]:
    """Return a place on the grid, which is 24 columns wide."""
    return dict(zip(("col", "row", "size_x", "size_y"), place, strict=True))


def _place(metabase: Metabase, dashboard_id: int, wanted: list[dict[str, Any]]) -> None:
    """Place the cards on the dashboard. Those that others added, and tabs, stay as they are."""
    dashboard = metabase.get(f"dashboard/{dashboard_id}")
    found = {_key(each): each for each in reversed(dashboard["dashcards"])}
    if all(_holds(found.get(_key(each)), each) for each in wanted):
        return
    tabs = [{"id": tab["id"], "name": tab["name"]} for tab in dashboard.get("tabs") or []]
    first_tab = {"dashboard_tab_id": tabs[0]["id"]} if tabs else {}
    ours = [
        # A negative id makes a new card.
        {"id": -number, **first_tab, **_sendable(found.get(_key(each), {})), **each}
        for number, each in enumerate(wanted, 1)
    ]
    ids = {each["id"] for each in ours}
    others = [_sendable(each) for each in dashboard["dashcards"] if each["id"] not in ids]
    metabase.put(f"dashboard/{dashboard_id}", {"dashcards": [*ours, *others], "tabs": tabs})
    print(f"Placed {len(ours)} cards on dashboard {dashboard['name']}")


def _key(placed: Mapping[str, Any]) -> Any:
    """Return what tells a card on the dashboard from others: its question, or the first line of its text."""
    text = (placed.get("visualization_settings") or {}).get("text") or ""
    return placed.get("card_id") or text.partition("\n")[0]


def _sendable(placed: Mapping[str, Any]) -> dict[str, Any]:
    sent = {name: placed[name] for name in _PLACED if name in placed}
    return sent | ({"series": [{"id": card["id"]} for card in sent["series"]]} if sent.get("series") else {})
