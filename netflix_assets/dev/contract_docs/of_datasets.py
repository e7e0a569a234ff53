"""Examples of the options of a source, a dataset and a dialect. Add one here for each new option."""

from netflix_assets.dev.contract_docs.example import Example, Files, files

_ITEM = {"name": "item", "type": "integer"}
_LABEL = {"name": "label", "type": "text"}
_PRICE = {"name": "price", "type": "decimal(9,2)"}
_BOTH = [_ITEM, _LABEL]

SOURCE = (
    Example("Source.source", {}, {"source": "web_shop"}, {"source": "Web shop"}),
    Example("Source.description", {}, {"description": "What we sell."}, {"description": None}),
    Example("Source.owners", {}, {"owners": ["team:sales"]}, {"owners": "team:sales"}),
    Example("Source.datasets", {}, {}, {"datasets": None}),
    Example("Source.api", {}, {"api": {"url": "https://api.example.com/v1"}}, {"api": {"address": "api.example.com"}}),
)

DATASET = (
    Example("Dataset.description", {}, {"description": "One row per item."}, {"description": None}),
    Example("Dataset.mode", {}, {"mode": "overwrite"}, {"mode": "replace"}),
    Example("Dataset.key", {}, {"key": ["item"]}, {"key": ["number"]}),
    Example("Dataset.columns", {}, {"columns": [_ITEM]}, {"columns": []}),
    Example(
        "Dataset.file",
        {"file": "price-list"},
        files(**{"price-list-2026": "item,label\n1,nut\n"}),
        files(things="item,label\n1,nut\n"),
    ),
    Example(
        "Dataset.format",
        {"format": "jsonl"},
        Files({"things.jsonl": '{"item": 1, "label": "nut"}\n'}),
        Files({"things.jsonl": "item,label\n1,nut\n"}),
    ),
    Example("Dataset.extensions", {}, {"extensions": ["dat"]}, {"extensions": [".dat"]}),
    Example(
        "Dataset.dialect",
        {"dialect": {"delimiter": ";"}},
        files(things="item;label\n1;nut\n"),
        files(things="item,label\n1,nut\n"),
    ),
    Example(
        "Dataset.encoding",
        {"encoding": "windows-1252"},
        files(things="item,label\n1,Café\n".encode("windows-1252")),
        files(things=b"item,label\n1,Caf\x81\n"),
    ),
    Example("Dataset.optional", {}, {"optional": True}, {"optional": "perhaps"}),
    Example(
        "Dataset.deleted_objects", {}, {"deleted_objects": "remove"}, {"deleted_objects": "remove", "mode": "overwrite"}
    ),
    Example("Dataset.keep_versions", {}, {"keep_versions": 10}, {"keep_versions": 0}),
    Example(
        "Dataset.freshness",
        {},
        {"freshness": {"warn_after_days": 7, "fail_after_days": 30}},
        {"freshness": {"days": 7}},
    ),
    Example(
        "Dataset.extract",
        {},
        {"extract": {"database": "shop", "table": "items", "mode": "snapshot"}, "mode": "overwrite"},
        {"extract": {"database": "shop", "mode": "snapshot"}, "mode": "overwrite"},
    ),
    Example(
        "Dataset.request",
        {"format": "json"},
        {"request": {"path": "/items", "per": "day", "start": "2026-01-01", "ready_after_minutes": 1500}},
        {"request": {"path": "/items"}},
    ),
    Example(
        "Dataset.records",
        {"format": "json", "records": {"at": "/data"}},
        Files({"things.json": '{"data": [{"item": 1, "label": "nut"}]}'}),
        Files({"things.json": '{"items": [{"item": 1, "label": "nut"}]}'}),
    ),
    Example(
        "Dataset.tolerance",
        {"tolerance": {"rejected_rows": 0, "rejected_share": 0}},
        files(things="item,label\n1,nut\n"),
        files(things="item,label\n1,nut\nx,nut\n"),
    ),
    Example("Dataset.owners", {}, {"owners": ["team:sales"]}, {"owners": "team:sales"}),
    Example(
        "Freshness.warn_after_days",
        {},
        {"freshness": {"warn_after_days": 0.5, "fail_after_days": 2}},
        {"freshness": {"warn_after_days": 0, "fail_after_days": 2}},
    ),
    Example(
        "Freshness.fail_after_days",
        {},
        {"freshness": {"warn_after_days": 1, "fail_after_days": 2}},
        {"freshness": {"warn_after_days": 1}},
    ),
    Example(
        "Tolerance.rejected_rows",
        {"tolerance": {"rejected_rows": 1, "rejected_share": 0}},
        files(things="item,label\n1,nut\nx,nut\n"),
        files(things="item,label\n1,nut\nx,nut\ny,nut\n"),
    ),
    Example(
        "Tolerance.rejected_share",
        {"tolerance": {"rejected_rows": 0, "rejected_share": 0.5}},
        files(things="item,label\n1,nut\nx,nut\n"),
        files(things="item,label\nx,nut\ny,nut\n"),
    ),
)

DIALECT = (
    Example(
        "TableDialect.delimiter",
        {"dialect": {"delimiter": "|"}},
        files(things="item|label\n1|nut, bolt\n"),
        files(things="item|label\n1|nut|bolt\n"),
    ),
    Example(
        "TableDialect.quote_char",
        {"dialect": {"quote_char": None}},
        files(things='item,label\n1,5" nail\n'),
        files(things='item,label\n1,"nut, bolt"\n'),
    ),
    Example(
        "TableDialect.escape_char",
        {"dialect": {"escape_char": "\\"}},
        files(things='item,label\n1,"5\\" nail"\n'),
        files(things='item,label\n1,"5"" nail\n'),
    ),
    Example(
        "TableDialect.skip_initial_space",
        {"dialect": {"skip_initial_space": True}},
        files(things="item, label\n1, nut\n"),
        files(things="item, label\n1 , nut\n"),
    ),
    Example(
        "TableDialect.header",
        {"dialect": {"header": False}},
        files(things="1,nut\n"),
        files(things="item,label\n1,nut\n"),
    ),
    Example(
        "TableDialect.header_rows",
        {"dialect": {"header_rows": [2]}},
        files(things="Stock list\nitem,label\n1,nut\n"),
        files(things="item,label\n1,nut\n"),
    ),
    Example(
        "TableDialect.field_count",
        {"dialect": {"header": False, "field_count": 3}},
        files(things="1,nut,old\n"),
        files(things="1,nut\n"),
    ),
    Example(
        "TableDialect.comment_char",
        {"dialect": {"comment_char": "#"}},
        files(things="item,label\n# checked\n1,nut\n"),
        files(things="item,label\n// checked\n1,nut\n"),
    ),
    Example(
        "TableDialect.footer_rows",
        {"dialect": {"footer_rows": 1}},
        files(things="item,label\n1,nut\nTotal: 1\n"),
        files(things="item,label\n1,nut\n2,bolt\n"),
    ),
    Example(
        "TableDialect.date_format",
        {"dialect": {"date_format": "%d.%m.%Y"}, "columns": [_ITEM, {"name": "day", "type": "date"}]},
        files(things="item,day\n1,31.12.2026\n"),
        files(things="item,day\n1,12/31/2026\n"),
    ),
    Example(
        "TableDialect.timestamp_format",
        {"dialect": {"timestamp_format": "epoch_ms"}, "columns": [_ITEM, {"name": "sold_at", "type": "timestamp"}]},
        files(things="item,sold_at\n1,1772000000000\n"),
        files(things="item,sold_at\n1,2026-02-25\n"),
    ),
    Example(
        "TableDialect.missing_values",
        {"dialect": {"missing_values": ["NA"]}, "columns": [_ITEM, {**_PRICE, "nullable": True}]},
        files(things="item,price\n1,NA\n2,\n"),
        files(things="item,price\n1,NULL\n"),
    ),
    Example(
        "TableDialect.decimal_char",
        {"dialect": {"delimiter": ";", "decimal_char": ","}, "columns": [_ITEM, _PRICE]},
        files(things="item;price\n1;4,50\n"),
        files(things="item;price\n1;4.50\n"),
    ),
    Example(
        "TableDialect.group_char",
        {"dialect": {"delimiter": ";", "decimal_char": ",", "group_char": "."}, "columns": [_ITEM, _PRICE]},
        files(things="item;price\n1;1.234,50\n"),
        files(things="item;price\n1;12.34,50\n"),
    ),
    Example(
        "TableDialect.true_values",
        {
            "dialect": {"true_values": ["yes"], "false_values": ["no"]},
            "columns": [_ITEM, {"name": "in_stock", "type": "boolean"}],
        },
        files(things="item,in_stock\n1,yes\n"),
        files(things="item,in_stock\n1,true\n"),
    ),
    Example(
        "TableDialect.false_values",
        {
            "dialect": {"true_values": ["1"], "false_values": ["0"]},
            "columns": [_ITEM, {"name": "in_stock", "type": "boolean"}],
        },
        files(things="item,in_stock\n1,0\n"),
        files(things="item,in_stock\n1,2\n"),
    ),
    Example(
        "TableDialect.time_zone",
        {"dialect": {"time_zone": "Europe/Berlin"}, "columns": [_ITEM, {"name": "sold_at", "type": "timestamp"}]},
        files(things="item,sold_at\n1,2026-07-01 12:00:00\n"),
        files(things="item,sold_at\n1,2026-03-29 02:30:00\n"),
    ),
    Example(
        "TableDialect.decimal_zeros",
        {"dialect": {"decimal_zeros": True}},
        files(things="item,label\n862.0,nut\n"),
        files(things="item,label\n862.5,nut\n"),
    ),
)
