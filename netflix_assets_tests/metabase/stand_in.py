"""A stand-in for Metabase: the endpoints that deploy/metabase uses, as strict about requests as Metabase is.

The schemas follow those in Metabase's source (2026): closed maps, so that a key which Metabase does not know is an
error here too. Queries come back in the form of 0.57 and later (stages) or, with ``is_old``, as they were sent.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jsonschema

KEY = "mb_canary+/=key"

ID = {"type": "integer", "minimum": 1}
TEXT = {"type": "string", "pattern": r"\S"}
MAP = {"type": "object"}
ANY_TEXT, FLAG, AT_LEAST_0 = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
# Every type here derives from :Semantic/* or :Relation/* in metabase.types.core.
SEMANTIC = {"enum": [f"type/{name}" for name in (
    "PK", "FK", "Category", "Currency", "Percentage", "Share", "URL", "State", "Country", "City", "Name", "Title",
)]}  # fmt: skip


def maybe(schema: dict) -> dict:
    return {"anyOf": [schema, {"type": "null"}]}


def closed(required: dict[str, dict], optional: dict[str, dict] | None = None) -> dict:
    properties = {**required, **{name: maybe(schema) for name, schema in (optional or {}).items()}}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


NATIVE = closed(
    {"type": {"const": "native"}, "database": ID, "native": {**closed({"query": TEXT}, {"template-tags": MAP})}}
)
CARD = {"description": TEXT, "collection_id": ID, "collection_position": ID, "cache_ttl": ID, "parameters": {}}
PLACED = closed(
    {"id": {"type": "integer"}, "size_x": ID, "size_y": ID, "row": AT_LEAST_0, "col": AT_LEAST_0},
    {
        "card_id": ID, "action_id": ID, "dashboard_tab_id": {"type": "integer"}, "visualization_settings": MAP,
        "parameter_mappings": {"type": "array"}, "inline_parameters": {"type": "array", "items": TEXT},
        "series": {"type": "array", "items": closed({"id": ID})},
    },
)  # fmt: skip
TAB = closed({"id": {"type": "integer"}, "name": TEXT}, {"position": AT_LEAST_0})
BODIES = {
    ("POST", "collection"): closed({"name": TEXT}, {"description": TEXT, "parent_id": ID, "namespace": TEXT}),
    ("PUT", "collection"): closed({}, {"name": TEXT, "description": TEXT, "archived": FLAG, "parent_id": ID}),
    ("POST", "card"): closed(
        {"name": TEXT, "dataset_query": NATIVE, "display": TEXT, "visualization_settings": MAP}, CARD
    ),
    ("PUT", "card"): closed(
        {},
        {
            **CARD, "name": TEXT, "dataset_query": NATIVE, "display": TEXT, "description": ANY_TEXT, "archived": FLAG,
            "visualization_settings": MAP,
        },
    ),
    ("POST", "dashboard"): closed(
        {"name": TEXT}, {"description": ANY_TEXT, "collection_id": ID, "collection_position": ID, "cache_ttl": ID}
    ),
    ("PUT", "dashboard"): closed(
        {},
        {
            "name": TEXT, "description": ANY_TEXT, "collection_id": ID, "archived": FLAG,
            "dashcards": {"type": "array", "items": PLACED}, "tabs": {"type": "array", "items": TAB},
        },
    ),
    ("PUT", "table"): closed({}, {"description": ANY_TEXT, "display_name": TEXT, "caveats": ANY_TEXT}),
    ("PUT", "field"): closed(
        {}, {"description": TEXT, "display_name": TEXT, "semantic_type": SEMANTIC, "fk_target_field_id": ID}
    ),
}  # fmt: skip
MODELS = {"card", "dataset", "document", "metric", "collection", "dashboard", "pulse", "snippet", "timeline", "table"}


class RefusalError(Exception):
    def __init__(self, status: int, answer: object) -> None:
        super().__init__(status, answer)
        self.status, self.answer = status, answer


@dataclass
class Metabase:
    """What is in it, and which requests changed it. ``refuse`` answers in its place where it returns something."""

    is_old: bool = False
    refuse: Callable[[str, str], tuple[int, object, dict[str, str]] | None] = lambda method, path: None
    url: str = ""
    collections: dict[int, dict] = field(default_factory=dict)
    cards: dict[int, dict] = field(default_factory=dict)
    dashboards: dict[int, dict] = field(default_factory=dict)
    tables: dict[int, dict] = field(default_factory=dict)
    fields: dict[int, dict] = field(default_factory=dict)
    writes: list[tuple[str, str, dict]] = field(default_factory=list)
    _last_id: int = 100

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def add_table(self, schema: str, name: str, columns: list[str]) -> None:
        table_id = self.next_id()
        self.tables[table_id] = {"id": table_id, "schema": schema, "name": name, "description": None}
        for column in columns:
            field_id = self.next_id()
            self.fields[field_id] = {
                "id": field_id, "table_id": table_id, "name": column, "description": None, "semantic_type": None,
                "fk_target_field_id": None,
            }  # fmt: skip

    def field(self, table: str, column: str) -> dict:
        (table_id,) = (each["id"] for each in self.tables.values() if each["name"] == table)
        (found,) = (each for each in self.fields.values() if (each["table_id"], each["name"]) == (table_id, column))
        return found

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: dict | None) -> object:
        kind, _, rest = path.removeprefix("/api/").partition("/")
        if method == "GET":
            return self._get(kind, rest, query)
        check(BODIES.get((method, kind)), body)
        self.writes.append((method, path, copy.deepcopy(body)))
        if method == "POST" and not rest:
            return self._create(kind, body)
        return self._update(kind, self._found(kind, rest), body)

    def _get(self, kind: str, rest: str, query: dict[str, list[str]]) -> object:
        if (kind, rest) == ("database", ""):
            data = [{"id": 1, "name": "Sample Database"}, {"id": 2, "name": "netflix_assets", "engine": "duckdb"}]
            return {"data": data, "total": len(data)}
        if (kind, rest) == ("database", "2/metadata"):
            return {"id": 2, "tables": [self._with_fields(table) for table in self.tables.values()]}
        if (kind, rest) == ("collection", ""):
            return [{"id": "root", "name": "Our analytics"}, *self.collections.values()]
        if kind == "collection" and rest.endswith("/items"):
            return self._items(self._found(kind, rest.removesuffix("/items"))["id"], query)
        found = copy.deepcopy(self._found(kind, rest))
        if kind == "card" and not self.is_old:
            found["dataset_query"] = as_stages(found["dataset_query"])
        return found

    def _with_fields(self, table: dict) -> dict:
        return {**table, "fields": [each for each in self.fields.values() if each["table_id"] == table["id"]]}

    def _items(self, collection_id: int, query: dict[str, list[str]]) -> dict:
        models = query.pop("models", [])
        if query or not set(models) <= MODELS:
            raise RefusalError(400, {"errors": {"models": "nullable enum"}})
        found = [("card", each) for each in self.cards.values()] + [
            ("dashboard", each) for each in self.dashboards.values()
        ]
        rows = [
            {"id": each["id"], "name": each["name"], "model": model}
            for model, each in found
            if each["collection_id"] == collection_id and model in models and not each.get("archived")
        ]
        return {"data": rows, "total": len(rows), "models": models, "limit": None, "offset": None}

    def _all(self, kind: str) -> dict[int, dict]:
        known = {
            "collection": self.collections, "card": self.cards, "dashboard": self.dashboards, "table": self.tables,
            "field": self.fields,
        }  # fmt: skip
        return known.get(kind, {})

    def _found(self, kind: str, rest: str) -> dict:
        if not rest.isdigit() or int(rest) not in self._all(kind):
            raise RefusalError(404, "Not found.")
        return self._all(kind)[int(rest)]

    def _create(self, kind: str, body: dict) -> dict:
        made = {**copy.deepcopy(body), "id": self.next_id()}
        if kind == "collection":
            made |= {"location": "/", "personal_owner_id": None}
        elif body.get("collection_id") not in self.collections:
            raise RefusalError(404, "Not found.")
        if kind == "dashboard":
            made |= {"dashcards": [], "tabs": []}
        self._all(kind)[made["id"]] = made
        return made

    def _update(self, kind: str, found: dict, body: dict) -> dict:
        if body.get("fk_target_field_id", next(iter(self.fields), None)) not in {*self.fields, None}:
            raise RefusalError(400, {"errors": {"fk_target_field_id": "Invalid target field"}})
        changes = copy.deepcopy(body)
        if "dashcards" in changes:
            changes["tabs"] = changes.get("tabs") or []
            changes["dashcards"] = self._placed(found, changes["dashcards"], changes["tabs"])
        found.update(changes)
        return found

    def _placed(self, dashboard: dict, placed: list[dict], tabs: list[dict]) -> list[dict]:
        there = {each["id"] for each in dashboard["dashcards"]}
        ids = [each["id"] for each in placed]
        if len(set(ids)) < len(ids) or any(number > 0 and number not in there for number in ids):
            raise RefusalError(400, {"errors": {"dashcards": "value must be seq of maps in which ids are unique"}})
        if tabs and not all(each.get("dashboard_tab_id") for each in placed):
            raise RefusalError(400, "This dashboard has tab, makes sure every card has a tab")
        if any(each.get("card_id") not in {*self.cards, None} for each in placed):
            raise RefusalError(404, "Not found.")
        defaults = {
            "card_id": None,
            "dashboard_tab_id": None,
            "parameter_mappings": [],
            "series": [],
            "action_id": None,
        }
        made = [{**defaults, **each, "id": each["id"] if each["id"] > 0 else self.next_id()} for each in placed]
        return [{**each, "dashboard_id": dashboard["id"], "card": self.cards.get(each["card_id"])} for each in made]


def check(schema: dict | None, body: dict | None) -> None:
    if schema is None:
        raise RefusalError(404, "API endpoint does not exist.")
    if fault := next(jsonschema.Draft202012Validator(schema).iter_errors(body), None):
        raise RefusalError(400, {"specific-errors": {"/".join(map(str, fault.path)): [fault.message]}})


def as_stages(query: dict) -> dict:
    stage = {"lib/type": "mbql.stage/native", "native": query["native"]["query"], "template-tags": {}}
    return {"lib/type": "mbql/query", "database": query["database"], "stages": [stage]}


@contextmanager
def serve(metabase: Metabase) -> Iterator[Metabase]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection for all requests of a run
        disable_nagle_algorithm = True  # an answer in two pieces would otherwise wait 40 ms

        def respond(self) -> None:
            status, answer, headers = self.outcome()
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = respond

        def outcome(self) -> tuple[int, object, dict[str, str]]:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            address = urlsplit(self.path)
            if refused := metabase.refuse(self.command, address.path):
                return refused
            if self.headers.get("x-api-key") != KEY:
                return 401, "Unauthenticated", {}
            try:
                body = json.loads(content) if content else None
                return 200, metabase.answer(self.command, address.path, parse_qs(address.query), body), {}
            except RefusalError as refusal:
                return refusal.status, refusal.answer, {}

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    metabase.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield metabase
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
