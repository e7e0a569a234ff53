"""The rules of a contract as queries on the raw table, for those who read the table and not the files."""

from collections.abc import Iterator

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.odcs import QualityRule
from netflix_assets.warehouse.typing import Dialect, rule_tests


def current_rows(dataset: Dataset) -> str:
    """The view with the rows of a dataset's current files."""
    return f"raw.{dataset.table}_current"


def quality_rules(dataset: Dataset, dialect: Dialect) -> Iterator[QualityRule]:
    """Each rule of the contract as a query that counts the rows that break it.

    A rule about the text in the file that the typed value no longer has is left out: ``pattern`` of a number. The key
    is a rule only of a table that its newest file replaces; the others keep every version of a row.
    """
    rows = current_rows(dataset)
    for column in dataset.columns:
        if column.is_text:
            tests = rule_tests(column, column.name, dialect)
            if column.max_length is None:
                tests.pop("max_length")  # the default only guards against unclosed quotes
        else:
            tests = {**rule_tests(column, column.name, dialect), **_typed_values(column, dialect)}
            tests.pop("pattern", None)
        for option, test in tests.items():
            yield QualityRule(
                f"{column.name}_{option}", column.name, "conformity", f"select count(*) from {rows} where not ({test})"
            )
    if dataset.mode == "overwrite" and dataset.key:
        key = ", ".join(dataset.key)
        yield QualityRule(
            f"{dataset.name}_key",
            None,
            "uniqueness",
            f"select count(*) from (select {key} from {rows} group by {key} having count(*) > 1) as repeated",
        )


def _typed_values(column: Column, dialect: Dialect) -> dict[str, str]:
    if not column.values:
        return {}
    values = (f"cast({dialect.literal(value)} as {column.type})" for value in column.values)
    return {"values": f"{column.name} in ({', '.join(values)})"}
