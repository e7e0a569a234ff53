"""docs/contracts.md: complete, current, and its examples give what they say."""

from collections.abc import Iterator

import pytest

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.dialect import TableDialect
from netflix_assets.contracts.extract import Deletes, Extract
from netflix_assets.contracts.model import Dataset, Freshness, Source, Tolerance
from netflix_assets.contracts.request import Api, Authentication, Paging, Records, Request
from netflix_assets.dev.contract_docs.example import Example, Examples, open_examples
from netflix_assets.dev.contract_docs.of_columns import TYPES
from netflix_assets.dev.contract_docs.page import EXAMPLES, PAGE, render, written_fields

MODELS = (
    Source,
    Dataset,
    Freshness,
    Tolerance,
    TableDialect,
    Column,
    Extract,
    Deletes,
    Api,
    Authentication,
    Request,
    Paging,
    Records,
)
GOOD = ("loads ", "a valid contract")
BAD = ("record rejected: ", "file refused: ", "contract error: ", "not a file of this dataset")


@pytest.fixture(scope="module")
def examples() -> Iterator[Examples]:
    with open_examples() as opened:
        yield opened


def test_every_option_has_one_example_and_a_description() -> None:
    fields = {f"{model.__name__}.{name}": field for model in MODELS for name, field in written_fields(model).items()}
    assert sorted(example.option for example in EXAMPLES) == sorted(fields)
    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize("example", [*EXAMPLES, *TYPES], ids=lambda example: example.option)
def test_a_right_use_works_and_a_wrong_one_does_not(examples: Examples, example: Example) -> None:
    for _, outcome in examples.outcome(example, example.right):
        assert outcome.startswith(GOOD), outcome
        assert not any(bad in outcome for bad in BAD) or example.option.startswith("Tolerance.")
    assert any(bad in outcome for _, outcome in examples.outcome(example, example.wrong) for bad in BAD)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()
