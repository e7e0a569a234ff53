"""COPY INTO a table from CSV files on a stage, as Snowflake documents it.

An option that is not emulated is an error, so that a statement cannot get its meaning from an option that was passed
over. fakesnow leaves the reading to DuckDB, which knows neither ``$n`` nor the metadata columns.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from netflix_assets_tests.emulator.errors import SQLError, compilation_error, unsupported
from netflix_assets_tests.emulator.stages import StagedFile, Stages, parse_reference
from netflix_assets_tests.emulator.tokens import Option, Tokens, text_of

MAX_FILES = 1_000

# Only the values that are listed are emulated; the first is what Snowflake takes when nothing is said.
_COPY_OPTIONS = {
    "on_error": ("abort_statement",), "force": ("false", "true"), "purge": ("false",), "return_failed_only": ("false",),
    "match_by_column_name": ("none",), "enforce_length": ("true",), "truncatecolumns": ("false",),
}  # fmt: skip
_FORMAT_OPTIONS = {
    "type": ("csv",), "compression": ("auto", "gzip", "none"), "field_optionally_enclosed_by": ("none", '"', "'"),
    "escape": ("none",), "escape_unenclosed_field": ("\\", "none"), "empty_field_as_null": ("true", "false"),
    "trim_space": ("false",), "skip_blank_lines": ("false", "true"), "skip_byte_order_mark": ("true", "false"),
    "error_on_column_count_mismatch": ("true", "false"), "encoding": ("utf8", "utf-8"), "multi_line": ("true",),
    "replace_invalid_characters": ("false",), "parse_header": ("false",), "record_delimiter": ("\n",),
    "validate_utf8": ("true",),
}  # fmt: skip

Record = list[str | None]


@dataclass(frozen=True)
class CsvFormat:
    """FILE_FORMAT of a COPY; every option is known and has a value that is emulated."""

    options: dict[str, str]
    delimiter: str
    skip_header: int
    null_if: frozenset[str]

    @classmethod
    def parse(cls, given: Option) -> "CsvFormat":
        if not isinstance(given, dict):
            raise unsupported("a named FILE_FORMAT")
        given = dict(given)
        delimiter = text_of(given.pop("field_delimiter", ","))
        if len(delimiter) != 1:
            raise unsupported(f"the delimiter '{delimiter}'")
        skip_header = int(text_of(given.pop("skip_header", "0")))
        null_if = given.pop("null_if", ["'\\\\N'"])
        values = [null_if] if isinstance(null_if, str) else null_if
        options = _checked(given, _FORMAT_OPTIONS)
        if "type" not in given:
            raise unsupported("FILE_FORMAT without TYPE")
        return cls(options, delimiter, skip_header, frozenset(map(text_of, values)))

    def records(self, content: bytes, name: str) -> Iterator[tuple[int, Record]]:
        """Row number and fields of each record."""
        text = self._text(content, name)
        for _ in range(self.skip_header):  # lines, whatever quotes are in them
            text = text.partition("\n")[2]
        yield from enumerate(self._split(text, name), start=1)

    def _text(self, content: bytes, name: str) -> str:
        packed = content[:2] == b"\x1f\x8b"
        if self.options["compression"] != "auto" and packed != (self.options["compression"] == "gzip"):
            raise SQLError(f"File '{name}' has another compression than was said", 100065, "22000")
        if packed:
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError) as error:
                raise SQLError(f"Error decompressing file '{name}': {error}", 100065, "22000") from None
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SQLError(f"Invalid UTF8 detected in file '{name}': {error}", 100144, "22000") from None
        return text.removeprefix("\ufeff") if self.options["skip_byte_order_mark"] == "true" else text

    def _split(self, text: str, name: str) -> Iterator[Record]:
        quote = self.options["field_optionally_enclosed_by"]
        self._refuse_escapes(text, quote, name)
        takes_all = not self.null_if and self.options["empty_field_as_null"] == "false"
        skip_blank = self.options["skip_blank_lines"] == "true"
        lines = _plain_records(text, self.delimiter) if quote == "none" or quote not in text else None
        for fields in lines if lines is not None else _quoted_records(text, self.delimiter, quote, name):
            if skip_blank and fields == [("", False)]:
                continue
            if takes_all:
                yield [field for field, _ in fields]
            else:
                yield [self._value(field, enclosed) for field, enclosed in fields]

    def _refuse_escapes(self, text: str, quote: str, name: str) -> None:
        if self.options["escape_unenclosed_field"] != "none" and "\\" in text:
            raise unsupported(f"ESCAPE_UNENCLOSED_FIELD, which is on unless NONE, for the backslash in {name}")

    def _value(self, field: str, enclosed: bool) -> str | None:
        if field in self.null_if:
            return None
        if field == "" and not enclosed and self.options["empty_field_as_null"] == "true":
            return None
        return field


def _plain_records(text: str, delimiter: str) -> Iterator[list[tuple[str, bool]]]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for line in lines:
        yield [(field, False) for field in line.removesuffix("\r").split(delimiter)]


def _quoted_records(text: str, delimiter: str, quote: str, name: str) -> Iterator[list[tuple[str, bool]]]:
    mark, end = re.escape(quote), re.escape(delimiter)
    enclosed_field = f"{mark}([^{mark}]*(?:{mark}{mark}[^{mark}]*)*){mark}"
    plain_field = f"(?!{mark})([^{end}\r\n]*(?:\r(?!\n)[^{end}\r\n]*)*)"
    field = re.compile(f"(?:{enclosed_field}|{plain_field})({end}|\r?\n|\\Z)")
    at, fields = 0, []
    while at < len(text) or fields:
        match = field.match(text, at)
        if match is None:
            raise SQLError(
                f"Found character after a closing quote, or no closing quote, in file '{name}'", 100066, "22000"
            )
        enclosed, plain, after = match.groups()
        fields.append((plain, False) if enclosed is None else (enclosed.replace(quote * 2, quote), True))
        at = match.end()
        if after != delimiter:
            yield fields
            fields = []
            continue
        if at == len(text):
            fields.append(("", False))
            yield fields
            return


@dataclass(frozen=True)
class Copy:
    """A parsed COPY INTO. ``selected`` are $n numbers or metadata names, None for all columns in the file's order."""

    table: str
    columns: list[str]
    selected: list[int | str] | None
    place: str
    files: list[str] | None
    file_format: CsvFormat


def parse_copy(statement: str) -> Copy:
    tokens = Tokens(statement)
    tokens.expect("copy", "into")
    table = tokens.take()
    columns = _names(tokens) if tokens.accept("(") else []
    tokens.expect("from")
    selected, place = _source(tokens)
    options = tokens.options()
    files = options.pop("files", None)
    file_format = CsvFormat.parse(options.pop("file_format", {}))
    if _checked(options, _COPY_OPTIONS)["force"] != "true":
        raise unsupported("COPY without FORCE = TRUE, which leaves out files that were loaded before,")
    if files is not None:
        files = [text_of(file) for file in files]
        if len(files) > MAX_FILES:
            raise compilation_error(f"{len(files)} files in FILES, the limit is {MAX_FILES}")
    return Copy(table, columns, selected, place, files, file_format)


def _names(tokens: Tokens) -> list[str]:
    names = [token for token in tokens.until(")") if token != ","]
    tokens.expect(")")
    return names


def _source(tokens: Tokens) -> tuple[list[int | str] | None, str]:
    if not tokens.accept("("):
        return None, tokens.take()
    tokens.expect("select")
    selected = [_selected(token) for token in tokens.until("from") if token != ","]
    tokens.expect("from")
    place = tokens.take()
    if not tokens.accept(")"):
        raise unsupported("an alias or a condition after the stage in COPY")
    return selected, place


def _selected(token: str) -> int | str:
    name = token.lower()
    if re.fullmatch(r"\$\d+", name):
        return int(name[1:])
    if name in METADATA:
        return name
    raise unsupported(f"'{token}' in the SELECT of COPY")


def _checked(given: dict[str, Option], known: dict[str, tuple[str, ...]]) -> dict[str, str]:
    values = {name: allowed[0] for name, allowed in known.items()}
    for name, option in given.items():
        value = text_of(option) if isinstance(option, str) else "(…)"
        if value.lower() not in known.get(name, ()):
            raise unsupported(f"the option {name} = {value}")
        values[name] = value.lower()
    return values


METADATA = {
    "metadata$filename": pa.string(),
    "metadata$file_row_number": pa.int64(),
    "metadata$file_content_key": pa.string(),
    "metadata$file_last_modified": pa.timestamp("us"),
}


@dataclass(frozen=True)
class LoadedFile:
    """One row of the answer to COPY."""

    shown: str
    rows: int


def read_files(
    copy: Copy, stages: Stages, width: int, database: str | None, schema: str | None
) -> tuple[pa.Table | None, list[LoadedFile]]:
    """The records of all files as one table, in the order of the target's columns."""
    reference = parse_reference(copy.place, database, schema)
    stage = stages.get(reference)
    if copy.files is None:
        files = list(stage.files(reference.path))
    else:
        files = [stage.file(reference.path + name) for name in copy.files]
    read = [_read_file(copy, file, width) for file in files]
    tables = [table for table in read if table is not None]
    loaded = [LoadedFile(file.shown, table.num_rows) for file, table in zip(files, read, strict=True)]
    return (pa.concat_tables(tables) if tables else None), loaded


def _read_file(copy: Copy, file: StagedFile, width: int) -> pa.Table:
    content = file.path.read_bytes()
    records = list(copy.file_format.records(content, file.shown))
    metadata = {
        "metadata$filename": file.name,
        "metadata$file_content_key": file.content_key(content),
        "metadata$file_last_modified": datetime.fromtimestamp(file.path.stat().st_mtime, UTC).replace(tzinfo=None),
    }
    selected = copy.selected
    if selected is None:
        _assert_widths(copy, records, width, file)
        selected = list(range(1, width + 1))
    arrays = [_array(each, records, metadata) for each in selected]
    return pa.Table.from_arrays(arrays, names=[f"c{at}" for at in range(len(arrays))])


def _array(selected: int | str, records: Sequence[tuple[int, Record]], metadata: dict) -> pa.Array:
    if isinstance(selected, int):
        at = selected - 1
        return pa.array([record[at] if at < len(record) else None for _, record in records], pa.string())
    if selected == "metadata$file_row_number":
        return pa.array([number for number, _ in records], pa.int64())
    return pa.array([metadata[selected]] * len(records), METADATA[selected])


def _assert_widths(copy: Copy, records: Sequence[tuple[int, Record]], width: int, file: StagedFile) -> None:
    if copy.file_format.options["error_on_column_count_mismatch"] == "false":
        return
    for number, record in records:
        if len(record) != width:
            raise SQLError(
                f"Number of columns in file ({len(record)}) does not match that of the corresponding table ({width}), "
                f"use file format option error_on_column_count_mismatch=false to ignore this error\n"
                f"  File '{file.shown}', row {number}",
                100080,
                "22000",
            )
