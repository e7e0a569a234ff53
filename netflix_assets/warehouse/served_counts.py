"""Count what is about to be published against the ledger, without relying on dbt.

dbt can leave a build that passed every test and is wrong: with ``--empty`` all tables are empty, and empty tables pass.
So publishing counts the rows again, along the way they took:

1. raw: the loads that the build read have as many rows as the ledger says.
2. core: a table with one row per key of a dataset (its model has ``meta: {one_row_per: ...}``) has as many rows as
   these loads have keys. A version records which loads its keys were counted in. If the next one reads the same loads,
   or these and later ones, only keys that came with the later ones are counted. Where the sum is not the number of
   rows, all keys are counted before the table is refused.
3. core and marts: each stored table has as many rows as its build left.

DuckDB counts the keys of 25 million rows in 2 to 3 s on two cores if they fit into memory, in up to 10 s with 1 GB.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from netflix_assets.contracts.visibility import counted
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build
from netflix_assets.warehouse.origins import made_by
from netflix_assets.warehouse.publishing import (
    Candidate,
    CountedKeys,
    OneRowPer,
    Publication,
    PublishingError,
    ServedTable,
    SourceObject,
    by_dataset,
    objects_query,
)

_MAX_SHOWN = 3  # tables in a message
_ADVICE = "The published tables stay as they are. To rebuild everything from raw: netflix-assets run --full-refresh"
_KEY_ADVICE = (
    "If {table} stays the same after that, the model keeps one row per other columns than the key in the contract of "
    "{dataset}: change the model, or that key"
)


class _Count(NamedTuple):
    """The rows that a relation has, those it must have, and ``reason``, which says why, with the second number."""

    relation: str
    rows: int
    expected: int
    reason: str

    def __str__(self) -> str:
        return f"{self.relation} has {counted(self.rows, 'row')}, but {self.reason}"


def checked_publication(
    warehouse: Warehouse,
    candidate: Candidate,
    objects: Sequence[SourceObject],
    served: Sequence[ServedTable],
    newest: Publication | None,
) -> Publication:
    """The record of publishing these tables, once they are counted. Raises: PublishingError."""
    rows = checked_row_counts(warehouse, candidate.build, objects, served, newest)
    return candidate.publication(rows, objects, made_by(warehouse, served), counted_keys(served, objects))


def checked_row_counts(
    warehouse: Warehouse,
    build: Build,
    objects: Sequence[SourceObject],
    served: Sequence[ServedTable],
    newest: Publication | None = None,
) -> dict[str, int]:
    """The rows of each table to publish: ``schema.name`` -> rows.

    ``objects``: what the build was made from. ``newest``: the version before.

    Raises: PublishingError naming tables that are missing, or whose rows differ from what the ledger or the build says.
    """
    rows = _row_counts(warehouse, served)
    keys = list(_key_counts(warehouse, build, objects, served, rows, newest))
    counts = [*_raw_counts(warehouse, build, objects, served), *keys, *_built_counts(warehouse, served, rows)]
    wrong = [str(each) for each in counts if each.rows != each.expected]
    if wrong:
        more = f"; and {len(wrong) - _MAX_SHOWN} more" if len(wrong) > _MAX_SHOWN else ""
        advice = ". ".join([_ADVICE, *_key_advice(served, keys)])
        raise PublishingError(f"not publishing: {'; '.join(wrong[:_MAX_SHOWN])}{more}. {advice}")
    return rows


def _key_advice(served: Iterable[ServedTable], counts: Iterable[_Count]) -> Iterator[str]:
    """Another cause where a table has more or fewer rows than keys: a rebuild does not change a model's grain."""
    datasets = {table.full_name: table.per.dataset for table in served if table.per}
    wrong = next((each.relation for each in counts if each.rows != each.expected), None)
    if wrong:
        yield _KEY_ADVICE.format(table=wrong, dataset=datasets[wrong])


def _raw_counts(
    warehouse: Warehouse, build: Build, objects: Sequence[SourceObject], served: Iterable[ServedTable]
) -> Iterator[_Count]:
    """Rows of raw tables against the ledger."""
    tables = dict(sorted({(table.per.table, table.per.dataset) for table in served if table.per}))
    sources = []
    for table, dataset in tables.items():
        loads, values = _loads_read(build, dataset)
        sources.append((f"raw.{table} where _load_id in ({loads})", values))
    counted = _count_all(warehouse, sources)
    for (table, dataset), rows in zip(tables.items(), counted, strict=True):
        loaded = sum(each.rows for each in objects if each.dataset == dataset)
        yield _Count(f"raw.{table}", rows, loaded, f"the ledger has {loaded:,}")


def _key_counts(
    warehouse: Warehouse,
    build: Build,
    objects: Sequence[SourceObject],
    served: Sequence[ServedTable],
    rows: Mapping[str, int],
    newest: Publication | None,
) -> Iterator[_Count]:
    """Rows of tables with one row per key against the keys in raw."""
    keyed = {table.full_name: table.per for table in sorted(served) if table.per}
    now, before = counted_keys(served, objects), _counted_before(keyed, objects, newest)
    sources = {
        name: _new_keys(build, per, before[name].last_load_id) if name in before else _all_keys(build, per)
        for name, per in keyed.items()
        if name not in before or before[name] != now[name]
    }
    expected = {name: newest.tables[name] if newest and name in before else 0 for name in keyed}
    for name, keys in _count_by_name(warehouse, sources).items():
        expected[name] += keys
    # Somebody may have changed raw by hand since: then a full refresh helps, and must pass.
    doubtful = {name: _all_keys(build, keyed[name]) for name in before if rows[name] != expected[name]}
    expected |= _count_by_name(warehouse, doubtful)
    for name, per in keyed.items():
        reason = f"raw.{per.table} has {expected[name]:,} distinct ({', '.join(per.columns)})"
        yield _Count(name, rows[name], expected[name], reason)


def _all_keys(build: Build, per: OneRowPer) -> tuple[str, list[object]]:
    loads, values = _loads_read(build, per.dataset)
    return f"(select distinct {', '.join(per.columns)} from {_rows_of(per, loads)}) as keys", values


def _new_keys(build: Build, per: OneRowPer, last_load_id: int) -> tuple[str, list[object]]:
    """The keys of later loads that no earlier one has. The join keeps in memory only what is new."""
    loads, values = _loads_read(build, per.dataset)
    columns = ", ".join(per.columns)
    same = " and ".join(f"earlier.{name} is not distinct from later.{name}" for name in per.columns)
    later = f"select distinct {columns} from {_rows_of(per, loads)} and _load_id > {last_load_id:d}"
    earlier = f"select {columns} from {_rows_of(per, loads)} and _load_id <= {last_load_id:d}"
    again = f"select distinct later.* from ({earlier}) as earlier inner join ({later}) as later on {same}"
    return f"({later} except {again}) as keys", [*values, *values, *values]


def _rows_of(per: OneRowPer, loads: str) -> str:
    return f"raw.{per.table} where _load_id in ({loads}) and ({per.where})"


def counted_keys(served: Iterable[ServedTable], objects: Sequence[SourceObject]) -> dict[str, CountedKeys]:
    """``schema.name`` -> what the rows of a table with one row per key are counted against."""
    last = {dataset: found[-1].load_id for dataset, found in by_dataset(objects).items()}
    return {
        table.full_name: _keys_up_to(last[table.per.dataset], table.per, objects)
        for table in sorted(served)
        if table.per and table.per.dataset in last
    }


def _keys_up_to(last_load_id: int, per: OneRowPer, objects: Iterable[SourceObject]) -> CountedKeys:
    loads = [(each.load_id, each.rows) for each in objects if each.dataset == per.dataset]
    earlier = [load for load in loads if load[0] <= last_load_id]
    keys = f"{', '.join(per.columns)} from raw.{per.table} where {per.where}"
    return CountedKeys(keys, last_load_id, hashlib.sha256(json.dumps(earlier).encode()).hexdigest())


def _counted_before(
    keyed: Mapping[str, OneRowPer], objects: Sequence[SourceObject], newest: Publication | None
) -> dict[str, CountedKeys]:
    """What was counted for the version before, of tables that read the same loads now, or these and later ones."""
    counted = newest.counted if newest else {}
    return {
        name: counted[name]
        for name, per in keyed.items()
        if name in counted and counted[name] == _keys_up_to(counted[name].last_load_id, per, objects)
    }


def _built_counts(warehouse: Warehouse, served: Iterable[ServedTable], rows: Mapping[str, int]) -> Iterator[_Count]:
    """Rows of stored tables against those that their last build reported."""
    reported = warehouse.execute(
        """
        select layer, name, row_count from ops.node_runs
        where schema_prefix = '' and status = 'success' and row_count is not null
        qualify row_number() over (partition by layer, name order by started_at desc) = 1
        """
    )
    built = {(layer, name): int(count) for layer, name, count in reported}
    for table in sorted(served):
        if table.is_stored and (table.schema, table.name) in built:
            left = built[table.schema, table.name]
            yield _Count(table.full_name, rows[table.full_name], left, f"its build left {left:,}")


def _loads_read(build: Build, dataset: str) -> tuple[str, list[object]]:
    """A subquery of the load ids of a dataset that a build read, and its parameters."""
    query, values = objects_query(build)
    return f"select load_id from ({query}) as objects_read where dataset = ?", [*values, dataset]


def _count_all(warehouse: Warehouse, sources: Sequence[tuple[str, list[object]]]) -> list[int]:
    """The rows of each source, in one statement; each is what follows ``from``, and its parameters."""
    counts = [f"select {at}, count(*) from {source}" for at, (source, _) in enumerate(sources)]
    values = [value for _, parameters in sources for value in parameters]
    rows = warehouse.execute(" union all ".join(counts) + " order by 1", values) if counts else []
    return [int(count) for _, count in rows]


def _count_by_name(warehouse: Warehouse, sources: Mapping[str, tuple[str, list[object]]]) -> dict[str, int]:
    return dict(zip(sources, _count_all(warehouse, list(sources.values())), strict=True))


def _row_counts(warehouse: Warehouse, served: Sequence[ServedTable]) -> dict[str, int]:
    """``schema.name`` -> rows. Raises: PublishingError naming missing tables."""
    found = warehouse.describe([(table.schema, table.name) for table in served])
    missing = [table.full_name for table in served if (table.schema, table.name) not in found]
    if missing:
        raise PublishingError(
            f"not built yet: {', '.join(missing)}. To build and publish everything: netflix-assets run"
        )
    return {table.full_name: found[table.schema, table.name].row_count for table in sorted(served)}
