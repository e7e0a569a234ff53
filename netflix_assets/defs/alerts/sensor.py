"""The alerts' Dagster objects: the hook inside runs, and the sensor over the event log that delivers what is missing.

The hook is quick and may fail; the sensor is slow and certain. Both claim an incident by a tag on the run before they
post, so that neither posts what the other has. Does not belong here: what is read (``reading.py``) and how it is
delivered (``delivery.py``).
"""

import logging
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import ValidationError

from netflix_assets.alerts.incidents import Incident, Memory, fold
from netflix_assets.alerts.redaction import cleaner
from netflix_assets.alerts.rules import Rules, load_rules
from netflix_assets.alerts.text import Writer
from netflix_assets.contracts.model import Source
from netflix_assets.defs.alerts.asset_index import Scope, scope_of
from netflix_assets.defs.alerts.event_log import Reader, has_succeeded
from netflix_assets.settings import Settings

if TYPE_CHECKING:
    from netflix_assets.alerts.delivery import Delivery

ALERTS_SENSOR = "alerts"
INTERVAL_S = 30
HOOK_S = 2.0  # at most, in all, that an alert may add to a run
BEAT_S = 300.0
TAG = "netflix/alert/"  # + step: open when it has been told, or is being told, that it has failed

OPEN, UNTOLD, OVER = "open", "untold", "recovered"


@dataclass(frozen=True)
class Alerting:
    """What hook and sensor share: whom to tell, the graph, and what takes out of a text what nobody may see."""

    settings: Settings
    rules: Rules
    scope: Scope
    clean: Callable[[str], str]

    def reader(self, instance: dg.DagsterInstance) -> Reader:
        """What reads the storage of Dagster."""
        return Reader(instance, self.scope, self.settings.step_retries, self.clean)

    @property
    def writer(self) -> Writer:
        """What writes the messages of this environment."""
        return Writer(self.settings.env, self.settings.web_url, self.rules.mentions)


def alerting(
    settings: Settings, sources: Iterable[Source], assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]
) -> Alerting:
    """Alerting over these assets, by alerts.yaml. Raises: AlertsError when that is not valid."""
    return Alerting(settings, load_rules(settings.alerts), scope_of(assets), cleaner(settings, sources))


# ---------------------------------------------------------------------------------------------------------------- hook


def slack_on_failure(alerting: Alerting) -> dg.HookDefinition:
    """The hook for every step that makes assets: a message at once, when the last attempt has failed."""

    @dg.failure_hook(name="slack_on_failure")
    def tell(context: dg.HookContext) -> None:
        # Whatever goes wrong here is no failure of the run, and the sensor delivers what is missing.
        try:
            problem = _tell(context, alerting)
        except Exception as error:
            problem = repr(error)
        if problem:
            context.log.warning(f"no alert from here, the sensor sends it: {alerting.clean(problem)}")

    return tell


def _tell(context: dg.HookContext, alerting: Alerting) -> str:
    """Post it, unless somebody has. Returns what went wrong, if anything."""
    ends = time.monotonic() + HOOK_S
    from netflix_assets.alerts.slack import chat, payload

    settings, instance, run_id, step = alerting.settings, context.instance, context.run_id, context.step_key
    found = alerting.reader(instance).of_step(run_id, step)
    rule = alerting.rules.route(found.event, settings.env, found.owners) if found else None
    if found is None or rule is None or "slack" not in rule.to:
        return ""
    incident = Incident(found, opened_at=found.at, count=1)
    message, about = alerting.writer.message([incident]), payload([incident.subject], settings.env, True)
    slack, channel = chat(settings, context.log, timeout=HOOK_S), rule.channel or settings.slack_channel or ""
    if settings.slack_token is None:
        slack.post(channel, message, about)  # into the log of this run, of each run that fails
        return ""
    if _is_claimed(instance, run_id, step, alerting):
        return ""
    instance.add_run_tags(run_id, {TAG + step: OPEN})
    problem = _within(ends - time.monotonic(), lambda: slack.post(channel, message, about))
    if problem:
        instance.add_run_tags(run_id, {TAG + step: UNTOLD})
    return problem


def _is_claimed(instance: dg.DagsterInstance, run_id: str, step: str, alerting: Alerting) -> bool:
    """Whether somebody has told, or is telling, that this step has failed; also when it is one of very many."""
    run = instance.get_run_by_id(run_id)
    told = [tag for tag in run.tags if tag.startswith(TAG)] if run else []
    if TAG + step in told or len(told) >= alerting.rules.digest_above:
        return True
    earlier = instance.get_run_records(dg.RunsFilter(tags={TAG + step: OPEN}), limit=1)
    return any(not _has_been_mended(instance, record, alerting.scope.steps.get(step, ())) for record in earlier)


def _has_been_mended(instance: dg.DagsterInstance, record: dg.RunRecord, assets: Sequence[str]) -> bool:
    """Whether all that a step makes was made well after a run: its tag is only old, where no sensor has removed it."""
    made = instance.get_latest_materialization_events([dg.AssetKey.from_user_string(each) for each in assets])
    since = [event for event in made.values() if event and event.timestamp > (record.end_time or 0)]
    runs = {event.run_id for event in since}
    return bool(made) and len(since) == len(made) and all(has_succeeded(instance, each) for each in runs)


def _within(seconds: float, call: Callable[[], object]) -> str:
    """Do it in a thread that is left alone after a while. Returns what went wrong, if anything."""
    problems: list[str] = []

    def work() -> None:
        try:
            call()
        except Exception as error:  # a thread's exceptions reach nobody: who waits for it is told
            problems.append(str(error))

    thread = Thread(target=work, name="alert", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    return "no answer in time" if thread.is_alive() else "".join(problems)


# -------------------------------------------------------------------------------------------------------------- sensor


def alerts_sensor(alerting: Alerting) -> dg.SensorDefinition:
    """One sensor over all that a hook cannot see, which is also the outbox of what a hook could not deliver."""

    @dg.sensor(
        name=ALERTS_SENSOR,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of what goes wrong, once, and when it is over: in Slack, SNS or this log (docs/alerts.md).",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = time.time()
        memory = _remembered(context, now)
        repository = context.repository_def
        sensors = [each.name for each in repository.sensor_defs] if repository else []
        schedules = [each.name for each in repository.schedule_defs] if repository else []
        watched = frozenset([*sensors, *schedules]) - {ALERTS_SENSOR}
        memory = _tick(alerting, context.instance, memory, watched, now, context.log)
        told = [each for each in memory.incidents if each.is_open and each.to]
        waiting = sum(each.waits for each in memory.incidents)
        said = f"{len(told)} open incidents, {waiting} to be delivered" if told or waiting else "nothing is wrong"
        return dg.SensorResult(skip_reason=said, cursor=memory.to_cursor())

    return watch


def _tick(
    alerting: Alerting,
    instance: dg.DagsterInstance,
    memory: Memory,
    watched: frozenset[str],
    now: float,
    log: logging.Logger,
) -> Memory:
    """Read what is new, tell it, and say that alerting works. Returns what the next tick has to know."""
    from netflix_assets.alerts.delivery import Delivery
    from netflix_assets.alerts.slack import chat
    from netflix_assets.alerts.sns import topic

    settings, rules, reader = alerting.settings, alerting.rules, alerting.reader(instance)
    findings, memory = reader.changed_runs(memory)
    findings += reader.lasting(memory.incidents, watched, rules.long_running_minutes * 60, now)
    delivery = Delivery(
        rules,
        alerting.writer,
        chat(settings, log),
        topic(settings),
        settings.slack_channel or "",
        now,
        lambda text: log.warning(alerting.clean(text)),
    )
    incidents = [delivery.routed(each) for each in fold(memory.incidents, findings)]
    memory = replace(memory, incidents=tuple(_claimed(each, instance) for each in incidents))
    memory = delivery.deliver(memory)
    url, is_due = settings.heartbeat_url, now >= memory.beat_at + BEAT_S and not memory.away_since
    if url and is_due and _beat(url.get_secret_value(), delivery):
        memory = replace(memory, beat_at=now)
    return memory


def _remembered(context: dg.SensorEvaluationContext, now: float) -> Memory:
    """The memory of the tick before; the first one, and one that cannot read it, begin with what is now."""
    try:
        return Memory.from_cursor(context.cursor) if context.cursor else Memory(since=now)
    except ValidationError as error:
        context.log.error(f"the cursor cannot be read and is begun anew: {error.error_count()} errors")
        return Memory(since=now)


def _claimed(incident: Incident, instance: dg.DagsterInstance) -> Incident:
    """With its tag on the run, so that no hook tells the same; without it when it is over."""
    step, run_id = incident.subject.removeprefix("step:"), incident.found.run_id
    if step == incident.subject:
        return incident
    if incident.is_open and "slack" in incident.to and not incident.claimed:
        tagged, tag, claimed = run_id, OPEN, run_id
    elif not incident.is_open and incident.claimed:
        tagged, tag, claimed = incident.claimed, OVER, ""
    else:
        return incident
    if instance.has_run(tagged):
        instance.add_run_tags(tagged, {TAG + step: tag})
    return replace(incident, claimed=claimed)


def _beat(url: str, delivery: "Delivery") -> bool:
    """Tell whoever waits for it that alerting works: the daemon runs, the code loads, Slack answers."""
    from netflix_assets.alerts.slack import SlackAwayError

    try:
        delivery.chat.is_there()
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - the settings let only http(s) be
            return True
    except (SlackAwayError, OSError, ValueError) as error:
        delivery.log(f"no heartbeat: {error}")
        return False
