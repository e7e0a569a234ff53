"""The jobs: which part of the graph a run covers.

Does not belong here: when they run (``sensors.py``, ``schedules.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Source, all_datasets
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.retention import RETENTION

EVERYTHING = "everything"
INGESTION = "ingestion"
TRANSFORMATION = "transformation"


def asset_jobs(sources: Sequence[Source]) -> list[Any]:
    """The job of the whole graph, one for each of its halves, and one per source, which has the source's name."""
    return [
        dg.define_asset_job(
            EVERYTHING,
            selection=dg.AssetSelection.all(),
            description="Brings the raw tables level with the bucket and builds everything that follows from them.",
        ),
        dg.define_asset_job(
            INGESTION,
            selection=dg.AssetSelection.groups("raw"),
            description="Brings the raw tables level with the bucket.",
        ),
        dg.define_asset_job(
            TRANSFORMATION,
            selection=dg.AssetSelection.all() - dg.AssetSelection.groups("raw"),
            description="Builds and tests the dbt project from the raw tables as they are, and publishes it.",
        ),
        *(_job_of(source, sources) for source in sources),
    ]


def _job_of(source: Source, sources: Sequence[Source]) -> Any:
    # All of dbt and not only what is downstream of the source: a part of the graph is never published, and on a new
    # warehouse it would miss the seeds and the tables of the other source that it is joined with.
    others = [dataset for dataset in all_datasets(sources) if dataset.source != source.source]
    kept_out = dg.AssetSelection.assets(*map(raw_key, others), *map(landing_key, others))
    return dg.define_asset_job(
        source.source,
        selection=dg.AssetSelection.all() - kept_out if others else dg.AssetSelection.all(),
        description=f"Brings the raw tables of {source.source} level with the bucket, builds and publishes everything; "
        "of other sources it takes what is loaded.",
    )


def synced_by(sources: Sequence[Source]) -> Mapping[str, frozenset[dg.AssetKey]]:
    """What each job brings level: raw assets, and what is published.

    What is not named (assets chosen in the UI) may bring any of them.
    """
    every, published = frozenset(map(raw_key, all_datasets(sources))), frozenset({PUBLISHED_KEY})
    return {
        EVERYTHING: every | published,
        INGESTION: every,
        TRANSFORMATION: published,
        RETENTION: frozenset(),
        **{source.source: published.union(map(raw_key, source.datasets)) for source in sources},
    }
