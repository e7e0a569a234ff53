"""Read findings from Dagster's own storage: what runs did, and conditions that last."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dagster as dg

from netflix_assets.alerts.incidents import CONDITIONS, AlertState, Finding, Incident
from netflix_assets.alerts.rules import Event
from netflix_assets.defs.alerts.asset_index import AssetIndex
from netflix_assets.defs.freshness import FRESH
from netflix_assets.defs.landing.assets import BUCKET_CHECK
from netflix_assets.defs.landing.cursor import MAX_ATTEMPTS, Cursor
from netflix_assets.defs.landing.sensor import LANDING_SENSOR
from netflix_assets.warehouse.transient import cause_of

_STEP_SUCCESS, _RETRY = dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_UP_FOR_RETRY
_RUN_SUCCESS, _RUN_FAILURE = dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE
_STEP_ENDS = {_STEP_SUCCESS, _RETRY, dg.DagsterEventType.STEP_FAILURE}
_RUN_ENDS = {_RUN_SUCCESS, _RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
_MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION
_EVENTS = {*_STEP_ENDS, *_RUN_ENDS, _MATERIALIZED, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
_RUNNING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_MAX_RUNS = 1_000  # per tick
_MAX_NAMES, _MAX_STALE = 20, 5
EXHAUSTED = (
    f"{MAX_ATTEMPTS} runs failed for the same files. The sensor retries when files, contracts, code or settings "
    "change, or after another run succeeds"
)


@dataclass(frozen=True)
class EventLog:
    """Dagster's storage as findings. ``attempts``: retries of a step; ``redact``: removes secrets from a text."""

    instance: dg.DagsterInstance
    index: AssetIndex
    attempts: int
    redact: Callable[[str], str]

    def read_runs(self, state: AlertState) -> tuple[list[Finding], AlertState]:
        """The findings of running and newly ended runs, and the state after reading them.

        Running runs are read again at every tick, which ``fold`` tolerates; an ended run is read once.
        """
        updated_after = datetime.fromtimestamp(state.reread_after, UTC)
        ended = self.instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, updated_after=updated_after),
            limit=_MAX_RUNS,
            order_by="update_timestamp",
            ascending=True,
        )
        running = self.instance.get_run_records(dg.RunsFilter(statuses=_RUNNING))
        # The cursor of an older version also names running runs here, with a place in their log.
        known = {run_id for run_id, place in state.read.items() if not place}
        runs = [each.dagster_run for each in [*running, *ended] if each.dagster_run.run_id not in known]
        findings = [each for run in runs for each in self._findings(run) if each.at > state.reread_after]
        since = max([state.since, *(each.update_timestamp.timestamp() for each in ended)])
        read = {each.dagster_run.run_id: "" for each in ended}
        return [*map(self._complete, findings)], replace(state, since=since, read=read)

    def find_failure(self, run_id: str, step: str) -> Finding | None:
        """The failure of a step in a run; None if it did not fail."""
        run = self.instance.get_run_by_id(run_id)
        findings = self._findings(run) if run else ()
        failed = (each for each in findings if each.subject == f"step:{step}" and each.state == "failed")
        return next(map(self._complete, failed), None)

    def last_good_at(self, step: str) -> float:
        """When all assets of a step were last materialized by successful runs (Unix time); 0 if some were not.

        The run counts, because a check may fail after its asset was materialized.
        """
        keys = [dg.AssetKey.from_user_string(each) for each in self.index.steps.get(step, ())]
        latest = self.instance.get_latest_materialization_events(keys)
        runs = {each.run_id: self.instance.get_run_by_id(each.run_id) for each in latest.values() if each}
        good = {run_id for run_id, run in runs.items() if run is not None and run.is_success}
        moments = [each.timestamp for each in latest.values() if each and each.run_id in good]
        return min(moments) if moments and len(moments) == len(keys) else 0.0

    def find_conditions(
        self, incidents: Sequence[Incident], watched: Collection[str], long_s: float, now: float
    ) -> list[Finding]:
        """The conditions of this moment, and a recovery for each open one that is gone.

        ``watched``: names of sensors and schedules; ``long_s``: seconds above which a run is long.
        """
        found = [*self._ticks(watched, now), *self._freshness(now), *self._long_runs(long_s, now)]
        subjects = {each.subject for each in found}
        recovered = [
            replace(each.finding, state="recovered", at=now)
            for each in incidents
            if each.is_open and each.finding.event in CONDITIONS and each.subject not in subjects
        ]
        return [*map(self._complete, found), *recovered]

    def _findings(self, run: dg.DagsterRun) -> Iterator[Finding]:
        events = self.instance.get_records_for_run(run.run_id, of_type=_EVENTS).records
        return _RunEvents(run, events, self).findings()

    def _ticks(self, watched: Collection[str], now: float) -> Iterator[Finding]:
        for state in self.instance.all_instigator_state():
            name, cursor = state.instigator_name, getattr(state.instigator_data, "cursor", None)
            if name not in watched or not state.is_running:
                continue
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
            last = next((tick for tick in ticks if tick.status.value != "STARTED"), None)
            if last is not None and last.status.value == "FAILURE":
                title, cause = f"{state.instigator_type.value.lower()} {name}", cause_of(last.error)
                yield Finding(f"tick:{name}", "tick_failure", "failed", now, title, cause)
            if name == LANDING_SENSOR and Cursor.from_text(cursor, now).exhausted:
                yield Finding("parked", "files_parked", "failed", now, "new files", EXHAUSTED)

    def _freshness(self, now: float) -> Iterator[Finding]:
        keys = [spec.key for spec in self.index.specs.values() if spec.freshness_policy is not None]
        records = self.instance.get_freshness_state_records(keys)
        states = {key.to_user_string(): record.freshness_state.value for key, record in records.items()}
        stale = {asset for asset, state in states.items() if state in ("WARN", "FAIL")}
        for asset in self.index.roots(stale):  # an incident covers what is downstream of it
            event: Event = "asset_freshness_fail" if states[asset] == "FAIL" else "asset_freshness_warn"
            cause = "no new data for longer than the contract allows"
            yield Finding(f"freshness:{asset}", event, "failed", now, asset, cause, assets=(asset,))

    def _long_runs(self, long_s: float, now: float) -> Iterator[Finding]:
        for record in self.instance.get_run_records(dg.RunsFilter(statuses=_RUNNING)):
            run = record.dagster_run
            if now - (record.start_time or now) > long_s:
                title, cause = f"run of {_job(run)}", f"running for longer than {long_s / 60:.0f} min"
                yield Finding(f"long:{run.run_id}", "job_long_running", "failed", now, title, cause, run_id=run.run_id)

    def _complete(self, finding: Finding) -> Finding:
        """A finding with owners and stale assets, and without secrets."""
        stale = self.index.downstream(finding.assets)
        return replace(
            finding,
            cause=self.redact(finding.cause),
            details=tuple(map(self.redact, finding.details)),
            owners=self.index.owners(finding.assets),
            stale=tuple(stale[:_MAX_STALE]),
            stale_count=len(stale),
        )


@dataclass(frozen=True)
class _RunEvents:
    """The events of one run as findings: the latest state of each step and check, and how the run ended."""

    run: dg.DagsterRun
    events: Sequence[dg.EventLogRecord]
    log: EventLog

    def findings(self) -> Iterator[Finding]:
        end, run_id, job = _last(self.events, _RUN_ENDS), self.run.run_id, _job(self.run)
        steps: dict[str, list[dg.EventLogRecord]] = {}
        for each in self.events:
            steps.setdefault(each.event_log_entry.step_key or "", []).append(each)
        found = [each for step, events in steps.items() if step for each in self._step(step, events, end)]
        yield from found
        if end is not None and end.event_type == _RUN_SUCCESS:
            yield Finding(f"run:{job}", "job_failure", "recovered", end.timestamp)
            yield Finding(f"success:{run_id}", "job_success", "succeeded", end.timestamp, job, run_id=run_id)
        # A run that failed because of a failed step is not an incident besides that step's.
        elif end is not None and end.event_type == _RUN_FAILURE and all(each.state != "failed" for each in found):
            title, cause = f"run of {job}", _error_of(end)
            yield Finding(f"run:{job}", "job_failure", "failed", end.timestamp, title, cause, run_id=run_id)

    def _step(self, step: str, events: Sequence[dg.EventLogRecord], end: dg.EventLogRecord | None) -> Iterator[Finding]:
        last = _last(events, _STEP_ENDS)
        if last is None:
            return
        if last.event_type == _STEP_SUCCESS:
            assets = tuple(sorted(_materialized(events)))
            yield Finding(f"step:{step}", "asset_materialization_failure", "recovered", last.timestamp, assets=assets)
            yield from self._checks(events, last.timestamp)
        elif last.event_type == _RETRY and end is None:
            attempt = sum(each.event_type == _RETRY for each in events)
            failed = self._failure(step, events, last)
            yield replace(failed, event="step_retry", state="retrying", attempt=attempt, attempts=self.log.attempts)
        else:  # a run that ended before the retry has its reason
            yield self._failure(step, events, end if end is not None and last.event_type == _RETRY else last)

    def _checks(self, events: Sequence[dg.EventLogRecord], at: float) -> Iterator[Finding]:
        """The checks of a step that succeeded. After a failed step they are details of its failure."""
        for check in _check_results(events):
            asset, name = check.asset_key.to_user_string(), check.check_name
            if name == FRESH:  # the freshness policies report age, also when nothing runs
                continue
            event: Event = "asset_check_severity_warn"
            if check.severity == dg.AssetCheckSeverity.ERROR:
                event = "asset_check_severity_error"
            elif name == BUCKET_CHECK and _number(check, "refused"):
                event = "objects_refused"
            yield Finding(
                f"check:{asset}:{name}",
                event,
                "recovered" if check.passed else "failed",
                at,
                title=f"check {name} of {asset}",
                cause=_failure_of(check),
                assets=(asset,),
                run_id=self.run.run_id,
            )

    def _failure(self, step: str, events: Sequence[dg.EventLogRecord], last: dg.EventLogRecord) -> Finding:
        results = _check_results(events)
        failing = [each for each in results if not each.passed and each.severity == dg.AssetCheckSeverity.ERROR]
        details = [
            f"failed check: {each.check_name} of {each.asset_key.to_user_string()}: {_failure_of(each)}"
            for each in failing
        ]
        expected = set(self.log.index.steps.get(step, ()))
        if self.run.asset_selection:
            expected &= {key.to_user_string() for key in self.run.asset_selection}
        failing_assets = {each.asset_key.to_user_string() for each in failing}
        broken = self.log.index.roots((expected - _materialized(events)) | failing_assets)  # without what was skipped
        first = broken[0] if broken else step
        return Finding(
            f"step:{step}",
            "asset_materialization_failure" if step in self.log.index.steps else "job_failure",
            "failed",
            last.timestamp,
            title=first if len(broken) < 2 else f"{step} ({len(broken)} assets, first {first})",
            cause=_error_of(last) or "the run was canceled",
            assets=tuple(broken[:_MAX_NAMES]),
            details=tuple(details[:_MAX_NAMES]),
            run_id=self.run.run_id,
        )


def _last(events: Sequence[dg.EventLogRecord], types: Collection[dg.DagsterEventType]) -> dg.EventLogRecord | None:
    return next((each for each in reversed(events) if each.event_type in types), None)


def _materialized(events: Sequence[dg.EventLogRecord]) -> set[str]:
    return {each.asset_key.to_user_string() for each in events if each.event_type == _MATERIALIZED and each.asset_key}


def _check_results(events: Sequence[dg.EventLogRecord]) -> list[dg.AssetCheckEvaluation]:
    """The last result of each check."""
    dagster_events = [each.event_log_entry.dagster_event for each in events]
    data = [each.event_specific_data for each in dagster_events if each is not None]
    return [*{each.asset_check_key: each for each in data if isinstance(each, dg.AssetCheckEvaluation)}.values()]


def _number(check: dg.AssetCheckEvaluation, name: str) -> int:
    value = check.metadata.get(name)
    return int(str(value.value)) if value is not None else 0


def _failure_of(check: dg.AssetCheckEvaluation) -> str:
    if check.description:
        return check.description
    rows = _number(check, "dagster_dbt/failed_row_count")
    return f"{rows:,} rows" if rows else "check failed"


def _error_of(record: dg.EventLogRecord) -> str:
    event = record.event_log_entry.dagster_event
    data = event.event_specific_data if event else None
    return cause_of(getattr(data, "error", None)) or (event.message if event else None) or ""


def _job(run: dg.DagsterRun) -> str:
    return "assets chosen by hand" if run.job_name.startswith("__") else run.job_name
