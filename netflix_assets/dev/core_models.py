"""Write the core table of a dataset: what consumers read once it is published. Pure functions.

Where a later record replaces those with the same key (``upsert``, ``overwrite``), the table has one row per key. Every
other table has one row per record: ``append`` means that files add rows, also with a key that came before. Equal
records are numbered, so that the table has a key.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from netflix_assets.contracts.model import Dataset
from netflix_assets.dev.model_yaml import dump_model, first_sentence
from netflix_assets.dev.staging_models import model_name as staging_model
from netflix_assets.warehouse.relations import raw_columns

_NUMBER = "record_occurrence"
_REF = re.compile(r"""ref\(\s*['"](\w+)['"]\s*\)""")
_SQL = """\
with

{name} as (

    select * from {{{{ ref('{staging}') }}}}

),

final as (

    select
{columns}
    from {name}{ending}

)

select * from final
"""


def core_folder(dbt_project: Path) -> Path:
    """Where the core tables are."""
    return dbt_project / "models" / "core"


def core_model(dataset: Dataset, dbt_project: Path) -> str:
    """The name of the dataset's core table: with its source where another table has the short one."""
    kind = "dim" if dataset.mode == "overwrite" and dataset.key else "fct"
    short = f"{kind}_{dataset.name}"
    taken = (core_folder(dbt_project) / f"{short}.sql").exists()
    return f"{kind}_{dataset.source}_{dataset.name}" if taken else short


def _keeps_latest(dataset: Dataset) -> bool:
    """Whether a record replaces those with the same key."""
    return bool(dataset.key) and dataset.mode != "append"


def render_core_sql(dataset: Dataset) -> str:
    """The table's SQL."""
    names = [column.name for column in dataset.columns]
    keeps_latest = _keeps_latest(dataset)
    selected = ",\n".join(f"        {each}" for each in names)
    return _SQL.format(
        name=dataset.name,
        staging=staging_model(dataset),
        columns=selected if keeps_latest else f"{selected},\n{_numbered(names)}",
        ending=f"\n    {_latest(dataset)}" if keeps_latest else "",
    )


def _numbered(names: Sequence[str]) -> str:
    """The number of a record among equal ones: the same whatever the order in which they are read."""
    by = ",\n".join(f"                {each}" for each in names)
    return (
        "        row_number() over (\n            partition by\n"
        f"{by}\n            order by _object_key\n        ) as {_NUMBER}"
    )


def _latest(dataset: Dataset) -> str:
    """One row per key, decided by what the rows say: the latest time, then the greater object key and values."""
    others = [column for column in dataset.columns if column.name not in dataset.key]
    times = [column.name for column in others if column.type in ("timestamp", "date")]
    order = [*times, "_object_key", *(column.name for column in others if column.name not in times)]
    by = ",\n".join(f"            {name} desc nulls last" for name in order)
    keys = _in_lines(dataset.key)
    return f"qualify row_number() over (\n        partition by{keys}\n        order by\n{by}\n    ) = 1"


def _in_lines(names: Sequence[str]) -> str:
    return " " + ", ".join(names) if len(names) <= 3 else "".join(f"\n        {each}," for each in names).rstrip(",")


def render_core_yaml(dataset: Dataset, name: str, dimensions: Mapping[str, str]) -> str:
    """The table's description, columns and tests. ``dimensions``: see ``dimension_keys``."""
    text = first_sentence(dataset.description)
    meta: dict[str, Any] = {"owner": dataset.owners[0]} if dataset.owners else {}
    if _keeps_latest(dataset):
        grain = f"The latest record counts. Grain: one row per {' and '.join(dataset.key)}."
        meta["one_row_per"] = {"dataset": dataset.id}
    else:
        grain = "Every record of every file is a row. Grain: one row per record."
    model: dict[str, Any] = {"name": name, "description": f"{text} {grain}"}
    if meta:
        model["config"] = {"meta": meta}
    model["data_tests"] = list(_tests(dataset, name))
    model["columns"] = list(_columns(dataset, name, dimensions))
    return dump_model(model)


def _tests(dataset: Dataset, name: str) -> Iterator[dict[str, Any]]:
    keeps_latest = _keeps_latest(dataset)
    required = [column.name for column in dataset.columns if not column.nullable]
    required += [] if keeps_latest else [_NUMBER]
    if required:
        yield {"no_nulls_in_columns": {"name": f"{name}_no_nulls_in_columns", "arguments": {"columns": required}}}
    key = dataset.key if keeps_latest else (*(column.name for column in dataset.columns), _NUMBER)
    if len(key) > 1:
        yield {"unique_combination": {"name": f"{name}_unique_combination", "arguments": {"columns": list(key)}}}


def _columns(dataset: Dataset, name: str, dimensions: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    types, keeps_latest = raw_columns(dataset), _keeps_latest(dataset)
    for column in dataset.columns:
        tests: list[Any] = ["unique"] if keeps_latest and dataset.key == (column.name,) else []
        for key, table in dimensions.items():
            if (column.name == key or column.name.endswith(f"_{key}")) and table != name:
                arguments = {"to": f"ref('{table}')", "field": key}
                # A record that refers to nothing known is a finding, not a reason to publish nothing.
                tests.append({"relationships": {"arguments": arguments, "config": {"severity": "warn"}}})
        entry = {"name": column.name, "data_type": types[column.name], "description": column.description}
        yield {**entry, "data_tests": tests} if tests else entry
    if not keeps_latest:
        yield {"name": _NUMBER, "data_type": "bigint", "description": "Number of the record among equal ones, from 1."}


def dimension_keys(dbt_project: Path, source: str) -> dict[str, str]:
    """Column -> the dimension of this source whose only key it is. Another source's ``user_id`` are other users."""
    keys: dict[str, str] = {}
    for file in sorted(core_folder(dbt_project).glob("dim_*.yml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for model in content["models"]:
            if source not in _sources_of(model["name"], dbt_project):
                continue
            for column in model["columns"]:
                name = column["name"]
                if "unique" in column.get("data_tests", ()) and name.endswith(("_id", "_key", "_day")):
                    keys.setdefault(name, model["name"])
    return keys


def _sources_of(model: str, dbt_project: Path) -> set[str]:
    """The sources that a model reads, through the models that it refers to."""
    files = {path.stem: path for path in (dbt_project / "models").rglob("*.sql")}
    seen: set[str] = set()
    waiting = [model]
    while waiting:
        name = waiting.pop()
        if name in files and name not in seen:
            seen.add(name)
            waiting += _REF.findall(files[name].read_text(encoding="utf-8"))
    return {name.removeprefix("stg_").partition("__")[0] for name in seen if name.startswith("stg_")}
