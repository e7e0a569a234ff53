"""Extract the tables of one database: one snapshot, objects for tables with news, and the state last."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql

from netflix_assets.contracts.extract import VERSION_COLUMNS, Extract
from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.errors import SourceError, TableRefusedError
from netflix_assets.extract.keys import KnownKeys, key_names, known_keys
from netflix_assets.extract.query import fingerprint, highest, keys, select, versions, where_changed, why_whole
from netflix_assets.extract.rows import RowFile, records_of, with_hashes
from netflix_assets.extract.session import Session, open_session
from netflix_assets.extract.state import State, keys_key, number_of, object_key, read_state, write_state
from netflix_assets.extract.table import (
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

# The file of known keys is written again when what came after it is no longer small beside it.
_MAX_LATER_OBJECTS = 20
_MAX_LATER_SHARE = 0.25


@dataclass(frozen=True)
class Extracted:
    """What one extract did with a table. ``state``: after it. ``keys``: of the objects, empty without news.

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

    ``accepted``: ids of datasets whose mass deletion or narrower columns are meant.

    Raises: SourceError, SourceUnavailableError, BucketError; tables that have landed before stay.
    """
    outcomes: list[Outcome] = []
    with open_session(database, settings.databases.get(database)) as session:
        for dataset in datasets:
            with scratch_folder(settings.home / "tmp") as scratch:
                try:
                    extractor = _Extractor(session, dataset, settings, store, scratch, dataset.id in accepted)
                    outcome: Outcome = extractor.extract()
                except TableRefusedError as error:
                    outcome = Refused(dataset, f"{dataset.id}: {error}")
            outcomes.append(outcome)
            report(outcome)
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
        assert dataset.extract is not None  # noqa: S101 - for mypy: callers pick datasets with an extract
        self._session = session
        self._dataset = dataset
        self._contract: Extract = dataset.extract
        self._settings = settings
        self._store = store
        self._scratch = scratch
        self._is_accepted = is_accepted

    def extract(self) -> Extracted:
        """Read the table, land what is new, and remember it."""
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
        snapshot = self._session.snapshot
        is_behind = snapshot.identity == before.identity and snapshot.position < before.position
        if snapshot.is_replica and is_behind:
            raise TableRefusedError(
                "the replica is behind the extract before; the next one after it has caught up goes on"
            )

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
        last = before.number if before else max(map(number_of, self._object_keys()), default=0)
        return State(
            number=last + 1,
            xmin=snapshot.xmin,
            xmax=snapshot.xmax,
            position=snapshot.position,
            taken_at=snapshot.taken_at.replace(tzinfo=None).isoformat(sep=" "),
            identity=snapshot.identity,
            code=fingerprint(self._dataset, table),
            types={name: column.type for name, column in table.columns.items()},
            is_replica=snapshot.is_replica,
            news=news,
        )

    # ------------------------------------------------------------ the whole table

    def _extract_snapshot(self, table: SourceTable, before: State | None, state: State) -> Extracted:
        file = self._write("rows", select(select_list(self._dataset, table), table.relation))
        state = replace(state, rows=file.count, digest=file.digest)
        if before is not None:
            self._check_deleted(before.rows - state.rows, before.rows)
        if before is not None and (before.digest, before.code) == (state.digest, state.code):
            return self._remember(state)
        return self._remember(replace(state, changed=file.count), [self._upload(file, state)])

    # ------------------------------------------------------------ versions of rows

    def _extract_versions(self, table: SourceTable, before: State | None, state: State) -> Extracted:
        whole = why_whole(before, self._session.snapshot, state.code)
        where = where_changed(self._contract, self._dataset, table, before) if before and not whole else None
        rows = self._write(
            "rows", select([*select_list(self._dataset, table), *versions(state)], table.relation, where)
        )
        count = rows.count if whole else self._count(table)
        state = replace(state, rows=count, changed=rows.count, highest=self._highest(table, before))
        if before and not whole and rows.count == 0 and count == before.rows:
            return self._remember(replace(state, later=before.later, later_rows=before.later_rows))
        base, later = self._known_files(before)
        with ExitStack() as stack:
            known = stack.enter_context(
                known_keys(self._dataset, base, later if whole else [*later, rows.path], self._scratch)
            )
            if not whole and known.count() == count:
                return self._finish(before, state, whole, [rows], base, later)
            current = rows.path if whole else self._copy_keys(table)
            if not whole and known.count_unknown(current):
                # Rows that no transaction since explains: the history is another one than the state's, unnoticed.
                stack.close()
                return self._extract_versions(table, before and replace(before, code=""), state)
            tombstones = self._write_tombstones(known, current, state)
        if before is not None:
            self._check_deleted(tombstones.count, before.rows)
        state = replace(state, deleted=tombstones.count)
        return self._finish(before, state, whole, [rows, tombstones], base, later)

    def _finish(
        self,
        before: State | None,
        state: State,
        whole: str,
        files: Sequence[RowFile],
        base: Path | None,
        later: Sequence[Path],
    ) -> Extracted:
        """Land the files, then the file of known keys if it has to be written anew, then the state."""
        written = [file for file in files if file.count]
        uploaded = [self._upload(file, state) for file in written]
        objects = ((*before.later,) if before else ()) + tuple(uploaded)
        later_rows = (before.later_rows if before else 0) + sum(file.count for file in written)
        if whole or len(objects) > _MAX_LATER_OBJECTS or later_rows > _MAX_LATER_SHARE * state.rows:
            self._save_keys([file.path for file in written], base, later)
            objects, later_rows = (), 0
        return self._remember(replace(state, later=objects, later_rows=later_rows), uploaded, whole)

    def _save_keys(self, written: Sequence[Path], base: Path | None, later: Sequence[Path]) -> None:
        path = self._scratch / "new-keys.parquet"
        with known_keys(self._dataset, base, [*later, *written], self._scratch) as known:
            known.save(path)
        self._store.put(keys_key(self._dataset), path)

    def _known_files(self, before: State | None) -> tuple[Path | None, list[Path]]:
        """Local copies of the file of known keys, if there is one, and of the objects that came after it."""
        if before is None:  # also when the state was lost: then all objects tell which keys there were
            return None, [self._download(key) for key in self._object_keys()]
        return self._download(keys_key(self._dataset)), [self._download(key) for key in before.later]

    def _copy_keys(self, table: SourceTable) -> Path:
        path = self._scratch / "keys.csv.zst"
        with RowFile(path, key_names(self._dataset)) as file:
            file.write(self._session.copy(select(keys(self._dataset, table), table.relation)))
        return path

    def _write_tombstones(self, known: KnownKeys, current: Path, state: State) -> RowFile:
        names = self._names
        at = [names.index(name) for name in key_names(self._dataset)]
        with RowFile(self._scratch / "deleted.csv.zst", names) as file:
            for key in known.gone(current):
                fields = [""] * (len(names) - len(VERSION_COLUMNS)) + [str(state.number), state.taken_at, "true"]
                for position, value in zip(at, key, strict=True):
                    fields[position] = value
                file.write(records_of([fields]))
        return file

    # ------------------------------------------------------------ shared

    @property
    def _names(self) -> list[str]:
        return [column.file_name for column in self._dataset.columns]

    @property
    def _how_to_accept(self) -> str:
        return f"If it is meant: netflix-assets sources extract {self._contract.database} --accept {self._dataset.id}"

    def _write(self, name: str, query: sql.Composable) -> RowFile:
        """The rows of a query as a file, with protected columns hashed."""
        records: Iterator[bytes] = self._session.copy(query)
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

    def _count(self, table: SourceTable) -> int:
        return int(self._session.rows(select([sql.SQL("count(*)")], table.relation))[0][0])

    def _highest(self, table: SourceTable, before: State | None) -> str | None:
        if self._contract.cursor is None:
            return None
        found = self._session.rows(highest(self._contract, self._dataset, table))[0][0]
        return str(found) if found is not None else (before.highest if before else None)

    def _check_deleted(self, deleted: int, before: int) -> None:
        if deleted > self._contract.deletes.allowed(before) and not self._is_accepted:
            raise TableRefusedError(
                f"{deleted:,} of {before:,} rows are gone from the database, more than `deletes` in the contract "
                f"allows ({self._contract.deletes.allowed(before):,}). What was extracted before stays. "
                f"{self._how_to_accept}"
            )

    def _object_keys(self) -> list[str]:
        return [listed.key for listed in objects_of(self._dataset, self._store)]

    def _download(self, key: str) -> Path:
        listed = next((each for each in self._store.list(key) if each.key == key), None)
        if listed is None:
            raise SourceError(
                f"{self._dataset.id}: {key} is missing in the bucket, so deleted rows cannot be told. Put it back, or "
                f"delete _extracts/{self._dataset.id}.json: the next extract then reads the whole table"
            )
        path = self._scratch / key.replace("/", "-")
        with path.open("wb") as file:
            file.writelines(self._store.read(listed))
        return path

    def _upload(self, file: RowFile, state: State) -> str:
        key = object_key(self._dataset, state, file.path.name)
        self._session.check_alive()
        self._store.put(key, file.path)
        return key

    def _remember(self, state: State, uploaded: Sequence[str] = (), whole: str = "") -> Extracted:
        self._session.check_alive()
        write_state(self._store, self._dataset, state, self._scratch)
        return Extracted(self._dataset, state, tuple(uploaded), whole)
