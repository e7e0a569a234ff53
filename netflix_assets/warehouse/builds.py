"""Records of dbt's builds in ``ops``: a durable marker per build, and a row per node and test.

The transformer role owns these tables, as the loader role owns the ledger. dbt opens the marker before its first node
(``dbt/macros/build_marker.sql``) and this module closes it. A build that was killed or never recorded leaves an open
marker: its tables are not known to have passed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.node_states import STATE_TABLES
from netflix_assets.warehouse.relations import ops_ddl

BUILD_TABLES: Mapping[str, Mapping[str, str]] = {
    "builds": {
        "invocation_id": "varchar", "run_id": "varchar", "schema_prefix": "varchar", "started_at": "timestamp",
        "part": "varchar", "finished_at": "timestamp", "is_whole": "boolean", "has_passed": "boolean",
        "node_count": "integer", "test_count": "integer", "failed_count": "integer", "problem": "varchar",
        "inputs": "varchar", "retry_of": "varchar", "reused_count": "integer",
        "confirmed_at": "timestamp",
    },
    "node_runs": {
        "invocation_id": "varchar", "run_id": "varchar", "schema_prefix": "varchar", "node_id": "varchar",
        "resource_type": "varchar", "layer": "varchar", "name": "varchar", "materialization": "varchar",
        "status": "varchar", "started_at": "timestamp", "seconds": "double", "row_count": "bigint",
        "message": "varchar",
    },
    "test_results": {
        "invocation_id": "varchar", "run_id": "varchar", "schema_prefix": "varchar", "test_id": "varchar",
        "test_name": "varchar", "node_id": "varchar", "layer": "varchar", "name": "varchar", "kind": "varchar",
        "status": "varchar", "failures": "bigint", "started_at": "timestamp", "seconds": "double",
        "message": "varchar",
    },
    "failing_rows": {
        "invocation_id": "varchar", "run_id": "varchar", "schema_prefix": "varchar", "test_id": "varchar",
        "row_number": "integer", "row_text": "varchar",
    },
}  # fmt: skip


# The column ``part`` of ops.builds. Earlier versions built the models about runs in a second invocation,
# ``observations``; its records no longer matter.
_MODELS = "models"


class NotServableError(RuntimeError):
    """The built tables must not be published; the message says why and what to do."""


@dataclass(frozen=True)
class Build:
    """One invocation of dbt. Times are UTC; ``finished_at`` is None until its end is recorded.

    ``is_whole``: every node and test has a result. ``problem``: the first failure, in one line. ``inputs``:
    dataset -> its last load when the build started. ``retry_of``: the invocation whose failed nodes this one retried;
    the counts and ``is_whole`` then describe all attempts together. ``reused_count``: how many of the nodes and tests
    were up to date from an earlier build; ``node_runs`` has a row of that build, and none of this one.
    ``confirmed_at``: when a run last found that nothing needed building.
    """

    invocation_id: str
    run_id: str
    schema_prefix: str
    started_at: datetime
    finished_at: datetime | None = None
    is_whole: bool = False
    has_passed: bool = False
    node_count: int = 0
    test_count: int = 0
    failed_count: int = 0
    problem: str | None = None
    inputs: Mapping[str, int] | None = None
    retry_of: str | None = None
    reused_count: int = 0
    confirmed_at: datetime | None = None


@dataclass(frozen=True)
class NodeRun:
    """The result of a model, seed or snapshot in a build. ``seconds`` is its time in the warehouse."""

    node_id: str
    resource_type: str
    layer: str
    name: str
    materialization: str
    status: str
    started_at: datetime | None
    seconds: float
    message: str | None
    row_count: int | None = None


@dataclass(frozen=True)
class CheckRun:
    """The result of a test in a build. ``layer`` and ``name`` are those of the node it tests.

    ``kind``: generic, singular, or reconciliation, whose ``failures`` count the rows that differ.
    """

    test_id: str
    test_name: str
    node_id: str
    layer: str
    name: str
    kind: str
    status: str
    failures: int
    started_at: datetime | None
    seconds: float
    message: str | None


@dataclass(frozen=True)
class CheckState:
    """The last result of a test: dbt's ``status``, and the rows that it found."""

    test_name: str
    table: str
    status: str
    failures: int


class Builds:
    """The builds recorded in a warehouse, over an open connection."""

    def __init__(self, warehouse: Warehouse, schema_prefix: str = "") -> None:
        self._warehouse = warehouse
        self._schema_prefix = schema_prefix

    def prepare(self) -> None:
        """Create missing tables; one statement when nothing is missing."""
        for statement in ops_ddl(self._warehouse.columns(("ops",)), {**BUILD_TABLES, **STATE_TABLES}):
            self._warehouse.execute(statement)

    def finish(
        self,
        build: Build,
        nodes: Sequence[NodeRun],
        tests: Sequence[CheckRun],
        failing_rows: Mapping[str, Sequence[Mapping[str, object]]],
    ) -> None:
        """Record the end of a build in one transaction. ``failing_rows``: test id -> a sample of the rows it found."""
        of_build = {
            "invocation_id": build.invocation_id,
            "run_id": build.run_id,
            "schema_prefix": build.schema_prefix,
        }
        samples = [
            {
                **of_build,
                "test_id": test_id,
                "row_number": number,
                "row_text": json.dumps(row, ensure_ascii=False, default=str),
            }
            for test_id, rows in failing_rows.items()
            for number, row in enumerate(rows, start=1)
        ]
        with self._warehouse.transaction():
            self._warehouse.insert_rows("node_runs", [{**of_build, **_columns(node)} for node in nodes])
            self._warehouse.insert_rows("test_results", [{**of_build, **_columns(test)} for test in tests])
            self._warehouse.insert_rows("failing_rows", samples)
            self._warehouse.execute("delete from ops.builds where invocation_id = ?", (build.invocation_id,))
            self._warehouse.insert_rows(
                "builds", [{**_columns(build), "part": _MODELS, "inputs": json.dumps(build.inputs)}]
            )

    def failure(self) -> str | None:
        """Why the last run that built into these schemas failed; None if it passed, in whole or in part."""
        builds = self.all()
        retried = {build.retry_of for build in builds}
        last = [each for each in builds if each.run_id == builds[-1].run_id and each.invocation_id not in retried]
        faults = [_fault(replace(each, is_whole=True)) for each in last]
        return next((fault for fault in faults if fault), None)

    def forget(self) -> None:
        """Delete the records of every build into these schemas, in one transaction."""
        found = self._warehouse.columns(("ops",))
        with self._warehouse.transaction():
            for table in (*BUILD_TABLES, *STATE_TABLES):
                if ("ops", table) in found:
                    self._warehouse.execute(f"delete from ops.{table} where schema_prefix = ?", (self._schema_prefix,))

    def last_attempt(self, run_id: str, invocation_id: str) -> str | None:
        """The invocation before this one in the same run, which failed or was killed."""
        of_run = [each for each in self.all() if each.run_id == run_id and each.invocation_id != invocation_id]
        retried = {each.retry_of for each in of_run}
        found = [each for each in of_run if each.invocation_id not in retried]
        return found[-1].invocation_id if found else None

    def confirm(self) -> None:
        """Note that a run has found the last build's tables up to date."""
        last = self.all()[-1]
        now = _naive(datetime.now(UTC))
        self._warehouse.execute(
            "update ops.builds set confirmed_at = ? where invocation_id = ?", (now, last.invocation_id)
        )

    def confirmed_at(self, invocation_id: str) -> datetime | None:
        """When a run last found a build's tables up to date; None if no run has."""
        if "confirmed_at" not in self._warehouse.columns(("ops",)).get(("ops", "builds"), ()):
            return None
        rows = self._warehouse.execute("select confirmed_at from ops.builds where invocation_id = ?", (invocation_id,))
        return _utc(rows[0][0]) if rows else None

    def newest_runs(self) -> dict[tuple[str, str], datetime]:
        """(layer, name) -> when the node was last built successfully, or found to be up to date.

        Empty if nothing was ever recorded.
        """
        if "confirmed_at" not in self._warehouse.columns(("ops",)).get(("ops", "builds"), ()):
            return {}
        rows = self._warehouse.execute(
            f"""
            with confirmed as (
                select max(coalesce(confirmed_at, started_at)) as moment
                from ops.builds
                where schema_prefix = ? and part = '{_MODELS}' and is_whole and has_passed
            )

            select node_runs.layer, node_runs.name, max(node_runs.started_at), max(confirmed.moment)
            from ops.node_runs as node_runs
            cross join confirmed
            where node_runs.schema_prefix = ? and node_runs.status = 'success'
            group by node_runs.layer, node_runs.name
            """,
            (self._schema_prefix, self._schema_prefix),
        )
        return {
            (layer, name): max(moment for moment in (built, confirmed) if moment).replace(tzinfo=UTC)
            for layer, name, built, confirmed in rows
            if built is not None
        }

    def check_states(self, last_invocation_id: str | None = None) -> dict[str, CheckState]:
        """Test id -> its last result; empty if nothing was ever recorded.

        ``last_invocation_id``: as it was after this build; None for now.
        """
        if ("ops", "test_results") not in self._warehouse.columns(("ops",)):
            return {}
        until = "(select max(started_at) from ops.builds where invocation_id = ?)"
        values = [self._schema_prefix, *([last_invocation_id] if last_invocation_id else [])]
        rows = self._warehouse.execute(
            f"""
            select results.test_id, results.test_name, results.layer, results.name, results.status, results.failures
            from ops.test_results as results
            inner join ops.builds as builds on results.invocation_id = builds.invocation_id
            where builds.schema_prefix = ? {f"and builds.started_at <= {until}" if last_invocation_id else ""}
            qualify row_number() over (partition by results.test_id order by builds.started_at desc) = 1
            """,
            values,
        )
        return {row[0]: CheckState(row[1], f"{row[2]}.{row[3]}", row[4], int(row[5] or 0)) for row in rows}

    def all(self) -> list[Build]:
        """Every build into these schemas, oldest first."""
        columns = [name for name in BUILD_TABLES["builds"] if name != "part"]
        rows = self._warehouse.execute(
            f"""
            select {", ".join(columns)}
            from ops.builds
            where schema_prefix = ? and coalesce(part, '{_MODELS}') = '{_MODELS}'
            order by started_at, invocation_id
            """,
            (self._schema_prefix,),
        )
        return [_build(dict(zip(columns, row, strict=True))) for row in rows]

    def servable(self) -> Build:
        """The build that the tables hold, if it is complete and passed.

        A retried build is judged by its last attempt. Raises: NotServableError when the last build, whoever started
        it, is not complete or did not pass, or when another build ran between two of its attempts.
        """
        builds = self.all()
        if not builds:
            raise NotServableError(f"no build has been recorded yet. {_ADVICE}")
        *others, last = builds
        if fault := _fault(last):
            raise NotServableError(f"{fault}. {_ADVICE}")
        for build in others:  # from another machine; a lock separates the builds of one home
            if build.finished_at is not None and build.finished_at > last.started_at:
                raise NotServableError(f"builds {_named(build)} and {_named(last)} overlapped. {_ADVICE}")
        return last


_ADVICE = "The published tables stay as they are. To build, test and publish everything: netflix-assets run"


def _fault(build: Build) -> str | None:
    if build.finished_at is None and not build.run_id:
        return f"dbt was run by hand at {build.started_at:%Y-%m-%d %H:%M} UTC, so its results are not recorded"
    if build.finished_at is None:
        return f"build {_named(build)} has not ended: it is running or was killed"
    if not build.has_passed:
        return f"build {_named(build)} failed: {build.problem}"
    if not build.is_whole:
        return f"build {_named(build)} covered {build.node_count} nodes and {build.test_count} tests, not all"
    return None


def _named(build: Build) -> str:
    return f"of run {build.run_id[:8]} at {build.started_at:%Y-%m-%d %H:%M} UTC"


def _columns(row: Build | NodeRun | CheckRun) -> dict[str, object]:
    return {name: _naive(value) if isinstance(value, datetime) else value for name, value in asdict(row).items()}


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _build(row: dict[str, object]) -> Build:
    times = {name: _utc(row[name]) for name in ("started_at", "finished_at", "confirmed_at")}
    counts = {name: row[name] or 0 for name in ("node_count", "test_count", "failed_count", "reused_count")}
    truths = {name: bool(row[name]) for name in ("is_whole", "has_passed")}
    inputs = json.loads(str(row["inputs"])) if row["inputs"] else None
    return Build(**{**row, **times, **counts, **truths, "inputs": inputs})  # type: ignore[arg-type]


def _utc(moment: object) -> datetime | None:
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else None
