"""Split a text into fields, and join fields into a text, by a dataset's dialect. Pure functions on single records."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from netflix_assets.contracts.dialect import TableDialect

# The longest text that is kept in memory and as a reject, in characters. Snowflake keeps at most 16 MiB.
MAX_REJECT_LENGTH = 16_000_000
# The default of Python's csv module is 131,072 characters per field.
csv.field_size_limit(2 * MAX_REJECT_LENGTH)

_MARK = "\0"  # stands for the escape character in a missing value; cannot occur in a file: NUL bytes are refused


def split_records(lines: Iterable[str], dialect: TableDialect) -> Iterator[list[str]]:
    """The fields of each record. A record takes the lines that it needs, and no more, before it is returned."""
    if dialect.quote_char is None and dialect.escape_char is None:
        return _split_lines(lines, dialect)
    reader = csv.reader(
        (_protect(line, dialect) for line in lines) if _escapes_missing_values(dialect) else lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote_char,
        quoting=csv.QUOTE_NONE if dialect.quote_char is None else csv.QUOTE_MINIMAL,
        escapechar=dialect.escape_char,
        skipinitialspace=dialect.skip_initial_space,
    )
    if not _escapes_missing_values(dialect):
        return reader
    return ([_restore(field, dialect) for field in fields] for fields in reader)


def split_record(text: str, dialect: TableDialect) -> list[str]:
    """The fields of a text's first record; none for an empty text."""
    return next(split_records(io.StringIO(text, newline=""), dialect), [])


def join_record(fields: Sequence[str], dialect: TableDialect) -> str:
    """One record that has these fields again when it is read, without a line ending.

    Without a quote and an escape character, a field with a delimiter in it becomes two.
    """
    if dialect.quote_char is None:
        return dialect.delimiter.join(_escaped(field, dialect) for field in fields)
    text = _quoted(fields, dialect)
    is_comment = dialect.comment_char is not None and text.startswith(dialect.comment_char)
    return _quoted(fields, dialect, quote_all=True) if is_comment else text


def is_well_formed(text: str, dialect: TableDialect) -> bool:
    """Whether each field of a record is quoted as a whole, with inner quotes doubled or escaped, or free of quotes."""
    return dialect.quote_char is None or dialect.quote_char not in text or bool(_form(dialect).fullmatch(text))


def _quoted(fields: Sequence[str], dialect: TableDialect, *, quote_all: bool = False) -> str:
    # csv.writer quotes a CR inside a field only when its own line ending is CRLF.
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote_char,
        quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
        lineterminator="\r\n",
    )
    escape = dialect.escape_char
    writer.writerow([field.replace(escape, 2 * escape) for field in fields] if escape else fields)
    return text.getvalue().removesuffix("\r\n")


def _escaped(field: str, dialect: TableDialect) -> str:
    if dialect.escape_char is None or field in (dialect.missing_values or ()):
        return field
    special = re.compile("|".join(map(re.escape, (dialect.escape_char, dialect.delimiter, "\n", "\r"))))
    return special.sub(lambda match: f"{dialect.escape_char}{match[0]}", field)


def _split_lines(lines: Iterable[str], dialect: TableDialect) -> Iterator[list[str]]:
    for line in lines:
        text = line.rstrip("\r\n")
        fields = text.split(dialect.delimiter) if text else []
        yield [field.lstrip(" ") for field in fields] if dialect.skip_initial_space else fields


def _escapes_missing_values(dialect: TableDialect) -> bool:
    escape = dialect.escape_char
    return escape is not None and any(escape in text for text in dialect.missing_values or ())


def _protect(line: str, dialect: TableDialect) -> str:
    r"""Hide the escape character of missing values such as ``\N`` from the reader, which would leave ``N``."""
    escape = dialect.escape_char or ""
    if escape not in line:
        return line
    ends = {text.removeprefix(escape) for text in dialect.missing_values or () if text.startswith(escape)}
    return _escape_pair(escape).sub(lambda match: _MARK + match[1] if match[1] in ends else match[0], line)


def _restore(field: str, dialect: TableDialect) -> str:
    if field.startswith(_MARK) and dialect.escape_char is not None:
        missing = field.replace(_MARK, dialect.escape_char, 1)
        if missing in (dialect.missing_values or ()):
            return missing
    return re.sub(f"{_MARK}(?!end)", "", field)


@lru_cache
def _escape_pair(escape: str) -> re.Pattern[str]:
    return re.compile(re.escape(escape) + "(.)", re.DOTALL)


@lru_cache
def _form(dialect: TableDialect) -> re.Pattern[str]:
    # A field by RFC 4180, and with an escape character before any other character.
    separator, quote = re.escape(dialect.delimiter), re.escape(dialect.quote_char or "")
    space = " *+" if dialect.skip_initial_space else ""
    if dialect.escape_char is None:
        pair, plain, inner = f"{quote}{quote}", rf"[^{quote}\r\n{separator}]*+", f"[^{quote}]*+"
    else:
        escape = re.escape(dialect.escape_char)
        pair, inner = f"(?:{quote}{quote}|{escape}.)", f"[^{quote}{escape}]*+"
        plain = rf"(?:[^{quote}{escape}\r\n{separator}]|{escape}.)*+"
    field = rf"{space}(?:{quote}{inner}(?:{pair}{inner})*+{quote}|{plain})"
    return re.compile(rf"{field}(?:{separator}{field})*+[\r\n]*+", re.DOTALL)
