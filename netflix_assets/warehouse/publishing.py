"""Publish the tables of ``core`` and ``marts`` together, as a complete and passing build left them.

Which build may be published, the record of a publication, and the Publisher protocol.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple, Self

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, NotServableError
from netflix_assets.warehouse.errors import HeldError, WarehouseError
from netflix_assets.warehouse.typing import Dialect

# The layers that consumers see. Each is a schema with the same name in the warehouse and in the published set.
SCHEMAS = ("core", "marts")

LIST_COMMAND = "netflix-assets publish --list"
UNPIN_COMMAND = "netflix-assets publish --latest"


class PublishingError(WarehouseError):
    """The set could not be published and the previous one stays; the message says why."""


class VersionNotKeptError(PublishingError):
    """The version is not kept any more."""


class PublishingHeldError(PublishingError, HeldError):
    """Another process is publishing."""


@dataclass(frozen=True, order=True)
class OneRowPer:
    """What a published table has one row per: distinct values of ``columns`` in ``raw.<table>``.

    ``where``: an SQL condition on the raw rows.
    """

    dataset: str
    table: str
    columns: tuple[str, ...]
    where: str = "true"


@dataclass(frozen=True, order=True)
class ServedTable:
    """A table to publish. ``is_stored``: it stores its rows, unlike a view or a dynamic table.

    ``per``: what it has one row per, so that its rows can be counted against the ledger; None if nothing is declared.
    ``key``: the columns that dbt tests to be unique, so that two versions can be compared row by row; empty if there is
    no such test. ``is_run_dependent``: its rows describe runs, so two builds of the same data differ.
    ``node_id``: dbt's id of its model.
    """

    schema: str
    name: str
    is_stored: bool = True
    per: OneRowPer | None = field(default=None, compare=False)
    key: tuple[str, ...] = field(default=(), compare=False)
    is_run_dependent: bool = field(default=False, compare=False)
    node_id: str = field(default="", compare=False)

    @property
    def full_name(self) -> str:
        """``schema.name``, as a query names it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class TableSet:
    """Where a set of tables is. ``schemas``: layer -> its schema there. ``own_tables``: those not of models."""

    database: str
    schemas: Mapping[str, str]
    own_tables: frozenset[str] = frozenset()

    def relation(self, dialect: Dialect, layer: str, name: str) -> str:
        """A table's full name, as a query spells it."""
        return f"{self.database}.{dialect.identifier(self.schemas[layer])}.{dialect.identifier(name)}"


@dataclass(frozen=True)
class Built:
    """The tables as dbt left them, in schemas with this prefix."""

    schema_prefix: str = ""


@dataclass(frozen=True)
class Compared:
    """Two sets of tables in one session, and the session."""

    warehouse: Warehouse
    before: TableSet
    after: TableSet


@dataclass(frozen=True)
class SourceObject:
    """An object version that the published tables were built from. ``rows``: the rows of its load."""

    dataset: str
    key: str
    etag: str
    size: int
    load_id: int
    rows: int


class CountedKeys(NamedTuple):
    """Distinct ``keys``, as SQL, in the loads up to ``last_load_id``. ``loads``: a digest of their IDs and rows."""

    keys: str
    last_load_id: int
    loads: str


@dataclass(frozen=True)
class Publication:
    """A published set. Times are UTC. ``tables``: ``schema.name`` -> rows. ``objects``: dataset -> number of objects.

    ``run_id`` and ``invocation_id`` identify the build of all models, ``last_invocation_id`` the last build of any
    part. ``is_interrupted``: the switch to or from this set was interrupted between the two schemas. ``pinned_at``:
    when somebody chose to serve this version, whatever is built meanwhile; None if the newest is served. ``made_by``:
    ``schema.name`` -> the build that made the table and its inputs, as an opaque text; no entry if unknown.
    ``counted``: ``schema.name`` -> the keys in raw that the rows of the table were counted against.
    """

    version: str
    run_id: str
    invocation_id: str
    last_invocation_id: str
    built_at: datetime
    published_at: datetime
    tables: Mapping[str, int]
    objects: Mapping[str, int] = field(default_factory=dict)
    is_interrupted: bool = False
    pinned_at: datetime | None = None
    made_by: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, CountedKeys] = field(default_factory=dict)

    def is_of(self, candidate: "Candidate") -> bool:
        """Whether it shows the tables as they are now."""
        found = (self.invocation_id, self.last_invocation_id)
        return not self.is_interrupted and found == (candidate.build.invocation_id, candidate.last_invocation_id)

    def unchanged_since(self, earlier: "Publication") -> frozenset[str]:
        """The tables that the same builds made as in an earlier set."""
        return frozenset(
            name
            for name, made_by in self.made_by.items()
            if (made_by, self.tables[name]) == (earlier.made_by.get(name), earlier.tables.get(name))
        )

    def as_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return {
            "version": self.version,
            "run_id": self.run_id,
            "invocation_id": self.invocation_id,
            "last_invocation_id": self.last_invocation_id,
            "built_at": self.built_at.isoformat(),
            "published_at": self.published_at.isoformat(),
            "tables": dict(self.tables),
            "objects": dict(self.objects),
            "made_by": dict(self.made_by),
            "counted": {name: list(keys) for name, keys in self.counted.items()},
            **({"pinned_at": self.pinned_at.isoformat()} if self.pinned_at else {}),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The publication of a record; other keys are ignored."""
        return cls(
            version=record["version"],
            run_id=record["run_id"],
            invocation_id=record["invocation_id"],
            last_invocation_id=record["last_invocation_id"],
            built_at=datetime.fromisoformat(record["built_at"]),
            published_at=datetime.fromisoformat(record["published_at"]),
            tables=record["tables"],
            objects=record.get("objects", {}),  # older records have none
            pinned_at=datetime.fromisoformat(record["pinned_at"]) if "pinned_at" in record else None,
            made_by=record.get("made_by", {}),
            counted={name: CountedKeys(*keys) for name, keys in record.get("counted", {}).items()},
        )


@dataclass(frozen=True)
class Published:
    """The outcome of publishing. ``is_new``: a version was made. ``size``: its bytes, if known.

    ``pinned``: the version that consumers still see, because it is pinned; None if they see ``publication``.
    ``previous``: the version that they saw before. ``shared``: the tables that were not copied, because the version
    shares them with an earlier one.
    """

    publication: Publication
    objects: Sequence[SourceObject]
    is_new: bool
    size: int | None = None
    pinned: Publication | None = None
    previous: Publication | None = None
    shared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Candidate:
    """The build that the tables hold and that may be published."""

    build: Build
    last_invocation_id: str

    def publication(
        self,
        tables: Mapping[str, int],
        objects: Iterable[SourceObject],
        made_by: Mapping[str, str],
        counted: Mapping[str, CountedKeys],
    ) -> Publication:
        """The record of publishing it now."""
        now = datetime.now(UTC)
        return Publication(
            version=f"{now:%Y%m%dT%H%M%S%fZ}-{self.build.run_id[:8]}",
            run_id=self.build.run_id,
            invocation_id=self.build.invocation_id,
            last_invocation_id=self.last_invocation_id,
            built_at=self.build.finished_at or self.build.started_at,
            published_at=now,
            tables=dict(tables),
            objects={dataset: len(found) for dataset, found in by_dataset(objects).items()},
            made_by=made_by,
            counted=counted,
        )


@dataclass(frozen=True)
class Served:
    """The published set, open for reading. ``query`` maps a query to its column names, in lower case, and its rows.

    Queries name tables ``schema.name``, as consumers do.
    """

    publication: Publication
    query: Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]


class Publisher(ABC):
    """Publishes tables of a warehouse; consumers read them at ``place``."""

    place: str

    @abstractmethod
    def published(self) -> Publication | None:
        """The current publication; None if nothing was ever published."""

    @abstractmethod
    def versions(self) -> list[Publication]:
        """The kept versions that are complete, newest first. The current one is among them."""

    @abstractmethod
    def publish(self, served: Sequence[ServedTable]) -> Published:
        """Publish exactly these tables, all at once. Publishing the same build again changes nothing.

        While a version is pinned, the new one is kept and consumers see the pinned one. The caller ensures that only
        one process of this home publishes and that none builds meanwhile. Raises: NotServableError, PublishingError;
        nothing has changed then.
        """

    def pin(self, version: str) -> Publication:
        """Serve a kept version, all tables at once, until ``unpin``. The caller ensures the same as for ``publish``.

        Raises: VersionNotKeptError; PublishingError when it is not complete. Nothing has changed then.
        """
        kept = next((each for each in self.versions() if each.version == version), None)
        if kept is None:
            raise VersionNotKeptError(f"version '{version}' is not kept. To list those that are: {LIST_COMMAND}")
        return self._serve(replace(kept, pinned_at=datetime.now(UTC)))

    def unpin(self) -> Publication:
        """Serve the newest version, and what is published from now on. Raises: as ``pin``."""
        versions = self.versions()
        if not versions:
            raise VersionNotKeptError("nothing is published yet. To build and publish everything: netflix-assets run")
        return self._serve(replace(versions[0], pinned_at=None))

    @abstractmethod
    def forget_others(self) -> list[Publication]:
        """Remove every kept version but the one that consumers see. Returns those that were removed.

        The caller ensures the same as for ``publish``. Readers keep the tables that they have open.
        """

    @abstractmethod
    def person_counts(self, names: Sequence[str], text: str) -> Mapping[str, int]:
        """Published tables -> rows that name a person in a column with such a name; only tables that have any.

        ``names``: of the contracts' columns. Every kept version is searched.
        """

    @abstractmethod
    def _serve(self, publication: Publication) -> Publication:
        """Switch consumers to a kept version, pinned or not."""

    @abstractmethod
    def comparing(self, before: Publication, after: Publication | Built) -> AbstractContextManager[Compared]:
        """Open two sets of tables for reading. The caller ensures that nobody builds or publishes meanwhile.

        Raises: WarehouseError.
        """


def candidate_of(warehouse: Warehouse) -> Candidate:
    """The build that may be published. Raises: NotServableError when the tables' build is incomplete or failed."""
    if ("ops", "builds") not in warehouse.columns(("ops",)):
        raise NotServableError("nothing has been built yet. To build and publish everything: netflix-assets run")
    builds = Builds(warehouse)
    build = builds.servable()
    return Candidate(build, builds.all()[-1].invocation_id)


def branch_reason(schema_prefix: str) -> str:
    """Why a build with a schema prefix is not published."""
    return f"NETFLIX_SCHEMA_PREFIX={schema_prefix} builds a branch, and branches do not publish"


def problem_of(warehouse: Warehouse | None, shown: Publication | None) -> str | None:
    """Why the published set is not the tables' current build; None if it is. No warehouse means nothing was loaded."""
    if warehouse is None:
        return "nothing has been loaded yet. To load, build and publish: netflix-assets run"
    try:
        candidate = candidate_of(warehouse)
    except NotServableError as error:
        return str(error)
    if shown is not None and shown.is_of(candidate):
        return None
    if shown is not None and shown.pinned_at is not None:
        return f"this version is pinned, and newer builds are kept. To serve the newest: {UNPIN_COMMAND}"
    advice = "netflix-assets run --select published/marts"
    if shown is not None and shown.is_interrupted:
        return f"the last switch was interrupted between core and marts. To finish it: {advice}"
    run = candidate.build.run_id[:8]
    return f"the build of run {run} passed but was not published. To publish it, or to see why not: {advice}"


def objects_query(build: Build) -> tuple[str, list[object]]:
    """The query and parameters for the object versions that a build was made from, by dataset and load.

    These are the loads that were current when it started: not superseded by an earlier load and not removed before.
    """
    inputs = build.inputs or {}
    condition = "dataset = ? and load_id <= ? and (is_current or superseded_by > ? or removed_at >= ?)"
    started_at = build.started_at.astimezone(UTC).replace(tzinfo=None)
    values: list[object] = [value for dataset, last in inputs.items() for value in (dataset, last, last, started_at)]
    return (
        f"""
        select dataset, object_key, etag, size_bytes, load_id, rows_loaded from ops.loads
        where {" or ".join(f"({condition})" for _ in inputs) or "1 = 0"}
        order by dataset, load_id
        """,
        values,
    )


def objects_of(build: Build, warehouse: Warehouse) -> list[SourceObject]:
    """The object versions that a build was made from, by dataset and load."""
    rows = warehouse.execute(*objects_query(build))
    return [SourceObject(row[0], row[1], row[2], *map(int, row[3:])) for row in rows]


def by_dataset(objects: Iterable[SourceObject]) -> dict[str, list[SourceObject]]:
    """The objects of each dataset; ``objects`` are sorted by dataset."""
    return {dataset: list(each) for dataset, each in groupby(objects, key=lambda one: one.dataset)}


def assert_whole(publication: Publication, found: Mapping[str, int]) -> None:
    """Check a kept version before it is served. ``found``: ``schema.name`` -> rows.

    Raises: PublishingError naming tables that are missing or whose rows differ from the record of the version.
    """
    wrong = [
        f"{name} has {found[name]:,} of its {rows:,} rows" if name in found else f"{name} is missing"
        for name, rows in sorted(publication.tables.items())
        if found.get(name) != rows
    ]
    if wrong:
        raise PublishingError(f"version {publication.version} is not complete: {'; '.join(wrong[:3])}")
