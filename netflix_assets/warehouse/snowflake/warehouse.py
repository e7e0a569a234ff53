"""The Snowflake warehouse: Snowflake copies objects from the bucket itself, under the same ledger as DuckDB.

``COPY INTO`` with explicit file names fills a temporary landing table of texts, outside any transaction. Then one
transaction locks the dataset, types the rows and writes the ledger. It contains no DDL, which would commit it.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import filterfalse
from typing import Any

from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError, Error

from netflix_assets.contracts.dialect import COMPRESSIONS
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import INTEGER_BOUNDS
from netflix_assets.storage.objects import ObjectChangedError
from netflix_assets.warehouse.base import T, Warehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.ledger import in_chunks
from netflix_assets.warehouse.loads import StagedObject
from netflix_assets.warehouse.relations import is_wider
from netflix_assets.warehouse.snowflake.errors import DATA_ERRORS, FILE_NOT_FOUND, SESSION_ENDED, advice_for
from netflix_assets.warehouse.typing import Dialect, identifier, literal, typed_select

DIALECT = Dialect(
    matches="regexp_like({text}, {pattern})",  # matches the whole text, always
    # A NaN equals itself here, and is above every number.
    is_finite="{value} between -1.7976931348623157e308 and 1.7976931348623157e308",
    approx_distinct="approx_count_distinct({value})",
    approx_quantile="approx_percentile({value}, {share})",
    every_nth_row="mod(hash(*), {step}) = 0",
    sha256="sha2({text}, 256)",
    bounds=INTEGER_BOUNDS,  # each is a NUMBER(38, 0)
    literal=lambda text: literal(text.replace("\\", "\\\\")),  # a backslash escapes, unlike in DuckDB
    identifier=lambda name: identifier(name.upper()),
)

# COPY INTO takes at most this many names.
COPY_FILES = 1_000

_EXTERNAL_STAGE = "raw.landing"
_INTERNAL_STAGE = "raw.normalised"

# Nothing is left to defaults or sniffing; a backslash is an ordinary character. An empty field arrives as '' and a
# missing one as NULL, which identifies records of another width.
_FILE_FORMAT = (
    "type = csv compression = auto field_delimiter = {delimiter} skip_header = 1 field_optionally_enclosed_by = '\"' "
    "escape = none escape_unenclosed_field = none null_if = () empty_field_as_null = false trim_space = false "
    "skip_blank_lines = false error_on_column_count_mismatch = false encoding = 'UTF8'"
)


_NUMBER = {"integer": "number(38,0)", "bigint": "number(38,0)"}
_OTHER = {"varchar": "text", "double": "float", "timestamp": "timestamp_ntz"}


class SnowflakeWarehouse(Warehouse):
    """A session on Snowflake. ``connect`` opens one, and another when the first has expired.

    Raises: WarehouseError when no session can be opened.
    """

    dialect = DIALECT

    def __init__(self, connect: Callable[[], SnowflakeConnection]) -> None:
        self._connect = connect
        self._landed: dict[StagedObject, str] = {}  # objects in the landing table -> file name there
        self._has_landing = False  # the session holds a landing table that is still needed
        self._in_transaction = False
        self._connection = self._opened()

    def _opened(self) -> SnowflakeConnection:
        try:
            return self._connect()
        except Error as error:
            raise WarehouseError(
                f"cannot open a Snowflake session: {_message(error)}. {advice_for(error.errno)}"
            ) from error

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; in a new session if the old one expired and held nothing."""
        try:
            return self._run(statement, parameters)
        except Error as error:
            if self._in_transaction or self._has_landing or error.errno not in SESSION_ENDED:
                raise
        self._reconnect()
        return self._run(statement, parameters)

    def _run(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return [tuple(row) for row in cursor.fetchall()]

    def query(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query. Returns the names of its columns, in lower case, and its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return [column.name.lower() for column in cursor.description], [tuple(row) for row in cursor.fetchall()]

    def _reconnect(self) -> None:
        self._has_landing = False
        self._connection.close(retry=False)
        self._connection = self._opened()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        self.execute("begin")
        self._in_transaction = True
        try:
            yield
            self._run("commit", ())
        except BaseException as error:
            if not (isinstance(error, Error) and error.errno in SESSION_ENDED):  # the session's end has rolled it back
                self._run("rollback", ())
            raise
        finally:
            self._in_transaction = False

    # ---------------------------------------------------------------- tables

    def columns(self, schemas: Sequence[str], database: str | None = None) -> dict[tuple[str, str], dict[str, str]]:
        """Columns and types of the tables and views of these schemas, by (schema, table)."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        within = f"{database}." if database else ""
        for schema, table, column, kind, precision, scale in self.execute(
            f"""
            select lower(table_schema), lower(table_name), lower(column_name), lower(data_type), numeric_precision,
                numeric_scale
            from {within}information_schema.columns
            where table_schema in ({", ".join("?" for _ in schemas)})
            order by table_schema, table_name, ordinal_position
            """,
            [schema.upper() for schema in schemas],
        ):
            digits = f"({precision},{scale})" if kind == "number" else ""
            found.setdefault((schema, table), {})[column] = kind + digits
        return found

    def make_schema(self, schema: str) -> None:
        """Check first: the loader may not create schemas, and Snowflake refuses even ``if not exists``."""
        if not self.execute("select 1 from information_schema.schemata where schema_name = ?", (schema.upper(),)):
            super().make_schema(schema)

    def shown_type(self, kind: str) -> str:
        """Integers and decimals are all NUMBER, texts TEXT."""
        return _NUMBER.get(kind) or _OTHER.get(kind) or kind.replace("decimal", "number")

    def can_widen(self, found: str, wanted: str) -> bool:
        """Numbers can gain digits before the point, never another scale."""
        return is_wider(found, wanted) and found.partition(",")[2] == wanted.partition(",")[2]

    # ---------------------------------------------------------------- loading

    def in_one_session(self, work: Callable[[], T]) -> T:
        """Run work that needs one session. If the session ends midway, start over once in a new one.

        The landing table ends with its session. If only the answer to a commit was lost, the second try finds its loads
        in the ledger.
        """
        try:
            return work()
        except Error as error:
            if error.errno not in SESSION_ENDED:
                raise
        finally:
            self._has_landing = False
        self._reconnect()
        try:
            return work()
        finally:
            self._has_landing = False

    def stage(self, dataset: Dataset, batch: Sequence[StagedObject]) -> None:
        """Copy the objects' records into the session's landing table, as texts.

        Files that both readers parse alike are copied from the bucket, normalised ones through an internal stage.
        Raises: ObjectChangedError when Snowflake read another version than was validated.
        """
        names = _landing_columns(dataset)
        self.execute(
            f"create or replace temporary table {_landing(dataset)} "
            f"({', '.join(f'{name} {kind}' for name, kind in names.items())})"
        )
        self._has_landing = True
        self._landed.clear()
        for form in sorted({_form(each) for each in batch}):
            alike = [each for each in batch if _form(each) == form]
            is_verbatim = partial(_is_verbatim, dataset)
            for chunk in in_chunks(filter(is_verbatim, alike), COPY_FILES):
                self._copy(dataset, f"@{_EXTERNAL_STAGE}", {each: each.listed.key for each in chunk})
            for chunk in in_chunks(filterfalse(is_verbatim, alike), COPY_FILES):
                self._copy_by_internal_stage(dataset, chunk)
        self._check_landed(dataset)

    def _copy(self, dataset: Dataset, stage: str, names: Mapping[StagedObject, str]) -> None:
        columns, width, delimiter = _form(next(iter(names)))
        selected = ", ".join(f"${field}" for field in [*(column + 1 for column in columns), width, width + 1])
        try:
            self.execute(
                f"""
                copy into {_landing(dataset)} ({", ".join(_landing_columns(dataset))})
                from (
                    select {selected}, metadata$filename, metadata$file_row_number, metadata$file_content_key
                    from {stage}
                )
                files = ({", ".join(DIALECT.literal(name) for name in names.values())})
                file_format = ({_FILE_FORMAT.format(delimiter=DIALECT.literal(delimiter))})
                on_error = abort_statement
                force = true
                """
            )
        except DatabaseError as error:
            if error.errno == FILE_NOT_FOUND:
                raise ObjectChangedError(
                    f"{dataset.id}: {_message(error)} It was deleted after it had been validated"
                ) from error
            raise
        self._landed |= names

    def _copy_by_internal_stage(self, dataset: Dataset, batch: Sequence[StagedObject]) -> None:
        folder = uuid.uuid4().hex
        place = f"@{_INTERNAL_STAGE}/{folder}/"
        try:
            for staged in batch:
                file = DIALECT.literal(f"file://{staged.file.path}")
                self.execute(f"put {file} {place} auto_compress = true overwrite = true")
            names = {staged: f"{staged.file.path.name}.gz" for staged in batch}
            self._copy(dataset, place, names)
        finally:
            self.execute(f"remove {place}")

    def _check_landed(self, dataset: Dataset) -> None:
        """Adopt Snowflake's file names, and check by MD5 that it read the bytes that were validated."""
        landed = dict(
            self.execute(f"select file_name, max(content_key) from {_landing(dataset)} group by file_name order by 1")
        )
        for staged, name in self._landed.items():
            name_there = min((each for each in landed if f"/{each}".endswith(f"/{name}")), key=len, default=name)
            self._landed[staged] = name_there
            if _is_verbatim(dataset, staged) and landed.get(name_there, staged.listed.etag) != staged.listed.etag:
                raise ObjectChangedError(f"{staged.listed.key} changed between validation and Snowflake's COPY")

    def typed_records(self, dataset: Dataset, staged: Mapping[int, StagedObject], condition: str | None) -> str:
        """SELECT of the landed records that keep the contract."""
        numeric = all(each.file.table.numeric for each in staged.values())
        source = self._texts(dataset, staged)
        return typed_select(dataset, source, DIALECT, numeric=numeric, carried=("_load_id",), condition=condition)

    def _texts(self, dataset: Dataset, staged: Mapping[int, StagedObject]) -> str:
        """The landed records of the right width as text columns t0 … tn, empty ones as NULL, with their _load_id."""
        texts = ", ".join(f"nullif(landed.t{at}, '') as t{at}" for at in range(len(dataset.columns)))
        numbers = ", ".join(f"({DIALECT.literal(self._landed[each])}, {load_id:d})" for load_id, each in staged.items())
        return f"""(
        select {texts}, numbered.load_id as _load_id
        from {_landing(dataset)} as landed
        inner join (select column1 as file_name, column2 as load_id from values {numbers}) as numbered
            on landed.file_name = numbered.file_name
        where landed.last_field is not null and landed.extra_field is null
    ) as texts"""

    def data_fault(self, error: Exception) -> str | None:
        """Snowflake's message when it could not read or convert the data."""
        return _message(error) if isinstance(error, DatabaseError) and error.errno in DATA_ERRORS else None

    def close(self) -> None:
        """End the session."""
        self._connection.close()


def query_tag(env: str, run_id: str, asset: str) -> str:
    """The tag on every statement of a session, which makes its cost traceable."""
    return json.dumps({"project": "netflix_assets", "env": env, "run": run_id, "asset": asset})


def _landing(dataset: Dataset) -> str:
    return f"raw.landing_{dataset.table}"


def _landing_columns(dataset: Dataset) -> dict[str, str]:
    """``last_field`` is the last field by the header's width, ``extra_field`` the one after it."""
    texts = {f"t{at}": "varchar" for at in range(len(dataset.columns))}
    own = {"last_field": "varchar", "extra_field": "varchar", "file_name": "varchar", "row_number": "integer"}
    return {**texts, **own, "content_key": "varchar"}


def _form(staged: StagedObject) -> tuple[tuple[int, ...], int, str]:
    """What one COPY must have in common: the columns to read, the width and the delimiter."""
    table = staged.file.table
    return table.columns, table.width, table.delimiter


def _is_verbatim(dataset: Dataset, staged: StagedObject) -> bool:
    """Whether Snowflake can read the object itself and see the validated bytes: plain, or gzip by its key."""
    file, key = staged.file, staged.listed.key.lower()
    if file.path != file.original or dataset.encoding != "utf-8":  # sizes of gzip files do not show it
        return False
    if file.compression:  # Snowflake goes by the extension
        return file.compression == "gz" and key.endswith(".gz")
    # A different size means that the byte order mark was stripped.
    is_as_stored = file.path.stat().st_size == staged.listed.size
    return is_as_stored and not key.endswith(tuple(f".{each}" for each in COMPRESSIONS))


def _message(error: Exception) -> str:
    # One line, without the statement's id and the connector's own framing.
    text = str(getattr(error, "raw_msg", None) or getattr(error, "msg", None) or error)
    return re.sub(r"\s+", " ", re.sub(r"^[0-9]{6} \([0-9A-Z]{5}\): ([0-9a-f-]{36}: )?", "", text)).strip()
