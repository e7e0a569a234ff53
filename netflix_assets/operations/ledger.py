"""The warehouse, opened for reading its ledger."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from netflix_assets.operations.connections import warehouse
from netflix_assets.settings import Settings
from netflix_assets.warehouse.access import Role
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import BUILD_TABLES
from netflix_assets.warehouse.relations import OPS_TABLES, check_version, ops_ddl

_TABLES = ("loads", "rejected_rows", "refused_objects")


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Warehouse | None]:
    """The warehouse with a reader's rights, or None if nothing was ever loaded.

    A first run that was killed may leave the file without its tables, or with some of them: that counts as not loaded.
    Ops tables of an earlier version are upgraded first.

    Raises: WarehouseError, also when newer code wrote the warehouse.
    """
    if not warehouse(settings).exists():
        yield None
        return
    with warehouse(settings).open("reader") as connection:
        found = connection.columns(("ops",))
        check_version(found)
        is_loaded = all(("ops", name) in found for name in _TABLES)
        if not list(_lacking(found, {**OPS_TABLES, **BUILD_TABLES})):
            yield connection if is_loaded else None
            return
    _upgrade(settings)
    with warehouse(settings).open("reader") as connection:
        yield connection if is_loaded else None


def _lacking(
    found: Mapping[tuple[str, str], Collection[str]], tables: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """The statements that add what existing tables lack; none for tables that are not there yet."""
    return ops_ddl(found, {name: columns for name, columns in tables.items() if ("ops", name) in found})


def _upgrade(settings: Settings) -> None:
    """Add what the ops tables lack, with the rights of the roles that own them."""
    owned: dict[Role, Mapping[str, Mapping[str, str]]] = {"loader": OPS_TABLES, "transformer": BUILD_TABLES}
    for role, tables in owned.items():
        with warehouse(settings).open(role) as connection:
            for statement in _lacking(connection.columns(("ops",)), tables):
                connection.execute(statement)
