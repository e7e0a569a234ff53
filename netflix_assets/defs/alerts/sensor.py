"""The sensor `alerts`: it finds incidents in Dagster's storage, delivers them once, and keeps their state."""

import time
import urllib.request
from dataclasses import replace

import dagster as dg
from pydantic import ValidationError

from netflix_assets.alerts.delivery import Delivery
from netflix_assets.alerts.incidents import AlertState, fold
from netflix_assets.alerts.slack import SlackError, open_chat
from netflix_assets.contracts.visibility import counted
from netflix_assets.defs.alerts.hook import Alerting

ALERTS_SENSOR = "alerts"
INTERVAL_S = 30
HEARTBEAT_S = 300.0


def alerts_sensor(alerting: Alerting) -> dg.SensorDefinition:
    """The sensor over everything that goes wrong. Its cursor is an AlertState."""

    @dg.sensor(
        name=ALERTS_SENSOR,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends one message per incident, and its recovery, to Slack, SNS or this log (docs/alerts.md).",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, repository = time.time(), context.repository_def
        settings, rules, event_log = alerting.settings, alerting.rules, alerting.event_log(context.instance)
        findings, state = event_log.read_runs(_load_state(context, now))
        sensors = {each.name for each in repository.sensor_defs} if repository else set()
        schedules = {each.name for each in repository.schedule_defs} if repository else set()
        watched = (sensors | schedules) - {ALERTS_SENSOR}
        findings += event_log.find_conditions(state.incidents, watched, rules.long_running_minutes * 60, now)
        delivery = Delivery(
            alerting.settings,
            rules,
            open_chat(settings, context.log),
            now,
            lambda text: context.log.warning(alerting.redact(text)),
        )
        state = delivery.deliver(replace(state, incidents=tuple(fold(state.incidents, findings))))
        is_due = now >= state.beat_at + HEARTBEAT_S and not state.away_since
        if settings.heartbeat_url and is_due and _send_heartbeat(settings.heartbeat_url.get_secret_value(), delivery):
            state = replace(state, beat_at=now)
        still_open = sum(bool(each.is_open and each.to) for each in state.incidents)
        pending = sum(bool(each.pending) for each in state.incidents)
        summary = (
            f"{counted(still_open, 'open incident')}, {pending} pending"
            if still_open or pending
            else "no open incidents"
        )
        return dg.SensorResult(skip_reason=summary, cursor=state.to_cursor())

    return alerts


def _load_state(context: dg.SensorEvaluationContext, now: float) -> AlertState:
    """The state of the last tick. Without a readable one alerting starts now."""
    try:
        return AlertState.from_cursor(context.cursor) if context.cursor else AlertState(since=now)
    except ValidationError as error:
        context.log.error(f"unreadable cursor, starting without open incidents: {error.error_count()} errors")
        return AlertState(since=now)


def _send_heartbeat(url: str, delivery: Delivery) -> bool:
    """Call the dead man's switch if Slack answers. Returns whether it was called."""
    try:
        delivery.chat.check()
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - the settings only allow http(s)
            return True
    except (SlackError, OSError, ValueError) as error:
        delivery.log(f"no heartbeat: {error}")
        return False
