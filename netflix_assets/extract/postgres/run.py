"""Extract the tables of one database: one snapshot, objects for tables that changed, and the state last."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql

from netflix_assets.contracts.extract import VERSION_COLUMNS
from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.errors import BusyError, SourceError, SourceUnavailableError, TableRefusedError
from netflix_assets.extract.postgres.keys import KnownKeys, key_names, known_keys, saved_number
from netflix_assets.extract.postgres.query import fingerprint, highest, keys, select, versions, where_changed, why_whole
from netflix_assets.extract.postgres.rows import RowFile, records_of, with_hashes
from netflix_assets.extract.postgres.session import Block, Session, open_session
from netflix_assets.extract.postgres.state import State, keys_key, number_of, object_key, read_state, write_state
from netflix_assets.extract.postgres.table import (
    SourceTable,
    check_columns,
    compare_types,
    contract_columns,
    describe,
    select_list,
)
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import ObjectStore, objects_of
from netflix_assets.storage.scratch import scratch_folder

# The file of known keys is rewritten once the changes since then are no longer small compared with it.
_MAX_LATER_OBJECTS = 20
_MAX_LATER_SHARE = 0.25
_FEW_KEYS = 10_000


@dataclass(frozen=True)
class Extracted:
    """What one extract did with a table. ``state``: after it. ``keys``: of the objects it landed, if anything changed.

    ``whole``: why the whole table was read, if it was.
    """

    dataset: Dataset
    state: State
    keys: tuple[str, ...] = ()
    whole: str = ""


@dataclass(frozen=True)
class Refused:
    """A table that was not extracted, and why. What it had stays."""

    dataset: Dataset
    reason: str


Outcome = Extracted | Refused


def extract_database(
    database: str,
    datasets: Sequence[Dataset],
    settings: Settings,
    store: ObjectStore,
    *,
    accepted: Sequence[str] = (),
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Extract these tables of a database in one snapshot. ``report`` is called with each when it has landed.

    ``accepted``: ids of datasets whose mass deletion or narrower columns are intended.

    A table that fails does not stop the others. A transient failure is raised once they are extracted.

    Raises: SourceError, SourceUnavailableError, BucketError; tables that have landed before stay.
    """
    outcomes: list[Outcome] = []
    unavailable: SourceUnavailableError | None = None
    relations = [each.extraction.relation for each in datasets if each.extraction.table]
    with open_session(database, settings.databases.get(database), relations=relations) as session:
        for dataset in datasets:
            try:
                with scratch_folder(settings.home / "tmp") as scratch, session.savepoint():
                    extractor = _Extractor(session, dataset, settings, store, scratch, dataset.id in accepted)
                    outcome: Outcome = extractor.extract()
            except SourceUnavailableError as error:
                if session.connection.closed:
                    raise
                unavailable = unavailable or error
                continue
            except SourceError as error:
                outcome = Refused(dataset, f"{dataset.id}: {error}")
            outcomes.append(outcome)
            report(outcome)
    if unavailable is not None:
        raise unavailable
    return outcomes


class _Extractor:
    """The extract of one table."""

    def __init__(
        self,
        session: Session,
        dataset: Dataset,
        settings: Settings,
        store: ObjectStore,
        scratch: Path,
        is_accepted: bool,
    ) -> None:
        self._session = session
        self._dataset = dataset
        self._contract = dataset.extraction
        self._settings = settings
        self._store = store
        self._scratch = scratch
        self._is_accepted = is_accepted
        self._landed = sorted(
            (listed.key for listed in objects_of(dataset, store) if number_of(listed.key)),
            key=lambda key: (number_of(key), key),
        )

    def extract(self) -> Extracted:
        """Read the table, land new and changed rows, and save the state."""
        table = describe(self._session, self._dataset)
        news = check_columns(self._dataset, table)
        before = read_state(self._store, self._dataset)
        if before is not None:
            self._check_order(before)
            news += self._compare_types(before, table)
        state = self._next_state(table, before, news)
        if self._contract.has_versions:
            return self._extract_versions(table, before, state)
        return self._extract_snapshot(table, before, state)

    def _check_order(self, before: State) -> None:
        """Raise when this snapshot may be older than that of the previous extract."""
        snapshot = self._session.snapshot
        if not before.identity.is_continued_by(snapshot.identity) or snapshot.complete_to >= before.position:
            return
        if snapshot.is_replica:
            raise TableRefusedError("the replica is behind the previous extract; extracts resume once it has caught up")
        if snapshot.position >= before.position:  # this snapshot was taken just before the other extract ended
            raise BusyError(f"{self._dataset.id}: another extract has just ended")

    def _compare_types(self, before: State, table: SourceTable) -> tuple[str, ...]:
        changed, narrower = compare_types(self._dataset, before.types, table)
        if narrower and not self._is_accepted:
            raise TableRefusedError(
                f"{'; '.join(narrower)}. Values may have been cut, so what was extracted before stays. "
                f"{self._how_to_accept}"
            )
        return changed + narrower

    def _next_state(self, table: SourceTable, before: State | None, news: tuple[str, ...]) -> State:
        snapshot = self._session.snapshot
        last = max([before.number if before else 0, *map(number_of, self._landed[-1:])])
        return State(
            # Numbers start at the current time. So they keep growing after somebody has emptied the bucket, and
            # versions that the warehouse still has do not count as newer.
            number=last + 1 if last else int(snapshot.taken_at.timestamp()),
            xmin=snapshot.xmin,
            xmax=snapshot.xmax,
            position=snapshot.position,
            taken_at=snapshot.taken_at.replace(tzinfo=None).isoformat(sep=" "),
            identity=snapshot.identity,
            code=fingerprint(self._dataset, table),
            types={name: column.type for name, column in table.columns.items()},
            relations=table.oids,
            is_replica=snapshot.is_replica,
            news=news,
        )

    # ------------------------------------------------------------ the whole table

    def _extract_snapshot(self, table: SourceTable, before: State | None, state: State) -> Extracted:
        file = self._write("rows", select(select_list(self._dataset, table), table.relation))
        self._session.check_not_emptied(table.oids)
        state = replace(state, rows=file.count, digest=file.digest)
        if before is not None:
            self._check_deleted(before.rows - state.rows, before.rows)
        is_same = before is not None and (before.digest, before.code) == (state.digest, state.code)
        if before is not None and is_same and not self._landed_since(before.number):
            return self._remember(state)
        return self._remember(replace(state, changed=file.count), [self._upload(file, state)])

    # ------------------------------------------------------------ versions of rows

    def _extract_versions(self, table: SourceTable, before: State | None, state: State, whole: str = "") -> Extracted:
        whole = whole or why_whole(before, self._session.snapshot, state.code)
        where = where_changed(self._dataset, table, before) if before and not whole else None
        rows = self._write(
            "rows", select([*select_list(self._dataset, table), *versions(state)], table.relation, where)
        )
        self._session.check_not_emptied(table.oids)
        count, digest = self._measure(table)
        state = replace(state, rows=count, changed=rows.count, digest=digest, highest=self._highest(table, before))
        is_complete = before is not None and not self._landed_since(before.number)
        is_same = before is not None and (before.rows, before.digest) == (count, digest)
        if is_same and is_complete and not whole and rows.count == 0:
            return self._remember(state)
        base = self._download_base()
        with known_keys(self._dataset, base, self._scratch) as known:
            for key in self._landed_since(saved_number(base) if base else 0):
                known.add(self._download(key))
            if before is not None and is_complete:
                self._check_known(known.count(), before)
            tombstones = self._compare(known, table, rows, state, is_whole=bool(whole), is_same=is_same and is_complete)
            if tombstones is not None:
                return self._finish(known, before, state, [rows, tombstones], whole)
        return self._extract_versions(table, before, state, "the table has keys that are not among the changed rows")

    def _check_known(self, known: int, before: State) -> None:
        if known != before.rows and not self._is_accepted:
            raise TableRefusedError(
                f"the objects in the bucket have {known:,} keys, but the previous extract left {before.rows:,}: "
                f"objects are missing, so deleted rows cannot be found. Put them back. {self._how_to_accept}"
            )

    def _compare(
        self, known: KnownKeys, table: SourceTable, rows: RowFile, state: State, *, is_whole: bool, is_same: bool
    ) -> RowFile | None:
        """Add the rows to the known keys, and write tombstones. None when the table has keys in neither."""
        tombstones = RowFile(self._scratch / "deleted.csv.zst", self._names)
        with tombstones:
            if is_whole:
                known.compare(rows.path)
            else:
                known.add(rows.path)
                # In mode `changes`, the rows have every new key. So if as many keys are known as the table has rows,
                # none is gone.
                none_is_gone = is_same if self._contract.cursor else known.count() == state.rows
                if none_is_gone:
                    return tombstones
                known.compare(self._copy_keys(table))
            self._check_unique(known)
            if not is_whole and known.count_unknown():
                return None
            for keys_gone in known.gone():
                tombstones.write([records_of([self._tombstone(key, state) for key in keys_gone])])
        return tombstones

    def _check_unique(self, known: KnownKeys) -> None:
        if repeated := known.repeated():
            raise TableRefusedError(
                f"the key ({', '.join(self._dataset.key)}) is not unique: more than one row has "
                f"({', '.join(repeated)}). Correct `key` in the contract"
            )

    def _finish(
        self, known: KnownKeys, before: State | None, state: State, files: Sequence[RowFile], whole: str
    ) -> Extracted:
        """Land the files, then the state. The file of known keys can follow: it only saves reading the objects."""
        rows, tombstones = files
        if before is not None:
            self._check_deleted(tombstones.count, before.rows)
        state = replace(state, deleted=tombstones.count)
        # An empty table lands its first object too, so that nothing waits for it.
        uploaded = [self._upload(file, state) for file in files if file.count or (file is rows and not self._landed)]
        extracted = self._remember(state, uploaded, whole)
        is_large = known.count_changed() > max(_FEW_KEYS, _MAX_LATER_SHARE * state.rows)
        if whole or is_large or known.files > _MAX_LATER_OBJECTS:
            known.save(self._scratch / "new-keys.parquet", state.number)
            self._store.put(keys_key(self._dataset), self._scratch / "new-keys.parquet")
        return extracted

    def _landed_since(self, number: int) -> list[str]:
        """The objects with higher numbers, in order. Those above the state's are of an extract that was killed."""
        return [key for key in self._landed if number_of(key) > number]

    def _download_base(self) -> Path | None:
        key = keys_key(self._dataset)
        return self._download(key) if any(listed.key == key for listed in self._store.list(key)) else None

    def _copy_keys(self, table: SourceTable) -> Path:
        path = self._scratch / "keys.csv.zst"
        with RowFile(path, key_names(self._dataset)) as file:
            file.write(self._session.copy(select(keys(self._dataset, table), table.relation)))
        return path

    def _tombstone(self, key: Sequence[str], state: State) -> list[str]:
        fields = [""] * (len(self._names) - len(VERSION_COLUMNS)) + [str(state.number), state.taken_at, "true"]
        for name, value in zip(key_names(self._dataset), key, strict=True):
            fields[self._names.index(name)] = value
        return fields

    # ------------------------------------------------------------ shared

    @property
    def _names(self) -> list[str]:
        return [column.file_name for column in self._dataset.columns]

    @property
    def _how_to_accept(self) -> str:
        return (
            f"If that is intended: netflix-assets sources extract {self._contract.database} --accept {self._dataset.id}"
        )

    def _write(self, name: str, query: sql.Composable) -> RowFile:
        """The rows of a query as a file, with protected columns hashed."""
        records: Iterable[Block] = self._session.copy(query)
        hashed = [at for at, column in enumerate(contract_columns(self._dataset)) if column.protect == "hash"]
        if hashed:
            if self._settings.hash_key is None:
                raise SourceError(
                    f"{self._dataset.id}: a column is hashed, but NETFLIX_HASH_KEY is not set; set it to a long random "
                    "text, and keep it: with another key, equal values no longer match those loaded before"
                )
            records = with_hashes(records, hashed, self._settings.hash_key.get_secret_value())
        with RowFile(self._scratch / f"{name}.csv.zst", self._names) as file:
            file.write(records)
        return file

    def _measure(self, table: SourceTable) -> tuple[int, str]:
        """How many rows the table has, and for a cursor, which does not see every new row, a digest of their keys."""
        digest: sql.Composable = sql.SQL("''")
        if self._contract.cursor:
            key = sql.SQL(", ").join(keys(self._dataset, table))
            digest = sql.SQL("coalesce(sum(hashtextextended(row({})::text, 0)), 0)::text").format(key)
        ((count, found),) = self._session.rows(select([sql.SQL("count(*)"), digest], table.relation))
        return int(count), str(found)

    def _highest(self, table: SourceTable, before: State | None) -> str | None:
        if self._contract.cursor is None:
            return None
        found = self._session.rows(highest(self._dataset, table))[0][0]
        return str(found) if found is not None else (before.highest if before else None)

    def _check_deleted(self, deleted: int, before: int) -> None:
        if deleted > self._contract.deletes.allowed(before) and not self._is_accepted:
            raise TableRefusedError(
                f"{deleted:,} of {before:,} rows are gone from the database, more than `deletes` in the contract "
                f"allows ({self._contract.deletes.allowed(before):,}). What was extracted before stays. "
                f"{self._how_to_accept}"
            )

    def _download(self, key: str) -> Path:
        listed = next(each for each in self._store.list(key) if each.key == key)
        path = self._scratch / key.replace("/", "-")
        with path.open("wb") as file:
            file.writelines(self._store.read(listed))
        return path

    def _upload(self, file: RowFile, state: State) -> str:
        key = object_key(self._dataset, state, file.path.name)
        self._session.wait_until_durable()
        self._session.check_alive()
        self._store.put(key, file.path)
        return key

    def _remember(self, state: State, uploaded: Sequence[str] = (), whole: str = "") -> Extracted:
        self._session.wait_until_durable()
        self._session.check_alive()
        write_state(self._store, self._dataset, state, self._scratch)
        return Extracted(self._dataset, state, tuple(uploaded), whole)
