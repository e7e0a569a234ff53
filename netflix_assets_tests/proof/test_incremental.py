"""Builds that do less: only what changed is written, and the tables are those of a full refresh.

test_shuffles.py compares all tables in any order of arrival. Here rows that must not be written are marked before a
build and must keep their marks, so that an incremental model that quietly computes everything fails too.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from netflix_assets.settings import REPO
from netflix_assets.warehouse.builds import Builds
from netflix_assets_tests.proof.arrivals import Put
from netflix_assets_tests.proof.quick_dbt import QuickDbt
from netflix_assets_tests.proof.test_shuffles import Place, place

USERS = "+int_users__genre_stats"
COMPARED = ("+mart_similar_users", "+mart_movie_co_ratings")
MARK = 777
THRESHOLDS = {
    "liked_min_likes": 1,
    "co_rating_min_co_likes": 1,
    "segment_min_ratings": 1,
    "segment_n_clusters": 1,
    "similar_users_min_common": 1,
}
MOVIES = Put(
    "movielens/movies.csv", "a", b"movieId,title,genres\n1,A (2000),Drama\n2,B (2001),War|Drama\n3,C (2002),War\n"
)


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    return QuickDbt(tmp_path_factory.mktemp("incremental"), variables=THRESHOLDS)


@pytest.fixture(scope="module")
def large_dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    """dbt that takes these few likes for many: they are compared again when half of the ratings are new."""
    variables = {**THRESHOLDS, "comparison_small_likes": 0, "comparison_min_new_ratings": 0.5}
    return QuickDbt(tmp_path_factory.mktemp("large"), variables=variables)


@pytest.fixture
def at(bucket, tmp_path: Path, dbt: QuickDbt) -> Iterator[Place]:
    with place(bucket, tmp_path, "at", dbt) as found:
        yield found


def ratings(name: str, *rows: tuple[int, int, float]) -> Put:
    """A file of ratings; rows are user, film and stars."""
    lines = "".join(f"{user},{movie},{stars},{1_600_000_000 + 90_000 * movie}\n" for user, movie, stars in rows)
    return Put(f"movielens/ratings-{name}.csv", name, f"userId,movieId,rating,timestamp\n{lines}".encode())


def put(at: Place, *puts: Put) -> None:
    for each in puts:
        at.put(each)


def query(at: Place, statement: str) -> list[tuple]:
    with at.warehouse() as warehouse:
        return warehouse.execute(statement)


def rows(at: Place, relation: str) -> list[tuple]:
    return query(at, f"select * from {relation} order by all")


FIRST = ratings("first", *((user, movie, 4.0) for user in (1, 2, 3, 4) for movie in (1, 2)))
# User 1 has a rating more, 2 a corrected one, 4 none; 5 is new. User 3 is as before.
NEXT = ratings("first", (1, 1, 4.0), (1, 2, 4.0), (2, 1, 1.0), (2, 2, 4.0), (3, 1, 4.0), (3, 2, 4.0))
MORE = ratings("more", (1, 3, 5.0), (5, 3, 2.5))


def test_only_users_whose_ratings_changed_are_written(at: Place) -> None:
    put(at, MOVIES, FIRST, ratings("other", (6, 1, 3.0), (7, 2, 3.0)))
    at.build("--select", USERS)
    for table in ("int_users__rating_days", "int_users__genre_stats"):
        query(at, f"update intermediate.{table} set n_ratings = {MARK}")
    put(at, NEXT, MORE)
    at.build("--select", USERS)
    for table in ("int_users__rating_days", "int_users__genre_stats"):
        kept = query(at, f"select distinct user_id from intermediate.{table} where n_ratings = {MARK} order by all")
        assert kept == [(6,), (7,)], table  # the others are in a new load, and user 4 is gone
        written = query(at, f"select distinct user_id from intermediate.{table} where n_ratings != {MARK} order by all")
        assert written == [(1,), (2,), (3,), (5,)], table


def test_genres_of_a_film_change_all_users(at: Place) -> None:
    put(at, MOVIES, FIRST)
    at.build("--select", USERS)
    put(at, Put(MOVIES.key, "b", MOVIES.content.replace(b"War|Drama", b"War")))
    at.build("--select", USERS)
    found = rows(at, "intermediate.int_users__genre_stats")
    at.build("--full-refresh", "--select", USERS)
    assert found == rows(at, "intermediate.int_users__genre_stats")
    assert {row[2] for row in found} == {"Drama", "War"}


def test_a_model_whose_code_changed_is_made_new(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    put(at, MOVIES, FIRST)
    at.build("--select", USERS)
    tables = ("core.fct_ratings", "intermediate.int_users__rating_days")
    made = [rows(at, table) for table in tables]
    query(at, "update core.fct_ratings set rating = 0.5")
    query(at, f"update intermediate.int_users__rating_days set n_ratings = {MARK}")
    monkeypatch.setenv("NETFLIX_REBUILD_NODES", "some_model,fct_ratings")
    at.build("--select", USERS)
    assert rows(at, tables[0]) == made[0]
    assert {row[0] for row in query(at, f"select n_ratings from {tables[1]}")} == {MARK}  # not named
    monkeypatch.setenv("NETFLIX_REBUILD_NODES", "int_users__rating_days")
    at.build("--select", USERS)
    assert rows(at, tables[1]) == made[1]


# ---------------------------------------------------------------- comparisons of films and users


def compared(at: Place) -> dict[str, list[tuple]]:
    tables = ("marts.mart_similar_users", "marts.mart_movie_co_ratings", "intermediate.int_users__clusters")
    return {table: rows(at, table) for table in tables}


def newest(at: Place) -> int:
    ((found,),) = query(at, "select distinct reflects_load_id from marts.mart_similar_users")
    return int(found)


def test_many_likes_are_compared_again_when_enough_is_new(bucket, tmp_path: Path, large_dbt: QuickDbt) -> None:
    with place(bucket, tmp_path, "large", large_dbt) as at:
        put(at, MOVIES, FIRST)
        at.build("--select", *COMPARED)
        before = compared(at)
        assert all(before.values())
        put(at, ratings("few", (5, 1, 5.0), (5, 2, 5.0)))
        at.build("--select", *COMPARED)
        assert compared(at) == before
        assert newest(at) == 1
        put(at, ratings("many", *((user, 3, 4.5) for user in (5, 6, 7, 8, 9, 10))))
        at.build("--select", *COMPARED)
        after = compared(at)
        assert newest(at) == 3
        at.build("--full-refresh", "--select", *COMPARED)
        assert compared(at) == after != before


def test_users_without_ratings_leave_the_comparison_at_once(bucket, tmp_path: Path, large_dbt: QuickDbt) -> None:
    with place(bucket, tmp_path, "gone", large_dbt) as at:
        put(at, MOVIES, FIRST)
        at.build("--select", *COMPARED)
        put(at, NEXT)
        at.build("--select", *COMPARED)
        found = compared(at)
        assert 4 not in {user for row in found["marts.mart_similar_users"] for user in (row[0], row[2])}
        at.build("--full-refresh", "--select", *COMPARED)
        assert compared(at) == found


# ---------------------------------------------------------------- order lines

ORDERED = "2024-05-01 18:00:00"
AT = "2024-01-01 00:00:00"
DEFAULTS = {
    "shop/orders": {
        "order_id": 0, "order_number": "new", "customer_id": 1, "status": "paid", "currency": "EUR",
        "country_code": "DE", "state_code": "", "promotion_id": "", "ordered_at": ORDERED, "context": "{}",
        "updated_at": AT,
    },
    "shop/order_lines": {
        "order_id": 0, "line_number": 1, "product_id": 1, "quantity": 1, "unit_price": 10, "discount": 0,
        "status": "open", "updated_at": AT,
    },
    "crm/customers": {
        "customer_id": 1, "rating_user_id": "", "marketing_consent": "true", "interests": "[]", "preferences": "{}",
        "created_at": AT, "updated_at": AT,
    },
    "shop/product_costs": {"product_id": 1, "valid_from": AT, "unit_cost": 1},
    "shop/product_prices": {"product_id": 1, "currency": "EUR", "valid_from": AT, "list_price": 9},
}  # fmt: skip


def extract(dataset: str, number: int, *changed: dict, gone: Iterable[dict] = (), version: str = "a") -> Put:
    """The object of an extract: rows by what differs from the defaults, and the keys of deleted rows."""
    defaults = DEFAULTS[dataset]
    rows = [{**defaults, **row} for row in changed]
    if "updated_at" in defaults:  # a table of which changes are extracted
        seen = {"extract_number": number, "extracted_at": AT}
        rows = [{**row, **seen, "is_deleted": "false"} for row in rows]
        rows += [{**dict.fromkeys(defaults, ""), **key, **seen, "is_deleted": "true"} for key in gone]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return Put(f"{dataset}-{number:03d}.csv", version, text.getvalue().encode())


def euro_rates(day: str, version: str = "a", **rates: float) -> Put:
    document = {"base": "EUR", "date": day, "rates": rates}
    return Put(f"frankfurter/rates/{day}.json", version, json.dumps(document).encode())


def order(number: int, **values: object) -> dict:
    return {"order_id": number, **values}


def cost(valid_from: str = AT, dollars: int = 1) -> dict:
    return {"product_id": 2, "valid_from": valid_from, "unit_cost": dollars}


def line(number: int) -> dict:
    return {"order_id": number, "line_number": 1}


OF_ORDERS = {
    1: {}, 2: {}, 3: {}, 4: {}, 5: {}, 6: {}, 7: {}, 8: {"customer_id": 2}, 9: {"ordered_at": "2024-05-03 09:00:00"},
    10: {"currency": "USD"}, 11: {"ordered_at": "2024-05-03 09:00:00", "currency": "CAD"}, 12: {},
    14: {"ordered_at": "2024-05-07 18:00:00"}, 15: {"ordered_at": "2024-05-09 18:00:00"},
    16: {"ordered_at": "2024-03-01 18:00:00"}, 17: {}, 19: {},
}  # fmt: skip
PRODUCTS = {6: 2, 7: 3, 16: 2}
LINES = [order(number, product_id=PRODUCTS.get(number, 1)) for number in OF_ORDERS]
FIRST_ORDERS = (
    extract("shop/orders", 1, *(order(number, **values) for number, values in OF_ORDERS.items())),
    extract("shop/order_lines", 1, *LINES, order(2, line_number=2)),
    extract("shop/orders", 2, order(12, status="shipped"), gone=[order(5)]),
    extract("shop/order_lines", 2, order(12, quantity=2), order(19, quantity=2), gone=[line(5)]),
    extract("shop/orders", 3, order(17, status="refunded")),
    extract("crm/customers", 1, {}, {"customer_id": 2}),
    extract("shop/product_costs", 1, {}, cost(), cost("2024-06-01 00:00:00", 3)),
    extract("shop/product_prices", 1, {}, {"product_id": 3}),
    euro_rates("2024-05-01", USD=1.1, GBP=0.86),
    euro_rates("2024-05-06", USD=1.2),
    euro_rates("2024-05-08", USD=1.3),
)
# Order 2 and line 4 change, 3 is deleted, 5 is no longer deleted, 18 is new. 6 has a cost that is corrected back in
# time, 7 a price, 8 another version of its customer, 9 a late rate, 11 a first one, 14 a corrected one and 15 that of
# another provider. Corrected objects have another version of 12, and none of order 17 and line 19. Others stay.
NEXT_ORDERS = (
    extract("shop/orders", 4, order(2, status="cancelled"), order(18), gone=[order(3)]),
    extract("shop/order_lines", 4, order(4, quantity=3), order(18), gone=[line(3)]),
    extract("shop/orders", 2, order(12, status="completed"), version="b"),
    extract("shop/order_lines", 2, order(12, quantity=2), version="b"),
    extract("shop/orders", 3, order(18), version="b"),
    extract("crm/customers", 2, {"customer_id": 2, "marketing_consent": "false", "updated_at": "2024-04-01 00:00:00"}),
    extract("shop/product_costs", 2, {}, cost(), cost("2024-04-01 00:00:00", 3)),
    extract("shop/product_prices", 2, {}, {"product_id": 3, "list_price": 8}),
    euro_rates("2024-05-02", USD=1.15, CAD=1.5),
    euro_rates("2024-05-06", "b", USD=1.25),
    Put(
        "openexchangerates/rates-1.json",
        "a",
        json.dumps({"base": "USD", "timestamp": 1_715_270_400, "rates": {"EUR": 0.8}}).encode(),
    ),
)
KEPT = "kept"


def test_only_order_lines_that_changed_are_written(at: Place) -> None:
    put(at, *FIRST_ORDERS)
    at.build("--select", "+fct_order_lines")
    query(at, f"update core.fct_order_lines set order_number = '{KEPT}'")
    put(at, *NEXT_ORDERS)
    at.build("--select", "+fct_order_lines")
    of_orders = "select distinct order_id from core.fct_order_lines where order_number {} order by all"
    assert query(at, of_orders.format(f"= '{KEPT}'")) == [(1,), (10,), (16,)]
    written = [number for (number,) in query(at, of_orders.format(f"!= '{KEPT}'"))]
    assert written == [2, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19]
    query(at, "update core.fct_order_lines set order_number = 'new'")
    found = rows(at, "core.fct_order_lines")
    at.build("--full-refresh", "--select", "+fct_order_lines")
    assert found == rows(at, "core.fct_order_lines")


# ---------------------------------------------------------------- proofs of keys


def test_a_key_is_never_written_twice(bucket, tmp_path: Path) -> None:
    """A fault in the SQL that picks the winners is found before the table is touched."""
    project = tmp_path / "dbt"
    shutil.copytree(REPO / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    macro = project / "macros" / "incremental_by_loads.sql"
    text = macro.read_text()
    with place(bucket, tmp_path, "twice", QuickDbt(tmp_path / "good", project)) as at:
        put(at, FIRST)
        at.build("--select", "+fct_ratings")
        before = rows(at, "core.fct_ratings")
        macro.write_text(text.replace("        ) = 1\n", "        ) <= 2\n"))
        assert macro.read_text() != text
        at.dbt = QuickDbt(tmp_path / "bad", project)
        put(at, ratings("again", (1, 1, 2.0)))
        with pytest.raises(AssertionError, match=r"1 keys .* would have more than one row"):
            at.build("--select", "+fct_ratings")
        assert rows(at, "core.fct_ratings") == before


def test_an_aggregate_is_never_written_twice(bucket, tmp_path: Path) -> None:
    """The keys of aggregates by digest are proved when they are written, so their tests look at slices."""
    project = tmp_path / "dbt"
    shutil.copytree(REPO / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "intermediate" / "int_users__rating_days.sql"
    text = model.read_text()
    with place(bucket, tmp_path, "twice", QuickDbt(tmp_path / "good", project)) as at:
        put(at, FIRST)
        at.build("--select", "+int_users__rating_days")
        before = rows(at, "intermediate.int_users__rating_days")
        model.write_text(text.replace("group by user_id, rated_on", "group by user_id, rated_on, movie_id"))
        assert model.read_text() != text
        at.dbt = QuickDbt(tmp_path / "bad", project)
        first = Put(
            "movielens/ratings-x.csv", "x", b"userId,movieId,rating,timestamp\n9,1,3.0,1600000000\n9,2,4.0,1600000001\n"
        )
        put(at, first)
        with pytest.raises(AssertionError, match=r"1 keys \(user_id, rated_on\) would have more than one row"):
            at.build("--select", "+int_users__rating_days")
        assert rows(at, "intermediate.int_users__rating_days") == before


TEST = "unique_combination_fct_ratings_user_id__movie_id"
START = datetime(2024, 5, 1)


@pytest.fixture
def proven(at: Place) -> Place:
    """A place in whose records the key of fct_ratings was proved after the first load, and nothing failed since."""
    put(at, FIRST)
    at.build("--select", "+fct_ratings")
    with at.warehouse() as warehouse:
        Builds(warehouse).prepare()
    (test_id,) = (each for each in at.dbt.manifest.nodes if each.split(".")[2] == TEST)
    query(at, "delete from ops.builds")
    record(at, 0, has_passed=True)
    query(
        at,
        f"""insert into ops.test_results (invocation_id, schema_prefix, test_id, status)
        values ('build 0', '', '{test_id}', 'pass')""",
    )
    return at


def record(at: Place, number: int, *, has_passed: bool) -> None:
    query(
        at,
        f"""insert into ops.builds (invocation_id, schema_prefix, started_at, finished_at, has_passed, inputs)
        values ('build {number}', '', '{START + timedelta(hours=number)}', '{START}', {has_passed},
        '{{"movielens/ratings": 1}}')""",
    )


def finds(at: Place) -> bool:
    """Whether the test of the key finds a fault."""
    try:
        at.dbt.build(at.home, "--select", TEST, without=("unit_test",))
    except AssertionError:
        return True
    finally:
        query(at, "delete from ops.builds where invocation_id not like 'build%'")
    return False


def duplicate(at: Place, user: int, load_id: int) -> None:
    query(
        at,
        f"""insert into core.fct_ratings
        select * replace ({load_id} as _load_id) from core.fct_ratings where user_id = {user}""",
    )


def test_a_key_that_a_new_load_brought_twice_is_found(proven: Place) -> None:
    assert not finds(proven)
    duplicate(proven, 3, load_id=2)
    assert finds(proven)


def test_every_key_is_proved_again_within_17_builds(proven: Place) -> None:
    duplicate(proven, 3, load_id=1)
    found = []
    for number in range(1, 17):
        found.append(finds(proven))
        record(proven, number, has_passed=True)
    found.append(finds(proven))
    assert sum(found) == 1


def test_the_whole_table_is_proved_after_a_build_that_did_not_pass(proven: Place) -> None:
    duplicate(proven, 4, load_id=1)  # in slice 4, and the next is 1
    assert not finds(proven)
    record(proven, 1, has_passed=False)
    assert finds(proven)
