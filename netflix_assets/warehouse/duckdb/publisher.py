"""Publish from the embedded warehouse: one folder per version, and a link to the current one.

    published/current -> versions/<version>, or -> pinned while a version is pinned
    published/pinned  -> versions/<version>
    published/versions/<version>/netflix.duckdb, parquet/<schema>/<table>.parquet, manifest.json
    published/versions/<version>/marts.duckdb -> netflix.duckdb

DuckDB names a database after its file. If a schema has the same name, ``marts.mart_movies`` is ambiguous: DuckDB 2.0
follows the link, earlier versions do not and must open ``netflix.duckdb``.

Consumers never open the warehouse, so no writer's lock blocks them, and files they have open do not change when the
link moves. A version is built under a name with a leading dot and never changes after its rename. One rename switches
the link: a kill at any moment leaves the previous version or the new one, complete. A pin is in the same link, so it
switches with it. Tables that have not changed are shared with the version before (``version.py``).
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from netflix_assets.storage.scratch import scratch_folder
from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.duckdb.version import DATABASE, Earlier, write_tables
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse, retry_while_held
from netflix_assets.warehouse.erasures import built_tables, count_built, is_named
from netflix_assets.warehouse.publishing import (
    SCHEMAS,
    Built,
    Compared,
    Publication,
    Published,
    Publisher,
    ServedTable,
    SourceObject,
    TableSet,
    assert_whole,
    by_dataset,
    candidate_of,
    objects_of,
)
from netflix_assets.warehouse.served_counts import checked_publication
from netflix_assets.warehouse.typing import identifier, literal

VERSIONS_KEPT = 3

# Enough for any number of rows: 24.8 million ratings and 15.6 million genome scores copy in 12 s with 1.1 GB resident
# (18 s in insertion order). Readers that need an order have to ask for it.
_SETTINGS = (
    "set memory_limit = '1GB'",
    "set preserve_insertion_order = false",
    "set enable_progress_bar = false",  # DuckDB draws one on standard output after 2 s
)


class DuckDBPublisher(Publisher):
    """Publishes the warehouse in ``file`` into ``folder``."""

    def __init__(self, file: Path, folder: Path, wait_seconds: float = 60.0) -> None:
        self._file = file
        self._folder = folder
        self._wait_seconds = wait_seconds
        self._link = folder / "current"
        self._pin = folder / "pinned"
        self._versions = folder / "versions"
        self._spilled = file.with_name("tmp")  # where all scratch folders of a home are
        self.place = str(self._link)

    def published(self) -> Publication | None:
        """The publication that the link points to."""
        try:
            shown = _read(self._link)
        except FileNotFoundError:
            return None
        if not self._is_pinned():
            return shown
        return replace(shown, pinned_at=datetime.fromtimestamp(self._pin.lstat().st_mtime, UTC))

    def versions(self) -> list[Publication]:
        """The complete versions in the folder, newest first."""
        return [_read(folder) for folder in reversed(self._version_folders()) if folder.name[0] != "."]

    def file_of(self, publication: Publication) -> Path:
        """The database of a published set; it never changes."""
        return self._versions / publication.version / DATABASE

    def publish(self, served: Sequence[ServedTable]) -> Published:
        """Copy what has changed into a new version and switch the link to it, unless another one is pinned."""
        if not self._file.exists():
            raise NotServableError("nothing has been built yet. To build and publish everything: netflix-assets run")
        with Attached({"warehouse": self._file}, self._spilled, self._wait_seconds) as warehouse:
            candidate = candidate_of(warehouse)
            self._remove_debris()
            objects = objects_of(candidate.build, warehouse)
            current = self.published()
            pinned = current if current is not None and current.pinned_at else None
            newest = self.versions()[0] if pinned else current
            if newest is not None and newest.is_of(candidate):
                self._prune()
                size = _size(self._versions / newest.version)
                return Published(newest, objects, is_new=False, size=size, pinned=pinned, previous=current)
            publication = checked_publication(warehouse, candidate, objects, served, newest)
            draft, shared = self._write_draft(warehouse, publication)
        (draft / "marts.duckdb").symlink_to(DATABASE)
        _write_manifest(draft / "manifest.json", publication, objects)
        _make_durable(draft)
        version = draft.rename(draft.with_name(publication.version))
        _sync(self._versions)
        if pinned is None:
            self._switch(self._link, version)
        self._prune()
        return Published(
            publication, objects, is_new=True, size=_size(version), pinned=pinned, previous=current, shared=shared
        )

    def _write_draft(self, warehouse: DuckDBWarehouse, publication: Publication) -> tuple[Path, frozenset[str]]:
        """Write the tables into a new folder; returns it, and the tables shared with the newest version."""
        newest = next(iter(self.versions()), None)
        earlier = None
        if newest is not None:
            earlier = Earlier(self._versions / newest.version, publication.unchanged_since(newest))
        draft = self._versions / f".{publication.version}"
        draft.mkdir(parents=True)
        try:
            return draft, write_tables(warehouse, publication.tables, draft, earlier)
        except BaseException:  # such as a full disk, which the draft would keep full
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def forget_others(self) -> list[Publication]:
        """Remove all folders of versions but the current one, drafts included."""
        if not self._link.exists():
            return []
        current = self._link.resolve().name
        forgotten = [each for each in self.versions() if each.version != current]
        for path in self._version_folders():
            if path.name != current:
                _remove(path)
        return forgotten

    def person_counts(self, names: Sequence[str], text: str) -> Mapping[str, int]:
        """The rows in each version's database and Parquet files."""
        return {
            str(path.relative_to(self._folder.parent)): count
            for version in self.versions()
            for path, count in persons_in_version(self._versions / version.version, names, text).items()
        }

    def _serve(self, publication: Publication) -> Publication:
        version = self._versions / publication.version
        with duckdb.connect(str(version / DATABASE), read_only=True) as connection:
            tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            counts = {
                f"{schema}.{name}": connection.table(f"{identifier(schema)}.{identifier(name)}").count("*").fetchall()
                for schema, name in tables
            }
        assert_whole(publication, {name: rows[0][0] for name, rows in counts.items()})
        if publication.pinned_at is None:
            self._switch(self._link, version)
            self._pin.unlink(missing_ok=True)
        elif self._is_pinned():
            self._switch(self._pin, version)
        else:
            self._switch(self._pin, version)  # nobody follows it yet
            self._switch(self._link, self._pin)
        return publication

    @contextmanager
    def comparing(self, before: Publication, after: Publication | Built) -> Iterator[Compared]:
        """Attach the files, all read-only. A version never changes, so only the warehouse's file can be held."""
        layers = dict(zip(SCHEMAS, SCHEMAS, strict=True))
        if isinstance(after, Built):
            file, schemas = self._file, {layer: f"{after.schema_prefix}{layer}" for layer in SCHEMAS}
        else:
            file, schemas = self.file_of(after), layers
        with Attached({"before": self.file_of(before), "after": file}, self._spilled, self._wait_seconds) as warehouse:
            yield Compared(warehouse, TableSet("before", layers), TableSet("after", schemas))

    def _is_pinned(self) -> bool:
        return self._link.is_symlink() and self._link.readlink() == Path(self._pin.name)

    def _switch(self, link: Path, target: Path) -> None:
        new_link = link.with_name(f".{link.name}")
        new_link.unlink(missing_ok=True)
        new_link.symlink_to(target.relative_to(self._folder))  # relative, so that the home can move
        new_link.replace(link)
        _sync(self._folder)

    def _remove_debris(self) -> None:
        """Remove what a killed publisher left: drafts, and versions that the link never pointed to.

        Without a link nobody knows which version was current; all stay until they are pruned. While a version is
        pinned, newer ones are kept on purpose.
        """
        current = self._link.resolve().name if self._link.exists() and not self._is_pinned() else None
        if not self._is_pinned():
            self._pin.unlink(missing_ok=True)
        for path in self._version_folders():
            if path.name.startswith(".") or (current is not None and path.name > current):
                _remove(path)

    def _prune(self) -> None:
        """Remove all but the newest versions; readers keep the files they have open."""
        current = self._link.resolve().name
        others = [path for path in self._version_folders() if path.name != current]
        for path in others[: -(VERSIONS_KEPT - 1)]:
            _remove(path)

    def _version_folders(self) -> list[Path]:
        """Folders of versions, and of drafts with a leading dot, oldest first."""
        return sorted(path for path in self._versions.iterdir() if path.is_dir()) if self._versions.exists() else []


class Attached(DuckDBWarehouse):
    """Databases (name -> file), attached read-only to a connection that can write another one; the first is in use.

    What does not fit into memory goes to a folder of its own in ``spill_folder``.
    """

    def __init__(self, files: Mapping[str, Path], spill_folder: Path, wait_seconds: float) -> None:
        self.file = next(iter(files.values()))
        with ExitStack() as stack:
            spilled = stack.enter_context(scratch_folder(spill_folder))
            self._connection = stack.enter_context(duckdb.connect())
            for setting in (*_SETTINGS, f"set temp_directory = {literal(str(spilled))}"):
                self._connection.execute(setting)
            for name, file in files.items():
                statement = f"attach {literal(str(file))} as {name} (read_only)"
                retry_while_held(file, wait_seconds, partial(self._connection.execute, statement))
            self._connection.execute(f"use {next(iter(files))}")
            self._scratch = stack.pop_all()

    def close(self) -> None:
        """Close the files, and remove what did not fit into memory."""
        super().close()
        self._scratch.close()


def persons_in_version(folder: Path, names: Sequence[str], text: str) -> dict[Path, int]:
    """File or table of a version -> rows that name a person, for those that have any."""
    database = folder / DATABASE
    with DuckDBWarehouse(database, read_only=True) as warehouse:
        tables = built_tables(warehouse, names)
        found = {database / table: count for table, count in count_built(warehouse, tables, text).items()}
        for file in sorted(folder.glob("parquet/*/*.parquet")):
            rows = f"read_parquet({literal(str(file))})"
            columns = [row[0] for row in warehouse.execute(f"describe select * from {rows}")]
            named = [identifier(each) for each in columns if is_named(each, names)]
            if count := sum(count_built(warehouse, {rows: named} if named else {}, text).values()):
                found[file] = count
    return found


def _remove(folder: Path) -> None:
    """Remove a version or a draft. After the rename it is no version any more, whatever happens."""
    if not folder.name.startswith("."):
        folder = folder.rename(folder.with_name(f".{folder.name}"))
    shutil.rmtree(folder)


def _read(folder: Path) -> Publication:
    return Publication.from_json(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def _write_manifest(file: Path, publication: Publication, objects: Sequence[SourceObject]) -> None:
    datasets = {
        dataset: [{name: value for name, value in asdict(each).items() if name != "dataset"} for each in found]
        for dataset, found in by_dataset(objects).items()
    }
    file.write_text(json.dumps({**publication.as_json(), "datasets": datasets}, indent=1), encoding="utf-8")


def _make_durable(folder: Path) -> None:
    """Make the files read-only, so that no consumer changes them by accident, and sync them to disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o444)
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
