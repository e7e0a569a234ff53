"""Write the JSON Schema of contract files: ``python -m netflix_assets.dev.contract_schema [--check]``.

Editors complete and check contracts by it. It follows from the pydantic model, except that a file lists its datasets
by name, and that name and source of a dataset are not options of its entry (``contracts/loading.py`` adds them). It
accepts every valid contract. It cannot refuse what only the model can tell, such as options that exclude each other.
"""

import json
import sys
from typing import Any

from netflix_assets.contracts.loading import CONTRACTS_DIR
from netflix_assets.contracts.model import ENCODINGS, Source

FILE = CONTRACTS_DIR / "schema.json"

_SNAKE_CASE = "^[a-z][a-z0-9_]*$"
_TYPES = ("integer", "bigint", "double", "boolean", "date", "timestamp", "text", "json")
_ADDED_BY_LOADING = ("source", "name", "longer_files")


def contract_schema() -> dict[str, Any]:
    """The schema of a contract file."""
    schema = Source.model_json_schema()
    definitions = schema["$defs"]
    _adapt_dataset(definitions["Dataset"])
    _adapt_column(definitions["Column"])
    properties = schema["properties"]
    properties["source"]["pattern"] = _SNAKE_CASE
    properties["datasets"] = {
        "description": "The datasets, by name.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": _SNAKE_CASE},
        "additionalProperties": {"$ref": "#/$defs/Dataset"},
    }
    for part in (schema, *definitions.values()):
        _tidy(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Contract of a source",
        **{name: value for name, value in schema.items() if name != "title"},
    }


def _adapt_dataset(dataset: dict[str, Any]) -> None:
    for name in _ADDED_BY_LOADING:
        del dataset["properties"][name]
    dataset["required"] = [name for name in dataset["required"] if name not in _ADDED_BY_LOADING]
    # The names are for completion; Python's aliases of them are valid too.
    encoding = dataset["properties"]["encoding"]
    dataset["properties"]["encoding"] = {
        "anyOf": [{"enum": list(ENCODINGS)}, {"type": "string"}],
        **{name: value for name, value in encoding.items() if name != "type"},
    }


def _adapt_column(column: dict[str, Any]) -> None:
    column["properties"]["name"]["pattern"] = _SNAKE_CASE
    kind = column["properties"]["type"]
    column["properties"]["type"] = {
        "anyOf": [{"enum": list(_TYPES)}, {"type": "string", "pattern": r"^decimal\([0-9]+,[0-9]+\)$"}],
        **{name: value for name, value in kind.items() if name != "type"},
    }


def _tidy(part: dict[str, Any]) -> None:
    """Remove the titles that pydantic makes of field names."""
    for option in part.get("properties", {}).values():
        option.pop("title", None)


def render() -> str:
    """The text of the file."""
    return json.dumps(contract_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file; with --check, only say whether it differs from the model, and exit with 1 if so."""
    if "--check" not in sys.argv[1:]:
        FILE.write_text(render(), encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != render():
        sys.exit(f"{FILE.name} differs from the contract model. Update it with: make sources")


if __name__ == "__main__":
    main()
