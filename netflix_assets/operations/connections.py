"""The warehouse of an environment for commands.

``status``, ``land`` and ``rejects`` take 0.8 s of CPU with it; 1.2 s more where Dagster is imported.
"""

from netflix_assets.settings import Settings
from netflix_assets.warehouse.access import WarehouseAccess
from netflix_assets.warehouse.duckdb.access import duckdb_access


def warehouse(settings: Settings) -> WarehouseAccess:
    """The warehouse of this environment. Only Snowflake's imports Dagster, which opens its sessions."""
    if settings.names is None:
        return duckdb_access(settings)
    from netflix_assets.defs import resources

    return resources.warehouse(settings)
