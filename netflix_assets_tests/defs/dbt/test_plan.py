"""Which nodes a step plans to build, and when the result of a build may be used again."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.dbt.plan import Planner, Task
from netflix_assets.defs.dbt.results import Results
from netflix_assets.defs.dbt.reuse import Selection, Work
from netflix_assets.settings import read_settings
from netflix_assets.warehouse.builds import Build, Builds, CheckRun, NodeRun
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

LEDGER, TAGS = "source.shop.ops.loads", "source.shop.movielens.tags"
VIEW, FACT, MART, TEST = "model.shop.stg_tags", "model.shop.fct_tags", "model.shop.mart_tags", "test.shop.unique.1f"


def node(name: str, kind: str, *parents: str, materialized: str = "table", **more: Any) -> dict[str, Any]:
    return {
        "resource_type": kind, "name": name, "schema": "core", "alias": name, "fqn": ["shop", "core", name],
        "checksum": {"checksum": name}, "raw_code": f"select * from {name}", "columns": {}, "tags": [],
        "relation_name": name, "config": {"materialized": materialized},
        "depends_on": {"nodes": list(parents), "macros": ["macro.shop.half"]}, **more,
    }  # fmt: skip


MANIFEST = {
    "metadata": {"project_name": "shop"},
    "macros": {"macro.shop.half": {"macro_sql": "/ 2", "package_name": "shop", "depends_on": {"macros": []}}},
    "sources": {
        LEDGER: {"schema": "ops", "source_name": "ops", "name": "loads"},
        TAGS: {"schema": "raw", "source_name": "movielens", "name": "tags"},
    },
    "nodes": {
        VIEW: node("stg_tags", "model", TAGS, LEDGER, materialized="view"),
        FACT: node("fct_tags", "model", VIEW, LEDGER, materialized="incremental"),
        MART: node("mart_tags", "model", FACT),
        TEST: node("unique", "test", FACT, materialized="test", attached_node=FACT),
    },
}
EVERYTHING = frozenset(MANIFEST["nodes"])


class Home:
    """A warehouse in which the nodes of the manifest can be built, without dbt."""

    def __init__(self, folder: Path, warehouse: DuckDBWarehouse) -> None:
        self.settings = read_settings(home=folder)
        self.warehouse = warehouse
        self.manifest: Any = deepcopy(MANIFEST)
        for dataset in all_datasets(self.settings.sources()):
            warehouse.prepare(dataset)
        Builds(warehouse).prepare()
        warehouse.execute("create schema core")
        for name in ("stg_tags", "fct_tags", "mart_tags"):
            warehouse.execute(f"create table core.{name} (number integer)")

    def load(self, load_id: int, dataset: str = "movielens/tags") -> None:
        self.warehouse.execute(
            "insert into ops.loads (dataset, load_id, object_key, etag, is_current) values (?, ?, ?, 'e', true)",
            (dataset, load_id, f"{dataset}-{load_id}.csv"),
        )

    def planner(self, run_id: str = "run-1", **task: Any) -> Planner:
        return Planner(Task(run_id, **task), self.manifest, self.settings, self.warehouse, lambda _: True)

    def to_build(self, **task: Any) -> frozenset[str]:
        return self.planner("run-2", **task).plan().to_build

    def build(self, run_id: str = "run-1", built: Any = None, work: Work | None = None, status: str = "pass") -> None:
        planner = self.planner(run_id)
        work = work or planner.plan()
        planner.record(results(work, status), {}, work, built or self.manifest)


def results(work: Work, status: str) -> Results:
    nodes = [
        NodeRun(each, "model", "core", "x", "table", "success", None, 0.0, None) for each in work.to_build - {TEST}
    ]
    tests = [CheckRun(each, "t", FACT, "core", "x", "generic", status, 1, None, 0.0, None) for each in {TEST}]
    return Results("dbt-1", datetime.now(UTC), nodes, tests if TEST in work.to_build else [], frozenset(), [])


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        yield Home(tmp_path, warehouse)


def test_what_was_built_is_reused_until_something_changes(home: Home) -> None:
    assert home.to_build() == EVERYTHING
    home.load(1)
    home.build()
    assert home.to_build() == frozenset()


def test_new_rows_change_all_but_views_and_rows_of_others_change_nothing(home: Home) -> None:
    home.build()
    home.load(1, "movielens/movies")
    assert home.to_build() == frozenset()
    home.load(1)
    assert home.to_build() == EVERYTHING - {VIEW}


def test_changed_code_starts_incremental_models_from_scratch_and_new_rows_do_not(home: Home) -> None:
    home.build()
    home.load(1)
    assert home.planner().plan().from_scratch == frozenset()
    home.build()
    home.manifest["nodes"][VIEW]["raw_code"] += " where true"
    assert home.planner().plan().from_scratch == {FACT}
    home.manifest["nodes"][VIEW]["raw_code"] = MANIFEST["nodes"][VIEW]["raw_code"]
    assert home.planner("run-3").plan().from_scratch == {FACT}, "a killed build may have left rows of the other code"


def test_a_changed_macro_changes_what_calls_it(home: Home) -> None:
    home.build()
    home.manifest["macros"]["macro.shop.half"]["macro_sql"] = "/ 2.0"
    assert home.to_build() == EVERYTHING


@pytest.mark.parametrize("status", ["fail", "error", "skipped"])
def test_a_test_that_did_not_pass_is_run_again_and_a_warning_is_not(home: Home, status: str) -> None:
    home.build(status="warn")
    assert home.to_build() == frozenset()
    home.load(1)
    home.build(status=status)
    assert home.to_build() == {TEST}


def test_nothing_is_kept_of_a_build_that_never_ended(home: Home) -> None:
    home.build()
    home.load(1)
    home.planner().plan()  # and killed
    assert home.to_build() == EVERYTHING - {VIEW}


def test_a_load_during_the_build_is_seen_by_the_next(home: Home) -> None:
    work = home.planner().plan()
    home.load(1)
    home.build(work=work)
    assert home.to_build() == EVERYTHING


def test_code_that_changed_after_it_was_parsed_leaves_tables_of_unknown_code(home: Home) -> None:
    built = deepcopy(home.manifest)
    built["nodes"][MART]["raw_code"] += " where false"
    home.build(built=built)
    assert home.to_build() == EVERYTHING


@pytest.mark.parametrize(("ended_after_s", "is_kept"), [(-1, True), (60, False)])
def test_nothing_is_kept_of_two_builds_at_the_same_time(home: Home, ended_after_s: int, is_kept: bool) -> None:
    now = datetime.now(UTC)
    other = Build("other", "run-of-another-machine", "", now - timedelta(minutes=5), inputs={})
    Builds(home.warehouse).finish(replace(other, finished_at=now + timedelta(seconds=ended_after_s)), [], [], {})
    home.build()
    assert (home.to_build() == frozenset()) == is_kept


def test_after_dbt_was_run_by_hand_everything_is_built(home: Home) -> None:
    home.build()
    by_hand = Build("by-hand", "", "", datetime.now(UTC) + timedelta(seconds=1))
    Builds(home.warehouse).finish(by_hand, [], [], {})
    assert home.planner().plan().from_scratch == {FACT}


def test_a_dropped_table_is_built_with_what_reads_it(home: Home) -> None:
    home.build()
    home.warehouse.execute("drop table core.fct_tags")
    assert home.to_build() == {FACT, MART, TEST}


def test_what_is_named_is_built_once_in_a_run(home: Home) -> None:
    home.build("run-1")
    assert home.to_build(is_explicit=True) == EVERYTHING
    home.build("run-2")
    assert home.to_build(is_explicit=True, is_retry=True) == frozenset()


def test_a_load_that_leaves_while_another_returns_changes_the_ledger(home: Home) -> None:
    """Load ids count per dataset, so the sum of the current ones stays."""
    home.manifest["nodes"][MART]["depends_on"]["nodes"] = [LEDGER]
    home.manifest["nodes"][MART]["tags"] = ["run_dependent"]
    home.load(3)
    home.load(3, "movielens/movies")
    home.warehouse.execute("update ops.loads set is_current = false where dataset = 'movielens/movies'")
    home.build()
    home.warehouse.execute(
        "update ops.loads set is_current = not is_current, removed_at = case when is_current then now() end"
    )
    assert MART in home.to_build()


def test_a_test_waits_for_a_table_that_the_selection_leaves_stale(home: Home) -> None:
    other = "model.shop.fct_other"
    home.manifest["nodes"][other] = node("fct_other", "model", TAGS)
    home.manifest["nodes"][TEST]["depends_on"]["nodes"].append(other)
    home.warehouse.execute("create table core.fct_other (number integer)")
    home.build()
    selection = Selection(frozenset({VIEW, FACT}), frozenset(), has_every_test=True)
    assert home.planner("run-2", selection=selection, is_explicit=True).plan().to_build == {VIEW, FACT, TEST}
    home.build()
    home.load(1)
    work = home.planner("run-3", selection=selection).plan()
    assert (work.to_build, work.postponed) == ({FACT}, {TEST: ("core", "fct_other")})
    both = replace(selection, nodes=frozenset({VIEW, FACT, other}))
    assert home.planner("run-4", selection=both).plan().to_build == {FACT, other, TEST}
