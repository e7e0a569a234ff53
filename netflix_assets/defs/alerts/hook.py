"""The hook inside runs: it posts a failure at once, takes 2 s at most, and never fails the run.

It writes nothing to Dagster. The sensor finds its message in the channel and posts whatever is missing.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Thread

import dagster as dg

from netflix_assets.alerts.incidents import Incident
from netflix_assets.alerts.redaction import redactor
from netflix_assets.alerts.rules import Rules, load_rules
from netflix_assets.alerts.slack import SlackError, open_chat
from netflix_assets.alerts.text import Writer
from netflix_assets.contracts.model import Source
from netflix_assets.defs.alerts.asset_index import AssetIndex
from netflix_assets.defs.alerts.event_log import EventLog
from netflix_assets.settings import Settings

HOOK_S = 2.0  # the most that an alert may add to a run


@dataclass(frozen=True)
class Alerting:
    """What hook and sensor share. ``redact`` removes secrets and hidden values from a text."""

    settings: Settings
    rules: Rules
    index: AssetIndex
    redact: Callable[[str], str]

    @classmethod
    def of(
        cls, settings: Settings, sources: Iterable[Source], assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]
    ) -> "Alerting":
        """Alerting for these assets by the settings' alerts.yaml. Raises: AlertsError if that is not valid."""
        return cls(settings, load_rules(settings.alerts), AssetIndex.of(assets), redactor(settings, sources))

    def event_log(self, instance: dg.DagsterInstance) -> EventLog:
        """The findings in an instance."""
        return EventLog(instance, self.index, self.settings.step_retries, self.redact)


def slack_on_failure(alerting: Alerting) -> dg.HookDefinition:
    """The hook for every step that makes assets. It runs when the last attempt of the step has failed."""

    @dg.failure_hook(name="slack_on_failure")
    def notify(context: dg.HookContext) -> None:
        problems: list[str] = []

        def work() -> None:
            try:
                _notify(context, alerting, deadline)
            except Exception as error:  # an alert must not fail a run; the sensor delivers what is missing
                problems.append(repr(error))

        deadline = time.monotonic() + HOOK_S
        # A thread, because the timeouts of a client bound a single read, not a call. It is abandoned when time is up.
        thread = Thread(target=work, name="alert", daemon=True)
        thread.start()
        thread.join(HOOK_S)
        problem = "no answer in time" if thread.is_alive() else "".join(problems)
        if problem:
            context.log.warning(f"alert not posted here, the sensor `alerts` will post it: {alerting.redact(problem)}")

    return notify


def _notify(context: dg.HookContext, alerting: Alerting, deadline: float) -> None:
    """Post the failure of this step, if a rule sends it to Slack."""
    settings, event_log = alerting.settings, alerting.event_log(context.instance)
    finding = event_log.find_failure(context.run_id, context.step_key)
    rule = alerting.rules.route(finding.event, settings.env, finding.owners) if finding else None
    if finding is None or rule is None or "slack" not in rule.to:
        return
    incident = Incident.opened_by(finding)
    incident.channel = rule.channel or settings.slack_channel or ""
    chat = open_chat(settings, context.log, HOOK_S)
    if chat.find(incident, event_log.last_good_at(context.step_key)):  # older messages are about earlier incidents
        return
    if time.monotonic() > deadline:
        raise SlackError("no time left to post")
    chat.send(incident, Writer.of(settings, alerting.rules).slack(incident))
