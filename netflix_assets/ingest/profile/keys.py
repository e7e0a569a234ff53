"""Propose key, mode and freshness from what files have in common."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise, product
from math import prod
from statistics import median

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.names import NAMED_ID
from netflix_assets.ingest.profile.types import ColumnProposal
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.typing import literal

_MAX_CANDIDATES = 8  # columns combined: 84 queries
_MANY_ROWS = 5_000_000  # above it, only pairs of the best five
_TRUSTED = 2  # points of a column that may be the key alone
_NEAR = 0.99  # of the records that an id may be different in
_MIN_RECORDS = 20  # below it, an id must be different in all of them
_SNAPSHOT_SHARE = 0.8  # of the keys of a file that the next one repeats
_DATE_IN_NAME = re.compile(r"(?<![0-9])(20[0-9]{2})[-_.]?(0[1-9]|1[0-2])(?:[-_.]?(0[1-9]|[12][0-9]|3[01]))?(?![0-9])")

_EFFECTS = {
    "append": "every record of every file stays in core",
    "upsert": "of records with the same key, the latest counts in core",
    "overwrite": "the newest file replaces the table",
}
_OR_UPSERT = "; upsert, if later files correct rows"


@dataclass(frozen=True)
class KeyProposal:
    """The columns of the key, none if there is no key; the mode; days; and the evidence."""

    key: tuple[str, ...]
    mode: str
    warn_after_days: int
    fail_after_days: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Candidate:
    """Columns that may be the key. ``missing``, ``repeated``: records without a value, and with one that came before in
    the same file."""

    names: tuple[str, ...]
    missing: int
    repeated: int

    @property
    def is_exact(self) -> bool:
        return not self.missing and not self.repeated


def propose_key(
    dataset: Dataset,
    warehouse: Warehouse,
    columns: Sequence[ColumnProposal],
    file_names: Sequence[str],
    wanted: Sequence[str] | None = None,
) -> KeyProposal:
    """Propose the key of a table of texts, and what a further file does to its rows. ``wanted``: the key, if known.

    Raises: KeyError when the files do not have a wanted column.
    """
    table = _Table(dataset, warehouse, columns)
    found = [table.candidate(tuple(wanted))] if wanted else []
    others: list[tuple[str, ...]] = []
    if wanted is None and table.records:
        found, others = _find_keys(table, columns, dataset.name)
    best = found[0] if found else _Candidate((), 0, 0)
    mode, mode_why, mode_else = _propose_mode(f"raw.{dataset.table}", warehouse, best.names, file_names)
    warn, fail, fresh_why = _propose_freshness(file_names)
    why = "as --key says" if wanted is not None and not wanted else _evidence(best, table.records, len(file_names))
    or_else = " or ".join(", ".join(each) for each in [*(each.names for each in found[1:]), *others][:3])
    return KeyProposal(
        best.names,
        mode,
        warn,
        fail,
        (
            Finding("key", ", ".join(best.names) or "none", why, or_else),
            Finding("mode", mode, f"{mode_why}; {_EFFECTS[mode]}", mode_else),
            Finding("freshness", f"warn after {warn} days, fail after {fail}", fresh_why),
        ),
    )


def _evidence(key: _Candidate, records: int, file_count: int) -> str:
    if not key.names:
        return "no column named like an id, and no combination of up to three, is different in all records"
    if key.is_exact:
        return f"different in all {records:,} records" if file_count == 1 else "different in all records of a file"
    text = f"different in {records - key.missing - key.repeated:,}"
    if key.repeated:
        text += f", the same as an earlier one of the file in {key.repeated:,}"
    if not key.missing:
        return text
    return f"{text}, missing in {key.missing:,}; the key rejects {counted(key.missing, 'record')}"


class _Table:
    """The table of the files' texts."""

    def __init__(self, dataset: Dataset, warehouse: Warehouse, columns: Sequence[ColumnProposal]) -> None:
        self._name, self._warehouse = f"raw.{dataset.table}", warehouse
        self._values = {each.name: _value(each) for each in columns}
        self.records = int(warehouse.execute(f"select count(*) from {self._name}")[0][0])

    def candidate(self, names: tuple[str, ...]) -> _Candidate:
        """How far columns are different in the records of each file. Files may repeat those of others."""
        values = [f"{self._values[name]} as k{at}" for at, name in enumerate(names)]
        missing = " or ".join(f"k{at} is null" for at in range(len(names)))
        keys = ", ".join(f"k{at}" for at in range(len(names)))
        absent, present, distinct = self._warehouse.execute(
            f"""
            with found as (select _load_id, {", ".join(values)} from {self._name})
            select
                (select count(*) from found where {missing}),
                (select count(*) from found where not ({missing})),
                (select count(*) from (select distinct _load_id, {keys} from found where not ({missing})) as different)
            """
        )[0]
        return _Candidate(names, int(absent), int(present) - int(distinct))

    def distinct_counts(self, names: Sequence[str]) -> dict[str, int]:
        """The different values of columns, over all files."""
        counts = ", ".join(f"count(distinct {self._values[name]})" for name in names)
        found = self._warehouse.execute(f"select {counts} from {self._name}")[0] if names else ()
        return {name: int(count) for name, count in zip(names, found, strict=True)}

    def has_spaces(self, name: str) -> bool:
        """Whether a value has a space in it, as free text has and codes have not."""
        found = self._warehouse.execute(f"select count(*) from {self._name} where trim({name}) like '% %'")
        return int(found[0][0]) > 0


def _value(column: ColumnProposal) -> str:
    """The column's values in SQL: null for texts that mean that there is none."""
    tokens = ", ".join(map(literal, column.missing))
    return f"case when {column.name} not in ({tokens}) then {column.name} end" if tokens else column.name


def _find_keys(
    table: _Table, columns: Sequence[ColumnProposal], dataset: str
) -> tuple[list[_Candidate], list[tuple[str, ...]]]:
    """The keys to propose, the likeliest first; and columns that are different too, maybe by chance."""
    usable = [
        each for each in columns
        if each.type not in ("double", "boolean", "json")
        and (not each.type.startswith("decimal") or each.type.endswith(",0)"))
    ]  # fmt: skip
    first = columns[0].name if columns else ""
    trust = {each.name: _trust(each, table, dataset, is_first=each.name == first) for each in usable}
    likely: list[tuple[int, _Candidate]] = []
    by_chance: list[tuple[str, ...]] = []
    for each in usable:
        if each.options.get("nullable") and not NAMED_ID.search(each.name):
            continue
        found = table.candidate((each.name,))
        if found.is_exact and trust[each.name] < _TRUSTED:
            by_chance.append(found.names)
        elif found.is_exact or _is_near(found, each, dataset, table.records):
            likely.append((trust[each.name] - (not found.is_exact), found))
    if likely:
        return [found for _, found in sorted(likely, key=lambda each: -each[0])], by_chance
    parts = [each for each in usable if not each.options.get("nullable") and (each.name,) not in by_chance]
    return _combined_keys(table, parts, trust), [*by_chance, *_ids_with_times(table, parts)]


def _is_near(found: _Candidate, column: ColumnProposal, dataset: str, records: int) -> bool:
    """Whether an id is the key although a few records lack it. The table's own id may also have a few duplicates."""
    if records < _MIN_RECORDS or (found.repeated and not _is_own_id(column, dataset)):
        return False
    faults = found.missing + found.repeated
    return NAMED_ID.search(column.name) is not None and faults <= max(1, (1 - _NEAR) * records)


def _is_own_id(column: ColumnProposal, dataset: str) -> bool:
    """Whether a column is named id, or after the dataset: ``order_id`` of ``orders``."""
    stem, _, end = f"_{column.name}".rpartition("_")
    return end == "id" and dataset.startswith(stem.strip("_"))


def _trust(column: ColumnProposal, table: _Table, dataset: str, *, is_first: bool) -> int:
    """How much a column looks like a key. Times, and texts with spaces in them, can be different by chance."""
    is_id = NAMED_ID.search(column.name) is not None
    if _is_time(column) or (column.type == "text" and not is_id and table.has_spaces(column.name)):
        return -1
    return 4 * is_id + 3 * _is_own_id(column, dataset) + 2 * is_first + (column.type in ("integer", "bigint"))


def _is_time(column: ColumnProposal) -> bool:
    is_epoch = any("epoch" in each for each in column.alternatives) and not NAMED_ID.search(column.name)
    return column.type in ("date", "timestamp") or is_epoch


def _combined_keys(table: _Table, parts: Sequence[ColumnProposal], trust: Mapping[str, int]) -> list[_Candidate]:
    """The smallest combinations of columns that are keys."""
    trusted = [each.name for each in parts if trust[each.name] >= 0]
    distinct = table.distinct_counts(trusted)
    is_large = table.records > _MANY_ROWS
    names = sorted(trusted, key=lambda each: -distinct[each])[: 5 if is_large else _MAX_CANDIDATES]
    order = {each.name: at for at, each in enumerate(parts)}
    for size in (2,) if is_large else (2, 3):
        tried = (each for each in combinations(names, size) if prod(distinct[name] for name in each) >= table.records)
        found = [table.candidate(tuple(sorted(each, key=order.__getitem__))) for each in tried]
        if hits := [each for each in found if each.is_exact]:
            return hits
    return []


def _ids_with_times(table: _Table, parts: Sequence[ColumnProposal]) -> list[tuple[str, ...]]:
    """Pairs of an id and a time that are different in all records, as those of readings are."""
    ids = [each.name for each in parts if NAMED_ID.search(each.name)][:_MAX_CANDIDATES]
    times = [each.name for each in parts if _is_time(each)][:_MAX_CANDIDATES]
    return [pair for pair in product(ids, times) if table.candidate(pair).is_exact]


def _propose_mode(
    table: str, warehouse: Warehouse, key: Sequence[str], file_names: Sequence[str]
) -> tuple[str, str, str]:
    if len(file_names) > 1 and key:
        share, repeated = _repeated_keys(table, warehouse, key)
        if share >= _SNAPSHOT_SHARE:
            return "overwrite", f"each file repeats {share:.0%} of the keys of the one before", "upsert"
        if repeated:
            return "upsert", f"{counted(repeated, 'key')} of a file come again in the next one", "append"
        return "append", "no key is in two files", "upsert, if later files correct rows"
    if len(file_names) > 1 or _DATE_IN_NAME.search(file_names[0]):
        why = f"{len(file_names)} files, without a key" if len(file_names) > 1 else "a date in the file's name"
        return "append", why, f"overwrite, if each file is the whole table{_OR_UPSERT if key else ''}"
    return "overwrite", "one file without a date in its name", "append, if later files have only new rows"


def _repeated_keys(table: str, warehouse: Warehouse, key: Sequence[str]) -> tuple[float, int]:
    """The share and number of keys of a file that the next one has too, over all files but the last."""
    names = ", ".join(key)
    same = " and ".join(f"one.{name} = other.{name}" for name in key)
    repeated = warehouse.execute(
        f"""
        select count(*) from (select distinct _load_id, {names} from {table}) as one
        inner join (select distinct _load_id, {names} from {table}) as other
            on other._load_id = one._load_id + 1 and {same}
        """
    )[0][0]
    all_but_last = warehouse.execute(
        f"select count(*) from (select distinct _load_id, {names} from {table}"
        f" where _load_id < (select max(_load_id) from {table})) as keys"
    )[0][0]
    return int(repeated) / max(int(all_but_last), 1), int(repeated)


def _propose_freshness(file_names: Sequence[str]) -> tuple[int, int, str]:
    days = sorted({found for name in file_names if (found := _date_of(name))})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    if not gaps:
        return 7, 30, "a guess: one file does not tell how often it comes"
    usual = max(round(median(gaps)), 1)
    return 2 * usual, 5 * usual, f"the dates in the names are {counted(usual, 'day')} apart"


def _date_of(name: str) -> date | None:
    match = _DATE_IN_NAME.search(name)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError:
        return None
