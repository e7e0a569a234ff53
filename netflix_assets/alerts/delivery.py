"""Deliver incidents to Slack and SNS, each once.

Hook and sensor follow one rule: read the channel before posting, and post only what is not there. So neither repeats
the other, and a lost answer or a killed tick posts nothing twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from netflix_assets.alerts.incidents import AlertState, Incident
from netflix_assets.alerts.rules import Destination, Rules
from netflix_assets.alerts.slack import Chat, PostedMessage, SlackError, UnreadableChannelError
from netflix_assets.alerts.sns import Topic, TopicError
from netflix_assets.alerts.text import Writer, incident_id

SETTLE_S = 5.0  # leaves a failed step to its hook, which takes 2 s at most
FALLBACK_AFTER_S = 600.0  # without an answer from Slack for this long, its messages go to SNS
TICK_BUDGET_S = 20.0  # Dagster ends a tick after 60 s
_LOOK_BACK_S = 600.0  # the hook's message may be older than the incident, by the clocks of two machines

T = TypeVar("T")


def post_at_once(
    chat: Chat, writer: Writer, rules: Rules, incident: Incident, *, good_at: float, deadline: float
) -> None:
    """Post a new incident from within a run, unless the channel has it or it belongs in the sensor's digest.

    ``good_at``: when the subject was last good (Unix time), older messages are about earlier incidents; ``deadline``:
    nothing is posted after it (``time.monotonic()``). Raises: SlackError.
    """
    window_start = time.time() - rules.window_minutes * 60
    messages = chat.messages(incident.channel, writer.environment, min(good_at, window_start))
    is_posted = any(
        float(each.ts) > good_at and each.is_open and incident.subject in each.subjects for each in messages
    )
    if is_posted or sum(float(each.ts) > window_start for each in messages) >= rules.digest_above:
        return
    if time.monotonic() > deadline:
        raise SlackError("no time left to post")
    chat.send(incident.channel, writer.message([incident]))


@dataclass
class Delivery:
    """The delivery of one tick; each message is tried once per tick. ``channel``: the default; ``now``: Unix time."""

    rules: Rules
    writer: Writer
    chat: Chat
    topic: Topic | None
    channel: str
    now: float
    log: Callable[[str], None]
    _has_answer: bool = False
    _has_error: bool = False
    _retry_after: float = 0.0
    _deadline: float = field(default_factory=lambda: time.monotonic() + TICK_BUDGET_S)

    def deliver(self, state: AlertState) -> AlertState:
        """Deliver what is pending, as far as one tick allows. Updates the incidents; returns the new state."""
        for each in state.incidents:
            self._route(each)
        is_resting = self.now < state.quiet_until
        if not is_resting:
            self._send_to_slack(state.incidents)
        is_away = is_resting or (self._has_error and not self._has_answer)
        away_since = (state.away_since or self.now) if is_away else 0.0
        for each in state.incidents:
            self._send_to_sns(each, is_fallback=is_away and self.now - away_since >= FALLBACK_AFTER_S)
        quiet_until = self.now + self._retry_after if self._retry_after else state.quiet_until
        return replace(state, away_since=away_since, quiet_until=quiet_until).pruned(self._window_start)

    @property
    def _window_start(self) -> float:
        return self.now - self.rules.window_minutes * 60

    def _route(self, incident: Incident) -> None:
        rule = self.rules.route(incident.finding.event, self.writer.environment, incident.finding.owners)
        wanted = {*(rule.to if rule else ())}
        if incident.published:  # SNS also receives the end of what it received as Slack's fallback
            wanted.add("sns")
        to = [each for each in ("slack", "sns") if each in wanted and (each != "sns" or self.topic)]
        incident.to = cast(tuple[Destination, ...], tuple(to))
        incident.channel = incident.channel or (rule and rule.channel) or self.channel

    # ------------------------------------------------------------------------------------------ Slack

    def _send_to_slack(self, incidents: Sequence[Incident]) -> None:
        pending = [each for each in incidents if "slack" in each.pending]
        new = [each for each in pending if not each.ts and self.now >= each.finding.at + SETTLE_S]
        for channel in dict.fromkeys(each.channel for each in new):
            self._send_new(incidents, [each for each in new if each.channel == channel])
        for message in dict.fromkeys(each.message for each in pending if each.ts and "slack" in each.pending):
            self._send([each for each in incidents if each.message == message])

    def _send_new(self, incidents: Sequence[Incident], new: Sequence[Incident]) -> None:
        """Find the messages of new incidents in their channel, and post those without one."""
        if not self._find_messages(incidents, new):
            return
        same_channel = [each for each in incidents if each.ts and each.channel == new[0].channel]
        recent = Counter(each.ts for each in same_channel if each.posted_at > self._window_start)
        unposted = [each for each in new if not each.ts]
        if len(unposted) + len(recent) <= self.rules.digest_above:
            for each in unposted:
                self._send([each])
        elif digest := next((ts for ts, count in recent.items() if count > 1), ""):
            for each in unposted:
                each.ts, each.posted_at = digest, self.now
        elif unposted:
            self._send(unposted)

    def _find_messages(self, incidents: Sequence[Incident], new: Sequence[Incident]) -> bool:
        """Give new incidents the messages that the channel has. Returns whether Slack has answered."""
        channel, since = new[0].channel, min(each.opened_at for each in new) - _LOOK_BACK_S

        def read() -> list[PostedMessage]:
            try:
                return self.chat.messages(channel, self.writer.environment, since)
            except UnreadableChannelError as error:  # an alert that comes twice is better than none
                self.log(f"alerts may come twice, the app cannot read the Slack channel: {error}")
                return []

        messages = self._try(read)
        known = {each.ts for each in incidents}
        for found in messages or ():
            for subject in found.subjects if found.ts not in known else ():
                candidates = (each for each in new if not each.ts and each.subject == subject)
                incident = next((each for each in candidates if found.is_about(subject, each.opened_at)), None)
                if incident is not None:
                    incident.ts, incident.posted_at = found.ts, self.now
        return messages is not None

    def _send(self, group: Sequence[Incident]) -> None:
        """Post or edit the message that these incidents share."""
        message = self.writer.message(group)
        if ts := self._try(lambda: self.chat.send(group[0].channel, message, group[0].ts)):
            for each in group:
                each.ts, each.posted_at, each.delivered = ts, each.posted_at or self.now, each.version

    def _try(self, call: Callable[[], T]) -> T | None:
        """Slack's answer; None if it fails, asked us to wait, or the tick has no time left."""
        if self._retry_after or time.monotonic() > self._deadline:
            return None
        try:
            answer = call()
        except SlackError as error:
            self.log(f"Slack failed, the next tick retries: {error}")
            self._has_error, self._retry_after = True, error.retry_after
            return None
        self._has_answer = True
        return answer

    # ------------------------------------------------------------------------------------------ SNS

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
            self.log(f"SNS failed, the next tick retries: {error}")
        else:
            incident.published = state
