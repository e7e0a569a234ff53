"""SQL on the emulator where DuckDB or fakesnow would give another result than Snowflake."""

import datetime
import math
from decimal import Decimal

import pytest
from snowflake.connector.errors import ProgrammingError

from netflix_assets_tests.emulator.failure import failure

pytestmark = pytest.mark.emulated


def test_the_information_schema_shows_snowflake_types(execute):
    execute(
        "create table t (a integer, b number(10,2), c varchar, d double, e timestamp, f boolean, g date, h bigint, "
        "i decimal(3,1), j number, k text, l float, m timestamp_ntz)"
    )
    execute("create view v as select sum(a) as s, count(*) as n from t")
    query = """
        select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns
        where table_schema = ? and table_name = ? order by ordinal_position
    """
    assert execute(query, "PUBLIC", "T") == [
        ("A", "NUMBER", 38, 0), ("B", "NUMBER", 10, 2), ("C", "TEXT", None, None), ("D", "FLOAT", None, None),
        ("E", "TIMESTAMP_NTZ", None, None), ("F", "BOOLEAN", None, None), ("G", "DATE", None, None),
        ("H", "NUMBER", 38, 0), ("I", "NUMBER", 3, 1), ("J", "NUMBER", 38, 0), ("K", "TEXT", None, None),
        ("L", "FLOAT", None, None), ("M", "TIMESTAMP_NTZ", None, None),
    ]  # fmt: skip
    assert execute(query, "PUBLIC", "V") == [("S", "NUMBER", 38, 0), ("N", "NUMBER", 38, 0)]
    assert execute("select table_name, table_type from information_schema.tables order by 1") == [
        ("T", "BASE TABLE"),
        ("V", "VIEW"),
    ]


def test_a_column_can_only_be_widened(execute):
    execute("create table t (a number(4,1), b varchar(10), c integer)")
    for done in ("a set data type number(9,1)", "b set data type varchar(20)", "c set data type number(38,0)"):
        execute(f"alter table t alter column {done}")
    for refused in ("a set data type number(9,2)", "a set data type number(5,1)", "b set data type integer"):
        assert failure(execute, f"alter table t alter column {refused}").errno == 40052


def test_merge_counts_rows_and_refuses_two_sources_for_one_row(execute):
    execute("create table t (a integer, g varchar)")
    execute("insert into t values (1, 'old'), (3, 'kept')")
    merge = """
        merge into t using (select column1 as a, column2 as g from values {}) as s on t.a = s.a
        when matched then update set g = s.g when not matched then insert (a, g) values (a, g)
    """
    assert execute(merge.format("(1, 'new'), (2, 'added')")) == [(1, 1)]
    assert execute("select a, g from t order by a") == [(1, "new"), (2, "added"), (3, "kept")]
    assert failure(execute, merge.format("(1, 'x'), (1, 'y')")).errno == 100090


def test_regular_expressions_match_the_whole_text_and_a_backslash_escapes(run_query):
    assert run_query(
        r"select regexp_like('abc', 'b'), regexp_like('abc', 'a.c'), regexp_like('12', '\\d+'), "
        r"regexp_like('12', '\d+'), regexp_like('12', $$\d+$$), 'abc' rlike 'b', 'it\'s' = 'it''s'"
    ) == [(False, True, True, False, True, False, True)]
    assert run_query(r"select regexp_substr('Up (2009)', '\\((\\d{4})\\)', 1, 1, 'e', 1)") == [("2009",)]


@pytest.mark.parametrize(
    ("value", "kind", "typed"),
    [
        ("0x10", "integer", None), ("1_000", "integer", None), (" 5 ", "integer", 5), ("2.7", "integer", 3),
        ("99999999999999999999", "integer", 99999999999999999999), ("9" * 39, "integer", None),
        ("4.25", "number(2,1)", Decimal("4.3")), ("100", "number(2,1)", None), ("1e3", "number(10,2)", Decimal(1000)),
        ("nan", "double", math.nan), ("1e400", "double", None), ("inf", "double", math.inf), ("1_0", "double", None),
        ("yes", "boolean", True), ("OFF", "boolean", False), ("2", "boolean", None),
        ("2020-02-29", "date", datetime.date(2020, 2, 29)), ("2020-02-30", "date", None), ("infinity", "date", None),
        ("1577836800", "date", datetime.date(2020, 1, 1)),
        ("1577836800123", "timestamp_ntz", datetime.datetime(2020, 1, 1, 0, 0, 0, 123000)),
        ("2020-01-01T10:00:00.5", "timestamp", datetime.datetime(2020, 1, 1, 10, 0, 0, 500000)),
    ],
)  # fmt: skip
def test_try_cast_follows_snowflake(run_query, value, kind, typed):
    (found,) = run_query(f"select try_cast(column1 as {kind}) from values (?), (null)", value)[0]
    assert found == typed or (found != found and typed != typed)


def test_try_cast_accepts_only_text(run_query):
    assert failure(run_query, "select try_cast(5 as integer)").errno == 904


def test_sums_stay_exact_and_division_by_zero_fails(run_query):
    assert run_query("select sum(column1), sum(column2) from values (9007199254740993, 0.1), (0, 0.2)") == [
        (9007199254740993, Decimal("0.3"))
    ]
    assert run_query("select 7 / column1 from values (2)") == [(3.5,)]
    assert failure(run_query, "select (1 / column1) / 2 from values (0)").errno == 100051


def test_not_null_is_enforced(execute):
    execute("create table t (a integer not null)")
    assert failure(execute, "insert into t values (null)").errno == 100072


def test_the_time_zone_is_not_utc_by_default(execute):
    here = "select datediff('hour', current_timestamp()::timestamp_ntz, sysdate())"
    assert execute(here)[0][0] in (7, 8)
    execute("alter session set timezone = 'UTC'")
    assert execute(here) == [(0,)]
    assert execute(
        "select to_timestamp_ntz(0), convert_timezone('UTC', 'Europe/Berlin', '2020-01-01'::timestamp_ntz)"
    ) == [(datetime.datetime(1970, 1, 1), datetime.datetime(2020, 1, 1, 1))]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select listagg(distinct g, ',') within group (order by g) from t", [("a|b,c",)]),
        ("select approx_count_distinct(a), approx_percentile(a, 0.5) from t", [(3, 2)]),
        ("select f.value::varchar, f.index from t, lateral flatten(input => split(g, '|')) as f order by 1",
         [("a", 0), ("b", 1), ("c", 0)]),
        ("select a from t qualify row_number() over (order by a desc) = 1", [(3,)]),
        ("select dayofweekiso('2020-01-05'::date), dateadd('day', 1, '2020-01-05'::date)",
         [(7, datetime.date(2020, 1, 6))]),
        ("select count(*) from t where mod(hash(*), 1) = 0", [(3,)]),
        ("select iff(a > 1, 'y', 'n'), div0(a, 0), zeroifnull(null) from t where a = 1", [("n", 0, 0)]),
        ("select v.i from (select column1 as i from values (1), (2)) as v", [(1,), (2,)]),
        ("select a from t order by g desc, a", [(3,), (2,), (1,)]),  # NULL sorts highest
    ],
)  # fmt: skip
def test_functions_match_snowflake(execute, query, rows):
    execute("create table t (a integer, g varchar)")
    execute(
        "insert into t (a, g) with c as (select 1 as z, 'a|b' as g) select z, g from c union all select 2, 'c' from c"
    )
    execute("insert into t values (3, null)")
    assert execute(query) == rows


def test_delete_update_and_insert_from_other_tables(execute):
    execute("create table t (a integer, g varchar)")
    assert execute("insert into t values (1, 'x'), (2, 'y'), (3, 'z')") == [(3,)]
    assert execute("delete from t as a using (select 1 as k) as b where a.a = b.k") == [(1,)]
    assert execute("update t set g = s.g from (select 2 as a, 'new' as g) as s where t.a = s.a") == [(1, 0)]
    assert execute("insert overwrite into t select 3, 'new' union all select 4, 'z'") == [(2,)]
    assert execute("select a, g from t order by a") == [(3, "new"), (4, "z")]


def test_views_and_dynamic_tables(execute):
    execute("create table t as select 1 as a")
    execute("create or replace view v comment = 'x' as select a from t")
    execute("create or replace secure view v copy grants as select a + 1 as a from t")
    execute("create or replace dynamic table d target_lag = '1 hour' warehouse = w as select a from v")
    assert execute("select v.a, d.a from v join d on d.a = v.a") == [(2, 2)]
    execute("comment on column v.a is 'x'")


def test_a_dynamic_table_is_listed_as_one_and_needs_a_warehouse(execute):
    execute("create table t as select 1 as a")
    execute("create transient dynamic table d target_lag = '1 hour' warehouse = w as (select a from t)")
    kinds = {row[1]: row[13] for row in execute("show objects")}
    assert (kinds["T"], kinds["D"]) == ("N", "Y")
    with pytest.raises(ProgrammingError, match="needs a warehouse"):
        execute("create dynamic table d target_lag = '1 hour' as select a from t")


def test_large_results_can_be_fetched_as_pandas(cursor):
    cursor.execute("select seq4() as n, 'text' as s from table(generator(rowcount => 30000))")
    frame = cursor.fetch_pandas_all()
    assert (len(frame), int(frame["N"].sum()), list(frame.columns)) == (30000, 449985000, ["N", "S"])


def test_a_clone_replaces_the_table_with_a_copy(snowflake_database) -> None:
    rows = snowflake_database.execute(
        "create schema a",
        "create schema b",
        "create table a.t as select 1 as n",
        "create transient table b.t as select 2 as n",
        "create or replace transient table b.t clone a.t",
        "insert into a.t values (3)",
        "select n from b.t",
    )
    assert rows == [(1,)]


def test_swapped_schemas_exchange_their_tables(snowflake_database) -> None:
    db = snowflake_database.name
    snowflake_database.execute(
        "create schema a",
        "create schema b",
        "create table a.t as select 1::number(9, 2) as n, 'x' as s",
        "create table b.u as select 2 as n",
        f"alter schema {db}.a swap with {db}.b",
    )
    assert snowflake_database.execute("select n, s from b.t") == [(Decimal("1.00"), "x")]
    assert snowflake_database.execute("select n from a.u") == [(2,)]
    with pytest.raises(ProgrammingError, match="does not exist"):
        snowflake_database.execute(f"alter schema {db}.a swap with {db}.nowhere")
    assert snowflake_database.execute("select n from a.u") == [(2,)]
