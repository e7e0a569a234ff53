"""A database under test: what the application writes to it, and what extracts bring to the bucket."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.postgres.run import Extracted, Outcome, Refused, extract_database
from netflix_assets.settings import Settings, read_settings
from netflix_assets.settings.named import DatabaseSettings
from netflix_assets_tests.conftest import Bucket

ORDERS: dict[str, Any] = {
    "source": "shop",
    "name": "orders",
    "description": "Orders.",
    "mode": "upsert",
    "key": ["order_id"],
    "extract": {"database": "shop", "table": "orders", "mode": "changes"},
    "freshness": {"warn_after_days": 1, "fail_after_days": 2},
    "columns": [
        {"name": "order_id", "type": "bigint", "description": "Id."},
        {"name": "amount", "type": "decimal(12,2)", "description": "Amount."},
        {"name": "note", "type": "text", "nullable": True, "description": "Note."},
    ],
}

CREATE = "create table orders (order_id bigint primary key, amount numeric(12,2) not null, note text)"
# The current rows: of each key the version with the highest number, unless it is deleted.
LATEST = """
select order_id, amount, note from (
    select *, row_number() over (partition by order_id order by extract_number desc, _object_key desc) as version
    from raw.shop_orders_current
) where version = 1 and not is_deleted order by order_id
"""


def dataset(**changes: Any) -> Dataset:
    """The contract of orders with some options otherwise; ``extract`` is merged, and None takes an option away."""
    extract = {**ORDERS["extract"], **changes.pop("extract", {})}
    given = {name: value for name, value in extract.items() if value is not None}
    return Dataset.model_validate({**ORDERS, **changes, "extract": given})


@dataclass
class Database:
    """``url``: as its owner."""

    url: str
    password: str
    bucket: Bucket
    folder: Path

    @property
    def settings(self) -> Settings:
        return read_settings(
            home=self.folder / "home",
            databases={"shop": DatabaseSettings(url=self.url, password=self.password)},
            hash_key="a key of the tests",
        )

    def connect(self, **options: Any) -> psycopg.Connection:
        """A connection of the application."""
        return psycopg.connect(self.url, password=self.password, **options)

    def execute(self, *statements: str) -> None:
        """Execute statements in one transaction."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def extract(self, *datasets: Dataset, **options: Any) -> list[Outcome]:
        return extract_database("shop", datasets or [dataset()], self.settings, self.bucket.store, **options)

    def extract_one(self, one: Dataset | None = None, **options: Any) -> Extracted:
        (outcome,) = self.extract(one or dataset(), **options)
        assert isinstance(outcome, Extracted), outcome
        return outcome

    def refused(self, one: Dataset | None = None, **options: Any) -> str:
        (outcome,) = self.extract(one or dataset(), **options)
        assert isinstance(outcome, Refused), outcome
        return outcome.reason

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query).fetchall()
