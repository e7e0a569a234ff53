"""dbt's source definitions, written from the contracts: ``python -m netflix_assets.dev.dbt_sources [--check]``.

One contract entry is everything that a dataset needs, so dbt's view of it is generated and a test compares the two.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from netflix_assets.contract import Dataset, Source
from netflix_assets.settings import current_settings
from netflix_assets.warehouse.relations import raw_columns

_LINEAGE = {
    "_load_id": "The load that brought the row (ops.loads).",
    "_object_key": "The object that the row stands in.",
}


def sources_file(dbt_project: Path, source: Source) -> Path:
    """Where the source's definition stands in the dbt project."""
    return dbt_project / "models" / "staging" / source.source / f"_{source.source}__sources.yml"


def render(source: Source) -> str:
    """The YAML text for one source."""
    lines = [
        f"# Generated from netflix_assets/contracts/{source.source}.yaml by `make sources`: change that, not this.",
        "version: 2",
        "",
        "sources:",
        f"  - name: {source.source}",
        f"    description: {_quoted(source.description)}",
        "    schema: raw",
        "    tables:",
    ]
    for dataset in source.datasets:
        lines += _table(dataset)
    return "\n".join(lines) + "\n"


def differences(source: Source, text: str) -> Iterator[str]:
    """What dbt's definition says otherwise than the contract, dataset and column named."""
    theirs = _tables(yaml.safe_load(text))
    ours = _tables(yaml.safe_load(render(source)))
    for table in sorted(theirs.keys() | ours.keys()):
        name = f"{source.source}/{table}"
        if table not in theirs:
            yield f"{name}: in the contract, not among dbt's sources"
        elif table not in ours:
            yield f"{name}: among dbt's sources, not in the contract"
        else:
            yield from _column_differences(name, ours[table], theirs[table])


def _column_differences(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    for column in sorted(ours["columns"].keys() | theirs["columns"].keys()):
        mine, yours = ours["columns"].get(column), theirs["columns"].get(column)
        if mine != yours:
            yield f"{name}, column {column}: the contract says {mine}, dbt's source says {yours}"
    for what in sorted((ours.keys() | theirs.keys()) - {"columns"}):
        if ours.get(what) != theirs.get(what):
            yield f"{name}: {what} is {ours.get(what)!r} by the contract, {theirs.get(what)!r} in dbt's source"


def _tables(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        table["name"]: {**table, "columns": {column["name"]: column for column in table["columns"]}}
        for source in content["sources"]
        for table in source["tables"]
    }


def _table(dataset: Dataset) -> Iterator[str]:
    described = {column.name: column.description for column in dataset.columns} | _LINEAGE
    yield f"      - name: {dataset.name}"
    yield f"        identifier: {dataset.table}_current"
    yield f"        description: {_quoted(dataset.description)}"
    yield "        config:"
    yield f"          loaded_at_query: \"{{{{ newest_load('{dataset.id}') }}}}\""
    yield "          freshness:"
    yield f"            warn_after: {{count: {round(dataset.freshness.warn_after_days * 24)}, period: hour}}"
    yield f"            error_after: {{count: {round(dataset.freshness.fail_after_days * 24)}, period: hour}}"
    yield "        columns:"
    for name, kind in {**raw_columns(dataset), "_object_key": "varchar"}.items():
        yield f"          - name: {name}"
        yield f"            data_type: {kind}"
        yield f"            description: {_quoted(described[name])}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string


def main() -> None:
    """Write the files, or with --check say how they differ from the contracts and exit 1."""
    settings = current_settings()
    problems = []
    for source in settings.sources():
        file = sources_file(settings.dbt_project, source)
        if "--check" not in sys.argv[1:]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(render(source), encoding="utf-8")
        elif not file.exists():
            problems.append(f"{source.source}: {file.name} is missing")
        else:
            problems += differences(source, file.read_text(encoding="utf-8"))
    if problems:
        sys.exit("\n".join([*problems, "write dbt's sources anew with: make sources"]))


if __name__ == "__main__":
    main()
