"""Compare a later delivery of a known dataset with its contract. Pure functions."""

from collections.abc import Iterator, Sequence

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.proposal import Proposal
from netflix_assets.ingest.profile.types import ColumnProposal
from netflix_assets.ingest.trial import TrialResult


def compare(dataset: Dataset, proposal: Proposal, results: Sequence[TrialResult]) -> Iterator[Finding]:
    """What a delivery has that its contract does not expect; nothing where it fits.

    ``results``: of the files under the contract.
    """
    found = {each.name: each for each in proposal.columns}
    by_name = {entry.get("source_name", entry["name"]): found[entry["name"]] for entry in proposal.entry["columns"]}
    if dataset.dialect.header:
        known = {name for column in dataset.columns for name in column.file_names}
        for each in (each for name, each in by_name.items() if name not in known):
            yield Finding("new column", f"{each.name} ({each.type})", each.evidence, "; ".join(each.alternatives))
    for column, position in zip(dataset.columns, dataset.positions, strict=True):
        if dataset.dialect.header:
            delivered = next((by_name[name] for name in column.file_names if name in by_name), None)
        else:
            delivered = proposal.columns[position] if position < len(proposal.columns) else None
        if delivered is not None:
            yield from _compare_column(dataset, column, delivered, results)
        elif column.default is None:
            yield Finding("missing column", column.file_name, "the contract requires it", "a default in the contract")


def _compare_column(
    dataset: Dataset, column: Column, found: ColumnProposal, results: Sequence[TrialResult]
) -> Iterator[Finding]:
    reasons = [reason for result in results for reason in result.reasons if column.name in reason.columns.split(",")]
    count = sum(reason.count for reason in reasons)
    if "nullable" in found.options and not column.nullable:
        known = {*(dataset.value_options(column).missing_values or ())}
        unknown = [token for token in found.missing if token not in known]
        advice = f"missing_values: {unknown} and nullable: true" if unknown else "nullable: true"
        yield Finding("missing values", column.name, f"the contract requires one; {found.evidence}", advice)
    elif count and found.type != column.type:
        yield Finding(
            "type", f"{column.name}: {column.type} -> {found.type}", found.evidence, "; ".join(found.alternatives)
        )
    if reasons:
        yield Finding("rejects", f"{column.name}: {counted(count, 'record')}", reasons[0].text)
