"""Who is told what of the incidents, and that each is told once.

Before anything is posted the channel is looked through for what stands there already: posted by the hook, or by a tick
whose answer or memory was lost. Each tick tries each message at most once; what was not answered for is pending, and
the next tick looks first. Knows no Dagster. Does not belong here: what incidents there are (``incidents.py``).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from netflix_assets.alerts.incidents import Incident, Memory
from netflix_assets.alerts.rules import Destination, Rules
from netflix_assets.alerts.slack import Chat, SlackAwayError, payload
from netflix_assets.alerts.sns import Topic, TopicAwayError
from netflix_assets.alerts.text import Writer, incident_id

SETTLING_S = 5.0  # a hook may be posting the same: it takes 2 s at most
AWAY_S = 600.0  # after this long without Slack its messages go to SNS
BUDGET_S = 20.0  # of a tick, which Dagster ends after 60
_LOOK_BACK_S = 600.0  # what was posted so long before an incident was seen may be its message

Log = Callable[[str], None]
T = TypeVar("T")


@dataclass
class Delivery:
    """One tick's delivery. ``channel``: where messages go whose rule names none; ``now``: Unix time.

    Afterwards ``problem`` says what Slack has not done last, and ``rest`` how long (s) it wants to be left alone.
    """

    rules: Rules
    writer: Writer
    chat: Chat
    topic: Topic | None
    channel: str
    now: float
    log: Log
    worked: bool = False
    problem: str = ""
    rest: float = 0.0
    _unseen: set[str] = field(default_factory=set)
    _ends: float = field(default_factory=lambda: time.monotonic() + BUDGET_S)

    def deliver(self, memory: Memory) -> Memory:
        """Tell what is untold, as far as it can be done in one tick. Returns what is to be remembered of it."""
        incidents = [self.routed(each) for each in memory.incidents]
        rests = self.now < memory.quiet_until
        if not rests:
            incidents = self._in_slack(incidents)
        is_away = rests or (bool(self.problem) and not self.worked)
        away = (memory.away_since or self.now) if is_away else 0.0
        incidents = [self._in_sns(each, fallback=is_away and self.now - away >= AWAY_S) for each in incidents]
        quiet = self.now + self.rest if self.rest else memory.quiet_until
        after = replace(memory, incidents=tuple(incidents), away_since=away, quiet_until=quiet)
        return after.without_what_is_over(self.now - self.rules.window_minutes * 60)

    def routed(self, incident: Incident) -> Incident:
        """With where it is to be told."""
        rule = self.rules.route(incident.found.event, self.writer.environment, incident.found.owners)
        # SNS that was told instead of Slack is also told how it ends.
        wanted = {*(rule.to if rule else ()), *(("sns",) if incident.published else ())}
        to = tuple(each for each in ("slack", "sns") if each in wanted and (each != "sns" or self.topic))
        return replace(
            incident,
            to=cast(tuple[Destination, ...], to),
            channel=incident.channel or (rule and rule.channel) or self.channel,
        )

    # ------------------------------------------------------------------------------------------ Slack

    def _in_slack(self, incidents: list[Incident]) -> list[Incident]:
        for channel in _channels(each for each in incidents if self._is_new(each)):
            incidents = self._adopted(incidents, channel)
        for channel in _channels(each for each in incidents if self._is_new(each)):
            for group in self._groups([each for each in incidents if each.channel == channel]):
                incidents = self._posted(incidents, group)
        for message in dict.fromkeys(each.message for each in incidents if each.ts and each.waits_for_slack):
            incidents = self._updated(incidents, message)
        return [self._threaded(each) for each in incidents]

    def _is_new(self, incident: Incident) -> bool:
        settled = self.now >= incident.found.at + SETTLING_S
        return settled and incident.waits_for_slack and not incident.ts and incident.channel not in self._unseen

    def _adopted(self, incidents: list[Incident], channel: str) -> list[Incident]:
        """With the messages that stand in the channel already; without a look nothing is posted in this tick."""
        new = [each for each in incidents if self._is_new(each) and each.channel == channel]
        known = {each.ts for each in incidents}
        posted = self._try(lambda: self.chat.posted(channel, min(each.opened_at for each in new) - _LOOK_BACK_S))
        if posted is None:
            self._unseen.add(channel)
            return incidents
        mine = [each for each in posted if each.environment == self.writer.environment and each.is_open]
        of = {subject: each.ts for each in mine if each.ts not in known for subject in each.subjects}
        return [
            replace(each, ts=of[each.subject], posted_at=self.now) if each in new and each.subject in of else each
            for each in incidents
        ]

    def _groups(self, incidents: Sequence[Incident]) -> list[list[Incident]]:
        """What of a channel is posted or edited together: each by itself, or all in one digest when they are many."""
        new = [each for each in incidents if self._is_new(each)]
        since = self.now - self.rules.window_minutes * 60
        recent = Counter(each.ts for each in incidents if each.ts and each.posted_at > since)
        if len(new) + len(recent) <= self.rules.digest_above:
            return [[each] for each in new]
        digest = next((ts for ts, count in recent.items() if count > 1), None)
        return [[*(each for each in incidents if digest and each.ts == digest), *new]]

    def _posted(self, incidents: list[Incident], group: Sequence[Incident]) -> list[Incident]:
        """With a message of their own, or as additions to the digest that some of them are in."""
        channel, ts = group[0].message
        if not ts:
            ts = self._try(lambda: self.chat.post(channel, self.writer.message(group), self._about(group))) or ""
            told = [replace(each, ts=ts, posted_at=self.now, told=each.version if ts else "") for each in group]
        else:
            told = [replace(each, ts=ts, posted_at=each.posted_at or self.now) for each in group]
        return [told[group.index(each)] if each in group else each for each in incidents]

    def _updated(self, incidents: list[Incident], message: tuple[str, str]) -> list[Incident]:
        group = [each for each in incidents if each.message == message]
        done = self._try(lambda: self.chat.update(*message, self.writer.message(group), self._about(group)))
        return [replace(each, told=each.version) if done and each in group else each for each in incidents]

    def _threaded(self, incident: Incident) -> Incident:
        """With its details in the thread of its message."""
        if not incident.waits_for_thread:
            return incident
        there = self._try(lambda: self.chat.has_thread(*incident.message, incident.subject))
        details, about = self.writer.details(incident), self._about([incident])
        if there is False:
            there = bool(self._try(lambda: self.chat.post(incident.channel, details, about, thread=incident.ts)))
        return replace(incident, threaded=bool(there))

    def _try(self, call: Callable[[], T]) -> T | None:
        """What Slack answers; None when it does not, or when there is no time left to ask."""
        if self.rest or time.monotonic() > self._ends:
            return None
        try:
            answer = call()
        except SlackAwayError as error:
            self.log(f"Slack, tried again at the next tick: {error}")
            self.problem, self.rest = str(error), error.retry_after
            return None
        self.worked = True
        return answer

    def _about(self, group: Sequence[Incident]) -> dict[str, object]:
        is_open = any(each.is_open for each in group)
        return payload([each.subject for each in group], self.writer.environment, is_open)

    # ------------------------------------------------------------------------------------------ SNS

    def _in_sns(self, incident: Incident, *, fallback: bool) -> Incident:
        """Published if its rule says so, or if Slack should have it and is away."""
        state = incident.found.state
        instead = fallback and incident.waits_for_slack and incident.published != state
        if self.topic is None or not (incident.waits_for_sns or instead) or time.monotonic() > self._ends:
            return incident
        try:
            self.topic.publish(
                self.writer.sns(incident), group=incident.subject, once=f"{state}@{incident_id(incident)}"
            )
        except TopicAwayError as error:
            self.log(f"not published, tried again at the next tick: {error}")
            return incident
        return replace(incident, published=state)


def _channels(incidents: Iterable[Incident]) -> list[str]:
    return list(dict.fromkeys(each.channel for each in incidents))
