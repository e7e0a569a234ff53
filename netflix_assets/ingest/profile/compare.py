"""Compare a later delivery of a known dataset with its contract. Pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.members import paths
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.proposal import Proposal
from netflix_assets.ingest.profile.types import ColumnProposal
from netflix_assets.ingest.trial import TrialResult

_VALUE_OPTIONS = ("time_zone", "decimal_char", "group_char", "decimal_zeros")


def compare(dataset: Dataset, proposal: Proposal, results: Sequence[TrialResult]) -> Iterator[Finding]:
    """What a delivery has that its contract does not expect; nothing where it fits.

    ``results``: of the files under the contract.
    """
    found = {each.name: each for each in proposal.columns}
    delivered = {_place(entry): found[entry["name"]] for entry in proposal.entry["columns"]}
    if dataset.format != "csv" or dataset.dialect.header:
        for place, each in delivered.items():
            if not any(_reads(dataset, column, place) for column in dataset.columns):
                yield Finding("new column", f"{each.name} ({each.type})", each.evidence, "; ".join(each.alternatives))
    for column, position in zip(dataset.columns, dataset.positions, strict=True):
        if dataset.format == "csv" and not dataset.dialect.header:
            match = proposal.columns[position] if position < len(proposal.columns) else None
        else:
            match = next((delivered[place] for place in _places_of(column) if place in delivered), None)
        if match is not None:  # without a row, nothing is known about values
            yield from _compare_column(dataset, column, match, results) if proposal.rows else ()
        elif dataset.format != "jsonl" and column.default is None and not column.rest:
            yield Finding("missing column", column.file_name, "the contract requires it", "a default in the contract")


def _place(entry: Mapping[str, Any]) -> str:
    """Where a proposed column is in a record, as a JSON Pointer."""
    return Column.model_validate({"type": "text", "description": "?", **entry}).pointer


def _places_of(column: Column) -> list[str]:
    names = [column.model_copy(update={"source_name": name}).pointer for name in column.aliases]
    return [column.pointer, *([] if column.path else names)]


def _reads(dataset: Dataset, column: Column, place: str) -> bool:
    """Whether a column reads this place, a part of it, or what contains it; the rest reads all others."""
    if column.rest:
        return dataset.format != "csv"
    return any(
        place == each or (column.path is not None and f"{each}/".startswith(f"{place}/"))
        for each in _places_of(column)
    )  # fmt: skip


def _compare_column(
    dataset: Dataset, column: Column, found: ColumnProposal, results: Sequence[TrialResult]
) -> Iterator[Finding]:
    reasons = [reason for result in results for reason in result.reasons if column.name in reason.columns.split(", ")]
    count = sum(reason.count for reason in reasons)
    # A refusal for the types in a Parquet file names the columns.
    names = {f"column '{'/'.join(path)}'" for path in paths(column)}
    is_refused = any(name in result.reason for name in names for result in results)
    if "nullable" in found.options and not column.nullable:
        known = {*(dataset.value_options(column).missing_values or ())}
        unknown = [token for token in found.missing if token not in known]
        advice = f"missing_values: {unknown} and nullable: true" if unknown else "nullable: true"
        yield Finding("missing values", column.name, f"the contract requires one; {found.evidence}", advice)
    elif (count or is_refused) and found.type != column.type:
        yield Finding(
            "type", f"{column.name}: {column.type} -> {found.type}", found.evidence, "; ".join(found.alternatives)
        )
    elif count and (written := _written_otherwise(dataset, column, found)):
        yield Finding("written as", f"{column.name}: {written}", found.evidence, "; ".join(found.alternatives))
    zone = dataset.value_options(column).time_zone
    if zone == "UTC" and found.type == "timestamp" == column.type and not {"time_zone", "format"} & set(found.options):
        yield Finding("time zone", f"{column.name}: none", f"the contract says {zone}, as which they are read")
    if reasons:
        yield Finding("rejects", f"{column.name}: {counted(count, 'record')}", reasons[0].text)


def _written_otherwise(dataset: Dataset, column: Column, found: ColumnProposal) -> str:
    """The options of values that the contract would need, as they are written in it."""
    options = dataset.value_options(column)
    present = {name: getattr(options, name) for name in _VALUE_OPTIONS} | {"format": dataset.time_format(column)}
    wanted = {name: value for name, value in found.options.items() if name in present and present[name] != value}
    return ", ".join(f"{name}: {value}" for name, value in wanted.items())
