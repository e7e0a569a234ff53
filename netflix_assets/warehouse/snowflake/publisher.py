"""Publish on Snowflake: clone tables into shadow schemas of the serving database, then swap them in.

    <serving>.CORE, <serving>.MARTS              the current set, which consumers read
    <serving>.CORE_NEXT, <serving>.MARTS_NEXT    the next set; after the swap, the previous one

All four belong to the transformer and have the same grants, which a swap carries along. Everything slow or fallible
happens in the shadow; only two renames remain, one after the other. Each schema contains the record of its set, so an
interrupted switch is visible and the next publication finishes it. A query that joins both schemas between the two
renames may see tables of two sets. Tables in the shadow that have not changed since its set was cloned stay there.

So two versions are kept: the current one and the one in the shadow. Serving the latter is the same swap, and a pin is
part of the record. While a version is pinned, new sets are cloned into the shadow and stay there.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.erasures import built_tables, count_built
from netflix_assets.warehouse.publishing import (
    SCHEMAS,
    Built,
    Candidate,
    Compared,
    Publication,
    Published,
    Publisher,
    PublishingHeldError,
    ServedTable,
    TableSet,
    VersionNotKeptError,
    candidate_of,
    objects_of,
    objects_query,
)
from netflix_assets.warehouse.served_counts import checked_publication
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from netflix_assets.warehouse.typing import identifier, literal

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
        return _shown(self._records(SCHEMAS))

    def versions(self) -> list[Publication]:
        """The current version, and the one in the shadow unless its publisher was killed."""
        found = [each for each in (self.published(), self._in_shadow()) if each is not None]
        return sorted(found, key=lambda each: each.published_at, reverse=True)

    def publish(self, served: Sequence[ServedTable]) -> Published:
        """Clone changed tables into the shadow and swap it in, unless another version is pinned."""
        current = self._finish_swap()
        candidate = candidate_of(self._warehouse)
        objects = objects_of(candidate.build, self._warehouse)
        pinned = current if current is not None and current.pinned_at else None
        newest = self.versions()[0] if pinned else current
        if newest is not None and newest.is_of(candidate):
            return Published(newest, objects, is_new=False, pinned=pinned, previous=current)
        publication = checked_publication(self._warehouse, candidate, objects, served, newest)
        earlier = self._in_shadow()
        shared = publication.unchanged_since(earlier) if earlier else frozenset()
        for schema in SCHEMAS:
            self._claim(schema, publication)
        for table in sorted(served):
            if table.full_name not in shared:
                self._clone(table)
        for schema in SCHEMAS:
            self._drop_others(schema, {table.name for table in served if table.schema == schema})
        self._record_objects(candidate)
        self._assert_unchanged(publication)
        if pinned is None:
            for schema in SCHEMAS:
                self._swap(schema)
        return Published(publication, objects, is_new=True, pinned=pinned, previous=current, shared=shared)

    def pin(self, version: str) -> Publication:
        """Serve a kept version until ``unpin``; finishes an interrupted switch first."""
        self._finish_swap()
        return super().pin(version)

    def unpin(self) -> Publication:
        """Serve the newest version; finishes an interrupted switch first."""
        self._finish_swap()
        return super().unpin()

    def forget_others(self) -> list[Publication]:
        """Drop the tables in the shadow; finishes an interrupted switch first."""
        self._finish_swap()
        current = self.published()
        forgotten = [each for each in self.versions() if current is None or each.version != current.version]
        for schema in SCHEMAS:
            self._drop_others(schema, set(), kept=())
        return forgotten

    def person_counts(self, names: Sequence[str], text: str) -> Mapping[str, int]:
        """The rows in all schemas of the serving database."""
        return count_built(self._warehouse, built_tables(self._warehouse, names, self._serving), text)

    def _serve(self, publication: Publication) -> Publication:
        found = self._records(SCHEMAS)
        is_served = "marts" in found and found["marts"].version == publication.version
        for schema in SCHEMAS:
            place = f"{self._serving}.{schema}" if is_served else self._shadow(schema)
            self._warehouse.execute(
                f"update {place}.publication set record = ? where version = ?",
                (json.dumps(publication.as_json()), publication.version),
            )
        if not is_served:
            for schema in SCHEMAS:
                self._swap(schema)
        return publication

    def _in_shadow(self) -> Publication | None:
        """The set in the shadow, if it is complete: the objects are recorded last, and no table has lost a row."""
        shadows = [f"{schema}_next" for schema in SCHEMAS]
        found = self._records(shadows)
        if len({found[each].version if each in found else "" for each in shadows}) > 1 or not found:
            return None
        publication = replace(found[shadows[0]], pinned_at=None)
        counts = [
            f"select '{schema.removesuffix('_next')}.' || {literal(name)}, count(*) "
            f"from {self._serving}.{schema}.{identifier(name.upper())}"
            for schema, name in self._warehouse.columns(shadows, self._serving)
        ]
        rows = {name: int(count) for name, count in self._warehouse.execute(" union all ".join(counts))}
        objects = sum(publication.objects.values())
        expected = {**publication.tables, **{f"{schema}.publication_objects": objects for schema in SCHEMAS}}
        return publication if expected.items() <= rows.items() else None

    @contextmanager
    def comparing(self, before: Publication, after: Publication | Built) -> Iterator[Compared]:
        """The schemas of both sets, in this session."""
        yield Compared(self._warehouse, self._tables_of(before), self._tables_of(after))

    def _tables_of(self, version: Publication | Built) -> TableSet:
        if isinstance(version, Built):
            schemas = {schema: f"{version.schema_prefix}{schema}" for schema in SCHEMAS}
            (database,) = self._warehouse.execute("select current_database()")[0]
            return TableSet(database, schemas)
        found = self._records([*SCHEMAS, *(f"{schema}_next" for schema in SCHEMAS)])
        versions = {schema: record.version for schema, record in found.items()}
        for suffix in ("", "_next"):
            schemas = {schema: f"{schema}{suffix}" for schema in SCHEMAS}
            if all(versions.get(each) == version.version for each in schemas.values()):
                return TableSet(self._serving, schemas, frozenset(_OWN_TABLES))
        raise VersionNotKeptError(f"version '{version.version}' is not kept any more")

    def _shadow(self, schema: str) -> str:
        return f"{self._serving}.{schema}_next"

    def _claim(self, schema: str, publication: Publication) -> None:
        """Put the record of this set into the shadow first: another publisher that finds it gives way.

        The objects of the last set go, because recording them is what completes a set.
        """
        self._warehouse.execute(f"drop table if exists {self._shadow(schema)}.publication_objects")
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

    def _drop_others(self, schema: str, wanted: set[str], kept: Collection[str] = tuple(_OWN_TABLES)) -> None:
        for (name,) in self._warehouse.execute(
            f"""
            select lower(table_name) from {self._serving}.information_schema.tables
            where table_schema = ? order by table_name
            """,
            (f"{schema}_next".upper(),),
        ):
            if name not in wanted and name not in kept:
                self._warehouse.execute(f"drop table {self._shadow(schema)}.{name}")

    def _record_objects(self, candidate: Candidate) -> None:
        query, values = objects_query(candidate.build)
        columns = ", ".join(_OWN_TABLES["publication_objects"])
        for schema in SCHEMAS:
            self._create_own_table(schema, "publication_objects")
            self._warehouse.execute(
                f"insert into {self._shadow(schema)}.publication_objects ({columns}) {query}", values
            )

    def _assert_unchanged(self, publication: Publication) -> None:
        """Check that nobody, on any machine, has built or published since the cloning began."""
        if not publication.is_of(candidate_of(self._warehouse)):
            raise NotServableError("another build ran while the tables were copied; publish again")
        shadows = [f"{schema}_next" for schema in SCHEMAS]
        if {found.version for found in self._records(shadows).values()} != {publication.version}:
            raise PublishingHeldError("another process is publishing; nothing was switched here")

    def _swap(self, schema: str) -> None:
        self._warehouse.execute(f"alter schema {self._serving}.{schema} swap with {self._shadow(schema)}")

    def _finish_swap(self) -> Publication | None:
        """Swap marts too if a publisher was interrupted after swapping core. Returns the current publication."""
        found = dict(self._records((*SCHEMAS, "marts_next")))
        shadow = found.pop("marts_next", None)
        core, marts = found.get("core"), found.get("marts")
        if core and shadow and core.version == shadow.version != (marts and marts.version):
            self._swap("marts")
            found["marts"] = shadow
        return _shown(found)

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


def _shown(records: Mapping[str, Publication]) -> Publication | None:
    """What consumers see, of the records in core and marts."""
    if not records:
        return None
    shown = records.get("marts") or records["core"]
    return replace(shown, is_interrupted=len({each.version for each in records.values()}) > 1 or len(records) == 1)
