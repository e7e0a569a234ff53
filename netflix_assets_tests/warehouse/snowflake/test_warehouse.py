"""The Snowflake warehouse on the emulator: the statements it sends, their order, and how it handles their failures.

On Snowflake the lock row makes two concurrent runs load an object once. The emulator cannot prove that; the order of
the statements can. The ingestion suite shows how objects load on both warehouses (``make test-snowflake``).
"""

import gzip
import json
import threading

import pytest
from snowflake.connector.errors import ProgrammingError

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.defs.resources import SnowflakeAccount
from netflix_assets.ingest.sync import sync
from netflix_assets.settings import SettingsError, read_settings
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.loads import Counts
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse, query_tag
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_sync import HEADER, KEY, MOVIES, RATINGS, movies, ratings, users

pytestmark = pytest.mark.emulated

DML = ("begin", "commit", "update", "insert", "select", "delete")


@pytest.fixture
def warehouse(emulated_warehouse):
    return emulated_warehouse


def verbs(statements) -> set[str]:
    return {each.line.lower().split()[0] for each in statements}


def test_a_load_copies_first_and_then_writes_in_one_transaction_without_ddl(
    sync, bucket, warehouse, snowflake_database
):
    warehouse.prepare(RATINGS)
    bucket.put("movielens/ratings-a.csv", ratings(1, 2))
    bucket.put("movielens/ratings-b.csv", ratings(3) + "x,1,4.5,1\n")
    before = len(snowflake_database.statements())
    sync(RATINGS)
    sent = snowflake_database.statements()[before:]
    lines = [each.line.lower() for each in sent]
    begin, commit = lines.index("begin"), lines.index("commit")
    copies = [at for at, line in enumerate(lines) if line.startswith("copy into")]
    assert len(copies) == 1
    assert copies[0] < begin < commit
    assert all(line.startswith(DML) for line in lines[begin : commit + 1]), lines
    # First the lock, then the ledger again under the lock, then rows, rejects and ledger.
    assert lines[begin + 1].startswith("update ops.load_locks")
    assert "from ops.loads" in lines[begin + 3]
    written = [line.split()[2] for line in lines[begin:commit] if line.startswith("insert into")]
    assert written == ["raw.movielens_ratings", "ops.rejected_rows", "ops.loads", "ops.profiles"]


def test_copy_names_every_file_and_sets_every_option(sync, bucket, warehouse, snowflake_database):
    bucket.put("movielens/ratings-o'neil.csv", ratings(1))
    sync(RATINGS)
    [copy] = [each.line for each in snowflake_database.statements() if each.line.startswith("copy into")]
    assert "files = ('movielens/ratings-o''neil.csv')" in copy
    assert "pattern" not in copy
    assert copy.endswith("on_error = abort_statement force = true")
    for option in (
        "escape_unenclosed_field = none",
        "empty_field_as_null = false",
        "null_if = ()",
        "trim_space = false",
    ):
        assert option in copy
    assert "metadata$filename, metadata$file_row_number, metadata$file_content_key" in copy
    assert users(warehouse) == [1]


@pytest.mark.parametrize(("dataset", "content"), [(RATINGS, ratings(1)), (MOVIES, movies(1))])
def test_an_idle_sync_sends_three_statements(sync, bucket, warehouse, snowflake_database, dataset, content):
    bucket.put(f"{dataset.key_prefix}.csv", content)
    sync(dataset)
    before = len(snowflake_database.statements())
    assert sync(dataset).loads == []
    assert len(snowflake_database.statements()) - before == 3


def test_a_batch_sends_the_same_number_of_statements_for_any_number_of_objects(
    sync, bucket, warehouse, snowflake_database
):
    warehouse.prepare(RATINGS)
    figures = []
    for start, count in ((0, 2), (100, 30)):
        for number in range(start, start + count):
            bucket.put(f"movielens/ratings-{number:03}.csv", ratings(number + 1))
        before = len(snowflake_database.statements())
        assert len(sync(RATINGS).loads) == count
        figures.append(len(snowflake_database.statements()) - before)
    assert figures[0] == figures[1] <= 20


FORMS = {
    "plain": (ratings(1).encode(), False),
    "gzip": (gzip.compress(ratings(1).encode(), mtime=0), False),
    "byte order mark": (b"\xef\xbb\xbf" + ratings(1).encode(), True),
    "CR": (ratings(1).replace("\n", "\r").encode(), True),
    "quotes": ((HEADER + '"1",101,4.5,1600000001\n').encode(), True),
}


@pytest.mark.parametrize("form", FORMS)
def test_only_normalised_files_go_through_the_internal_stage(sync, bucket, warehouse, snowflake_database, form):
    content, is_put = FORMS[form]
    bucket.put(KEY + (".gz" if form == "gzip" else ""), content)
    sync(RATINGS)
    sent = verbs(snowflake_database.statements())
    assert ("put" in sent, "remove" in sent) == (is_put, is_put)
    assert users(warehouse) == [1]
    assert warehouse.execute("list @raw.normalised") == []


def test_files_are_copied_in_one_statement_per_column_order(sync, bucket, warehouse, snowflake_database):
    bucket.put("movielens/ratings-a.csv", ratings(1))
    bucket.put("movielens/ratings-b.csv", "rating,timestamp,x,userId,movieId\n4.5,1600000002,x,2,102\n")
    sync(RATINGS)
    assert sum(each.line.startswith("copy into") for each in snowflake_database.statements()) == 2
    rows = warehouse.execute("select user_id, movie_id, rated_at_epoch_s from raw.movielens_ratings order by 1")
    assert rows == [(1, 101, 1600000001), (2, 102, 1600000002)]


def test_integers_have_the_same_range_as_on_duckdb(sync, bucket, warehouse):
    numbers = make_dataset(make_column("small", "integer"), make_column("big", "bigint"), name="numbers")
    good = f"{2**31 - 1},{2**63 - 1}\n{-(2**31)},{-(2**63)}\n"
    bucket.put("shop/numbers.csv", f"small,big\n{good}{2**31},1\n1,{2**63}\n")
    sync(numbers)
    assert warehouse.counts(numbers) == Counts(0, 2, 2, 2, 2)


# ---------------------------------------------------------------- failures


def test_an_expired_session_is_reopened(sync, bucket, warehouse, snowflake_database):
    bucket.put(KEY, ratings(1))
    sync(RATINGS)
    snowflake_database.end_sessions()
    assert sync(RATINGS).loads == []


@pytest.mark.parametrize("statement", ["copy into", "begin", "insert into raw", "insert into ops.loads", "commit"])
@pytest.mark.parametrize("after", [False, True])
def test_a_session_that_ends_during_a_load_loads_once(sync, bucket, warehouse, snowflake_server, statement, after):
    warehouse.prepare(RATINGS)
    bucket.put(KEY, ratings(1, 2) + "x,1,4.5,1\n")
    with snowflake_server.failing(statement, 390114, after=after):
        sync(RATINGS)
    assert users(warehouse) == [1, 2]
    assert warehouse.counts(RATINGS) == Counts(0, 2, 2, 1, 1)
    assert sync(RATINGS).loads == []


def test_any_other_error_is_raised_and_loads_nothing(sync, bucket, warehouse, snowflake_server):
    warehouse.prepare(RATINGS)
    bucket.put(KEY, ratings(1))
    with snowflake_server.failing("insert into ops.loads", 604), pytest.raises(ProgrammingError):
        sync(RATINGS)
    assert users(warehouse, "movielens_ratings") == []
    assert sync(RATINGS).rows_loaded == 1


def test_only_the_object_that_snowflake_cannot_read_is_refused(sync, bucket, warehouse, snowflake_server):
    for number in range(1, 5):
        bucket.put(f"movielens/ratings-{number}.csv", ratings(number))
    warehouse.prepare(RATINGS)
    with snowflake_server.failing("copy into .*ratings-3", 100144, times=10):
        [refused] = sync(RATINGS).refused
    assert (refused.listed.key, "the warehouse cannot read the file" in refused.reason) == (
        "movielens/ratings-3.csv",
        True,
    )
    assert users(warehouse) == [1, 2, 4]


def test_two_concurrent_runs_load_each_object_once(bucket, warehouse, snowflake_database, tmp_path):
    for number in range(1, 9):
        bucket.put(f"movielens/ratings-{number}.csv", ratings(number))
    warehouse.prepare(RATINGS)
    failures = []

    def run(name: str) -> None:
        try:
            with SnowflakeWarehouse(snowflake_database.connect) as connection:
                sync(RATINGS, bucket.store, connection, name, work_folder=tmp_path / name)
        except Exception as error:  # asserted below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f"run-{at}",)) for at in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert users(warehouse) == users(warehouse, "movielens_ratings") == list(range(1, 9))
    assert len(warehouse.loads(RATINGS)) == 8


# ---------------------------------------------------------------- settings


def test_every_statement_is_tagged_with_run_and_asset(monkeypatch, tmp_path, snowflake_server, snowflake_database):
    address = snowflake_server.address()
    private_key = make_key(tmp_path)
    environment = {
        "NETFLIX_ENV": "production", "NETFLIX_SNOWFLAKE_ACCOUNT": "org-account", "NETFLIX_SNOWFLAKE_USER": "RUNNER",
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH": str(private_key), "NETFLIX_SNOWFLAKE_HOST": address["host"],
        "NETFLIX_SNOWFLAKE_PORT": str(address["port"]), "NETFLIX_SNOWFLAKE_PROTOCOL": "http",
        "NETFLIX_SNOWFLAKE_DATABASE": snowflake_database.name,
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    resource = SnowflakeAccount(settings=read_settings())
    for name in environment:  # the settings read above count, not the environment at the time of use
        monkeypatch.delenv(name)
    with resource.open(run_id="run-7", asset="raw/movielens/ratings") as connection:
        connection.execute("select 1")
    with resource.open("reader", run_id="run-7", asset="dbt") as connection:
        connection.execute("select 2")
    one, two = (each for each in snowflake_database.statements() if each.line in ("select 1", "select 2"))
    assert json.loads(one.query_tag) == {
        "project": "netflix_assets", "env": "production", "run": "run-7", "asset": "raw/movielens/ratings",
    }  # fmt: skip
    assert (one.role, one.warehouse) == ("NETFLIX_PRODUCTION_LOADER", "NETFLIX_PRODUCTION_LOAD")
    assert (two.role, two.warehouse) == ("NETFLIX_PRODUCTION_TRANSFORMER", "NETFLIX_PRODUCTION_TRANSFORM")
    assert query_tag("dev", "", "") in '{"project": "netflix_assets", "env": "dev", "run": "", "asset": ""}'


def make_key(folder):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "key.p8"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_missing_settings_are_named_with_the_reason(monkeypatch):
    monkeypatch.setenv("NETFLIX_ENV", "staging")
    monkeypatch.setenv("NETFLIX_SNOWFLAKE_USER", "RUNNER")
    with pytest.raises(WarehouseError) as raised, SnowflakeAccount(settings=read_settings()).open():
        pytest.fail("a session was opened without an account")
    message = str(raised.value)
    assert message.startswith("NETFLIX_ENV=staging uses Snowflake and needs NETFLIX_SNOWFLAKE_ACCOUNT (")
    assert "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH or NETFLIX_SNOWFLAKE_PRIVATE_KEY (" in message
    assert "NETFLIX_SNOWFLAKE_USER" not in message


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PRIVATE_KEY", "hunter2-secret", "NETFLIX_SNOWFLAKE_PRIVATE_KEY: not a private key in PEM form"),
        ("ACCOUNT", "org account", "NETFLIX_SNOWFLAKE_ACCOUNT='org account'"),
        ("DATABASE", "x; drop", "NETFLIX_SNOWFLAKE_DATABASE='x; drop'"),
        ("PORT", "0", "NETFLIX_SNOWFLAKE_PORT='0'"),
        ("AUTHENTICATOR", "password", "NETFLIX_SNOWFLAKE_AUTHENTICATOR='password'"),
    ],
)
def test_malformed_settings_are_refused_without_showing_secrets(monkeypatch, name, value, problem):
    monkeypatch.setenv(f"NETFLIX_SNOWFLAKE_{name}", value)
    with pytest.raises(SettingsError) as raised:
        read_settings(env="production")
    assert problem in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_key_can_be_given_only_one_way(monkeypatch, tmp_path):
    monkeypatch.setenv("NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH", str(tmp_path / "key.p8"))
    monkeypatch.setenv("NETFLIX_SNOWFLAKE_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----")
    with pytest.raises(SettingsError, match="not both"):
        read_settings(env="production")


def test_each_environment_has_separate_names_and_a_separate_prefix():
    environments = [read_settings(env=env) for env in ("dev", "staging", "production")]
    for names in zip(*(tuple(vars(settings.names).values()) for settings in environments), strict=True):
        assert len(set(names)) == 3
    assert [settings.bucket_prefix for settings in environments] == ["dev/", "staging/", "production/"]
    assert read_settings(env="dev", bucket_prefix="drops/").bucket_prefix == "drops/"
    assert (read_settings().names, read_settings().bucket_prefix) == (None, "")


def test_every_dataset_of_the_contracts_can_be_prepared(warehouse):
    for source in load_sources():
        for dataset in source.datasets:
            warehouse.prepare(dataset)
            warehouse.prepare(dataset)
            assert warehouse.counts(dataset) == Counts(0, 0, 0, 0, 0)
    assert dataset_by_id(load_sources(), "movielens/ratings") == RATINGS
