"""The one SQL template that profiles loads: a few figures per column.

Row count, null share, distinct values (estimated), minimum, maximum and mean cover all rows of a load. Quartiles are
estimates, from a sample if the load has more than ``SAMPLE_ROWS`` rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.typing import Dialect, literal

# Above this, quartiles come from a sample of about this size. For ml-25m's ratings (24.8 million rows, four columns)
# all rows cost 3.3 s and a sample 0.3 s, next to a load of 13 s.
SAMPLE_ROWS = 250_000

# Columns of one statement. Planning takes time by the square of their number: 1,000 columns cost 50 s at once, 2.4 s
# in parts.
PROFILED_COLUMNS = 50

_TEXT_SHOWN = 100  # characters kept of the minimum and maximum
_QUARTILES = {"p25": 0.25, "p50": 0.5, "p75": 0.75}


@dataclass(frozen=True)
class ColumnProfile:
    """The profile of one column in one load; a row of ``ops.profiles``.

    ``null_share`` is 0 to 1; ``approx_distinct`` is accurate to a few percent. ``min_value`` and ``max_value`` are text
    of at most 100 characters. ``mean`` and the quartiles, in the column's unit, exist for numbers only. All are None
    if there is no value, or if the contract hides the column's values. A dataset with persons keeps no
    ``min_value`` and ``max_value`` of identifying columns and of texts.
    """

    load_id: int
    column: str
    row_count: int
    sampled_rows: int
    null_share: float
    approx_distinct: int
    min_value: str | None
    max_value: str | None
    mean: float | None
    p25: float | None
    p50: float | None
    p75: float | None


def profile_insert(
    dataset: Dataset, columns: Sequence[Column], load_ids: Sequence[int], every: int, dialect: Dialect
) -> str:
    """INSERT of the profiles of these columns of these loads; quartiles use every ``every``-th row."""
    of_loads = (
        f"from raw.{dataset.table} where _load_id between {min(load_ids):d} and {max(load_ids):d} "
        f"and _load_id in ({', '.join(f'{load_id:d}' for load_id in load_ids)})"
    )
    # A second, short pass for the sample; picking it in the first pass costs twice as much.
    of_sample = of_loads if every == 1 else f"{of_loads} and {dialect.every_nth_row.format(step=every)}"
    numbered = list(enumerate(columns))
    figures = ", ".join(figure for at, column in numbered for figure in _figures(dataset, column, at, dialect))
    quartiles = ", ".join(["count(*) as sampled_rows", *(q for at, c in numbered for q in _quartiles(c, at, dialect))])
    rows = "\n        union all\n        ".join(_row(dataset, column, at, dialect) for at, column in numbered)
    return f"""
        insert into ops.profiles
        with figures as (
            select _load_id as load_id, count(*) as row_count, {figures} {of_loads} group by _load_id
        ),
        quartiles as (
            select _load_id as load_id, {quartiles} {of_sample} group by _load_id
        )
        {rows}
        """


def _figures(dataset: Dataset, column: Column, at: int, dialect: Dialect) -> list[str]:
    name = column.name
    figures = [f"count({name}) as filled_{at}", f"{dialect.approx_distinct.format(value=name)} as distinct_{at}"]
    if dataset.may_show(column):
        figures += [f"min({name}) as min_{at}", f"max({name}) as max_{at}"]
    if column.showable and column.is_numeric:
        # As a double: the sum of long decimals would fit no type.
        figures += [f"avg(cast({name} as double)) as mean_{at}"]
    return figures


def _quartiles(column: Column, at: int, dialect: Dialect) -> list[str]:
    if not (column.showable and column.is_numeric):
        return []
    number = f"cast({column.name} as double)"
    return [
        f"{dialect.approx_quantile.format(value=number, share=share)} as {quartile}_{at}"
        for quartile, share in _QUARTILES.items()
    ]


def _row(dataset: Dataset, column: Column, at: int, dialect: Dialect) -> str:
    extremes = [f"left(cast({name}_{at} as varchar), {_TEXT_SHOWN})" for name in ("min", "max")]
    numbers = [_finite(f"{name}_{at}", dialect) for name in ("mean", *_QUARTILES)]
    unknown = "cast(null as {})".format
    shown = [
        *(extremes if dataset.may_show(column) else [unknown("varchar")] * len(extremes)),
        *(numbers if column.showable and column.is_numeric else [unknown("double")] * len(numbers)),
    ]
    return (
        f"select {literal(dataset.id)}, figures.load_id, {literal(column.name)}, row_count, sampled_rows, "
        f"1 - filled_{at} / cast(row_count as double), distinct_{at}, {', '.join(shown)} "
        "from figures inner join quartiles on figures.load_id = quartiles.load_id"
    )


def _finite(name: str, dialect: Dialect) -> str:
    # The mean of very large doubles may not fit a double.
    return f"case when {dialect.is_finite.format(value=name)} then {name} end"
