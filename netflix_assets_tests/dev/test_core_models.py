"""Generated core models: which records of a dataset become rows, by running their SQL."""

from typing import Any

import duckdb
import pytest
import yaml

from netflix_assets.contracts.model import Dataset
from netflix_assets.dev.core_models import render_core_sql, render_core_yaml

# The same id in two files, a record that two files have, and one twice in a file. Columns: id, label, _object_key.
ROWS = [(1, "a", "f1"), (1, "b", "f2"), (2, "x", "f1"), (2, "x", "f2"), (3, None, "f1"), (3, None, "f1")]


def dataset(mode: str, key: tuple[str, ...]) -> Dataset:
    return Dataset.model_validate({
        "source": "shop", "name": "sales", "description": "Sales.", "mode": mode, "key": key,
        "freshness": {"warn_after_days": 1, "fail_after_days": 2},
        "columns": [
            {"name": "id", "type": "integer", "description": "ID."},
            {"name": "label", "type": "text", "nullable": True, "description": "Label."},
        ],
    })  # fmt: skip


def build(found: Dataset) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("create table staging (id integer, label varchar, _object_key varchar)")
        connection.executemany("insert into staging values (?, ?, ?)", ROWS)
        sql = render_core_sql(found).replace("{{ ref('stg_shop__sales') }}", "staging")
        return sorted(connection.execute(sql).fetchall(), key=repr)


def described(found: Dataset) -> tuple[dict[str, Any], str]:
    text = render_core_yaml(found, "fct_sales", {})
    (model,) = yaml.safe_load(text)["models"]
    return model, text


@pytest.mark.parametrize(("mode", "key"), [("append", ("id",)), ("append", ()), ("overwrite", ())])
def test_every_record_is_a_row_unless_a_later_one_replaces_it(mode: str, key: tuple[str, ...]) -> None:
    found = dataset(mode, key)
    assert build(found) == [
        (1, "a", 1), (1, "b", 1), (2, "x", 1), (2, "x", 2), (3, None, 1), (3, None, 2),
    ]  # fmt: skip
    model, text = described(found)
    assert "one_row_per" not in text
    assert "unique\n" not in text
    (unique,) = (each["unique_combination"] for each in model["data_tests"] if "unique_combination" in each)
    assert unique["arguments"]["columns"] == ["id", "label", "record_occurrence"]
    assert model["description"].endswith("Grain: one row per record.\n")


@pytest.mark.parametrize("mode", ["upsert", "overwrite"])
def test_the_latest_record_of_a_key_is_the_row(mode: str) -> None:
    found = dataset(mode, ("id",))
    assert build(found) == [(1, "b"), (2, "x"), (3, None)]
    model, _ = described(found)
    assert model["config"]["meta"]["one_row_per"] == {"dataset": "shop/sales"}
    assert model["columns"][0]["data_tests"] == ["unique"]
