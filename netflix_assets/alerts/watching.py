"""The alerts' Dagster objects: the hook inside runs, and the sensor over the event log that delivers what is missing.

The hook is quick and may fail; the sensor is slow and certain. Both claim an incident by a tag on the run before they
post, so that neither posts what the other has. Does not belong here: what is read (``reading.py``) and how it is
delivered (``delivery.py``).
"""

import logging
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import ValidationError

from netflix_assets.alerts.incidents import Incident, Memory, fold
from netflix_assets.alerts.reading import Reader, has_succeeded
from netflix_assets.alerts.redacting import cleaner
from netflix_assets.alerts.rules import Rules
from netflix_assets.alerts.scope import Scope
from netflix_assets.alerts.text import Writer
from netflix_assets.settings import Settings

if TYPE_CHECKING:
    from netflix_assets.alerts.delivery import Delivery

ALERTS_SENSOR = "alerts"
INTERVAL_S = 30
HOOK_S = 2.0  # at most, in all, that an alert may add to a run
BEAT_S = 300.0
TAG = "netflix/alert/"  # + step: open when it has been told, or is being told, that it has failed

OPEN, UNTOLD, OVER = "open", "untold", "recovered"


def writer(settings: Settings, rules: Rules) -> Writer:
    """What writes the messages of this environment."""
    return Writer(settings.env, settings.web_url, rules.mentions)


# ---------------------------------------------------------------------------------------------------------------- hook


def slack_on_failure(settings: Settings, rules: Rules, scope: Scope) -> dg.HookDefinition:
    """The hook for every step that makes assets: a message at once, when the last attempt has failed."""
    clean = cleaner(settings)

    @dg.failure_hook(name="slack_on_failure")
    def tell(context: dg.HookContext) -> None:
        # Whatever goes wrong here is no failure of the run, and the sensor delivers what is missing.
        try:
            reader = Reader(context.instance, scope, settings.step_retries, clean)
            _tell(context, reader, settings, rules)
        except Exception as error:
            context.log.warning(f"no alert from here, the sensor sends it: {clean(repr(error))}")

    return tell


def _tell(context: dg.HookContext, reader: Reader, settings: Settings, rules: Rules) -> None:
    ends = time.monotonic() + HOOK_S
    from netflix_assets.alerts.slack import chat, payload

    found = reader.of_step(context.run_id, context.step_key)
    rule = rules.route(found.event, settings.env, found.owners) if found else None
    if found is None or rule is None or "slack" not in rule.to:
        return
    incident = Incident(found, opened_at=found.at, count=1)
    message, about = writer(settings, rules).message([incident]), payload([incident.subject], settings.env, True)
    slack, channel = chat(settings, context.log, timeout=HOOK_S), rule.channel or settings.slack_channel or ""
    if settings.slack_token is None:
        slack.post(channel, message, about)  # into the log of this run, of each run that fails
        return
    if _is_claimed(context.instance, context.run_id, context.step_key, reader.scope, rules.digest_above):
        return
    context.instance.add_run_tags(context.run_id, {TAG + context.step_key: OPEN})
    problem = _within(ends - time.monotonic(), lambda: slack.post(channel, message, about))
    if problem:
        context.instance.add_run_tags(context.run_id, {TAG + context.step_key: UNTOLD})
        context.log.warning(f"no alert from here, the sensor sends it: {reader.clean(problem)}")


def _is_claimed(instance: dg.DagsterInstance, run_id: str, step: str, scope: Scope, most: int) -> bool:
    """Whether somebody has told, or is telling, that this step has failed; also when it is one of very many."""
    run = instance.get_run_by_id(run_id)
    if run and (TAG + step in run.tags or sum(tag.startswith(TAG) for tag in run.tags) >= most):
        return True
    earlier = instance.get_run_records(dg.RunsFilter(tags={TAG + step: OPEN}), limit=1)
    return any(not _has_been_mended(instance, record, scope.steps.get(step, ())) for record in earlier)


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
        except Exception as error:
            problems.append(str(error))

    thread = Thread(target=work, name="alert", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    return "no answer in time" if thread.is_alive() else "".join(problems)


# -------------------------------------------------------------------------------------------------------------- sensor


def alerts_sensor(settings: Settings, rules: Rules, scope: Scope) -> dg.SensorDefinition:
    """One sensor over all that a hook cannot see, which is also the outbox of what a hook could not deliver."""
    clean = cleaner(settings)

    @dg.sensor(
        name=ALERTS_SENSOR,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of what goes wrong, once, and when it is over: in Slack, SNS or this log (docs/alerts.md).",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = time.time()
        memory = _remembered(context, now)
        reader = Reader(context.instance, scope, settings.step_retries, clean)
        repository = context.repository_def
        sensors = [each.name for each in repository.sensor_defs] if repository else []
        schedules = [each.name for each in repository.schedule_defs] if repository else []
        watched = frozenset([*sensors, *schedules]) - {ALERTS_SENSOR}
        memory = tick(reader, memory, settings, rules, watched, now, context.log)
        told = [each for each in memory.incidents if each.is_open and each.to]
        waiting = sum(each.waits for each in memory.incidents)
        said = f"{len(told)} open incidents, {waiting} to be delivered" if told or waiting else "nothing is wrong"
        return dg.SensorResult(skip_reason=said, cursor=memory.to_cursor())

    return watch


def tick(
    reader: Reader,
    memory: Memory,
    settings: Settings,
    rules: Rules,
    watched: frozenset[str],
    now: float,
    log: logging.Logger,
) -> Memory:
    """Read what is new, tell it, and say that alerting works. Returns what the next tick has to know."""
    from netflix_assets.alerts.delivery import Delivery
    from netflix_assets.alerts.slack import chat
    from netflix_assets.alerts.sns import topic

    findings, memory = reader.changed_runs(memory)
    findings += reader.lasting(memory.incidents, watched, rules.long_running_minutes * 60, now)
    delivery = Delivery(
        rules,
        writer(settings, rules),
        chat(settings, log),
        topic(settings),
        settings.slack_channel or "",
        now,
        lambda text: log.warning(reader.clean(text)),
    )
    incidents = [delivery.routed(each) for each in fold(memory.incidents, findings)]
    memory = replace(memory, incidents=tuple(_claimed(each, reader.instance) for each in incidents))
    memory = delivery.deliver(memory)
    if settings.heartbeat_url and now >= memory.beat_at + BEAT_S and not memory.away_since:
        memory = replace(
            memory, beat_at=_beat(settings.heartbeat_url.get_secret_value(), delivery, now) or memory.beat_at
        )
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


def _beat(url: str, delivery: "Delivery", now: float) -> float:
    """Tell whoever waits for it that alerting works: the daemon runs, the code loads, Slack answers."""
    from netflix_assets.alerts.slack import SlackAwayError

    try:
        delivery.chat.is_there()
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - the settings let only http(s) be
            return now
    except (SlackAwayError, OSError, ValueError) as error:
        delivery.log(f"no heartbeat: {error}")
        return 0.0
