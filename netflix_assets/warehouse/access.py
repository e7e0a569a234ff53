"""How a warehouse is reached: opened with a role's rights, published from, and read as consumers read it."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Literal

from pydantic import BaseModel, ConfigDict

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.publishing import Publisher, Served

# A session's rights: the loader owns raw and the ledger, the transformer owns dbt's tables and the build records.
Role = Literal["loader", "transformer", "reader"]


class WarehouseAccess(BaseModel, ABC):
    """The warehouse of an environment, opened for a step or a command and closed again."""

    model_config = ConfigDict(frozen=True)

    @abstractmethod
    def open(self, role: Role = "loader", *, run_id: str = "", asset: str = "") -> AbstractContextManager[Warehouse]:
        """A connection with a role's rights. ``run_id`` and ``asset`` go into Snowflake's query tag."""

    @abstractmethod
    def publisher(self, *, run_id: str = "", asset: str = "") -> AbstractContextManager[Publisher]:
        """The publisher of this warehouse's tables."""

    @abstractmethod
    def served(self, *, run_id: str = "", asset: str = "") -> AbstractContextManager[Served | None]:
        """The published tables, open for reading as consumers read them; None if nothing was ever published."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a warehouse to open for reading."""

    @abstractmethod
    def clear_deleted(self) -> None:
        """Remove deleted values from the storage itself, as far as this process can."""
