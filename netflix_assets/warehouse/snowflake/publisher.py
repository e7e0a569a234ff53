"""Publish on Snowflake: clone tables into shadow schemas of the serving database, then swap them in.

    <serving>.CORE, <serving>.MARTS              the current set, which consumers read
    <serving>.CORE_NEXT, <serving>.MARTS_NEXT    the next set; after the swap, the previous one

All four belong to the transformer and have the same grants, which a swap carries along. Everything slow or fallible
happens in the shadow; only two renames remain, one after the other. Each schema contains the record of its set, so an
interrupted switch is visible and the next publication finishes it. A query that joins both schemas between the two
renames may see tables of two sets.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.publishing import (
    SCHEMAS,
    Candidate,
    Publication,
    Published,
    Publisher,
    PublishingHeldError,
    ServedTable,
    candidate_of,
    objects_of,
    objects_query,
)
from netflix_assets.warehouse.served_counts import checked_row_counts
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse

# In each published schema: one row, and one row per object version that the set was built from.
_OWN_TABLES = {
    "publication": {"version": "varchar", "record": "varchar"},
    "publication_objects": {
        "dataset": "varchar", "object_key": "varchar", "etag": "varchar", "size_bytes": "bigint", "load_id": "integer",
        "rows_loaded": "bigint",
    }
}  # fmt: skip


class SnowflakePublisher(Publisher):
    """Publishes a session's database into ``serving_database``; the session has the transformer's rights."""

    def __init__(self, warehouse: SnowflakeWarehouse, serving_database: str) -> None:
        self._warehouse = warehouse
        self._serving = serving_database
        self.place = f"{serving_database}.CORE and {serving_database}.MARTS"

    def published(self) -> Publication | None:
        """The record in the marts schema; ``is_interrupted`` if the core schema's record differs."""
        found = self._records(SCHEMAS)
        if not found:
            return None
        shown = found.get("marts") or found["core"]
        return replace(shown, is_interrupted=len({found[schema].version for schema in found}) > 1 or len(found) == 1)

    def publish(self, served: Sequence[ServedTable]) -> Published:
        """Clone the tables into the shadow and swap it in."""
        self._finish_swap()
        candidate = candidate_of(self._warehouse)
        objects = objects_of(candidate.build, self._warehouse)
        current = self.published()
        if current is not None and current.is_of(candidate):
            return Published(current, objects, is_new=False)
        publication = candidate.publication(
            checked_row_counts(self._warehouse, candidate.build, objects, served), objects
        )
        for schema in SCHEMAS:
            self._claim(schema, publication)
        for table in sorted(served):
            self._clone(table)
        for schema in SCHEMAS:
            self._drop_others(schema, {table.name for table in served if table.schema == schema})
        self._record_objects(candidate)
        self._assert_unchanged(candidate, publication)
        for schema in SCHEMAS:
            self._swap(schema)
        return Published(publication, objects, is_new=True)

    def _shadow(self, schema: str) -> str:
        return f"{self._serving}.{schema}_next"

    def _claim(self, schema: str, publication: Publication) -> None:
        """Put the record of this set into the shadow first: another publisher that finds it gives way."""
        self._create_own_table(schema, "publication")
        self._warehouse.execute(
            f"insert into {self._shadow(schema)}.publication (version, record) values (?, ?)",
            (publication.version, json.dumps(publication.as_json())),
        )

    def _create_own_table(self, schema: str, table: str) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in _OWN_TABLES[table].items())
        self._warehouse.execute(f"create or replace transient table {self._shadow(schema)}.{table} ({columns})")

    def _clone(self, table: ServedTable) -> None:
        """Clone without copying. A dynamic table is copied, because its clone would keep refreshing itself.

        A clone of a transient table must be transient; a clone of a permanent table may be.
        """
        rows = f"clone {table.full_name}" if table.is_stored else f"as select * from {table.full_name}"
        self._warehouse.execute(f"create or replace transient table {self._shadow(table.schema)}.{table.name} {rows}")

    def _drop_others(self, schema: str, wanted: set[str]) -> None:
        for (name,) in self._warehouse.execute(
            f"""
            select lower(table_name) from {self._serving}.information_schema.tables
            where table_schema = ? order by table_name
            """,
            (f"{schema}_next".upper(),),
        ):
            if name not in wanted and name not in _OWN_TABLES:
                self._warehouse.execute(f"drop table {self._shadow(schema)}.{name}")

    def _record_objects(self, candidate: Candidate) -> None:
        query, values = objects_query(candidate.build)
        columns = ", ".join(_OWN_TABLES["publication_objects"])
        for schema in SCHEMAS:
            self._create_own_table(schema, "publication_objects")
            self._warehouse.execute(
                f"insert into {self._shadow(schema)}.publication_objects ({columns}) {query}", values
            )

    def _assert_unchanged(self, candidate: Candidate, publication: Publication) -> None:
        """Check that nobody, on any machine, has built or published since the cloning began."""
        if candidate_of(self._warehouse) != candidate:
            raise NotServableError("another build ran while the tables were copied; publish again")
        shadows = [f"{schema}_next" for schema in SCHEMAS]
        if {found.version for found in self._records(shadows).values()} != {publication.version}:
            raise PublishingHeldError("another process is publishing; nothing was switched here")

    def _swap(self, schema: str) -> None:
        self._warehouse.execute(f"alter schema {self._serving}.{schema} swap with {self._shadow(schema)}")

    def _finish_swap(self) -> None:
        """Swap marts too if a publisher was interrupted after swapping core."""
        found = self._records((*SCHEMAS, "marts_next"))
        if "core" in found and "marts_next" in found and found["core"] == found["marts_next"] != found.get("marts"):
            self._swap("marts")

    def _records(self, schemas: Sequence[str]) -> Mapping[str, Publication]:
        """Schema -> the record in it, for schemas of the serving database that have one."""
        existing = {
            name
            for (name,) in self._warehouse.execute(
                f"select lower(table_schema) from {self._serving}.information_schema.tables where table_name = ?",
                ("PUBLICATION",),
            )
        }
        queries = [
            f"select '{schema}', record from {self._serving}.{schema}.publication"
            for schema in schemas
            if schema in existing
        ]
        rows: list[tuple[Any, ...]] = self._warehouse.execute(" union all ".join(queries)) if queries else []
        return {schema: Publication.from_json(json.loads(record)) for schema, record in rows}
