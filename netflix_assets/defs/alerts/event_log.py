"""Dagster's storage, read as findings: the event logs of the runs that have changed, and states that last.

Only Dagster's own storage is read, never the bucket or the warehouse. Does not belong here: what becomes of findings
(``incidents.py``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dagster as dg

from netflix_assets.alerts.incidents import LASTING, Finding, Incident, Memory
from netflix_assets.alerts.rules import Event
from netflix_assets.defs.alerts.asset_index import Scope
from netflix_assets.defs.freshness import FRESH
from netflix_assets.defs.landing.assets import BUCKET_CHECK
from netflix_assets.defs.landing.cursor import MAX_ATTEMPTS, Cursor
from netflix_assets.defs.landing.sensor import LANDING_SENSOR
from netflix_assets.warehouse.transient import cause_of

_KINDS = {
    dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_UP_FOR_RETRY, dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED, dg.DagsterEventType.RUN_SUCCESS,
}  # fmt: skip
_FAILURE, _RETRY = dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_UP_FOR_RETRY
_TURNS = (_FAILURE, _RETRY, dg.DagsterEventType.STEP_SUCCESS)
_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_GOES_ON = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 1_000  # more do not change within the overlap
_OVERLAP_S = 600.0  # the clocks of the machines that write runs differ by less
_ASSETS_NAMED = 20
_STALE_NAMED = 5
_LOOKED_AT = 20  # materializations, for one of a run that succeeded
PARKED = (
    f"{MAX_ATTEMPTS} runs for the same state of the bucket have failed; it is tried again when files, contracts, code "
    "or settings change, or another run succeeds"
)


@dataclass(frozen=True)
class Reader:
    """Reads an instance. ``attempts``: how often a step is tried again at most; ``clean``: takes out of a text what
    nobody may see, and shortens it.
    """

    instance: dg.DagsterInstance
    scope: Scope
    attempts: int
    clean: Callable[[str], str]

    # ------------------------------------------------------------------------------------------ runs

    def changed_runs(self, memory: Memory) -> tuple[list[Finding], Memory]:
        """What is new in the runs that go on or have ended since the last look, and the memory after it."""
        overlapping = datetime.fromtimestamp(memory.since - _OVERLAP_S, UTC)
        changed = self.instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, updated_after=overlapping),
            limit=_RUNS_AT_ONCE,
            order_by="update_timestamp",
            ascending=True,
        )
        going_on = self.instance.get_run_records(dg.RunsFilter(statuses=_GOES_ON))
        findings: list[Finding] = []
        read: dict[str, str] = {}
        for record in [*going_on, *changed]:
            run = record.dagster_run
            # A run of before that was only given a tag since.
            was_read = record.end_time is not None and record.end_time < memory.since - _OVERLAP_S
            place = memory.read.get(run.run_id, "" if was_read else None)
            found, after = ([], "") if place == "" else self._news_of(run, place)
            findings += map(self._for_people, found)
            read[run.run_id] = "" if run.is_finished else after
        since = max([memory.since, *(record.update_timestamp.timestamp() for record in changed)])
        return findings, replace(memory, since=since, read=read)

    def of_step(self, run_id: str, step: str) -> Finding | None:
        """How a step of a run has failed; None when it has not."""
        run = self.instance.get_run_by_id(run_id)
        found, _ = self._news_of(run, None) if run else ([], "")
        failed = [each for each in found if each.subject == f"step:{step}" and each.state == "failed"]
        return self._for_people(failed[0]) if failed else None

    def _news_of(self, run: dg.DagsterRun, place: str | None) -> tuple[list[Finding], str]:
        run_id = run.run_id
        news = self.instance.get_records_for_run(run_id, cursor=place, of_type=_KINDS)
        if place is not None and not news.records:
            return [], place
        # What a failure means is in what came before it.
        every = self.instance.get_records_for_run(run_id, of_type=_KINDS).records if place else news.records
        fresh = frozenset(each.storage_id for each in news.records)
        return [*_Run(run, every, fresh, self).findings()], news.cursor

    # ------------------------------------------------------------------------------------------ states that last

    def lasting(
        self, incidents: Sequence[Incident], watched: frozenset[str], long_s: float, now: float
    ) -> list[Finding]:
        """Which sensors and schedules (``watched``) fail, what is stale, parked or slow; and what is over."""
        found = [*self._ticks(watched, now), *self._stale(now), *self._long_runs(long_s, now)]
        subjects = {each.subject for each in found}
        over = [
            replace(each.found, state="recovered", at=now)
            for each in incidents
            if each.is_open and each.found.event in LASTING and each.subject not in subjects
        ]
        return [*map(self._for_people, found), *over]

    def _ticks(self, watched: frozenset[str], now: float) -> Iterator[Finding]:
        for state in self.instance.all_instigator_state():
            if state.instigator_name not in watched or not state.is_running:
                continue
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
            last = next((tick for tick in ticks if tick.status.value != "STARTED"), None)
            name, cursor = state.instigator_name, getattr(state.instigator_data, "cursor", None)
            if last is not None and last.status.value == "FAILURE":
                title, cause = f"the {state.instigator_type.value.lower()} {name}", cause_of(last.error)
                yield Finding(f"tick:{name}", "tick_failure", "failed", now, title=title, cause=cause)
            if name == LANDING_SENSOR and Cursor.from_text(cursor, now).exhausted:
                yield Finding("parked", "files_parked", "failed", now, title="new files", cause=PARKED)

    def _stale(self, now: float) -> Iterator[Finding]:
        keys = [dg.AssetKey.from_user_string(each) for each in self.scope.with_policy]
        records = self.instance.get_freshness_state_records(keys)
        states = {key.to_user_string(): record.freshness_state.value for key, record in records.items()}
        stale = {asset: state for asset, state in states.items() if state in ("WARN", "FAIL")}
        for asset in sorted(stale):
            if self.scope.upstream(asset).isdisjoint(stale):  # what is made of something stale folds under it
                event: Event = "asset_freshness_fail" if stale[asset] == "FAIL" else "asset_freshness_warn"
                cause = "nothing new for longer than the contract allows"
                yield Finding(f"freshness:{asset}", event, "failed", now, title=asset, cause=cause, assets=(asset,))

    def _long_runs(self, long_s: float, now: float) -> Iterator[Finding]:
        for record in self.instance.get_run_records(dg.RunsFilter(statuses=_GOES_ON)):
            run, minutes = record.dagster_run, (now - (record.start_time or now)) / 60
            if minutes * 60 > long_s:
                title, cause = f"a run of {_job(run)}", f"it has been running for longer than {long_s / 60:.0f} min"
                subject = f"long:{run.run_id}"
                yield Finding(subject, "job_long_running", "failed", now, title=title, cause=cause, run_id=run.run_id)

    def _for_people(self, found: Finding) -> Finding:
        """With what the readers of an alert ask next, and without what they must not see."""
        if found.state == "recovered":
            return found
        good = self._made_well(found.assets[0]) if found.assets else None
        stale = self.scope.downstream(found.assets)
        return replace(
            found,
            cause=self.clean(found.cause),
            details=tuple(map(self.clean, found.details)),
            owners=self.scope.owners_of(found.assets),
            stale=stale[:_STALE_NAMED],
            stale_count=len(stale),
            good_at=good.timestamp if good else 0.0,
            good_run=good.run_id if good else "",
        )

    def _made_well(self, asset: str) -> dg.EventLogRecord | None:
        """The last materialization in a run that succeeded: a check may fail after an asset was made."""
        made = self.instance.fetch_materializations(dg.AssetKey.from_user_string(asset), limit=_LOOKED_AT).records
        return next((each for each in made if has_succeeded(self.instance, each.run_id)), None)


def has_succeeded(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run has ended well."""
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_success


@dataclass(frozen=True)
class _Run:
    """A run by its events, of which those in ``fresh`` are new."""

    run: dg.DagsterRun
    events: Sequence[dg.EventLogRecord]
    fresh: frozenset[int]
    reader: "Reader"

    def findings(self) -> Iterator[Finding]:
        steps: dict[str, list[dg.EventLogRecord]] = {}
        for each in self.events:
            if each.event_log_entry.step_key:
                steps.setdefault(each.event_log_entry.step_key, []).append(each)
        turns = {step: _last(events, *_TURNS) for step, events in steps.items()}
        for step, turn in turns.items():
            if turn is not None and turn.storage_id in self.fresh:
                yield from self._of_step(step, steps[step], turn)
        end = _last(self.events, *_ENDS)
        if end is not None and end.storage_id in self.fresh:
            yield from self._of_end(end, steps, turns)

    def _of_step(self, step: str, events: Sequence[dg.EventLogRecord], turn: dg.EventLogRecord) -> Iterator[Finding]:
        if turn.event_type == dg.DagsterEventType.STEP_SUCCESS:
            made = self._made(events)
            yield Finding(f"step:{step}", self._event(step), "recovered", turn.timestamp, assets=tuple(sorted(made)))
            yield from self._of_checks(events, turn.timestamp)
        elif turn.event_type == dg.DagsterEventType.STEP_FAILURE:
            yield self._failed(step, events, turn, _said(turn))
        else:
            failed = self._failed(step, events, turn, _said(turn))
            attempt = sum(each.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for each in events)
            attempts = self.reader.attempts
            yield replace(failed, event="step_retry", state="retrying", attempt=attempt, attempts=attempts)

    def _of_end(
        self,
        end: dg.EventLogRecord,
        steps: Mapping[str, Sequence[dg.EventLogRecord]],
        turns: Mapping[str, dg.EventLogRecord | None],
    ) -> Iterator[Finding]:
        """What the end of the run says that no step has said: of a failed step it is only the consequence."""
        job, kind = _job(self.run), end.event_type
        if kind == dg.DagsterEventType.RUN_SUCCESS:
            yield Finding(f"run:{job}", "job_failure", "recovered", end.timestamp)
            subject = f"success:{self.run.run_id}"
            yield Finding(subject, "job_success", "succeeded", end.timestamp, title=job, run_id=self.run.run_id)
            return
        cut_off = [step for step, turn in turns.items() if turn and turn.event_type == _RETRY]
        for step in cut_off:
            yield self._failed(step, steps[step], end, _said(end) or "the run was canceled")
        has_said_so = cut_off or any(turn and turn.event_type == _FAILURE for turn in turns.values())
        if kind == dg.DagsterEventType.RUN_FAILURE and not has_said_so:
            title, cause, run_id = f"a run of {job}", _said(end), self.run.run_id
            yield Finding(f"run:{job}", "job_failure", "failed", end.timestamp, title, cause, run_id=run_id)

    def _of_checks(self, events: Sequence[dg.EventLogRecord], at: float) -> Iterator[Finding]:
        """The last result of each check of a step that has succeeded; of one that has failed they are its details."""
        for check in _checks(events).values():
            asset = check.asset_key.to_user_string()
            # How old things are is told by the freshness policies, also when nothing runs.
            if check.check_name == FRESH:
                continue
            event: Event = (
                "asset_check_severity_error"
                if check.severity == dg.AssetCheckSeverity.ERROR
                else "objects_refused"
                if check.check_name == BUCKET_CHECK and _number(check, "refused")
                else "asset_check_severity_warn"
            )
            yield Finding(
                f"check:{asset}:{check.check_name}",
                event,
                "recovered" if check.passed else "failed",
                at,
                title=f"{check.check_name} of {asset}",
                cause=_result(check),
                assets=(asset,),
                run_id=self.run.run_id,
            )

    def _failed(self, step: str, events: Sequence[dg.EventLogRecord], turn: dg.EventLogRecord, cause: str) -> Finding:
        failing = [each for each in _checks(events).values() if not each.passed and _is_error(each)]
        details = [
            f"failing test: {each.check_name} of {each.asset_key.to_user_string()}: {_result(each)}" for each in failing
        ]
        details += [f"{count:,} rejected rows in {asset}" for asset, count in self._rejected()]
        roots = self._roots(step, self._made(events), {each.asset_key.to_user_string() for each in failing})
        title = roots[0] if len(roots) == 1 else f"{step} ({len(roots)} assets, first {roots[0]})" if roots else step
        return Finding(
            f"step:{step}",
            self._event(step),
            "failed",
            turn.timestamp,
            title=title,
            cause=cause,
            assets=tuple(roots[:_ASSETS_NAMED]),
            details=tuple(details[:_ASSETS_NAMED]),
            run_id=self.run.run_id,
        )

    def _event(self, step: str) -> Event:
        return "asset_materialization_failure" if self.reader.scope.steps.get(step) else "job_failure"

    def _made(self, events: Sequence[dg.EventLogRecord]) -> set[str]:
        found = (each.asset_key for each in events if each.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION)
        return {key.to_user_string() for key in found if key}

    def _roots(self, step: str, made: set[str], failing: set[str]) -> list[str]:
        """What is broken by itself: not what was skipped after something else that is."""
        chosen = self.run.asset_selection
        wanted = set(self.reader.scope.steps.get(step, ()))
        if chosen:
            wanted &= {key.to_user_string() for key in chosen}
        broken = (wanted - made) | failing
        return sorted(each for each in broken if self.reader.scope.upstream(each).isdisjoint(broken))

    def _rejected(self) -> Iterator[tuple[str, int]]:
        for each in self.events:
            done = each.asset_materialization
            count = done.metadata.get("rows_rejected") if done else None
            if done and count and count.value:
                yield done.asset_key.to_user_string(), int(str(count.value))


def _last(events: Sequence[dg.EventLogRecord], *kinds: dg.DagsterEventType) -> dg.EventLogRecord | None:
    return next((each for each in reversed(events) if each.event_type in kinds), None)


def _checks(events: Sequence[dg.EventLogRecord]) -> dict[object, dg.AssetCheckEvaluation]:
    """The last result of each check."""
    happened = [each.event_log_entry.dagster_event for each in events]
    results = [each.event_specific_data for each in happened if each is not None]
    return {each.asset_check_key: each for each in results if isinstance(each, dg.AssetCheckEvaluation)}


def _is_error(check: dg.AssetCheckEvaluation) -> bool:
    return check.severity == dg.AssetCheckSeverity.ERROR


def _number(check: dg.AssetCheckEvaluation, name: str) -> int:
    value = check.metadata.get(name)
    return int(str(value.value)) if value is not None else 0


def _result(check: dg.AssetCheckEvaluation) -> str:
    """What a check says of its failure."""
    rows = _number(check, "dagster_dbt/failed_row_count")
    return f"{rows:,} rows" if rows else check.description or "it does not hold"


def _said(event: dg.EventLogRecord) -> str:
    """What an event says went wrong."""
    happened = event.event_log_entry.dagster_event
    data = happened.event_specific_data if happened else None
    return cause_of(getattr(data, "error", None)) or (happened.message if happened else None) or ""


def _job(run: dg.DagsterRun) -> str:
    return "assets chosen by hand" if run.job_name.startswith("__") else run.job_name
