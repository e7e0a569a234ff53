"""Propose key, mode and freshness from what files have in common."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise
from math import prod
from statistics import median

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.types import ColumnProposal
from netflix_assets.warehouse.base import Warehouse

_ID = re.compile(r"(^|_)(id|uuid|guid|key|code|no|nr|num|number|nummer|ref|isin|iban|sku|ean)$")
_MAX_CANDIDATES = 8  # columns combined: 84 queries
_MANY_ROWS = 5_000_000  # above it, only pairs of the best five
_SNAPSHOT_SHARE = 0.8  # of the keys of a file that the next one repeats
_DATE_IN_NAME = re.compile(r"(?<![0-9])(20[0-9]{2})[-_.]?(0[1-9]|1[0-2])(?:[-_.]?(0[1-9]|[12][0-9]|3[01]))?(?![0-9])")


@dataclass(frozen=True)
class KeyProposal:
    """The columns of the key, none if there is no key; the mode; days; and the evidence."""

    key: tuple[str, ...]
    mode: str
    warn_after_days: int
    fail_after_days: int
    findings: tuple[Finding, ...]


def propose_key(
    dataset: Dataset, warehouse: Warehouse, columns: Sequence[ColumnProposal], file_names: Sequence[str]
) -> KeyProposal:
    """Propose the key of a table of texts, and what a further file does to its rows."""
    table = f"raw.{dataset.table}"
    records = int(warehouse.execute(f"select count(*) from {table}")[0][0])
    found = list(_find_keys(table, warehouse, columns, records)) if records else []
    key = found[0] if found else ()
    others = " or ".join(", ".join(each) for each in found[1:4])
    if key:
        why = f"different in all {records:,} records" if len(file_names) == 1 else "different in all records of a file"
    else:
        why = "no column without missing values, and no combination of up to three, is different in all records"
    mode, mode_why, mode_else = _propose_mode(table, warehouse, key, file_names)
    warn, fail, fresh_why = _propose_freshness(file_names)
    return KeyProposal(
        key,
        mode,
        warn,
        fail,
        (
            Finding("key", ", ".join(key) or "none", why, others),
            Finding("mode", mode, mode_why, mode_else),
            Finding("freshness", f"warn after {warn} days, fail after {fail}", fresh_why),
        ),
    )


def _find_keys(
    table: str, warehouse: Warehouse, columns: Sequence[ColumnProposal], records: int
) -> Iterator[tuple[str, ...]]:
    usable = [
        each for each in columns
        if not each.options.get("nullable") and each.type not in ("double", "boolean", "json")
        and (not each.type.startswith("decimal") or each.type.endswith(",0)"))
    ]  # fmt: skip
    if not usable:
        return
    counts = warehouse.execute(f"select {', '.join(f'count(distinct {each.name})' for each in usable)} from {table}")[0]
    distinct = {each.name: int(count) for each, count in zip(usable, counts, strict=True)}
    first = columns[0].name
    ranked = sorted(usable, key=lambda each: -_likeliness(each, is_first=each.name == first))
    single = [each for each in ranked if _is_key(table, warehouse, (each.name,), records)]
    likely = [each for each in single if _likeliness(each) >= 0]
    yield from ((each.name,) for each in likely)
    if not likely:  # times can differ by chance
        order = {each.name: at for at, each in enumerate(columns)}
        combined = sorted((each for each in ranked if _likeliness(each) >= 0), key=lambda each: -distinct[each.name])
        names = [each.name for each in combined[: 5 if records > _MANY_ROWS else _MAX_CANDIDATES]]
        for hit in _combined_keys(table, warehouse, names, distinct, records):
            yield tuple(sorted(hit, key=order.__getitem__))
        yield from ((each.name,) for each in single)


def _combined_keys(
    table: str, warehouse: Warehouse, names: Sequence[str], distinct: Mapping[str, int], records: int
) -> list[tuple[str, ...]]:
    """The smallest combinations of columns that are keys."""
    for size in (2,) if records > _MANY_ROWS else (2, 3):
        tried = (each for each in combinations(names, size) if prod(distinct[name] for name in each) >= records)
        if hits := [each for each in tried if _is_key(table, warehouse, each, records)]:
            return hits
    return []


def _is_key(table: str, warehouse: Warehouse, names: Sequence[str], records: int) -> bool:
    """Whether no file has the same values twice. Files may repeat those of others."""
    found = warehouse.execute(
        f"select count(*) from (select distinct _load_id, {', '.join(names)} from {table}) as keys"
    )
    return int(found[0][0]) == records


def _likeliness(column: ColumnProposal, *, is_first: bool = False) -> int:
    score = 4 if _ID.search(column.name) else 0
    score += 1 if column.type in ("integer", "bigint") else 0
    score += 2 if is_first else 0
    is_time = column.type in ("date", "timestamp") or any("epoch" in each for each in column.alternatives)
    return score - 3 * is_time


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
        return "append", why, "overwrite, if each file is the whole table"
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
