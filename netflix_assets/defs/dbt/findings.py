"""Rows that failed tests found: a sample of them, and how messages name them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from netflix_assets.contracts.visibility import Showable
from netflix_assets.defs.dbt.results import Finding, Results
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse

_ROWS_KEPT = 20  # rows of a test, in the check's metadata and in ops.failing_rows
_ROWS_NAMED = 5  # rows in a message
_CHARACTERS_KEPT = 200  # of a value
_CHARACTERS_NAMED = 40  # of a value in a message
_HIDDEN = "(not shown)"
# What dbt's own tests (relationships, unique, accepted_values) call the column that they test.
_DBT_NAMES = frozenset({"from_field", "unique_field", "value_field"})
_MESSAGE_CHARACTERS = 400  # for the rows of one message

Rows = Sequence[Mapping[str, str | int | float | None]]


@dataclass(frozen=True)
class FoundRows:
    """A sample of the rows that one test found, without values that contracts hide."""

    finding: Finding
    rows: Rows

    @property
    def message(self) -> str:
        """The first rows in one line: ``values_in_ranges found (movie_id=4, release_year=2999)``."""
        text = f"{self.finding.test_name} found "
        rows = [f"({', '.join(f'{name}={_named(value)}' for name, value in row.items())})" for row in self.rows]
        for number, named in enumerate(list(dict.fromkeys(rows))[:_ROWS_NAMED]):  # a test may find a value many times
            if number and len(text) + len(named) > _MESSAGE_CHARACTERS:
                break  # whole rows only
            text += f", {named}" if number else named[:_MESSAGE_CHARACTERS]
        return text

    def command(self, settings: Settings) -> str:
        """The command that lists the rows."""
        test = self.finding.test_id.split(".")[2]
        return (
            f"cd {shlex.quote(str(settings.dbt_project))} && NETFLIX_HOME={shlex.quote(str(settings.home))} "
            f"dbt show --select {test} --limit 100"
        )


def sample(finding: Finding, shown: Showable, connection: Warehouse) -> FoundRows:
    """Some of the rows that a test found, the tested column by its own name."""
    columns = ", ".join(finding.columns) or "*"
    names, rows = connection.query(
        f"select {columns} from (\n{finding.query}\n) as found limit {_ROWS_KEPT}"  # noqa: S608
    )
    names = [finding.column if finding.column and name in _DBT_NAMES else name for name in names]
    visible = {name for name in names if shown.column(finding.column if finding.column else name)}
    return FoundRows(
        finding,
        [
            {name: _kept(value) if name in visible else _HIDDEN for name, value in zip(names, row, strict=True)}
            for row in rows
        ],
    )


def with_rows_named(results: Results, found: Mapping[str, FoundRows]) -> Results:
    """The results, with the rows that a failed test found in its message."""
    tests = [
        replace(test, message=found[test.test_id].message) if test.test_id in found else test for test in results.tests
    ]
    return replace(results, tests=tests)


def describe(check: dg.AssetCheckResult, found: FoundRows | None, settings: Settings) -> dg.AssetCheckResult:
    """The result of a failed test, with the rows that it found and the command that lists all of them."""
    if found is None or not found.rows:
        return check
    records = [dg.TableRecord({name: str(value) for name, value in row.items()}) for row in found.rows]
    return dg.AssetCheckResult(
        passed=check.passed,
        asset_key=check.asset_key,
        check_name=check.check_name,
        severity=check.severity,
        description=f"{found.message}. List the rows: {found.command(settings)}",
        metadata={**check.metadata, "failing_rows": dg.MetadataValue.table(records)},
    )


def _kept(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else str(value)[:_CHARACTERS_KEPT]


def _named(value: str | int | float | None) -> str:
    if value is None:
        return "null"
    text = repr(value) if isinstance(value, str) and value != _HIDDEN else str(value)
    return text if len(text) <= _CHARACTERS_NAMED else f"{text[:_CHARACTERS_NAMED]}…"
