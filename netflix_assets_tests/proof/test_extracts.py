"""No row is lost between PostgreSQL and the warehouse, whatever transactions, extracts, crashes and syncs do.

`make proof SUITE=extracts` runs 500 sequences, `make test-long` a few. They print what happened in them, and how many
rows a cursor would have lost that reads the same tables at the same moments.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.extract.postgres import fixtures
from netflix_assets_tests.extract.postgres.database import Database
from netflix_assets_tests.proof.transactions import CHANGES, CURSOR, SNAPSHOT, Row, Rows, Sequence, Taken, as_loaded

postgres, database = fixtures.postgres, fixtures.database

BOUNDED, LONG = 6, 100
KINDS = {
    "insert", "update", "delete", "key", "silent", "swap", "commit", "rollback", "release savepoint",
    "rollback to savepoint", "truncate", "add", "widen", "vacuum", "vacuum (freeze)", "vacuum full", "cluster",
    "state lost", "sync", "extract: well", "extract: killed before", "extract: killed after", "extract: cut off",
    "extract: twice", "changes: whole", "changes: news", "changes: nothing new", "cursor: whole", "cursor: news",
    "snapshot: news", "snapshot: nothing new",
}  # fmt: skip


def test_every_extract_equals_the_table_at_its_snapshot(
    database: Database, warehouse: Warehouse, sync: Callable[..., Any], cases: Callable[[int], int]
) -> None:
    done: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for seed in range(cases(BOUNDED)):
        sequence = Sequence(seed, database, database.bucket.store, sync, done)
        try:
            sequence.run()
            check_versions(sequence.taken[CHANGES], raw_rows(warehouse, sequence.tables[CHANGES]), f"seed {seed}")
            check_cursor(sequence.taken[CURSOR], raw_rows(warehouse, sequence.tables[CURSOR]), f"seed {seed}")
            check_snapshots(sequence.taken[SNAPSHOT], warehouse, sequence.tables[SNAPSHOT], f"seed {seed}")
        finally:
            sequence.remove()
        lost += losses(sequence.taken[CHANGES][-1].rows, sequence.cursor.rows)
    print(f"{cases(BOUNDED)} sequences: {', '.join(f'{kind} {count}' for kind, count in sorted(done.items()))}")
    print(
        f"a cursor: of {lost['rows']:,} rows {lost['missing']:,} missing, {lost['stale']:,} with old values; "
        f"{lost['zombies']:,} deleted rows still there; {lost['sequences']:,} of {cases(BOUNDED):,} sequences wrong"
    )
    missing = KINDS - set(done)
    assert not missing or cases(BOUNDED) < LONG, f"never done: {missing}"
    assert lost["sequences"] or cases(BOUNDED) < BOUNDED  # else the sequences would have nothing that loses rows


Version = tuple[int, bool, Row]


def raw_rows(warehouse: Warehouse, table: str) -> list[Version]:
    """The versions of all rows as loaded, in the order of extracts."""
    _, rows = warehouse.query(
        "select extract_number, is_deleted, id, amount, note, changed_at "
        f"from raw.shop_{table}_current order by extract_number, _object_key"
    )
    return [(row[0], row[1], tuple(row[2:])) for row in rows]


def latest(versions: Iterable[Version], number: int) -> dict[int, Row]:
    """The rows as extracts up to a number tell."""
    rows = {row[0]: (is_deleted, row) for extract, is_deleted, row in versions if extract <= number}
    return {key: row for key, (is_deleted, row) in rows.items() if not is_deleted}


def loaded(rows: Rows) -> dict[int, Row]:
    return {key: as_loaded(row) for key, row in rows.items()}


def check_versions(taken: list[Taken], versions: list[Version], name: str) -> None:
    for each in taken:
        state = each.outcome.state
        assert state.rows == len(each.rows)
        assert latest(versions, state.number) == loaded(each.rows), f"{name}, extract {state.number}"


def check_cursor(taken: list[Taken], versions: list[Version], name: str) -> None:
    """A cursor sees every key that comes or goes, and each row from its highest value on."""
    for each in taken:
        state = each.outcome.state
        found, wanted = latest(versions, state.number), loaded(each.rows)
        assert set(found) == set(wanted), f"{name}, extract {state.number}"
        if not each.outcome.whole:
            assert each.before is not None
            highest = each.before.highest
            wanted = {
                key: row for key, row in wanted.items() if highest and each.rows[key][3].isoformat(sep=" ") >= highest
            }
        assert {key: found[key] for key in wanted} == wanted, f"{name}, extract {state.number}"


def check_snapshots(taken: list[Taken], warehouse: Warehouse, table: str, name: str) -> None:
    columns = "id, amount, note, changed_at"
    _, rows = warehouse.query(f"select {columns} from raw.shop_{table}_current")
    assert {row[0]: tuple(row) for row in rows} == loaded(taken[-1].rows), name
    _, found = warehouse.query(
        f"select loads.object_key, {columns} from ops.loads left join raw.shop_{table} as rows "
        f"on rows._load_id = loads.load_id where loads.dataset = 'shop/{table}'"
    )
    by_object = {row[0]: {row[1]: tuple(row[1:])} for row in found}
    for key, *row in found:
        by_object[key][row[0]] = tuple(row)
    for each in taken:
        for key in each.outcome.keys:
            if key in by_object:
                assert {k: row for k, row in by_object[key].items() if k is not None} == loaded(each.rows), name


def losses(rows: Rows, by_cursor: Rows) -> Counter[str]:
    """What a cursor has otherwise than the table."""
    missing = len(rows.keys() - by_cursor.keys())
    stale = sum(by_cursor[key] != row for key, row in rows.items() if key in by_cursor)
    zombies = len(by_cursor.keys() - rows.keys())
    is_wrong = bool(missing or stale or zombies)
    return Counter(rows=len(rows), missing=missing, stale=stale, zombies=zombies, sequences=int(is_wrong))
