"""COPY INTO a table from CSV files on a stage, as Snowflake documents it.

Only the options that the loader sends are emulated, and a statement must set all of them: Snowflake's defaults (NULL
for empty fields, backslash escapes) would change values silently. fakesnow leaves reading to DuckDB, which knows
neither ``$n`` nor the metadata columns.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from netflix_assets_tests.emulator.errors import SQLError, compilation_error, unsupported
from netflix_assets_tests.emulator.stages import StagedFile, Stages, parse_reference
from netflix_assets_tests.emulator.tokens import Option, Tokens, text_of

MAX_FILES = 1_000

_COPY_OPTIONS: dict[str, Option] = {"on_error": "abort_statement", "force": "true"}
_FORMAT_OPTIONS: dict[str, Option] = {
    "type": "csv", "compression": "auto", "field_optionally_enclosed_by": "'\"'", "escape": "none",
    "escape_unenclosed_field": "none", "null_if": [], "empty_field_as_null": "false", "trim_space": "false",
    "skip_blank_lines": "false", "error_on_column_count_mismatch": "false", "encoding": "'utf8'",
}  # fmt: skip
_METADATA = {
    "metadata$filename": pa.string(),
    "metadata$file_row_number": pa.int64(),
    "metadata$file_content_key": pa.string(),
}


@dataclass(frozen=True)
class CsvFormat:
    """The options of FILE_FORMAT that may vary."""

    delimiter: str
    skip_header: int

    @classmethod
    def parse(cls, options: Option) -> "CsvFormat":
        if not isinstance(options, dict):
            raise unsupported("a named FILE_FORMAT")
        fixed = {name: value for name, value in options.items() if name not in ("field_delimiter", "skip_header")}
        _check_options(fixed, _FORMAT_OPTIONS)
        delimiter = text_of(str(options.get("field_delimiter", "")))
        if len(delimiter) != 1:
            raise unsupported(f"the delimiter '{delimiter}'")
        return cls(delimiter, int(text_of(str(options.get("skip_header", "0")))))

    def records(self, content: bytes, name: str) -> list[list[str]]:
        """The fields of each record."""
        text = _decode(content, name)
        for _ in range(self.skip_header):  # lines, even with quotes in them
            text = text.partition("\n")[2]
        if '"' not in text:
            lines = text.removesuffix("\n").split("\n") if text else []
            return [line.removesuffix("\r").split(self.delimiter) for line in lines]
        return list(_quoted_records(text, self.delimiter, name))


def _decode(content: bytes, name: str) -> str:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise SQLError(f"Error decompressing file '{name}': {error}", 100065, "22000") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SQLError(f"Invalid UTF8 detected in file '{name}': {error}", 100144, "22000") from None


def _quoted_records(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    end = re.escape(delimiter)
    enclosed_field = '"([^"]*(?:""[^"]*)*)"'
    plain_field = f'(?!")([^{end}\r\n]*(?:\r(?!\n)[^{end}\r\n]*)*)'
    field = re.compile(f"(?:{enclosed_field}|{plain_field})({end}|\r?\n|\\Z)")
    at, fields = 0, []
    while at < len(text) or fields:
        match = field.match(text, at)
        if match is None:
            raise SQLError(
                f"Found character after a closing quote, or no closing quote, in file '{name}'", 100066, "22000"
            )
        enclosed, plain, after = match.groups()
        fields.append(plain if enclosed is None else enclosed.replace('""', '"'))
        at = match.end()
        if after != delimiter:
            yield fields
            fields = []
        elif at == len(text):
            yield [*fields, ""]
            return


@dataclass(frozen=True)
class Copy:
    """A parsed COPY INTO. ``selected`` holds $n numbers and names of metadata columns."""

    table: str
    columns: list[str]
    selected: list[int | str]
    stage: str
    files: list[str]
    file_format: CsvFormat


def parse_copy(statement: str) -> Copy:
    tokens = Tokens(statement)
    tokens.expect("copy", "into")
    table = tokens.take()
    tokens.expect("(")
    columns = [token for token in tokens.until(")") if token != ","]
    tokens.expect(")", "from", "(", "select")
    selected = [_parse_selected(token) for token in tokens.until("from") if token != ","]
    tokens.expect("from")
    stage = tokens.take()
    tokens.expect(")")
    options = tokens.options()
    files = [text_of(file) for file in options.pop("files", [])]
    file_format = CsvFormat.parse(options.pop("file_format", {}))
    _check_options(options, _COPY_OPTIONS)
    if not files:
        raise unsupported("COPY without FILES")
    if len(files) > MAX_FILES:
        raise compilation_error(f"{len(files)} files in FILES, the limit is {MAX_FILES}")
    if len(selected) != len(columns):
        raise compilation_error(f"{len(columns)} columns, but {len(selected)} are selected")
    return Copy(table, columns, selected, stage, files, file_format)


def _parse_selected(token: str) -> int | str:
    name = token.lower()
    if re.fullmatch(r"\$\d+", name):
        return int(name[1:])
    if name in _METADATA:
        return name
    raise unsupported(f"'{token}' in the SELECT of COPY")


def _check_options(options: dict[str, Option], emulated: dict[str, Option]) -> None:
    given = {name: value.lower() if isinstance(value, str) else value for name, value in options.items()}
    for name in [*given, *emulated]:
        if given.get(name) != emulated.get(name):
            raise unsupported(f"the option {name} = {given.get(name, '(default)')}")


@dataclass(frozen=True)
class LoadedFile:
    """One row of the result of COPY."""

    shown: str
    rows: int


def read_files(
    copy: Copy, stages: Stages, database: str | None, schema: str | None
) -> tuple[pa.Table, list[LoadedFile]]:
    """Read the records of all files into one table, with the selected columns in order."""
    reference = parse_reference(copy.stage, database, schema)
    stage = stages.get(reference)
    files = [stage.file(reference.path + name) for name in copy.files]
    tables = [_read_file(copy, file) for file in files]
    loaded = [LoadedFile(file.shown, table.num_rows) for file, table in zip(files, tables, strict=True)]
    return pa.concat_tables(tables), loaded


def _read_file(copy: Copy, file: StagedFile) -> pa.Table:
    content = file.path.read_bytes()
    records = copy.file_format.records(content, file.shown)
    metadata = {"metadata$filename": file.name, "metadata$file_content_key": file.content_key(content)}
    arrays = [_column(each, records, metadata) for each in copy.selected]
    return pa.Table.from_arrays(arrays, names=[f"c{number}" for number in range(len(arrays))])


def _column(selected: int | str, records: Sequence[list[str]], metadata: dict[str, str]) -> pa.Array:
    if isinstance(selected, int):
        at = selected - 1
        return pa.array([record[at] if at < len(record) else None for record in records], pa.string())
    if selected == "metadata$file_row_number":
        return pa.array(range(1, len(records) + 1), pa.int64())
    return pa.array([metadata[selected]] * len(records), _METADATA[selected])
