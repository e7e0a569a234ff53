"""Building some of the nodes: tests run as soon as everything they read exists, and not before."""

from collections.abc import Iterator

import duckdb
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.defs.dbt.subset import postponed_tests
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests.demo import Demo

RATINGS, USERS, USED = "model.shop.fct_ratings", "model.shop.dim_users", "model.shop.int_users"


def node(name: str, kind: str, *parents: str, materialized: str = "table") -> dict[str, object]:
    return {
        "resource_type": kind,
        "name": name,
        "schema": "CORE",
        "alias": name,
        "config": {"materialized": materialized},
        "depends_on": {"nodes": list(parents)},
    }


MANIFEST = {
    "nodes": {
        RATINGS: node("fct_ratings", "model", "source.shop.ratings"),
        USERS: node("dim_users", "model", "source.shop.users"),
        USED: node("int_users", "model", USERS, materialized="ephemeral"),
        "test.own": node("own", "test", RATINGS, "source.ops.loads"),
        "test.foreign_key": node("foreign_key", "test", RATINGS, USERS),
        "test.through_ephemeral": node("through_ephemeral", "test", RATINGS, USED),
        "test.of_users": node("of_users", "test", USERS),
    }
}


@pytest.mark.parametrize(
    ("selected", "existing", "postponed"),
    [
        ({RATINGS}, {}, {"test.foreign_key", "test.through_ephemeral"}),
        ({RATINGS}, {("core", "dim_users")}, set()),
        ({RATINGS, USERS}, {}, set()),
        ({USERS}, {}, {"test.foreign_key"}),
    ],
)
def test_tests_wait_for_the_tables_they_read(
    selected: set[str], existing: set[tuple[str, str]], postponed: set[str]
) -> None:
    found = postponed_tests(selected, existing, MANIFEST)
    assert found.keys() == postponed
    assert RATINGS in selected or set(found.values()) <= {("core", "fct_ratings")}


@pytest.fixture(scope="module")
def run_of_one_model(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, RunOutcome]]:
    """A new home in which nothing but one file, its staging model and a fact was built."""
    with pytest.MonkeyPatch.context() as patch:
        home = demo.parsed_in(tmp_path_factory.mktemp("subset"))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        settings = read_settings(home=home, settle_seconds=0)
        file = home / "tags.csv"
        file.write_text("userId,movieId,tag,timestamp\n1,2,fun,1445714994\n")
        with landing_bucket(settings).open() as store:
            store.put("movielens/tags.csv", file)
        select = 'key:"raw/movielens/tags" or key:"staging/stg_movielens__tags" or key:"core/fct_tags"'
        yield settings, run_graph(settings, build_defs(settings), select=select)


def test_a_model_can_be_built_and_tested_alone_in_a_new_home(run_of_one_model: tuple[Settings, RunOutcome]) -> None:
    settings, outcome = run_of_one_model
    assert outcome.success, outcome.errors
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        assert connection.execute("select count(*) from core.fct_tags").fetchone() == (1,)
        tests = dict(connection.execute("select test_name, status from ops.test_results").fetchall())
    assert set(tests.values()) == {"pass"}
    assert tests["reconciles_with_ledger_stg_movielens__tags_movielens_tags"] == "pass"
    assert not any(name.startswith("relationships") for name in tests)
    with open_instance(settings) as instance:
        logged = [entry.user_message for entry in instance.all_logs(outcome.run_id)]
    (warning,) = [text for text in logged if text.startswith("not running")]
    assert "tests that also read tables not built from these files yet: core.dim_dates, core.dim_movies" in warning


def test_dbt_uses_the_parsed_project_of_a_copied_home(run_of_one_model: tuple[Settings, RunOutcome]) -> None:
    """If it breaks: see how dbt computes ``profile_hash``, and ``netflix_assets_tests/demo.py``. It only saves time."""
    (log,) = run_of_one_model[0].home.glob("dbt/runs/*/models/dbt.log")
    assert "Unable to do partial parsing" not in log.read_text()
