"""The whole system on one screen: assets, the jobs and sensors that run them, and their resources."""

import sys
from functools import cache
from pathlib import Path

import dagster as dg

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.alerts.hook import Alerting, slack_on_failure
from netflix_assets.defs.alerts.sensor import alerts_sensor
from netflix_assets.defs.dagster_internals import locking_in_process_executor
from netflix_assets.defs.dashboards import dashboard_assets
from netflix_assets.defs.dbt.assets import dbt_build
from netflix_assets.defs.dbt.project import dbt_project, dbt_resource, manifest_of
from netflix_assets.defs.dbt.translator import ops_tables
from netflix_assets.defs.extract.api_assets import api_assets
from netflix_assets.defs.extract.api_sensor import api_sensors
from netflix_assets.defs.extract.database_assets import extract_assets
from netflix_assets.defs.extract.database_checks import database_checks
from netflix_assets.defs.extract.database_sensor import extract_sensors
from netflix_assets.defs.extract.sentiment import sentiment_assets
from netflix_assets.defs.freshness import freshness_checks
from netflix_assets.defs.jobs import asset_jobs
from netflix_assets.defs.landing.assets import bucket_checks, landing_assets, landing_key
from netflix_assets.defs.landing.sensor import landing_sensor
from netflix_assets.defs.published import PUBLISHED_KEY, published_marts
from netflix_assets.defs.raw.assets import raw_assets, raw_key
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.defs.retention import retention_job
from netflix_assets.defs.schedules import schedules
from netflix_assets.settings import PACKAGE, Settings, current_settings


def build_defs(settings: Settings) -> dg.Definitions:
    """The definitions for these settings; needs no network and no credentials."""
    sources = settings.sources()
    project = dbt_project(settings)
    manifest = manifest_of(project)
    datasets = all_datasets(sources)
    landing_keys = {dataset.id: landing_key(dataset) for dataset in datasets}
    raw_keys = {dataset.id: raw_key(dataset) for dataset in datasets}
    build = dbt_build(settings, project, manifest, datasets)
    external = [
        *landing_assets(sources),
        *ops_tables(raw_keys.values(), build, settings.warehouse_kind),
    ]
    executable = [
        *extract_assets(sources, settings),
        *api_assets(sources, settings),
        *raw_assets(sources, settings),
        *sentiment_assets(sources, settings),
        build,
        published_marts(settings, build, datasets),
        *dashboard_assets(settings, manifest),
    ]
    alerting = Alerting.of(settings, sources, [*external, *executable])
    hook = slack_on_failure(alerting)
    return dg.Definitions(
        assets=[*external, *(each.with_hooks({hook}) for each in executable)],
        asset_checks=[
            bucket_checks(sources, raw_keys, settings),
            *database_checks(sources, settings),
            *freshness_checks(datasets, landing_keys, raw_keys, list(build.specs), PUBLISHED_KEY, settings),
        ],
        jobs=[*asset_jobs(sources), retention_job(settings)],
        schedules=schedules(settings, sources),
        # A branch neither loads nor publishes, so new files start no run there and nobody is alerted.
        sensors=[]
        if settings.schema_prefix
        else [
            landing_sensor(settings, sources),
            *extract_sensors(settings, sources),
            *api_sensors(settings, sources),
            alerts_sensor(alerting),
        ],
        resources={
            "bucket": landing_bucket(settings),
            "warehouse": warehouse(settings),
            "dbt": dbt_resource(settings, project),
        },
        executor=locking_in_process_executor,
    )


@cache  # a second call would mistake the files that the first one imported for the system's own
def scaffolded_defs(package: Path = PACKAGE) -> dg.Definitions:
    """What a user added to defs/, for example with ``dg scaffold defs``: every file there that no module here imports.

    Dagster's own loader imports each installed integration (3.6 s of CPU, twice as long as everything else), so it runs
    only when there is one.
    """
    modules = {Path(file).resolve() for module in sys.modules.values() if (file := getattr(module, "__file__", None))}
    added = [path for path in (package / "defs").rglob("*.py") if path.resolve() not in modules]
    if not added and not any((package / "defs").rglob("defs.yaml")):
        return dg.Definitions()
    return dg.load_from_defs_folder(path_within_project=package)


def load_defs(settings: Settings) -> dg.Definitions:
    """The system, with what a user added to defs/."""
    return dg.Definitions.merge(build_defs(settings), scaffolded_defs())


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads; evaluated when it does, not at import."""
    return load_defs(current_settings())
