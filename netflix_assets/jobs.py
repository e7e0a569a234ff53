"""The jobs: which part of the graph a run covers. Does not belong here: when they run (``sensors.py``)."""

import dagster as dg

EVERYTHING = "everything"


JOBS = (
    dg.define_asset_job(
        EVERYTHING,
        selection=dg.AssetSelection.all(),
        description="Brings the raw tables level with the bucket and builds everything that follows from them.",
    ),
    dg.define_asset_job(
        "ingestion",
        selection=dg.AssetSelection.groups("raw"),
        description="Brings the raw tables level with the bucket.",
    ),
    dg.define_asset_job(
        "transformation",
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups("raw"),
        description="Builds and tests the dbt project from the raw tables as they are.",
    ),
)
