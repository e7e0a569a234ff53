"""The JSON Schema of contract files, by a library that editors use."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from netflix_assets.contracts.loading import CONTRACTS_DIR
from netflix_assets.dev.contract_schema import FILE, render
from netflix_assets.dev.forms import FORMS


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


def problems(schema: Draft202012Validator, contract: Any) -> list[str]:
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in schema.iter_errors(contract)]


def test_the_file_is_the_model() -> None:
    assert FILE.read_text(encoding="utf-8") == render()


@pytest.mark.parametrize("path", sorted(CONTRACTS_DIR.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_contracts_are_valid_and_name_the_schema(schema: Draft202012Validator, path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert problems(schema, yaml.safe_load(text)) == []


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_contracts_of_real_forms_are_valid(schema: Draft202012Validator, form: Any) -> None:
    assert problems(schema, yaml.safe_load(form.contract)) == []


VALID = """
source: shop
description: A shop.
datasets:
  things:
    description: Things.
    mode: append
    key: [item]
    freshness: {warn_after_days: 1, fail_after_days: 2}
    columns:
      - {name: item, type: "decimal(9,2)", min: 0.5, description: The item.}
"""


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("mode: append", "mode: add", "datasets.things.mode"),
        ("mode: append", "modus: append", "datasets.things"),
        ("key: [item]", "key: item", "datasets.things.key"),
        ("decimal(9,2)", "money", "datasets.things.columns.0.type"),
        ("name: item", "name: Item", "datasets.things.columns.0.name"),
        ("min: 0.5", "minimum: 0.5", "datasets.things.columns.0"),
        ("warn_after_days: 1", "warn_after_days: soon", "datasets.things.freshness.warn_after_days"),
        ("  things:", "  Things:", "datasets"),
        ("    description: Things.", "    name: things", "datasets.things"),
        ("source: shop", "source: [shop]", "source"),
    ],
)
def test_nonsense_is_refused_where_it_is(schema: Draft202012Validator, old: str, new: str, place: str) -> None:
    assert problems(schema, yaml.safe_load(VALID)) == []
    changed = VALID.replace(old, new, 1)
    assert changed != VALID
    assert any(problem.startswith(f"{place}: ") for problem in problems(schema, yaml.safe_load(changed)))
