"""The jobs: which part of the graph a run covers."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Source, all_datasets
from netflix_assets.defs.extract.api_assets import GROUP as APIS
from netflix_assets.defs.extract.api_sensor import api_job, api_jobs
from netflix_assets.defs.extract.database_assets import GROUP as DATABASES
from netflix_assets.defs.extract.database_assets import by_database
from netflix_assets.defs.extract.database_sensor import extract_job, extract_jobs
from netflix_assets.defs.extract.sentiment import GROUP as SENTIMENT
from netflix_assets.defs.extract.sentiment import writers_of
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.retention import RETENTION

EVERYTHING = "everything"
INGESTION = "ingestion"
TRANSFORMATION = "transformation"


def asset_jobs(sources: Sequence[Source]) -> list[Any]:
    """One job for the whole graph, one for each half, one per source, named after it, and one per extract."""
    return [
        dg.define_asset_job(
            EVERYTHING,
            selection=_all(),
            description="Syncs the raw tables with the bucket and builds everything downstream.",
        ),
        dg.define_asset_job(
            INGESTION,
            selection=_ingestion(),
            description="Syncs the raw tables with the bucket, and judges headlines.",
        ),
        dg.define_asset_job(
            TRANSFORMATION,
            selection=_all() - _ingestion(),
            description="Builds, tests and publishes the dbt project from the raw tables as they are.",
        ),
        *(_job_of(source, sources) for source in sources),
        *extract_jobs(sources),
        *api_jobs(sources),
    ]


def _all() -> dg.AssetSelection:
    """Everything downstream of the bucket. A database or an API that is down holds up nothing else."""
    return dg.AssetSelection.all() - dg.AssetSelection.groups(DATABASES, APIS)


def _ingestion() -> dg.AssetSelection:
    return dg.AssetSelection.groups("raw", SENTIMENT)


def _job_of(source: Source, sources: Sequence[Source]) -> Any:
    # All of dbt, not only what is downstream of the source: a partial build is never published, and on a new warehouse
    # it would lack the seeds and the other source's tables.
    others = [dataset for dataset in all_datasets(sources) if dataset.source != source.source]
    writers = [key for dataset in others for key in writers_of(dataset, sources)]
    excluded = dg.AssetSelection.assets(*map(raw_key, others), *map(landing_key, others), *writers)
    return dg.define_asset_job(
        source.source,
        selection=_all() - excluded if others else _all(),
        description=f"Syncs the raw tables of {source.source}, then builds and publishes everything. Other sources are "
        "used as loaded.",
    )


def synced_by(sources: Sequence[Source]) -> Mapping[str, frozenset[dg.AssetKey]]:
    """Job -> the raw and published assets it updates. A job not listed (assets chosen in the UI) may update any."""
    every, published = frozenset(map(raw_key, all_datasets(sources))), frozenset({PUBLISHED_KEY})
    return {
        EVERYTHING: every | published,
        INGESTION: every,
        TRANSFORMATION: published,
        RETENTION: frozenset(),
        **{extract_job(database): frozenset() for database in by_database(sources)},
        **{api_job(dataset): frozenset() for source in sources for dataset in source.requested},
        **{source.source: published.union(map(raw_key, source.datasets)) for source in sources},
    }
