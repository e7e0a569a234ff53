"""Examples of the options of a column, and of each type. Add one here for each new option."""

from typing import Any

from netflix_assets.dev.contract_docs.example import Example, Files, files, of_values

_ITEM = {"name": "item", "type": "integer"}


def _with(column: dict[str, Any]) -> dict[str, Any]:
    return {"columns": [_ITEM, column]}


COLUMN = (
    Example(
        "Column.name",
        {},
        {"columns": [{"name": "user_id", "type": "text"}]},
        {"columns": [{"name": "userId", "type": "text"}]},
    ),
    Example(
        "Column.source_name",
        _with({"name": "user_id", "source_name": "userId", "type": "integer"}),
        files(things="item,userId\n1,7\n"),
        files(things="item,user_id\n1,7\n"),
    ),
    Example(
        "Column.aliases",
        _with({"name": "label", "aliases": ["name", "title"], "type": "text"}),
        files(things="item,title\n1,nut\n"),
        files(things="item,heading\n1,nut\n"),
    ),
    Example(
        "Column.position",
        {"dialect": {"header": False, "field_count": 4}, **_with({"name": "label", "position": 4, "type": "text"})},
        files(things="1,,,nut\n"),
        files(things="1,nut\n"),
    ),
    Example(
        "Column.path",
        {"format": "jsonl", "columns": [_ITEM, {"name": "city", "path": "/buyer/city", "type": "text"}]},
        Files({"things.jsonl": '{"item": 1, "buyer": {"city": "Bonn"}}\n'}),
        Files({"things.jsonl": '{"item": 1, "buyer": "Bonn"}\n'}),
    ),
    Example(
        "Column.rest",
        {"format": "jsonl", "columns": [_ITEM, {"name": "others", "type": "json", "rest": True}]},
        Files({"things.jsonl": '{"item": 1, "label": "nut", "size": 5}\n'}),
        Files({"things.jsonl": '{"item": 1, "label": NaN}\n'}),
    ),
    Example(
        "Column.type",
        {},
        {"columns": [{"name": "price", "type": "decimal(9,2)"}]},
        {"columns": [{"name": "price", "type": "money"}]},
    ),
    Example(
        "Column.description",
        {},
        {"columns": [{"name": "item", "type": "integer", "description": "Number of the item."}]},
        {"columns": [{"name": "item", "type": "integer", "description": None}]},
    ),
    of_values("Column.nullable", {"type": "integer", "nullable": True}, "", "none"),
    Example(
        "Column.default",
        _with({"name": "currency", "type": "text", "default": "EUR"}),
        files(things="item\n1\n"),
        files(things="item,currency\n1,\n"),
    ),
    of_values(
        "Column.format", {"type": "timestamp", "format": "%d/%m/%Y %H:%M"}, "31/12/2026 23:59", "12/31/2026 23:59"
    ),
    of_values("Column.min", {"type": "integer", "min": 1}, "1", "0"),
    of_values("Column.max", {"type": "double", "max": 1}, "0.5", "1.5"),
    of_values("Column.multiple_of", {"type": "decimal(2,1)", "multiple_of": 0.5}, "4.5", "4.2"),
    of_values("Column.values", {"type": "text", "values": ["new", "used"]}, "new", "New"),
    of_values("Column.pattern", {"type": "text", "pattern": "tt[0-9]{7,9}"}, "tt0114709", "114709"),
    of_values("Column.max_length", {"type": "text", "max_length": 5}, "Café!", "Cafés!"),
    Example(
        "Column.showable",
        {},
        {"columns": [{"name": "email", "type": "text", "showable": False}]},
        {"columns": [{"name": "email", "type": "text", "showable": "never"}]},
    ),
    Example(
        "Column.protect",
        {"extract": {"database": "shop", "table": "customers", "mode": "snapshot"}, "mode": "overwrite"},
        {"columns": [{"name": "email", "type": "text", "protect": "hash"}]},
        {"columns": [{"name": "email", "type": "text", "protect": "encrypt"}]},
    ),
    Example(
        "Column.identifies",
        {},
        {"columns": [{"name": "customer", "type": "bigint", "identifies": "user"}]},
        {"columns": [{"name": "customer", "type": "double", "identifies": "user"}]},
    ),
    of_values("Column.missing_values", {"type": "date", "nullable": True, "missing_values": ["-"]}, "-", "?"),
    of_values("Column.decimal_char", {"type": "double", "decimal_char": ","}, "0,5", "0.5"),
    of_values("Column.group_char", {"type": "bigint", "group_char": "'"}, "1'234'567", "1'23"),
    of_values("Column.true_values", {"type": "boolean", "true_values": ["Y"], "false_values": ["N"]}, "Y", "y"),
    of_values("Column.false_values", {"type": "boolean", "true_values": ["on"], "false_values": ["off"]}, "off", "0"),
    of_values(
        "Column.time_zone", {"type": "timestamp", "time_zone": "America/New_York"}, "2026-01-01 00:00:00", "2026-01-01"
    ),
    of_values("Column.decimal_zeros", {"type": "integer", "decimal_zeros": True}, "4.0", "4.5"),
)

TYPES = (
    of_values("integer", {"type": "integer"}, "-2147483648", "2.7"),
    of_values("bigint", {"type": "bigint"}, "9007199254740993", "1_000"),
    of_values("decimal(p,s)", {"type": "decimal(5,2)"}, "123.450", "123.456"),
    of_values("double", {"type": "double"}, "1.5e-3", "nan"),
    of_values("boolean", {"type": "boolean"}, "True", "yes"),
    of_values("date", {"type": "date"}, "2024-02-29", "2026-02-29"),
    of_values("timestamp", {"type": "timestamp"}, "2026-11-07 13:45:00.5", "2026-11-07 24:00:00"),
    of_values("text", {"type": "text"}, " 007 ", ""),
    of_values("json", {"type": "json"}, '{"a": [1, 2]}', "{a: 1}"),
)
