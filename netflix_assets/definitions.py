"""The whole system on one screen: what there is, what runs it, what it runs with."""

import dagster as dg

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.alerts.sensor import alerting, alerts_sensor, slack_on_failure
from netflix_assets.defs.dagster_internals import in_this_process
from netflix_assets.defs.dashboards import dashboard_assets
from netflix_assets.defs.dbt.assets import dbt_builds
from netflix_assets.defs.dbt.project import dbt_project, dbt_resource, manifest_of
from netflix_assets.defs.dbt.translator import ops_tables
from netflix_assets.defs.freshness import freshness_checks
from netflix_assets.defs.jobs import asset_jobs
from netflix_assets.defs.landing.assets import bucket_checks, landing_assets, landing_key
from netflix_assets.defs.landing.sensor import landing_sensor
from netflix_assets.defs.published import PUBLISHED_KEY, published_marts
from netflix_assets.defs.raw.assets import raw_assets, raw_key
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.defs.retention import retention_job
from netflix_assets.defs.schedules import schedules
from netflix_assets.settings import Settings, current_settings


def build_defs(settings: Settings) -> dg.Definitions:
    """The definitions for these settings; needs no network and no credentials."""
    sources = settings.sources()
    project = dbt_project(settings)
    manifest = manifest_of(project)
    datasets = all_datasets(sources)
    landing_keys = {dataset.id: landing_key(dataset) for dataset in datasets}
    raw_keys = {dataset.id: raw_key(dataset) for dataset in datasets}
    builds = dbt_builds(settings, project, manifest, datasets)
    built = [spec for each in builds.values() for spec in each.specs]
    external = [
        *landing_assets(sources),
        *ops_tables(raw_keys.values(), builds["models"], settings.warehouse_kind),
    ]
    made = [
        *raw_assets(sources, settings),
        *builds.values(),
        published_marts(settings, builds.values(), datasets),
        *dashboard_assets(settings, manifest),
    ]
    alerts = alerting(settings, sources, [*external, *made])
    hook = slack_on_failure(alerts)
    return dg.Definitions(
        assets=[*external, *(each.with_hooks({hook}) for each in made)],
        asset_checks=[
            bucket_checks(sources, raw_keys, settings),
            *freshness_checks(datasets, landing_keys, raw_keys, built, PUBLISHED_KEY, settings),
        ],
        jobs=[*asset_jobs(sources), retention_job(settings)],
        schedules=schedules(settings, sources),
        # A branch loads nothing of its own and publishes nothing: what lands starts no run of it, and nobody is told.
        sensors=[] if settings.schema_prefix else [landing_sensor(settings, sources), alerts_sensor(alerts)],
        resources={
            "bucket": landing_bucket(settings),
            "warehouse": warehouse(settings),
            "dbt": dbt_resource(settings, project),
        },
        executor=in_this_process,
    )


defs = build_defs(current_settings())
