"""Write the staging model of a dataset: its SQL, and the YAML that describes and tests it. Pure functions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.dev.model_yaml import dump_model, first_sentence
from netflix_assets.warehouse.relations import raw_columns

_LINEAGE = {
    "_load_id": "The load the row came from. Together with the dataset, the key of stg_ops__loads.",
    "_object_key": "Key of the object the row came from.",
}
_SQL = """\
-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{{{ source('ops', 'loads') }}}}
with

source as (

    select * from {{{{ source('{source}', '{name}') }}}}

),

renamed as (

    select
{columns}
    from source

)

select * from renamed
"""


def model_name(dataset: Dataset) -> str:
    """The name of the dataset's staging model."""
    return f"stg_{dataset.source}__{dataset.name}"


def model_folder(dbt_project: Path, source: str) -> Path:
    """Where the staging models of a source are."""
    return dbt_project / "models" / "staging" / source


def render_sql(dataset: Dataset) -> str:
    """The model's SQL: all columns, grouped as in the other staging models."""
    groups = [*_groups(dataset), ("load", list(_LINEAGE))]
    parts = [
        f"        ---------- {title}\n" + ",\n".join(f"        {name}" for name in names) for title, names in groups
    ]
    return _SQL.format(source=dataset.source, name=dataset.name, columns=",\n\n".join(parts))


def _groups(dataset: Dataset) -> Iterator[tuple[str, list[str]]]:
    titles = ("ids", "text", "numbers", "flags", "times", "json")
    grouped: dict[str, list[str]] = {title: [] for title in titles}
    for column in dataset.columns:
        grouped[_group(dataset, column)].append(column.name)
    yield from ((title, names) for title, names in grouped.items() if names)


def _group(dataset: Dataset, column: Column) -> str:
    if column.name in dataset.key or column.name.endswith("_id"):
        return "ids"
    if column.is_numeric:
        return "numbers"
    return {"text": "text", "boolean": "flags", "json": "json"}.get(column.type, "times")


def render_yaml(dataset: Dataset) -> str:
    """The model's description, columns and tests."""
    name = model_name(dataset)
    required = [each.name for each in dataset.columns if not each.nullable and not dataset.is_empty_if_deleted(each)]
    tests: list[Any] = [
        {
            "no_nulls_in_columns": {
                "name": f"{name}_no_nulls_in_columns",
                "arguments": {"columns": [*required, *_LINEAGE]},
            }
        },
        *_range_test(dataset),
        *_combination_test(dataset),
        {"reconciles_with_ledger": {"arguments": {"dataset": dataset.id}}},
    ]
    model: dict[str, Any] = {"name": name, "description": _description(dataset)}
    if dataset.owners:
        model["config"] = {"meta": {"owner": dataset.owners[0]}}
    model["data_tests"] = tests
    model["columns"] = list(_columns(dataset))
    return dump_model(model)


def _description(dataset: Dataset) -> str:
    text = first_sentence(dataset.description)
    row = " and ".join(dataset.key) if dataset.key and dataset.mode != "append" else "record"
    where = "in the newest file" if dataset.mode == "overwrite" else "and file that contains it"
    return f"{text} Current loads only, one to one with raw. Grain: one row per {row} {where}."


def _range_test(dataset: Dataset) -> Iterator[dict[str, Any]]:
    ranges: dict[str, list[Any]] = {
        column.name: [_number(column.min), _number(column.max)]
        for column in dataset.columns
        if column.min is not None or column.max is not None
    }
    ranges["_load_id"] = [1, None]
    name = f"{model_name(dataset)}_values_in_ranges"
    yield {"values_in_ranges": {"name": name, "arguments": {"ranges": ranges}}}


def _number(value: Any) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)


def _combination_test(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Only where the newest file is the whole table; where files add rows, core decides which of them count."""
    if dataset.mode == "overwrite" and len(dataset.key) > 1:
        name = f"{model_name(dataset)}_unique_combination"
        arguments = {"columns": list(dataset.key)}
        yield {"unique_combination": {"name": name, "arguments": arguments, "config": {"severity": "warn"}}}


def _columns(dataset: Dataset) -> Iterator[dict[str, Any]]:
    types = raw_columns(dataset)
    described: Sequence[tuple[str, str]] = [(column.name, column.description) for column in dataset.columns]
    for name, description in [*described, *_LINEAGE.items()]:
        entry: dict[str, Any] = {
            "name": name,
            "data_type": types.get(name, "varchar"),
            "description": description,
        }
        if dataset.mode == "overwrite" and dataset.key == (name,):
            entry["data_tests"] = [{"unique": {"config": {"severity": "warn"}}}]
        yield entry
