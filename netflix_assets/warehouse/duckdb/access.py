"""How the embedded warehouse is reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netflix_assets.settings import Settings
from netflix_assets.warehouse.access import Role, WarehouseAccess
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.publishing import Publisher, Served


class DuckDBAccess(WarehouseAccess):
    """One DuckDB file. A step closes it, so that dbt can open it."""

    file: str
    published: str  # the folder to publish into
    wait_seconds: float

    @contextmanager
    def open(self, role: Role = "loader", *, run_id: str = "", asset: str = "") -> Iterator[Warehouse]:
        """A connection to the file; waits while another process holds it."""
        from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse  # duckdb takes 0.1 s to import

        with DuckDBWarehouse(Path(self.file), self.wait_seconds, read_only=role == "reader") as warehouse:
            yield warehouse

    @contextmanager
    def publisher(self, *, run_id: str = "", asset: str = "") -> Iterator[Publisher]:
        """A publisher into a folder; it opens the file when it publishes."""
        from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher

        yield DuckDBPublisher(Path(self.file), Path(self.published), self.wait_seconds)

    @contextmanager
    def served(self, *, run_id: str = "", asset: str = "") -> Iterator[Served | None]:
        """The published file; the warehouse itself stays free for writers."""
        from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher
        from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

        publisher = DuckDBPublisher(Path(self.file), Path(self.published), self.wait_seconds)
        publication = publisher.published()
        if publication is None:
            yield None
            return
        with DuckDBWarehouse(publisher.file_of(publication), self.wait_seconds, read_only=True) as published:
            yield Served(publication, published.query)

    def exists(self) -> bool:
        """Whether the file exists."""
        return Path(self.file).exists()

    def clear_deleted(self) -> None:
        """Rewrite the file without the blocks of deleted rows."""
        from netflix_assets.warehouse.duckdb.rewrite import rewrite

        rewrite(Path(self.file), self.wait_seconds)


def duckdb_access(settings: Settings) -> DuckDBAccess:
    """The embedded warehouse of a home."""
    return DuckDBAccess(
        file=str(settings.warehouse_file),
        published=str(settings.published_folder),
        wait_seconds=settings.warehouse_wait_seconds,
    )
