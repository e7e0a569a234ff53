"""Remove one safeguard of the product at a time; the tests must fail each time, or they prove nothing.

Each mutation runs its tests in a separate process. There, this module is a pytest plugin that removes the safeguard
named by an environment variable before tests are collected. A control run without mutation must pass.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VARIABLE = "NETFLIX_MUTATION"
SYNC = "netflix_assets_tests/ingest/test_sync.py"
VALIDATE = "netflix_assets_tests/ingest/test_validate.py"
DUCKDB = "netflix_assets_tests/warehouse/duckdb/test_warehouse.py"
VALUES = "netflix_assets_tests/contracts/test_values.py"


def without_ledger_row() -> None:
    from netflix_assets.warehouse.base import Warehouse

    Warehouse.record_loads = lambda *_, **__: None


def without_header_check() -> None:
    from netflix_assets.ingest import validate

    def any_header(header, dataset):
        """Match by position where the name is missing."""
        names = [column.file_name for column in dataset.columns]
        return tuple(header.index(name) if name in header else min(at, len(header) - 1)
                     for at, name in enumerate(names)), ()  # fmt: skip

    validate.compare_header = any_header


def without_version_check() -> None:
    from netflix_assets.storage.objects import S3ObjectStore

    def read(self, listed):
        """Whatever the bucket has under this key now, as much of it as arrives."""
        yield from map(bytes, self._store.get(listed.key).stream(min_chunk_size=2**20))

    S3ObjectStore.read = read


def without_independent_count() -> None:
    from netflix_assets.ingest import load
    from netflix_assets.ingest.errors import RefusedError

    original = load._keep_rejects

    @wraps(original)
    def keep_rejects(dataset, warehouse, staged, load_id, rows_loaded, current):
        try:
            return original(dataset, warehouse, staged, load_id, rows_loaded, current)
        except RefusedError as error:
            if "a bug in the loader" not in error.reason:
                raise
            return staged.file.record_count - rows_loaded

    load._keep_rejects = keep_rejects


def without_supersession() -> None:
    from netflix_assets.warehouse.base import Warehouse

    Warehouse.supersede = lambda *_, **__: None


def without_second_ledger_read() -> None:
    """Under the lock, a run trusts the ledger that its plan saw."""
    from netflix_assets.warehouse.base import Warehouse

    lock, current_loads = Warehouse.lock, Warehouse.current_loads

    def remembering_lock(self, dataset):
        self.has_just_locked = True
        return lock(self, dataset)

    def forgetful_current_loads(self, dataset):
        if self.__dict__.pop("has_just_locked", False):
            return []
        return current_loads(self, dataset)

    Warehouse.lock, Warehouse.current_loads = remembering_lock, forgetful_current_loads


def without_value_forms() -> None:
    from netflix_assets.warehouse import typing

    typing._form_tests = lambda *_, **__: []


def without_rollback() -> None:
    from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

    @contextmanager
    def transaction(self):
        self._connection.begin()
        try:
            yield
        finally:
            self._connection.commit()

    DuckDBWarehouse.transaction = transaction


def without_quarantine() -> None:
    from netflix_assets.warehouse.base import Warehouse
    from netflix_assets.warehouse.loads import RefusedObject

    def quarantine(self, dataset, listed, outcome, reason, run_id):
        return RefusedObject(dataset.id, listed, outcome, reason)

    Warehouse.quarantine = quarantine


@dataclass(frozen=True)
class Mutation:
    """How to remove a safeguard, and the tests that must fail without it."""

    remove_safeguard: Callable[[], None]
    failing_tests: tuple[str, ...]


MUTATIONS = {
    "the ledger row": Mutation(
        without_ledger_row,
        (
            f"{SYNC}::test_the_ledger_records_the_load",
            f"{SYNC}::test_a_second_sync_reads_and_changes_nothing",
            f"{DUCKDB}::test_a_second_commit_does_not_load_a_current_version_again",
        ),
    ),
    "the header check": Mutation(
        without_header_check,
        (
            f"{VALIDATE}::test_wrong_headers_are_refused",
            f"{SYNC}::test_refused_objects_do_not_stop_others_and_load_once_fixed",
        ),
    ),
    "the version check of a read": Mutation(
        without_version_check,
        (
            f"{SYNC}::test_a_wrong_size_or_etag_is_an_error",
            f"{SYNC}::test_the_store_notices_missing_bytes",
            f"{SYNC}::test_an_object_that_keeps_changing_is_an_error_but_others_load",
        ),
    ),
    "the independent record count": Mutation(
        without_independent_count,
        (
            f"{SYNC}::test_a_row_lost_by_the_loader_refuses_the_object",
            f"{SYNC}::test_a_row_loaded_twice_refuses_the_object",
        ),
    ),
    "supersession": Mutation(
        without_supersession,
        (
            f"{SYNC}::test_a_new_version_supersedes_the_old_load_and_raw_keeps_both",
            f"{SYNC}::test_returning_content_is_loaded_again",
        ),
    ),
    "the second ledger read": Mutation(
        without_second_ledger_read,
        (f"{DUCKDB}::test_a_second_commit_does_not_load_a_current_version_again",),
    ),
    "the value forms": Mutation(without_value_forms, (f"{VALUES}::test_rejected_forms",)),
    "the rollback": Mutation(
        without_rollback,
        (f"{DUCKDB}::test_a_failed_transaction_leaves_nothing",),
    ),
    "the quarantine": Mutation(
        without_quarantine,
        (f"{SYNC}::test_refusals_of_replaced_versions_stay_as_history",),
    ),
}

if VARIABLE in os.environ:
    MUTATIONS[os.environ[VARIABLE]].remove_safeguard()


def run(tests: Iterable[str], folder: Path, mutation: str | None = None) -> dict[str, set[str]]:
    """Run tests in another process. Returns the outcomes of each test, over all of its parameters."""
    report = folder / "report.xml"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", VARIABLE))}
    finished = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", __name__, "-p", "pytest_timeout", "-p", "no:cacheprovider",
            "-o", "addopts=-q --strict-markers", "--timeout", "60", "--basetemp", str(folder / "tests"),
            f"--junitxml={report}", *tests,
        ],
        cwd=ROOT,
        # Plugin discovery takes 1.4 s of the 3.3 s of a start, and these tests need only one plugin.
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **({VARIABLE: mutation} if mutation else {})},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    # 1: all tests were collected and some failed.
    assert finished.returncode == (1 if mutation else 0), f"{mutation}: {finished.stdout}{finished.stderr}"
    ends: dict[str, set[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - written by pytest itself
        test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        ends.setdefault(test, set()).add(next((child.tag for child in case if child.tag != "properties"), "passed"))
    return ends


def test_the_tests_pass_with_all_safeguards(tmp_path):
    tests = sorted({test for mutation in MUTATIONS.values() for test in mutation.failing_tests})
    assert run(tests, tmp_path) == {test: {"passed"} for test in tests}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_missing_safeguard_is_noticed(tmp_path, name):
    tests = MUTATIONS[name].failing_tests
    ends = run(tests, tmp_path, name)
    print(f"without {name}: {ends}")
    unnoticed = [test for test in tests if "failure" not in ends.get(test, set())]
    assert not unnoticed, f"without {name}, these tests still pass: {unnoticed}; all outcomes: {ends}"
    assert not any("error" in found for found in ends.values()), f"errors instead of failures: {ends}"
