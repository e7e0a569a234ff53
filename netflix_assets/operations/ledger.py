"""The warehouse, opened for reading its ledger."""

from collections.abc import Iterator
from contextlib import contextmanager

from netflix_assets.defs.resources import warehouse
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse

_TABLES = ("loads", "rejected_rows", "refused_objects")


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Warehouse | None]:
    """The warehouse with a reader's rights, or None if nothing was ever loaded.

    A first run that was killed may leave the file without its tables, or with some of them: that counts as not loaded.
    Raises: WarehouseError.
    """
    if not warehouse(settings).exists():
        yield None
        return
    with warehouse(settings).open("reader") as connection:
        found = connection.describe([("ops", name) for name in _TABLES])
        yield connection if len(found) == len(_TABLES) else None
