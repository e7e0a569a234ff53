"""Draft a contract in which every column is a nullable text, so that all values load and can be profiled."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netflix_assets.contracts.dialect import EXTENSIONS, LAYOUT_OPTIONS, Format
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.profile.dialect import DialectGuess, Finding, guess_dialect, read_by_dialect
from netflix_assets.ingest.profile.encoding import FileText, common_encoding, read_text
from netflix_assets.ingest.profile.names import column_names, common_stem, is_safe_stem, split_extension
from netflix_assets.ingest.trial import NO_LIMIT

_UNNAMED = re.compile("Unnamed: [0-9]+")  # what pandas calls a column without a name
_LONGEST_TEXT = 2_000_000  # characters; no record is longer


@dataclass(frozen=True)
class Draft:
    """The options of a dataset, without its columns; its columns; and what was found out.

    ``columns``: options of each column; those without a type are texts, whose values tell it. ``because``: why a column
    has its type, not an option. ``variants``: dialects to try, the likeliest first.
    """

    options: dict[str, Any]
    columns: Sequence[dict[str, Any]]
    variants: Sequence[dict[str, Any]]
    findings: Sequence[Finding]

    def dataset(self, dialect: dict[str, Any]) -> Dataset:
        """The draft as a dataset of texts."""
        columns = [_as_drafted(column) for column in self.columns]
        return Dataset.model_validate({
            **self.options,
            "description": "?",
            "mode": "append",
            "key": (),
            "freshness": {"warn_after_days": 1, "fail_after_days": 2},
            "tolerance": NO_LIMIT,
            "dialect": dialect,
            "columns": columns,
        })  # fmt: skip


def _as_drafted(column: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in column.items() if name != "because"}
    kind = column.get("type", "text")
    limit = {"max_length": _LONGEST_TEXT} if kind in ("text", "json") else {}
    return {**options, "type": kind, "nullable": True, "description": "?", **limit}


def _layout_of(dataset: Dataset) -> dict[str, Any]:
    """The options of a dialect that say how fields are separated, as far as the contract sets them."""
    return {name: getattr(dataset.dialect, name) for name in dataset.dialect.model_fields_set & LAYOUT_OPTIONS}


def draft_csv(paths: Sequence[Path], source: str, name: str, known: Dataset | None = None) -> Draft:
    """Draft the contract of CSV files, in the dialect of the ``known`` dataset if there is one.

    Raises: RefusedError when they cannot be read; OSError.
    """
    files = [read_text(path) for path in paths]
    if not any(file.size for file in files):
        raise RefusedError(f"{paths[0].name} is empty (0 bytes)")
    encoding = common_encoding(files)
    filled = [file for file in files if file.size]
    guesses = [
        guess_dialect(file) if known is None else read_by_dialect(file, known.dialect, _layout_of(known))
        for file in filled
    ]
    guess = guesses[0]
    findings = [
        Finding("encoding", encoding.encoding, encoding.evidence, " or ".join(encoding.alternatives)),
        *guess.findings,
    ]
    findings += list(_differences(filled, guesses))
    columns, notes = _columns(guesses)
    options = {"source": source, "name": name, **file_options(paths, name, "csv")}
    if encoding.encoding != "utf-8":
        options["encoding"] = encoding.encoding
    has_quote = any(file.has_quote for file in files)
    return Draft(options, columns, list(guess.variants(has_quote)), [*findings, *notes])


def file_options(paths: Sequence[Path], name: str, kind: Format) -> dict[str, Any]:
    """The options that say how the files are named."""
    options: dict[str, Any] = {}
    stem = common_stem(paths)
    if stem != name and is_safe_stem(stem):
        options["file"] = stem
    extensions = sorted({split_extension(path.name)[1] for path in paths} - {"", *EXTENSIONS[kind]})
    if extensions:
        options["extensions"] = extensions
    return options


def _differences(files: Sequence[FileText], guesses: Sequence[DialectGuess]) -> Iterator[Finding]:
    for file, guess in zip(files[1:], guesses[1:], strict=True):
        if guess.options != guesses[0].options:
            yield Finding(
                "other file",
                file.path.name,
                f"looks as if it was written otherwise: {guess.options or 'the default'}, not {guesses[0].options}",
            )


def _columns(guesses: Sequence[DialectGuess]) -> tuple[list[dict[str, Any]], list[Finding]]:
    guess = guesses[0]
    if not guess.header:
        return [{"name": f"column_{number}"} for number in range(1, guess.width + 1)], []
    names = list(dict.fromkeys(name for each in guesses for name in each.header[_has_index(each) :] if name))
    duplicates = sorted({name for name in guess.header if name and guess.header.count(name) > 1})
    if duplicates:
        raise RefusedError(
            f"the header has the column {duplicates[0]!r} twice, and columns are found by name; rename one in the file"
        )
    columns: list[dict[str, Any]] = []
    notes = list(_unnamed(guess))
    for name, source_name in zip(column_names(names), names, strict=True):
        column: dict[str, Any] = {"name": name} if name == source_name else {"name": name, "source_name": source_name}
        lacking = sum(source_name not in each.header for each in guesses)
        if lacking:
            column["default"] = ""
            notes.append(Finding("column", source_name, f"{lacking} of {len(guesses)} files do not have it"))
        columns.append(column)
    return columns, notes


def _has_index(guess: DialectGuess) -> bool:
    """Whether the first column is the index of a pandas data frame: row numbers from 0, without a name."""
    values = [record[0] for record in guess.sample]
    is_counted = bool(values) and values == [str(number) for number in range(len(values))]
    return is_counted and (not guess.header[0] or _UNNAMED.fullmatch(guess.header[0]) is not None)


def _unnamed(guess: DialectGuess) -> Iterator[Finding]:
    for at, name in enumerate(guess.header):
        if at == 0 and _has_index(guess):
            yield Finding(
                "pandas index", "left out", "the first column: row numbers, which another export may not have"
            )
        elif not name:
            yield Finding("left out", f"field {at + 1}, which has no name", "it has no name to find it by")
