"""Propose a dialect from the text at the start of files: separators, quoting, header, lines that are not records.

The guess need not be right: `add-dataset` loads all files with it, and with its alternatives, and keeps what rejects
fewest records.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from netflix_assets.contracts.describe import character_name
from netflix_assets.contracts.dialect import TableDialect
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.profile.encoding import FileText

DELIMITERS = (",", ";", "\t", "|", "::", "~", "^", "\x1f", "\x01")
_SAMPLE_RECORDS = 5_000
_MAX_ABOVE = 30  # lines above a header
_MAX_FOOTER = 5
_SHOWN = 100  # records of the sample
_MIN_SHARE = 0.8  # of records that have the same number of fields
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_TYPED = re.compile(
    r"[+-]?[0-9][0-9.,' \N{NO-BREAK SPACE}]*([eE][+-]?[0-9]+)?%?"
    r"|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}([ T][0-9:.]+(Z|[+-][0-9:]+)?)?"
    r"|true|false",
    re.IGNORECASE,
)
_FOOTER = re.compile(
    r"\s*(#.*|\"?(total|sum|gesamt|somme|count)\w*\b.*|\(?[0-9][0-9,. ]*(rows?|records?)\b.*|[^\w\s].*)\s*",
    re.IGNORECASE,
)
_NAME = re.compile(r"[^\W\d][\w .,:%/()\[\]#&+'-]{0,80}")


@dataclass(frozen=True)
class Finding:
    """One thing found out: what it is about, what is proposed, why, and what else it could be."""

    subject: str
    proposal: str
    evidence: str
    alternatives: str = ""


@dataclass(frozen=True)
class DialectGuess:
    """A proposed dialect as options of the contract, the header's fields, and the evidence.

    ``header`` is empty where files have none; ``width`` is the number of fields. ``sample``: the first records.
    """

    options: dict[str, Any]
    header: tuple[str, ...]
    width: int
    sample: Sequence[Sequence[str]] = ()
    findings: list[Finding] = field(default_factory=list)
    has_escapes: bool = False

    def variants(self, has_quote: bool) -> Iterator[dict[str, Any]]:
        """The options of the guess, and of others worth a trial where the files have quotes."""
        escaped = {**self.options, "escape_char": "\\", "quote_char": '"'}
        if self.has_escapes:
            yield escaped
        yield self.options
        if "footer_rows" in self.options:
            yield {name: value for name, value in self.options.items() if name != "footer_rows"}
        if not has_quote or len(self.options.get("delimiter", ",")) > 1:
            return
        if "quote_char" in self.options:
            yield {name: value for name, value in self.options.items() if name != "quote_char"}
        else:
            yield {**self.options, "quote_char": None}
        yield escaped


@dataclass(frozen=True)
class _Split:
    """A text split by one delimiter and quote."""

    delimiter: str
    quoted: bool
    rows: list[tuple[int, list[str]]]  # (line number, fields); blank lines left out
    width: int
    share: float  # of records with that width
    typed: float  # share of the fields of these that look like numbers, dates or booleans


def read_by_dialect(file: FileText, known: TableDialect, options: dict[str, Any]) -> DialectGuess:
    """The header and the first records of a file whose dialect is known. ``options``: what the contract sets of it."""
    split = _split(file.text, known.delimiter, known.quote_char is not None)
    comment = known.comment_char
    rows = [(line, fields) for line, fields in split.rows if not (comment and fields[0].startswith(comment))]
    if not known.header:
        return DialectGuess(options, (), split.width, [fields for _, fields in rows[:_SHOWN]])
    at = next((index for index, (line, _) in enumerate(rows) if line >= known.header_rows[-1]), len(rows))
    header = tuple(rows[at][1]) if at < len(rows) else ()
    sample = [fields for _, fields in rows[at + 1 : at + 1 + _SHOWN] if len(fields) == len(header)]
    return DialectGuess(options, header, len(header), sample)


def guess_dialect(file: FileText) -> DialectGuess:
    """Propose the dialect of a file."""
    text = file.text
    if file.size > len(file.head):
        text = text[: text.rfind("\n") + 1] or text
    lines = text.splitlines(keepends=True)
    sep = _SEP.fullmatch(lines[0]) if lines else None
    splits = [_split(text, delimiter, quoted) for delimiter in DELIMITERS for quoted in (True, False)]
    best = max(splits, key=lambda split: _rank(split, sep[1] if sep else None))
    options: dict[str, Any] = {}
    findings: list[Finding] = []
    if best.delimiter != ",":
        options["delimiter"] = best.delimiter
    if not best.quoted or len(best.delimiter) > 1:
        options["quote_char"] = None
    findings.append(_delimiter_finding(best, splits, has_sep=bool(sep)))
    findings.append(_quote_finding(best, file.has_quote))
    rows = _without_comments(best, options, findings)[1 if sep else 0 :]
    _find_spaces(rows, options, findings)
    header, row_at = _find_header(rows, best.width, options, findings)
    _find_footer(file, best, options, findings)
    sample = [fields for _, fields in rows[row_at : row_at + _SHOWN] if len(fields) == best.width]
    return DialectGuess(options, header, best.width, sample, findings, '\\"' in text and len(best.delimiter) == 1)


def _split(text: str, delimiter: str, quoted: bool) -> _Split:
    rows = list(_rows(text, delimiter, quoted))
    widths = Counter(len(fields) for _, fields in rows[1:] or rows)
    # Prefer the later of equally frequent widths: titles above the header are narrow.
    width, count = max(widths.items(), key=lambda each: (each[1], each[0]), default=(0, 0))
    fields = [value for _, each in rows[1:200] if len(each) == width for value in each]
    typed = sum(bool(_TYPED.fullmatch(value.strip())) for value in fields) / max(len(fields), 1)
    return _Split(delimiter, quoted, rows, width, count / max(len(rows[1:] or rows), 1), typed)


def _rows(text: str, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    if not quoted or len(delimiter) > 1:
        for number, line in enumerate(io.StringIO(text), start=1):
            plain = line.rstrip("\r\n")
            if plain and number <= _SAMPLE_RECORDS:
                yield number, plain.split(delimiter)
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    start = 1
    for fields in reader:
        if start > _SAMPLE_RECORDS:
            return
        if fields:
            yield start, fields
        start = reader.line_num + 1


def _rank(split: _Split, sep: str | None) -> tuple[Any, ...]:
    is_table = split.width > 1 and split.share >= _MIN_SHARE
    others = [other for other in DELIMITERS if other != split.delimiter]
    fields = [value for _, fields in split.rows[:200] for value in fields]
    # "1,5;2,5" is split by a comma as evenly as by a semicolon, but then fields hold the other delimiter.
    mixed = sum(any(other in value for other in others if other != ",") for value in fields) / max(len(fields), 1)
    header_fits = any(len(fields) == split.width for _, fields in split.rows[:1])
    stray_quotes = sum(value.startswith('"') or value.endswith('"') for value in fields) if not split.quoted else 0
    return (
        split.delimiter == sep,
        is_table,
        round(split.share, 2),
        header_fits,
        round(-mixed, 2),
        round(split.typed, 2),
        -stray_quotes,
        split.quoted,
        split.width,
    )


def _delimiter_finding(best: _Split, splits: Sequence[_Split], *, has_sep: bool) -> Finding:
    name = character_name(best.delimiter)
    if best.width == 1:
        return Finding("delimiter", name, "every record is one field, so nothing separates fields")
    others = sorted({
        split.delimiter for split in splits
        if split.delimiter != best.delimiter and split.width > 1 and split.share >= _MIN_SHARE
    })  # fmt: skip
    directive = "the line sep=; says so, and " if has_sep else ""
    return Finding(
        "delimiter",
        name,
        f"{directive}{best.share:.1%} of {counted(len(best.rows), 'row')} looked at have {best.width} fields",
        f"{' '.join(map(character_name, others))} splits evenly too" if others else "",
    )


def _quote_finding(best: _Split, has_quote: bool) -> Finding:
    if best.quoted and len(best.delimiter) == 1:
        return Finding("quoting", '"', "fields are quoted" if has_quote else "no quotes in the files; the default")
    why = "quotes are inside fields, as ordinary characters" if has_quote else "a delimiter of several characters"
    return Finding("quoting", "none", why)


def _without_comments(best: _Split, options: dict[str, Any], findings: list[Finding]) -> list[tuple[int, list[str]]]:
    marked = [number for number, fields in best.rows if fields[0].startswith("#") and len(fields) != best.width]
    if not marked:
        return best.rows
    options["comment_char"] = "#"
    findings.append(Finding("comments", "#", f"line {marked[0]} starts with it and has another number of fields"))
    return [(number, fields) for number, fields in best.rows if not fields[0].startswith("#")]


def _find_header(
    rows: Sequence[tuple[int, list[str]]], width: int, options: dict[str, Any], findings: list[Finding]
) -> tuple[tuple[str, ...], int]:
    """The header's fields, empty where there is none, and the index of the first record."""
    # A title that a spreadsheet has padded with delimiters names few columns.
    named = (
        index
        for index, (_, fields) in enumerate(rows[:_MAX_ABOVE])
        if len(fields) == width and 2 * sum(map(bool, fields)) > width
    )
    at = next(named, 0)
    line, first = rows[at] if rows else (1, [])
    records = [fields for _, fields in rows[at + 1 :] if len(fields) == width]
    why_not = _why_no_header(first, records)
    if why_not:
        options["header"] = False
        findings.append(Finding("header", "none", why_not, "if it is one, remove `header: false`"))
        return (), at
    if line > 1:
        options["header_rows"] = (line,)
        above = repr(options.get("delimiter", ",").join(rows[0][1])[:60]) if at else "no record"
        findings.append(Finding("header", f"line {line}", f"above it: {above}"))
    else:
        findings.append(Finding("header", "line 1", "its fields are names, and no record has them as values"))
    return tuple(field.strip(" ") if options.get("skip_initial_space") else field for field in first), at + 1


def _why_no_header(first: Sequence[str], records: Sequence[Sequence[str]]) -> str | None:
    typed = [value for value in first if _TYPED.fullmatch(value.strip()) and not re.fullmatch(r"(19|20)\d\d", value)]
    if typed:
        return f"the first line has the value {typed[0]!r}, which is not a name"
    if not any(first):
        return "the first line is empty"
    for at, name in enumerate(first):
        column = [fields[at] for fields in records]
        if any(_TYPED.fullmatch(value.strip()) for value in column if value):
            return None  # a name above numbers or dates
        if name and column.count(name) > 0 and len(records) > 1:
            return f"{name!r} is a value of the first column too" if at == 0 else f"{name!r} is a value in records too"
    if not records or all(_NAME.fullmatch(name.strip()) for name in first if name):
        return None
    return f"the first line does not look like names: {first[0]!r}"


def _find_spaces(rows: Sequence[tuple[int, list[str]]], options: dict[str, Any], findings: list[Finding]) -> None:
    later = [value for _, fields in rows for value in fields[1:] if value]
    spaced = sum(value.startswith(" ") for value in later)
    if later and spaced / len(later) > 0.9:
        options["skip_initial_space"] = True
        findings.append(Finding("spaces", "skip_initial_space", f"{spaced:,} of {len(later):,} fields start with one"))


def _find_footer(file: FileText, best: _Split, options: dict[str, Any], findings: list[Finding]) -> None:
    lines = [line for line in file.end.splitlines() if line.strip()][-_MAX_FOOTER - 1 :]
    count = 0
    for line in reversed(lines[1:]):
        fields = [fields for _, fields in _rows(line, best.delimiter, best.quoted)]
        is_comment = "comment_char" in options and line.startswith(options["comment_char"])
        is_total = bool(fields) and 2 * sum(map(bool, fields[0])) <= best.width  # padded by a spreadsheet, or short
        is_record = bool(fields) and len(fields[0]) == best.width and not is_total
        if is_comment or not fields or is_record or not _is_footer(line, fields[0], best.width):
            break
        count += 1
    if count:
        options["footer_rows"] = count
        findings.append(Finding("footer", counted(count, "line"), f"the last line is {lines[-1][:60]!r}"))


def _is_footer(line: str, fields: Sequence[str], width: int) -> bool:
    """``Total;3``, ``;;;Sum: 7;``, or a line of text below a table of several columns."""
    is_text = len(fields) == 1 < width - 1 and line.endswith(".") is False and _NAME.match(line) is not None
    return bool(_FOOTER.fullmatch(line)) or (len(fields) == width and not fields[0]) or is_text
