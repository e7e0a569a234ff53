"""What a build, a branch or another version changes against what is published."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import all_datasets
from netflix_assets.contracts.visibility import showable
from netflix_assets.defs.dbt.project import one_build_at_a_time
from netflix_assets.defs.published import served_tables
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.settings import Settings
from netflix_assets.warehouse.builds import Builds, CheckState, NotServableError
from netflix_assets.warehouse.diff import TableDiff, compare
from netflix_assets.warehouse.diff_report import different, headline
from netflix_assets.warehouse.publishing import LIST_COMMAND, SCHEMAS, Built, Publication, Publisher


@dataclass(frozen=True)
class CheckChange:
    """A test of dbt whose last result differs. ``before`` is None for a test that is new, and fails or warns."""

    table: str
    test: str
    before: str | None
    after: str
    failures: int


@dataclass(frozen=True)
class Diff:
    """``after`` against the published version ``before``.

    ``after``: in words. ``problem``: why it cannot be published; of a branch, why its build failed.
    ``left_out``: tables that describe runs.
    """

    before: Publication
    after: str
    tables: Sequence[TableDiff]
    checks: Sequence[CheckChange]
    left_out: Sequence[str]
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The comparison with the keys of ``diff --json``."""
        return {
            "published_version": self.before.version,
            "candidate": self.after,
            "differs": bool(different(self.tables)),
            "summary": headline(self.tables),
            "problem": self.problem,
            "tables": [asdict(each) for each in self.tables],
            "checks": [asdict(each) for each in self.checks],
            "left_out": list(self.left_out),
        }


def read_diff(settings: Settings, defs: dg.Definitions, candidate: Built | str) -> Diff:
    """Compare the built tables of this environment or of a branch, or a kept version, with what is published.

    Waits while a build runs. Raises: InputError when the version is not kept; OperationError when there is nothing to
    compare; WarehouseError.
    """
    served = served_tables(defs.resolve_all_asset_specs(), all_datasets(settings.sources()))
    resource = warehouse(settings)
    with one_build_at_a_time(settings):
        with resource.publisher() as publisher:
            before = publisher.published()
            if before is None:
                raise OperationError("nothing is published yet to compare with. To publish: netflix-assets run")
            after = candidate if isinstance(candidate, Built) else _kept(publisher, candidate)
            if not resource.exists():
                raise OperationError("nothing has been built yet. To build everything: netflix-assets run")
            with publisher.comparing(before, after) as sides:
                tables = list(compare(sides.warehouse, sides.before, sides.after, served, showable(settings.sources())))
        if all(each.state in ("not built", "dropped") for each in tables):
            raise OperationError(f"there is nothing in {_named(after)}. To build it: netflix-assets run")
        checks, problem = _read_checks(settings, before, after)
    left_out = sorted(each.full_name for each in served if each.is_run_dependent)
    return Diff(before, _named(after), tables, checks, left_out, problem)


def _kept(publisher: Publisher, version: str) -> Publication:
    found = next((each for each in publisher.versions() if each.version == version), None)
    if found is None:
        raise InputError(f"version '{version}' is not kept. To list those that are: {LIST_COMMAND}")
    return found


def _named(after: Publication | Built) -> str:
    if isinstance(after, Publication):
        return f"version {after.version}"
    if after.schema_prefix:
        return " and ".join(f"{after.schema_prefix}{schema}" for schema in SCHEMAS)
    return "the last build"


def _read_checks(
    settings: Settings, before: Publication, after: Publication | Built
) -> tuple[list[CheckChange], str | None]:
    """The tests whose result changed, and why the built tables cannot be published."""
    with warehouse(settings).open("reader") as connection:
        states = Builds(connection).check_states(before.last_invocation_id)
        if isinstance(after, Publication):
            return changed_checks(states, Builds(connection).check_states(after.last_invocation_id)), None
        builds = Builds(connection, after.schema_prefix)
        if after.schema_prefix:  # it is never published, and builds only what it changes
            return changed_checks(states, builds.check_states()), builds.failure()
        try:
            builds.servable()
        except NotServableError as error:
            return changed_checks(states, builds.check_states()), str(error)
        return changed_checks(states, builds.check_states()), None


def changed_checks(before: Mapping[str, CheckState], after: Mapping[str, CheckState]) -> list[CheckChange]:
    """The tests whose state differs, by table and name. Without any result before, only those that do not pass."""
    changes = []
    for test_id, state in after.items():
        was = before[test_id].status if test_id in before else None
        if was != state.status and (was is not None or state.status != "pass"):
            changes.append(CheckChange(state.table, state.test_name, was, state.status, state.failures))
    return sorted(changes, key=lambda each: (each.table, each.test))
