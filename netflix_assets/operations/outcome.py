"""How a run ended, read from its events."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from netflix_assets.contracts.visibility import counted
from netflix_assets.defs.extract.api_assets import ANSWERED
from netflix_assets.warehouse.transient import cause_of

_CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Assets are in Dagster's key syntax (``raw/movielens/tags``), checks as ``<asset>: <check name>``.

    ``materialized``: the assets that were built or left as they were, in order; one that a retry built again is there
    twice. ``reused``: those of them that were left as they were, because code and inputs are the same.
    ``awaited``: those of them without any file so far.
    ``check_messages``: the first line of what each failed or warning check says, by check; empty if it says nothing.
    ``errors``: one line per failed step.
    ``refused``: (raw asset, ``<object> <outcome>: <reason>``) of each dataset with refused objects in the bucket.
    ``without_rows``: (raw asset, ``<object>: <reason>``) of each current object without any loaded record.
    ``warnings``: (raw asset, message) about objects that were loaded.
    ``extracted``: (table of a database, text with the rows extracted) or (API asset, text with the responses landed).
    """

    run_id: str
    success: bool
    materialized: tuple[str, ...]
    reused: frozenset[str]
    awaited: frozenset[str]
    failed_checks: tuple[str, ...]
    warned_checks: tuple[str, ...]
    passed_checks: int
    check_messages: Mapping[str, str]
    errors: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    without_rows: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]
    extracted: tuple[tuple[str, str], ...]


def outcome_of(
    run_id: str, success: bool, events: Sequence[dg.DagsterEvent], executable: Container[dg.AssetKey]
) -> RunOutcome:
    """Read the outcome of a run from its events.

    ``executable``: the assets that a run can build. Other materializations, such as arrivals on landing assets, are
    left out.
    """
    checks = [event.asset_check_evaluation_data for event in events if event.event_type == _CHECKED]
    failed = [check for check in checks if not check.passed]
    return RunOutcome(
        run_id=run_id,
        success=success,
        materialized=tuple(
            event.asset_key.to_user_string()
            for event in events
            if event.is_step_materialization and event.asset_key and event.asset_key in executable
        ),
        reused=frozenset(asset for asset, metadata in _materializations(events) if _is_as_it_was(metadata)),
        awaited=frozenset(asset for asset, metadata in _materializations(events) if _is_awaited(metadata)),
        failed_checks=tuple(_name(check) for check in failed if check.severity == dg.AssetCheckSeverity.ERROR),
        warned_checks=tuple(_name(check) for check in failed if check.severity == dg.AssetCheckSeverity.WARN),
        passed_checks=len(checks) - len(failed),
        check_messages={_name(check): (check.description or "").partition("\n")[0] for check in failed},
        errors=tuple(_step_error(event) for event in events if event.is_step_failure),
        refused=tuple(_refused(events)),
        without_rows=tuple(_without_rows(events)),
        warnings=tuple(_warnings(events)),
        extracted=tuple(_extracted(events)),
    )


def _name(check: dg.AssetCheckEvaluation) -> str:
    return f"{check.asset_key.to_user_string()}: {check.check_name}"


def _step_error(event: dg.DagsterEvent) -> str:
    asset = str(event.step_key).replace("__", "/")  # Dagster names the step of an asset like this
    return f"{asset}: {cause_of(event.step_failure_data.error)}"


def _refused(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, str]]:
    for asset, metadata in _materializations(events):
        if "objects_refused" in metadata and metadata["objects_refused"].value:
            for each in metadata["refused"].value:
                yield asset, f"{each['object']} {each['outcome']}: {each['reason']}"


def _without_rows(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, str]]:
    for asset, metadata in _materializations(events):
        if "without_rows" in metadata:
            for each in metadata["without_rows"].value:
                yield asset, f"{each['object']}: {each['reason']}"


def _warnings(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, str]]:
    for asset, metadata in _materializations(events):
        if "warnings" in metadata:
            for warning in metadata["warnings"].value:
                yield asset, warning


def _extracted(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, str]]:
    for asset, metadata in _materializations(events):
        if "extract_number" in metadata:
            changed, deleted, rows = (
                metadata[name].value for name in ("rows_changed", "rows_deleted", "dagster/row_count")
            )
            yield asset, f"{changed:,} of {rows:,} rows" + (f", {deleted:,} deleted" if deleted else "")
    for event in events:
        check = event.asset_check_evaluation_data if event.event_type == _CHECKED else None
        if check and check.check_name == ANSWERED:
            landed, records, gaps = (int(str(check.metadata[name].value)) for name in ("landed", "records", "gaps"))
            text = f"{counted(landed, 'response')} with {counted(records, 'record')}"
            yield check.asset_key.to_user_string(), text + (f", {counted(gaps, 'gap')}" if gaps else "")


def _is_awaited(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    return "awaited" in metadata and bool(metadata["awaited"].value)


def _is_as_it_was(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether a step found its asset up to date: a model, page, published set, verdicts or a raw table."""
    if _is_awaited(metadata):
        return False
    if "objects_loaded" in metadata:
        return not any(metadata[name].value for name in ("objects_loaded", "objects_deleted", "objects_removed"))
    return "reused" in metadata or ("changed" in metadata and not metadata["changed"].value)


def _materializations(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, Mapping[str, dg.MetadataValue[Any]]]]:
    for event in events:
        if event.is_step_materialization and event.asset_key:
            yield event.asset_key.to_user_string(), event.step_materialization_data.materialization.metadata
