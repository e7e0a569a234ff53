"""Profile the text columns of a trial's table: values, missing values, and the readings that hold for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.profile.readings import MISSING, Reading, plausible
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.typing import literal

_SAMPLE = 300  # different values by which readings are picked
_TOP = 12
_MAX_BAD = 5  # counter-examples


@dataclass(frozen=True)
class Fit:
    """How well a reading holds: records whose value fits, and examples of those that do not."""

    reading: Reading
    count: int
    counter_examples: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class ColumnProfile:
    """What a column of a file holds. Counts are records.

    ``missing``: texts that may mean "no value", with their counts. ``values``: records with any other text.
    ``distinct``: different values, missing ones included. ``top``: the most frequent values. ``numbers``: of the best
    numeric reading, (least, greatest, digits before the point, digits after it, fewest digits after it).
    """

    name: str
    records: int
    empty: int
    missing: Mapping[str, int]
    values: int
    distinct: int
    max_length: int
    fits: Sequence[Fit] = ()
    top: Sequence[tuple[str, int]] = ()
    numbers: Mapping[tuple[str, str], "NumberStats"] = field(default_factory=dict)


@dataclass(frozen=True)
class NumberStats:
    """Range and digits of numbers, as they are written."""

    least: float
    greatest: float
    whole_digits: int
    max_scale: int
    min_scale: int
    digits: int  # significant ones of the longest number


def profile_columns(dataset: Dataset, warehouse: Warehouse) -> list[ColumnProfile]:
    """Profile every column of the dataset's raw table, which holds texts. Reads all rows, one column at a time."""
    records = int(warehouse.execute(f"select count(*) from raw.{dataset.table}")[0][0])
    return [_profile(dataset, column.name, records, warehouse) for column in dataset.columns]


def _profile(dataset: Dataset, name: str, records: int, warehouse: Warehouse) -> ColumnProfile:
    warehouse.execute("drop table if exists column_values")
    warehouse.execute(
        f"create temp table column_values as select cast({name} as varchar) as v, count(*) as n"
        f" from raw.{dataset.table} where {name} is not null group by {name}"
    )
    tokens = ", ".join(map(literal, MISSING))
    missing = dict(warehouse.execute(f"select v, n from column_values where v in ({tokens}) order by n desc"))
    not_null, distinct, longest = warehouse.execute(
        "select coalesce(sum(n), 0), count(*), coalesce(max(length(v)), 0) from column_values"
    )[0]
    if missing:
        warehouse.execute(f"delete from column_values where v in ({tokens})")
    top = warehouse.execute(f"select v, n from column_values order by n desc, v limit {_TOP}")
    values = int(not_null) - sum(missing.values())
    sample = [text for (text,) in warehouse.execute(f"select v from column_values order by hash(v) limit {_SAMPLE}")]
    fits = _fits(name, sample, values, warehouse) if sample else []
    numbers = {
        fit.reading.style: _number_stats(fit.reading, warehouse)
        for fit in fits
        if fit.reading.kind in ("integer", "number", "double")
    }
    return ColumnProfile(
        name, records, records - int(not_null), missing, values, int(distinct), int(longest), fits, top, numbers
    )


def _fits(name: str, sample: Sequence[str], values: int, warehouse: Warehouse) -> list[Fit]:
    tried = plausible(name, sample)
    if not tried:
        return []
    sums = ", ".join(f"coalesce(sum(n) filter (where {reading.condition}), 0)" for reading in tried)
    counts = warehouse.execute(f"select {sums} from column_values")[0]
    found = []
    for reading, count in zip(tried, counts, strict=True):
        bad: list[tuple[str, int]] = []
        if int(count) < values:
            bad = warehouse.execute(
                f"select v, n from column_values where ({reading.condition}) is not true"
                f" order by n desc, v limit {_MAX_BAD}"
            )
        found.append(Fit(reading, int(count), bad))
    return found


def _number_stats(reading: Reading, warehouse: Warehouse) -> NumberStats:
    point, group = reading.style
    text = "ltrim(v, '+-')"
    if group:
        text = f"replace({text}, {literal(group)}, '')"
    if point != ".":
        text = f"replace({text}, {literal(point)}, '.')"
    sign = "case when v like '-%' then -1 else 1 end"
    plain = f"regexp_extract({text}, '^[0-9.]*')"
    row = warehouse.execute(
        f"""
        select
            min({sign} * try_cast({text} as double)), max({sign} * try_cast({text} as double)),
            max(length(ltrim(split_part({plain}, '.', 1), '0'))),
            max(length(split_part({plain}, '.', 2))), min(length(split_part({plain}, '.', 2))),
            max(length(ltrim(replace({plain}, '.', ''), '0')))
        from column_values where {reading.condition}
        """
    )[0]
    if row[0] is None:
        return NumberStats(0, 0, 1, 0, 0, 1)
    return NumberStats(float(row[0]), float(row[1]), int(row[2]), int(row[3]), int(row[4]), int(row[5]))
