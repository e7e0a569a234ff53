"""The tables of databases: one asset each, extracted into the bucket. One step per database, one snapshot per step."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.contracts.visibility import printable
from netflix_assets.defs.freshness import freshness_policy
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.defs.retry import retry_transient
from netflix_assets.extract.postgres.run import Extracted, Outcome, Refused, extract_database
from netflix_assets.settings import Settings

GROUP = "databases"
ACCEPTED = "accepted"  # config of the step

EXTRACTED = "table_is_extracted"
SCHEMA = "schema_matches_contract"
LAG = "nothing_holds_changes_back"

# Beyond this many transactions, what has to be read again for an open one starts to cost, and vacuum suffers too.
MANY_TRANSACTIONS = 1_000_000

_Result = dg.MaterializeResult[Any] | dg.AssetCheckResult


def table_key(dataset: Dataset) -> dg.AssetKey:
    """The asset key of the table that a dataset is extracted from: ``postgres/shop/orders``."""
    schema, name = dataset.extraction.relation
    if dataset.extraction.query:
        name = dataset.name
    elif schema != "public":
        name = f"{schema}.{name}"
    return dg.AssetKey(["postgres", dataset.extraction.database, re.sub(r"[^A-Za-z0-9_]", "_", name)])


def by_database(sources: Sequence[Source]) -> Mapping[str, list[Dataset]]:
    """The datasets that are extracted from each database."""
    found: dict[str, list[Dataset]] = {}
    for dataset in all_datasets(sources):
        if dataset.extract is not None:
            found.setdefault(dataset.extract.database, []).append(dataset)
    return found


def extract_step(database: str) -> str:
    """The step that extracts a database. The job has another name, because Dagster refuses the same twice."""
    return f"extract_tables_of_{database}"


def extract_assets(sources: Sequence[Source], settings: Settings) -> list[dg.AssetsDefinition]:
    """One step per database, with an asset per table."""
    return [_database_assets(name, datasets, settings) for name, datasets in by_database(sources).items()]


def _database_assets(database: str, datasets: Sequence[Dataset], settings: Settings) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=extract_step(database),
        specs=[_spec(dataset) for dataset in datasets],
        check_specs=[spec for dataset in datasets for spec in _check_specs(dataset)],
        can_subset=True,
        config_schema={ACCEPTED: dg.Field([str], default_value=[])},
        pool=f"extract_{database}",
        description=f"Extracts what has changed in the database {database} into the bucket.",
    )
    def extract(
        context: dg.AssetExecutionContext, bucket: LandingBucket
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        wanted = [dataset for dataset in datasets if table_key(dataset) in context.selected_asset_keys]
        accepted = context.op_execution_context.op_config[ACCEPTED]
        with retry_transient(context, settings), bucket.open() as store:
            outcomes = extract_database(
                database, wanted, settings, store, accepted=accepted, report=lambda each: _log(context, each)
            )
        yield from map(_result, outcomes)

    return extract


def _spec(dataset: Dataset) -> dg.AssetSpec:
    extract = dataset.extraction
    return dg.AssetSpec(
        key=table_key(dataset),
        group_name=GROUP,
        description=f"{dataset.description} In the database {extract.database}; extracted every "
        f"{extract.every_minutes:g} minutes.",
        owners=list(dataset.owners),
        kinds={"postgres"},
        skippable=True,  # a refused table is not materialized
        freshness_policy=freshness_policy(dataset.freshness),
        metadata={"mode": extract.mode, "table": extract.table or "a query", "every_minutes": extract.every_minutes},
    )


def _check_specs(dataset: Dataset) -> list[dg.AssetCheckSpec]:
    key = table_key(dataset)
    return [
        dg.AssetCheckSpec(
            EXTRACTED, asset=key, description="The table fits the contract, and has not lost too many rows at once."
        ),
        dg.AssetCheckSpec(SCHEMA, asset=key, description="Every column and type of the table is in the contract."),
        dg.AssetCheckSpec(
            LAG,
            asset=key,
            description="No transaction has been open for so long that many rows are read again for it.",
        ),
    ]


def _log(context: dg.AssetExecutionContext, outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        context.log.error(printable(outcome.reason))
        return
    state = outcome.state
    whole = f" (the whole table: {outcome.whole})" if outcome.whole else ""
    landed = ", ".join(outcome.keys) or "nothing new"
    context.log.info(
        printable(
            f"{outcome.dataset.id}: {state.changed:,} rows and {state.deleted:,} deletions of {state.rows:,} rows"
            f"{whole}: {landed}"
        )
    )
    for each in state.news:
        context.log.warning(printable(f"{outcome.dataset.id}: {each}"))


def _result(outcome: Outcome) -> _Result:
    key = table_key(outcome.dataset)
    if isinstance(outcome, Refused):
        # Not a failure of the step: the other tables are extracted. The check fails, which alerts.
        return dg.AssetCheckResult(
            asset_key=key, check_name=EXTRACTED, passed=False, description=printable(outcome.reason)
        )
    return dg.MaterializeResult(asset_key=key, metadata=_metadata(outcome), check_results=list(_checks(outcome)))


def _checks(outcome: Extracted) -> Iterator[dg.AssetCheckResult]:
    key, state = table_key(outcome.dataset), outcome.state
    held_back = state.open_transactions
    yield dg.AssetCheckResult(asset_key=key, check_name=EXTRACTED, passed=True, metadata={"rows": state.rows})
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=SCHEMA,
        passed=not state.news,
        severity=dg.AssetCheckSeverity.WARN,
        description=printable("; ".join(state.news)) or None,
        metadata={"columns": len(state.types)},
    )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=LAG,
        passed=held_back < MANY_TRANSACTIONS,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if held_back < MANY_TRANSACTIONS
        else f"a transaction is still open although {held_back:,} others have started since; every extract reads their "
        "rows again. Find it in pg_stat_activity (order by xact_start), pg_prepared_xacts and pg_replication_slots",
        metadata={"transactions": held_back},
    )


def _metadata(outcome: Extracted) -> dict[str, Any]:
    state = outcome.state
    return {
        "dagster/row_count": state.rows,
        "extract_number": state.number,
        "rows_changed": state.changed,
        "rows_deleted": state.deleted,
        "objects": list(outcome.keys),
        "whole_table": outcome.whole or "no",
        "snapshot_taken_at": dg.MetadataValue.timestamp(datetime.fromisoformat(state.taken_at).replace(tzinfo=UTC)),
        "snapshot": f"{state.xmin}:{state.xmax}",
        "log_position": f"{state.position >> 32:X}/{state.position & 0xFFFFFFFF:X}",
        "replica": state.is_replica,
    }
