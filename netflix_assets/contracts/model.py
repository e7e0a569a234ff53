"""The contract model: the structure of ``contracts/*.yaml``, and the names and object keys that follow from it."""

import codecs
import math
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from netflix_assets.contracts.column import Column, Name
from netflix_assets.contracts.dialect import (
    COMPRESSIONS,
    EXTENSIONS,
    LAYOUT_OPTIONS,
    Format,
    Strict,
    TableDialect,
    ValueOptions,
)
from netflix_assets.contracts.extract import DELETED, STATE_FOLDER, VERSION_COLUMNS, Extract
from netflix_assets.contracts.request import Api, Records, Request

# Valid values of ``encoding`` in a contract. Python's aliases of them (cp1252, ISO-8859-1) are accepted too.
ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "windows-1252", "windows-1250", "windows-1251",
    "iso-8859-2", "iso-8859-15", "cp437", "cp850", "mac-roman", "shift_jis", "gb18030", "big5", "euc-kr",
)  # fmt: skip
_ENCODING_NAMES = {codecs.lookup(name).name: name for name in ENCODINGS}


def _encoding(name: str) -> str:
    try:
        return _ENCODING_NAMES[codecs.lookup(name).name]
    except LookupError as error:
        raise ValueError(f"unknown encoding '{name}'; use {', '.join(ENCODINGS[:-1])} or {ENCODINGS[-1]}") from error


def _extension(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+", text):
        raise ValueError(f"extension '{text}' is not lowercase letters and digits; leave out the dot")
    return text


Mode = Literal["append", "upsert", "overwrite"]
DeletedObjects = Literal["keep", "remove"]


class Freshness(Strict):
    """The age of the newest data, in days, at which to warn and at which to fail."""

    warn_after_days: float = Field(gt=0, description="Days without new data after which the check warns.")
    fail_after_days: float = Field(gt=0, description="Days without new data after which the check fails.")


class Tolerance(Strict):
    """How many records of an object may be rejected. An object above BOTH bounds is refused as a whole."""

    rejected_rows: int = Field(default=1_000, ge=0, description="Rejected records that are always accepted.")
    rejected_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of a file's records that may be rejected, 0 to 1."
    )

    def rejects_allowed(self, record_count: int) -> int:
        """How many of an object's ``record_count`` records may be rejected before it is refused."""
        return max(self.rejected_rows, math.floor(self.rejected_share * record_count))


class Dataset(Strict):
    """One dataset of a source: a set of objects in the bucket and the raw table that holds their rows.

    ``mode``: ``append`` (every object adds rows), ``upsert`` (like append, but of rows with the same ``key`` the later
    one wins downstream) or ``overwrite`` (the newest object is the whole table). ``encoding``: that of the files;
    validation converts them to UTF-8. ``deleted_objects``: whether the rows of a deleted object stay (``keep``) or
    leave the ``_current`` view (``remove``). An empty listing removes nothing: a wrong bucket is the likelier cause.
    """

    source: Name
    name: Name
    description: str = Field(description="What the dataset is.")
    mode: Mode = Field(
        description="What a further file does. `append`: adds rows. `upsert`: adds rows; in core, the latest row of "
        "each `key` counts. `overwrite`: the newest file is the whole table."
    )
    key: tuple[Name, ...] = Field(description="The columns that identify a row.")
    columns: tuple[Column, ...] = Field(min_length=1, description="The columns, in the order of the table.")
    file: str = Field(default="", description="Start of the file names, if it differs from the dataset's name.")
    format: Format = Field(
        default="csv", description="csv, jsonl (one JSON object per line), json (one document) or parquet."
    )
    extensions: tuple[Annotated[str, AfterValidator(_extension)], ...] = Field(
        default=(),
        description="Extensions of the files. Defaults: csv, tsv, txt; jsonl, ndjson, json; json; parquet, pq. Each "
        "may be followed by .gz, .zst, .bz2 or .zip.",
    )
    dialect: TableDialect = Field(default=TableDialect(), description="How the files are written.")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(default="utf-8", description="Encoding of the files.")
    # other datasets' files that start with this file name; set by load_source
    longer_files: tuple[str, ...] = ()
    optional: bool = Field(default=False, description="Whether the source can do without this dataset.")
    deleted_objects: DeletedObjects = Field(default="keep", description="keep or remove the rows of deleted files.")
    keep_versions: int | None = Field(
        default=None,
        gt=0,
        description="How many versions of a file keep their rows, the current one included. Older ones are purged by "
        "the job `retention`. In a dataset with `mode: overwrite`, how many versions of the table. Default: all.",
    )
    freshness: Freshness = Field(description="How old the newest data may be.")
    tolerance: Tolerance = Field(default=Tolerance(), description="How many records of a file may be rejected.")
    extract: Extract | None = Field(
        default=None, description="Where the rows are in a database. Default: others put the files into the bucket."
    )
    request: Request | None = Field(
        default=None, description="How the files are requested from the source's API. Default: others put them there."
    )
    records: Records | None = Field(
        default=None,
        description="Where the records are with `format: json`. Default: the file is the record, or a list.",
    )
    owners: tuple[str, ...] = Field(
        default=(), description="Teams, for assets and alerts. Default: those of the source."
    )

    @model_validator(mode="before")
    @classmethod
    def _delimiter_is_in_the_dialect(cls, entry: object) -> object:
        if isinstance(entry, dict) and "delimiter" in entry:  # where it was until dialects came
            raise ValueError("delimiter is an option of the dialect: write `dialect: {delimiter: …}`")
        return entry

    @model_validator(mode="after")
    def _extract_fits(self) -> "Dataset":
        if self.extract is not None and self.request is not None:
            raise ValueError("a dataset has either an extract or a request")
        if self.extract is None:
            if protected := next((column.name for column in self.columns if column.protect), None):
                raise ValueError(f"column '{protected}': protect requires an extract; a file is in the bucket already")
            return self
        mode = "upsert" if self.extract.has_versions else "overwrite"
        if self.mode != mode:
            raise ValueError(f"extract.mode: {self.extract.mode} requires mode: {mode}")
        if self.extract.has_versions and not self.key:
            raise ValueError(f"extract.mode: {self.extract.mode} requires a key")
        if self.format != "csv" or self.dialect != TableDialect() or self.encoding != "utf-8":
            raise ValueError("an extract is written as plain CSV; remove format, dialect and encoding")
        names = {column.name: column for column in self.columns}
        if self.extract.cursor is not None and self.extract.cursor not in names:
            raise ValueError(f"cursor column '{self.extract.cursor}' is not one of the columns")
        if protected := next((name for name in self.key if names[name].protect), None):
            raise ValueError(f"column '{protected}' is part of the key; it cannot be hashed or masked")
        if both := sorted({column.file_name for column in self.columns} & {*self.extract.left_out}):
            raise ValueError(f"column '{both[0]}' is one of the columns and left out")
        missing = [column for column in VERSION_COLUMNS if column.name not in names]
        if self.extract.has_versions and missing:
            object.__setattr__(self, "columns", (*self.columns, *missing))
        return self

    @model_validator(mode="after")
    def _request_fits(self) -> "Dataset":
        if self.records is not None and self.format != "json":
            raise ValueError("records requires format: json")
        if self.request is None:
            return self
        if self.format != "json":
            raise ValueError("a request requires format: json")
        if self.mode == "overwrite" and self.request.paging is not None:
            raise ValueError("paging does not fit mode: overwrite, where the newest file is the whole table")
        return self

    @model_validator(mode="after")
    def _columns_are_consistent(self) -> "Dataset":
        for kind, names in (
            ("column", [column.name for column in self.columns]),
            ("file column", [name for column in self.columns for name in column.file_names if not column.path]),
            ("position", [str(position + 1) for position in self.positions]),
        ):
            duplicates = sorted({name for name in names if names.count(name) > 1})
            if duplicates:
                raise ValueError(f"duplicate {kind} '{duplicates[0]}'")
        if self.mode == "overwrite" and self.deleted_objects == "remove":
            raise ValueError("deleted_objects: remove does not fit mode: overwrite, which never empties its table")
        unknown = sorted(set(self.key) - {column.name for column in self.columns})
        if unknown:
            raise ValueError(f"key column '{unknown[0]}' is not one of the columns")
        return self

    @model_validator(mode="after")
    def _options_fit_the_format(self) -> "Dataset":
        has_header, is_csv = self.dialect.header, self.format == "csv"
        if not is_csv:
            unfit = sorted(self.dialect.model_fields_set & LAYOUT_OPTIONS)
            if unfit:
                raise ValueError(f"dialect.{unfit[0]} does not fit format: {self.format}")
        if self.format == "parquet" and self.encoding != "utf-8":
            raise ValueError("encoding does not fit format: parquet")
        for column in self.columns:
            if is_csv and (column.path is not None or column.rest):
                raise ValueError(f"column '{column.name}': path and rest require format: jsonl, json or parquet")
            if (has_header or not is_csv) and column.position is not None:
                raise ValueError(f"column '{column.name}': position requires a CSV file with header: false")
            if not has_header and (column.source_name or column.aliases or column.default is not None):
                raise ValueError(f"column '{column.name}': source_name, aliases and default require a header")
            options = self.value_options(column)
            if column.is_numeric and options.group_char == (options.decimal_char or "."):
                raise ValueError(f"column '{column.name}': decimal_char and group_char are both {options.group_char!r}")
        if sum(column.rest for column in self.columns) > 1:
            raise ValueError("only one column can hold the rest")
        count = self.dialect.field_count
        if count is not None and count <= max(self.positions):
            raise ValueError(f"dialect.field_count is {count}, but a column is at position {max(self.positions) + 1}")
        return self

    @property
    def extraction(self) -> Extract:
        """How the rows are extracted from a database. Raises: ValueError if others put the files into the bucket."""
        if self.extract is None:
            raise ValueError(f"{self.id} is not extracted from a database")
        return self.extract

    @property
    def is_extracted(self) -> bool:
        """Whether this project writes the files, from a database or an API. One without records is valid then."""
        return self.extract is not None or self.request is not None

    @property
    def requested(self) -> Request:
        """How the files are requested from an API. Raises: ValueError if they are not."""
        if self.request is None:
            raise ValueError(f"{self.id} is not requested from an API")
        return self.request

    @property
    def tombstone(self) -> str | None:
        """The column that marks a row as deleted; such a row has only its key. None where files hold whole rows."""
        return DELETED if self.extract is not None and self.extract.has_versions else None

    @property
    def state_key(self) -> str:
        """The key of the object that holds what the last extract left to remember; each extract replaces it."""
        return f"{STATE_FOLDER}{self.id}.json"

    def is_empty_if_deleted(self, column: Column) -> bool:
        """Whether a deleted row has no value of the column, even if it is not nullable."""
        kept = (*self.key, *(each.name for each in VERSION_COLUMNS))
        return self.tombstone is not None and column.name not in kept

    @property
    def identifying(self) -> tuple[Column, ...]:
        """The columns that name a person."""
        return tuple(column for column in self.columns if column.identifies)

    def may_show(self, column: Column) -> bool:
        """Whether single values of the column may be kept outside the table: none that name a person or may be theirs.

        Figures over many rows, such as a mean, are always kept.
        """
        return column.showable and not (self.identifying and (column.identifies or column.is_text))

    @property
    def positions(self) -> tuple[int, ...]:
        """The index of each column in a record of a file without a header."""
        found: list[int] = []
        for column in self.columns:
            found.append(column.position - 1 if column.position else (found[-1] + 1 if found else 0))
        return tuple(found)

    @property
    def width(self) -> int:
        """The number of fields in a record of a file without a header."""
        return self.dialect.field_count or max(self.positions) + 1

    def value_options(self, column: Column) -> ValueOptions:
        """How the column's values are written: its own options, and the dialect's where it has none."""
        return ValueOptions.model_validate(
            {
                name: own if (own := getattr(column, name)) is not None else getattr(self.dialect, name)
                for name in ValueOptions.model_fields
            }
        )

    def time_format(self, column: Column) -> str | None:
        """How the column's dates or timestamps are written; None for the ISO form and for other types."""
        shared = {"date": self.dialect.date_format, "timestamp": self.dialect.timestamp_format}
        return column.format or shared.get(column.type)

    @property
    def id(self) -> str:
        """The dataset's name in the ledger and in messages: ``movielens/ratings``."""
        return f"{self.source}/{self.name}"

    @property
    def table(self) -> str:
        """The raw table without its schema: ``movielens_ratings``."""
        return f"{self.source}_{self.name}"

    @property
    def file_stem(self) -> str:
        """The start of the dataset's file names: ``genome-tags`` for ``genome-tags.csv``."""
        return self.file or self.name

    @property
    def file_names(self) -> str:
        """The allowed file names, for messages: ``tags.csv, tags-<anything>.csv (also .tsv, .txt; .gz, …)``."""
        extension = self.extension
        return f"{self.file_stem}.{extension}, {self.file_stem}-<anything>.{extension} {self.other_extensions}"

    @property
    def extension(self) -> str:
        """The usual extension of the files, without the point."""
        return self.all_extensions[0]

    @property
    def all_extensions(self) -> tuple[str, ...]:
        """The extensions of the files, without the point. Rejects of Parquet and JSON are exported as JSON Lines."""
        rejects = ("jsonl",) if self.format in ("parquet", "json") else ()
        return tuple(dict.fromkeys((*(self.extensions or EXTENSIONS[self.format]), *rejects)))

    @property
    def other_extensions(self) -> str:
        """The extensions but the usual one, for messages: ``(also .tsv, .txt; .gz, .zst, .bz2, .zip)``."""
        others, compressions = (
            ", ".join(f".{each}" for each in group) for group in (self.all_extensions[1:], COMPRESSIONS)
        )
        return f"(also {others}; {compressions})" if others else f"(also {compressions})"

    @property
    def position(self) -> str:
        """What messages call the place of a record in its file: ``line``, ``row`` of Parquet, ``record`` of JSON."""
        return {"parquet": "row", "json": "record"}.get(self.format, "line")

    @property
    def export_extension(self) -> str:
        """The extension of a file of exported rejects, without the point."""
        return self.extension if self.format == "csv" else "jsonl"

    @property
    def key_prefix(self) -> str:
        """The prefix of every object key of the dataset. Keys of other datasets may share it."""
        return f"{self.source}/{self.file_stem}"

    @cached_property
    def _object_key(self) -> re.Pattern[str]:
        # <source>/<file>.csv, <source>/<file>-<anything>.csv, <source>/<file>/<anything>.csv, each also .csv.gz, .zip
        longer = "|".join(re.escape(stem.removeprefix(self.file_stem)) for stem in self.longer_files)
        unless_longer = rf"(?!(?:{longer})(?:[-/.]|$))" if longer else ""
        extension = "|".join(map(re.escape, self.all_extensions))
        compression = "|".join(COMPRESSIONS)
        end = rf"(?i:\.(?:{extension})(?:\.(?:{compression}))?|\.zip)"
        return re.compile(rf"{re.escape(self.key_prefix)}{unless_longer}(-[^/]*|/.+)?{end}", re.DOTALL)

    def owns_key(self, key: str) -> bool:
        """Whether an object with this key (without the bucket's prefix) belongs to the dataset."""
        return self._object_key.fullmatch(key) is not None


class Source(Strict):
    """A source: all datasets of one supplier."""

    source: Name = Field(description="Name of the source: the folder of its files, and part of its tables' names.")
    description: str = Field(description="What the source is.")
    owners: tuple[str, ...] = Field(default=(), description="Teams, for assets and alerts.")
    api: Api | None = Field(default=None, description="The API that datasets with a `request` are requested from.")
    datasets: tuple[Dataset, ...] = Field(description="The datasets, by name.")

    @model_validator(mode="after")
    def _requests_have_an_api(self) -> "Source":
        asked = [dataset.name for dataset in self.requested]
        if bool(asked) != (self.api is not None):
            raise ValueError(
                f"datasets.{asked[0]} has a request, so the source needs an api"
                if asked
                else "no dataset has a request for the api"
            )
        return self

    @property
    def requested(self) -> list[Dataset]:
        """The datasets that are requested from the API."""
        return [dataset for dataset in self.datasets if dataset.request is not None]

    def dataset_of(self, key: str) -> Dataset | None:
        """The dataset that an object with this key belongs to; None when there is none."""
        return next((dataset for dataset in self.datasets if dataset.owns_key(key)), None)


def all_datasets(sources: Iterable[Source]) -> list[Dataset]:
    """The datasets of all sources, in the order in which the contracts list them."""
    return [dataset for source in sources for dataset in source.datasets]
