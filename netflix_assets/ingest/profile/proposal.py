"""Propose a contract for unknown files, and prove it on them."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.decode import PARQUET_MAGIC, Decoder, blocks_of
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.profile.columns import ColumnProfile, profile_columns
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.draft_json import draft_json
from netflix_assets.ingest.profile.drafts import Draft, draft_csv
from netflix_assets.ingest.profile.keys import propose_key
from netflix_assets.ingest.profile.types import ColumnProposal, propose_columns
from netflix_assets.ingest.trial import Trial, open_trial

_HEAD_BYTES = 4_096
_JSON = re.compile(rb"\s*(\{|\[\s*[\[{\]])")


@dataclass(frozen=True)
class Proposal:
    """A proposed contract entry, with the evidence.

    ``entry``: the options of the dataset as they are written under its name in a contract file. ``looked_at``: what
    the proposal rests on. ``findings``: about the files; ``columns``: about each column. ``rows``: those that
    could be read.
    """

    source: str
    name: str
    entry: dict[str, Any]
    looked_at: str
    findings: Sequence[Finding]
    columns: Sequence[ColumnProposal]
    rows: int


class UnknownColumnError(ValueError):
    """The files do not have a column that the key should have."""


def propose(
    paths: Sequence[Path],
    source: str,
    name: str,
    work_folder: Path,
    known: Dataset | None = None,
    key: Sequence[str] | None = None,
) -> Proposal:
    """Propose the contract of files that are deliveries of one dataset. Reads all of them, in bounded memory.

    ``known``: the dataset's present contract; CSV files are read by its dialect. ``key``: the key to propose, empty for
    none; None finds it.

    Raises: RefusedError, naming the file, when one cannot be loaded whatever the contract says; UnknownColumnError;
    OSError.
    """
    draft = _draft(paths, source, name, known)
    with ExitStack() as stack:
        dialect, trial = _best_dialect(draft, paths, work_folder, stack)
        findings = [_after_trial(finding, dialect, draft) for finding in draft.findings]
        dataset = draft.dataset(dialect)
        profiles = profile_columns(dataset, trial.warehouse)
        proposed = propose_columns(profiles, dialect.get("delimiter", ","))
        columns = list(map(_with_own_type, draft.columns, proposed, profiles))
        if unknown := [each for each in key or () if each not in {column.name for column in columns}]:
            names = ", ".join(column.name for column in columns)
            raise UnknownColumnError(f"the files have no column {unknown[0]!r}; they have {names}")
        found = propose_key(dataset, trial.warehouse, columns, [path.name for path in paths], key)
        records = sum(result.records or 0 for result in trial.results)
        rows = sum(result.rows for result in trial.results)
    if known is None:
        columns = [_required(column) if column.name in found.key else column for column in columns]
    entry = _entry(draft, dialect, columns, found.key, found.mode)
    entry |= {"mode": found.mode, "key": list(found.key)}
    entry["freshness"] = {"warn_after_days": found.warn_after_days, "fail_after_days": found.fail_after_days}
    looked_at = f"{counted(len(paths), 'file')}, {counted(records, 'record')}, all of them"
    return Proposal(source, name, _in_order(entry), looked_at, [*findings, *found.findings], columns, rows)


def _draft(paths: Sequence[Path], source: str, name: str, known: Dataset | None) -> Draft:
    """The draft of the format that the first file has."""
    head = _head(paths[0])
    if head.startswith(PARQUET_MAGIC):
        from netflix_assets.ingest.profile.draft_parquet import draft_parquet  # Arrow takes 0.2 s

        return draft_parquet(paths, source, name, known)
    return draft_json(paths, source, name) if _JSON.match(head) else draft_csv(paths, source, name, known)


def _head(path: Path) -> bytes:
    """The start of a file, decompressed. Empty where it is UTF-16, in which only CSV is read."""
    try:
        return next(iter(Decoder(blocks_of(path), "utf-8").utf8()), b"")[:_HEAD_BYTES]
    except RefusedError:  # the draft of CSV says why
        return b""


def _with_own_type(drafted: dict[str, Any], found: ColumnProposal, profile: ColumnProfile) -> ColumnProposal:
    """The column as its values tell, or with the type that the file declares."""
    if "type" not in drafted:
        return found
    kind = drafted["type"]
    empty = profile.empty
    missing = f"; missing: {empty:,} of {profile.records:,}" if empty else "; none missing"
    because = drafted.get("because", "objects or arrays")
    options = {"max_length": found.options["max_length"]} if "max_length" in found.options else {}
    options |= {"time_zone": drafted["time_zone"]} if "time_zone" in drafted else {}
    others = (f"{found.type}, which its texts fit",) if kind == "text" != found.type else ()
    return ColumnProposal(
        profile.name, kind, {**({"nullable": True} if empty else {}), **options}, f"{because}{missing}", others
    )


def _required(column: ColumnProposal) -> ColumnProposal:
    """A column of the key: records without a value are rejected, because nothing identifies them."""
    return replace(column, options={name: value for name, value in column.options.items() if name != "nullable"})


def _best_dialect(
    draft: Draft, paths: Sequence[Path], work_folder: Path, stack: ExitStack
) -> tuple[dict[str, Any], Trial]:
    """The dialect with the fewest rejected records, with the trial that holds its rows."""
    best: tuple[int, dict[str, Any], Trial] | None = None
    refused: RefusedError | None = None
    for dialect in draft.variants:
        dataset = draft.dataset(dialect)
        trial = stack.enter_context(open_trial(dataset, work_folder))
        results = [trial.load(dataset, path) for path in paths]
        faults = [f"{each.path.name}: {each.reason}" for each in results if each.outcome == "refused"]
        if faults:
            refused = refused or RefusedError(faults[0])
            continue
        rejected = sum(each.rejected for each in results)
        if best is None or rejected < best[0]:
            best = (rejected, dialect, trial)
        if rejected == 0:
            break
    if best is None:
        raise refused or RefusedError("no dialect fits")
    return best[1], best[2]


def _after_trial(finding: Finding, dialect: dict[str, Any], draft: Draft) -> Finding:
    """The finding, corrected where the trial has shown another dialect to fit better."""
    likeliest = draft.variants[0]
    quoting = [(each.get("quote_char", '"'), each.get("escape_char")) for each in (dialect, likeliest)]
    if finding.subject == "quoting" and quoting[0] != quoting[1]:
        proposal = "none" if dialect.get("quote_char", "") is None else dialect.get("quote_char", '"')
        escape = f", escaped by {dialect['escape_char']}" if "escape_char" in dialect else ""
        return replace(
            finding, proposal=f"{proposal}{escape}", evidence="it rejects the fewest records of all ways tried"
        )
    if finding.subject == "footer" and "footer_rows" not in dialect:
        return replace(finding, proposal="rejected records", evidence=f"{finding.evidence}; footer_rows does not fit")
    return finding


def _entry(
    draft: Draft, dialect: dict[str, Any], columns: Sequence[ColumnProposal], key: Sequence[str], mode: str
) -> dict[str, Any]:
    missing = list(dict.fromkeys(token for column in columns for token in column.missing))
    styles = [column.style for column in columns if column.style is not None]
    comma = sum(style[0] == "," for style in styles) > len(styles) / 2
    shared = {**dialect}
    if missing:
        shared["missing_values"] = missing
    if comma:
        shared["decimal_char"] = ","
    group = _shared_group(columns, "," if comma else ".")
    if group:
        shared["group_char"] = group
    entry = {name: value for name, value in draft.options.items() if name not in ("source", "name")}
    what = draft.options["name"].replace("_", " ").capitalize()
    row = " and ".join(key) if key and mode != "append" else "record of the files"
    entry["description"] = f"{what} from {draft.options['source']}. One row per {row}."
    if shared:
        entry["dialect"] = {name: list(value) if isinstance(value, tuple) else value for name, value in shared.items()}
    entry["columns"] = [
        _column_entry(drafted, column, comma=comma, group=group)
        for drafted, column in zip(draft.columns, columns, strict=True)
    ]
    return entry


def _shared_group(columns: Sequence[ColumnProposal], point: str) -> str:
    """The group character of all numbers in the files: a column whose numbers are still small may need it later."""
    styles = [column.style for column in columns if column.style is not None]
    found = Counter(group for _, group in styles if group)
    has_points = any("decimal_zeros" in column.options for column in columns)  # 862.0
    if not found or any(each != point for each, _ in styles) or (has_points and "." in found):
        return ""
    return found.most_common(1)[0][0]


def _column_entry(drafted: dict[str, Any], column: ColumnProposal, *, comma: bool, group: str) -> dict[str, Any]:
    options = dict(column.options)
    if group and options.get("group_char") == group:
        del options["group_char"]
    if comma and (column.style is not None or "decimal_zeros" in options):
        point = options.pop("decimal_char", ".")
        if point != ",":
            options["decimal_char"] = point
    if "default" in drafted:
        options["nullable"] = True
    number = drafted["name"].removeprefix("column_")
    text = f"{drafted['source_name']} in the file." if "source_name" in drafted else f"{drafted['name']} in the file."
    if number.isdigit() and "source_name" not in drafted:
        text = f"Field {number} of the file."
    kept = {name: value for name, value in drafted.items() if name not in ("type", "because", "time_zone")}
    return {**kept, "type": column.type, **options, "description": text}


_ORDER = ("description", "file", "format", "extensions", "encoding", "dialect", "mode", "key", "freshness", "columns")


def _in_order(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in _ORDER if name in entry}
