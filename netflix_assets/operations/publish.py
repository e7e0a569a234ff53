"""Which of the kept versions consumers see: pin one, and go back to the newest."""

from collections.abc import Callable

import dagster as dg

from netflix_assets.defs.dashboards import GROUP
from netflix_assets.defs.dbt.project import one_build_at_a_time
from netflix_assets.defs.published import PUBLISHED_KEY, pin_metadata
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import Settings
from netflix_assets.warehouse.publishing import Publication, Publisher, VersionNotKeptError, branch_reason


def list_versions(settings: Settings) -> tuple[list[Publication], Publication | None]:
    """The kept versions, newest first, and the one that consumers see. Raises: WarehouseError."""
    with warehouse(settings).publisher() as publisher:
        return publisher.versions(), publisher.published()


def pin(settings: Settings, version: str) -> Publication:
    """Serve a kept version until ``unpin``. Raises: InputError when it is not kept; WarehouseError."""
    return _serve(settings, lambda publisher: publisher.pin(version))


def unpin(settings: Settings) -> Publication:
    """Serve the newest version, and each one published from now on. Raises: InputError; WarehouseError."""
    return _serve(settings, lambda publisher: publisher.unpin())


def _serve(settings: Settings, switch: Callable[[Publisher], Publication]) -> Publication:
    """Switch while nobody builds or publishes, and record it on the asset.

    As an observation, not a materialization: the sensor compares the bucket with what was last materialized, and a
    choice between two versions does not require a load or a build.
    """
    if settings.schema_prefix:
        raise InputError(branch_reason(settings.schema_prefix))
    with (
        open_instance(settings) as instance,
        one_build_at_a_time(settings),
        warehouse(settings).publisher() as publisher,
    ):
        try:
            shown = switch(publisher)
        except VersionNotKeptError as error:
            raise InputError(str(error)) from error
        instance.report_runless_asset_event(
            dg.AssetObservation(
                PUBLISHED_KEY,
                description=f"{'Pinned' if shown.pinned_at else 'Unpinned'}: consumers see version {shown.version}",
                metadata={"version": shown.version, **pin_metadata(shown)},
            )
        )
    return shown


def rebuild_dashboards(settings: Settings, defs: dg.Definitions, progress: Callable[[str], None]) -> RunOutcome:
    """Build all pages from the version that is served now. Raises: StorageError."""
    return run_graph(settings, defs, select=f"group:{GROUP}", progress=progress)
