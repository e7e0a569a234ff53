"""Remove what is old, as the job ``retention`` does every night."""

from datetime import UTC, datetime

from netflix_assets.defs.retention import Removed, remove_old
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import Settings


def remove_what_is_old(settings: Settings) -> Removed:
    """Remove old runs, ticks, dbt folders and superseded loads. Raises: StorageError; WarehouseError."""
    with open_instance(settings) as instance:
        return remove_old(settings, instance, datetime.now(UTC))
