"""Deliver incidents to Slack and SNS, each once.

Hook and sensor follow one rule: read the channel before posting, and post only what is not there. So neither repeats
the other, and a lost answer or a killed tick posts nothing twice.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from netflix_assets.alerts.incidents import AlertState, Incident
from netflix_assets.alerts.rules import Rules
from netflix_assets.alerts.slack import Chat, SlackError, UnreadableChannelError
from netflix_assets.alerts.sns import TopicError, open_topic
from netflix_assets.alerts.text import Writer, incident_id
from netflix_assets.settings import Settings

SETTLE_S = 5.0  # leaves a failed step to its hook, which takes 2 s at most
FALLBACK_AFTER_S = 600.0  # without an answer from Slack for this long, its messages go to SNS
TICK_BUDGET_S = 20.0  # Dagster ends a tick after 60 s
_LOOK_BACK_S = 600.0  # the hook's message may be older than the incident, by the clocks of two machines


@dataclass
class Delivery:
    """The delivery of one tick; each message is tried once per tick. ``now``: Unix time."""

    settings: Settings
    rules: Rules
    chat: Chat
    now: float
    log: Callable[[str], None]

    def __post_init__(self) -> None:
        self.topic = open_topic(self.settings)
        self.writer = Writer.of(self.settings, self.rules)
        self._deadline = time.monotonic() + TICK_BUDGET_S

    def deliver(self, state: AlertState) -> AlertState:
        """Deliver what is pending, as far as one tick allows. Updates the incidents; returns the new state."""
        for each in state.incidents:
            self._route(each)
        quiet_until, is_away = state.quiet_until, True
        if self.now >= quiet_until:
            quiet_until, is_away = self._send_to_slack(state.incidents)
        away_since = (state.away_since or self.now) if is_away else 0.0
        for each in state.incidents:
            self._send_to_sns(each, is_fallback=is_away and self.now - away_since >= FALLBACK_AFTER_S)
        return replace(state, away_since=away_since, quiet_until=quiet_until).pruned()

    def _route(self, incident: Incident) -> None:
        rule = self.rules.route(incident.finding.event, self.settings.env, incident.finding.owners)
        # SNS also receives the end of what it received as Slack's fallback.
        wanted = {*(rule.to if rule else ()), *(("sns",) if incident.published else ())}
        incident.to = tuple(sorted(wanted if self.topic else wanted - {"sns"}))
        incident.channel = incident.channel or (rule and rule.channel) or self.settings.slack_channel or ""

    def _send_to_slack(self, incidents: Sequence[Incident]) -> tuple[float, bool]:
        """Post or edit the pending messages. Returns until when Slack asks us to wait, and whether it is away."""
        has_answer = has_error = False
        for each in incidents:
            is_new = not each.ts and self.now < each.finding.at + SETTLE_S
            if "slack" not in each.pending or is_new or time.monotonic() > self._deadline:
                continue
            try:
                each.ts = each.ts or self._find_message(each, incidents)
                each.ts = self.chat.send(each, self.writer.slack(each))
            except SlackError as error:
                self.log(f"Slack, channel {each.channel}: {error}")
                has_error = True
                if error.retry_after:
                    return self.now + error.retry_after, not has_answer
            else:
                each.delivered, has_answer = each.version, True
        return 0.0, has_error and not has_answer

    def _find_message(self, incident: Incident, incidents: Sequence[Incident]) -> str:
        try:
            return self.chat.find(incident, incident.opened_at - _LOOK_BACK_S, {each.ts for each in incidents})
        except UnreadableChannelError as error:  # an alert that comes twice is better than none
            self.log(f"alerts may come twice, the app cannot read Slack channel {incident.channel}: {error}")
            return ""

    def _send_to_sns(self, incident: Incident, *, is_fallback: bool) -> None:
        state = incident.finding.state
        replaces_slack = is_fallback and "slack" in incident.pending and incident.published != state
        is_due = "sns" in incident.pending or replaces_slack
        if self.topic is None or not is_due or time.monotonic() > self._deadline:
            return
        arguments, deduplication_id = self.writer.sns(incident), f"{state}@{incident_id(incident)}"
        try:
            self.topic.publish(arguments, group=incident.subject, deduplication_id=deduplication_id)
        except TopicError as error:
            self.log(str(error))
        else:
            incident.published = state
