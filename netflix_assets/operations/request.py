"""Request APIs by hand: what is missing now, or a range of days of the past."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.contracts.visibility import counted
from netflix_assets.defs.extract.api_sensor import api_job, range_tags
from netflix_assets.extract.api.periods import Period, periods_between, recent_periods
from netflix_assets.extract.api.run import missing_periods, try_request, why_unused
from netflix_assets.extract.errors import SourceError, SourceUnavailableError
from netflix_assets.extract.postgres.check import Finding
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import execute_job
from netflix_assets.settings import Settings
from netflix_assets.storage.bucket import landing_bucket


def check_api(settings: Settings, source: Source) -> Iterator[Finding]:
    """Whether an API answers: one request for each dataset. Nothing lands."""
    if reason := why_unused(source, settings):
        yield Finding(source.source, reason, is_problem=True)
        return
    for dataset in source.requested:
        periods = recent_periods(dataset.requested, datetime.now(UTC))
        if not periods:
            yield Finding(dataset.id, "no period is ready to be requested now", is_problem=False)
            continue
        try:
            records = try_request(source, dataset, periods[-1], settings)
        except (SourceError, SourceUnavailableError) as error:
            yield Finding(dataset.id, str(error), is_problem=True)
        else:
            name = periods[-1].name
            if records < 0:
                yield Finding(dataset.id, f"says that it has nothing for {name}: a gap", is_problem=True)
            else:
                yield Finding(dataset.id, f"answers for {name}: {counted(records, 'record')}", is_problem=False)


def missing_now(settings: Settings, source: Source) -> list[tuple[Dataset, list[str]]]:
    """The recent periods of each dataset that are ready and missing. Raises: InputError, BucketError."""
    return _missing(settings, source, lambda dataset: recent_periods(dataset.requested, datetime.now(UTC)))


def missing_between(settings: Settings, source: Source, first: date, last: date) -> list[tuple[Dataset, list[str]]]:
    """The missing periods of each dataset from one day to another. Raises: InputError, BucketError."""
    now = datetime.now(UTC)
    return _missing(settings, source, lambda dataset: periods_between(dataset.requested, first, last, now))


def check_days(source: Source, first: date, last: date) -> None:
    """Raise InputError when no dataset of a source can be requested for any of these days."""
    if first > last:
        raise InputError(f"--from {first} is after --to {last}")
    now = datetime.now(UTC)
    if not any(periods_between(dataset.requested, first, last, now) for dataset in source.requested):
        ranges = "; ".join(_requestable(source, dataset, now) for dataset in source.requested)
        raise InputError(f"{source.source}: nothing from {first} to {last} can be requested. {ranges}")


def request(
    settings: Settings, defs: dg.Definitions, dataset: Dataset, names: Sequence[str], progress: Callable[[str], None]
) -> RunOutcome:
    """Request these periods of a dataset in a run of its job. Raises: StorageError."""
    return execute_job(settings, defs, api_job(dataset), {}, tags=range_tags(names), progress=progress)


def _requestable(source: Source, dataset: Dataset, now: datetime) -> str:
    """The days that a dataset can be requested for, as a sentence."""
    request, ready = dataset.requested, recent_periods(dataset.requested, now)
    if not request.history:
        return f"{dataset.id} serves only current values: netflix-assets sources extract {source.source}"
    last = f" to {ready[-1].start:%Y-%m-%d}" if ready else ""
    return f"{dataset.id} can be requested from {request.start}{last}"


def _missing(
    settings: Settings, source: Source, periods_of: Callable[[Dataset], list[Period]]
) -> list[tuple[Dataset, list[str]]]:
    if reason := why_unused(source, settings):
        raise InputError(f"{source.source}: {reason}")
    with landing_bucket(settings).open() as store:
        found = [
            (dataset, [each.name for each in missing_periods(dataset, periods_of(dataset), store)])
            for dataset in source.requested
        ]
    return [(dataset, names) for dataset, names in found if names]
