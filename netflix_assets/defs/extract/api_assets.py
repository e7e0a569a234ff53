"""The responses of APIs: one partitioned asset per dataset. A partition is a period, an hour or a day."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.contracts.request import Request
from netflix_assets.contracts.visibility import counted, printable
from netflix_assets.defs.freshness import freshness_policy
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.defs.retry import retry_transient
from netflix_assets.extract.api.periods import NAME_FORMATS, first_period, period_named
from netflix_assets.extract.api.run import Gap, Landed, Outcome, Refused, missing_periods, request_periods
from netflix_assets.settings import Settings

GROUP = "apis"
ANSWERED = "api_answers"

_MAX_REASONS = 5
_CRON = {"hour": "0 * * * *", "day": "0 0 * * *"}


def response_asset_key(dataset: Dataset) -> dg.AssetKey:
    """The asset key of the responses that a dataset comes from: ``api/frankfurter/rates``."""
    return dg.AssetKey(["api", dataset.source, dataset.name])


def api_assets(sources: Sequence[Source], settings: Settings) -> list[dg.AssetsDefinition]:
    """An asset per dataset that is requested from an API."""
    return [_responses(source, dataset, settings) for source in sources for dataset in source.requested]


def partitions_of(request: Request) -> dg.TimeWindowPartitionsDefinition:
    """The periods of a request as partitions."""
    is_ready_before_its_end = request.ready_after_minutes < request.length.total_seconds() / 60
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=_CRON[request.per],
        start=first_period(request).name,
        fmt=NAME_FORMATS[request.per],
        timezone=request.time_zone if request.per == "day" else "UTC",
        end_offset=1 if is_ready_before_its_end else 0,
    )


def _responses(source: Source, dataset: Dataset, settings: Settings) -> dg.AssetsDefinition:
    key = response_asset_key(dataset)

    @dg.multi_asset(
        name=f"answers_of_{source.source}_{dataset.name}",
        specs=[_spec(dataset)],
        check_specs=[
            dg.AssetCheckSpec(ANSWERED, asset=key, description="Every period that was requested has a usable response.")
        ],
        partitions_def=partitions_of(dataset.requested),
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=f"api_{source.source}",
        description=f"Requests {dataset.id} from its API, for the periods that the bucket does not have.",
    )
    def request(context: dg.AssetExecutionContext, bucket: LandingBucket) -> Iterator[dg.AssetCheckResult]:
        periods = [period_named(dataset.requested, name) for name in context.partition_keys]
        with retry_transient(context, settings), bucket.open() as store:
            missing = missing_periods(dataset, periods, store)
            # The step has one output for all its partitions, so those that have landed are reported one by one.
            for period in periods:
                if period not in missing:
                    context.log_event(dg.AssetMaterialization(key, partition=period.name))
            outcomes = request_periods(
                source, dataset, missing, settings, store, report=lambda each: _report(context, dataset, each)
            )
        yield _check(key, outcomes)

    return request


def _spec(dataset: Dataset) -> dg.AssetSpec:
    request = dataset.requested
    return dg.AssetSpec(
        key=response_asset_key(dataset),
        group_name=GROUP,
        description=f"{dataset.description} Requested once per {request.per}; the responses are kept as they come.",
        owners=list(dataset.owners),
        kinds={"json"},
        skippable=True,
        freshness_policy=freshness_policy(dataset.freshness),
        metadata={"path": request.path, "per": request.per, "time_zone": request.time_zone},
    )


def _report(context: dg.AssetExecutionContext, dataset: Dataset, outcome: Outcome) -> None:
    name = outcome.period.name
    if isinstance(outcome, Refused):
        context.log.error(printable(outcome.reason))
        return
    metadata: dict[str, Any] = {"requested_at": dg.MetadataValue.timestamp(datetime.now(UTC))}
    if isinstance(outcome, Gap):
        context.log.info(f"{dataset.id} {name}: a gap; the API says {outcome.status}")
        metadata |= {"gap": True, "status": outcome.status}
    else:
        context.log.info(f"{dataset.id} {name}: {counted(outcome.records, 'record')}")
        metadata |= {"gap": False, "dagster/row_count": outcome.records, "objects": list(outcome.keys)}
    context.log_event(dg.AssetMaterialization(response_asset_key(dataset), partition=name, metadata=metadata))


def _check(key: dg.AssetKey, outcomes: Sequence[Outcome]) -> dg.AssetCheckResult:
    refused = [each.reason for each in outcomes if isinstance(each, Refused)]
    more = f"; and {counted(len(refused) - _MAX_REASONS, 'more')}" if len(refused) > _MAX_REASONS else ""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=ANSWERED,
        passed=not refused,
        description=printable("; ".join(refused[:_MAX_REASONS]) + more) or None,
        metadata={
            "landed": sum(isinstance(each, Landed) for each in outcomes),
            "records": sum(each.records for each in outcomes if isinstance(each, Landed)),
            "gaps": sum(isinstance(each, Gap) for each in outcomes),
            "refused": len(refused),
        },
    )
