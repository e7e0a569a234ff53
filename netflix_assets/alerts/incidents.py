"""Findings become incidents: what an incident is, how it opens, counts up and recovers. Pure; knows no Dagster.

An incident is a subject (a step, a check, a run, a sensor, the age of an asset) that is in trouble; there is at most
one open per subject. Does not belong here: where findings come from (``reading.py``), who is told (``delivery.py``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter

from netflix_assets.alerts.rules import Destination, Event

State = Literal["retrying", "failed", "recovered", "succeeded"]

# States that last: they are over when they are not found any more.
LASTING: frozenset[Event] = frozenset(
    {"asset_freshness_fail", "asset_freshness_warn", "tick_failure", "job_long_running", "files_parked"}
)
# Each time counts, which of a state would only say how often somebody has looked.
_COUNTED: frozenset[Event] = frozenset({"asset_materialization_failure", "job_failure", "asset_check_severity_error"})

MAX_OPEN = 200  # incidents; of more than these the oldest that have been told are forgotten


@dataclass(frozen=True)
class Finding:
    """What was seen of a subject at a moment (``at``, Unix time).

    ``title``: the subject for people; ``assets``: what is broken by itself, or, when it is fine again, what was made;
    ``attempt`` of ``attempts``: of a retry under way; ``details``: lines for the thread; ``stale``: some of the
    ``stale_count`` assets that are not made anew because of it; ``good_at``, ``good_run``: when it was last made.
    """

    subject: str
    event: Event
    state: State
    at: float
    title: str = ""
    cause: str = ""
    assets: tuple[str, ...] = ()
    run_id: str = ""
    attempt: int = 0
    attempts: int = 0
    details: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    stale_count: int = 0
    good_at: float = 0.0
    good_run: str = ""


@dataclass(frozen=True)
class Incident:
    """A subject in trouble, by what was found last, and how much of it has been told.

    ``count``: how often it has failed; ``to``: where it is to be told; ``channel`` and ``ts``: its message in Slack,
    which several incidents share when it is a digest; ``told``: the version that Slack has; ``threaded``: whether the
    details are in the thread; ``published``: the state that SNS has; ``claimed``: the run that carries its tag.
    """

    found: Finding
    opened_at: float
    count: int = 0
    ended_at: float = 0.0
    to: tuple[Destination, ...] = ()
    channel: str = ""
    ts: str = ""
    posted_at: float = 0.0
    told: str = ""
    threaded: bool = False
    published: str = ""
    claimed: str = ""

    @property
    def subject(self) -> str:
        """What is in trouble."""
        return self.found.subject

    @property
    def message(self) -> tuple[str, str]:
        """Where its message is: channel and ts."""
        return self.channel, self.ts

    @property
    def version(self) -> str:
        """Changes when there is something new to tell."""
        return f"{self.found.event} {self.found.state} {self.found.attempt} {self.count}"

    @property
    def is_open(self) -> bool:
        """Whether the trouble goes on."""
        return not self.ended_at

    @property
    def is_worth_telling(self) -> bool:
        """A retry is worth a message only while it is under way: what it mended before anybody knew is no news."""
        return self.found.state != "recovered" or self.count > 0 or bool(self.ts)

    @property
    def waits_for_slack(self) -> bool:
        """Whether its message in Slack is missing or does not say all."""
        return "slack" in self.to and self.is_worth_telling and self.told != self.version

    @property
    def waits_for_thread(self) -> bool:
        """Whether the details are not in the thread of its message."""
        return bool(self.ts) and not self.threaded and self.found.state == "failed"

    @property
    def waits_for_sns(self) -> bool:
        """Whether SNS is to have something that it has not."""
        return "sns" in self.to and self.is_worth_telling and self.published != self.found.state

    @property
    def waits(self) -> bool:
        """Whether there is something to tell."""
        return self.waits_for_slack or self.waits_for_thread or self.waits_for_sns

    @property
    def is_over(self) -> bool:
        """Whether there will be nothing more to tell."""
        return not (self.is_open or self.waits)


def fold(incidents: Sequence[Incident], findings: Iterable[Finding]) -> list[Incident]:
    """The incidents after these findings. The same finding twice changes nothing the second time."""
    every = list(incidents)
    for found in sorted(findings, key=lambda each: each.at):
        place = next((n for n, each in enumerate(every) if each.is_open and each.subject == found.subject), None)
        if place is not None:
            every[place] = _after(every[place], found)
        elif found.state == "succeeded":
            every.append(Incident(found, opened_at=found.at, ended_at=found.at))
        elif found.state != "recovered":
            every.append(Incident(found, opened_at=found.at, count=int(found.state == "failed")))
    return every


def _after(incident: Incident, found: Finding) -> Incident:
    before = incident.found
    if found.at <= before.at:
        return incident
    if found.state == "recovered":
        if not set(before.assets) <= set(found.assets):
            return incident  # a part of what is broken was made anew, the broken part was not among it
        return replace(incident, found=replace(before, state="recovered", at=found.at), ended_at=found.at)
    if found.state == "retrying" and before.state == "failed":
        return incident  # another run tries; it is told when that has come to something
    if found.event in LASTING:
        return replace(incident, found=replace(found, at=before.at))
    counted = found.event in _COUNTED or not incident.count
    return replace(incident, found=found, count=incident.count + (counted and found.state == "failed"))


@dataclass(frozen=True)
class Memory:
    """What the sensor remembers from tick to tick, as small as possible.

    ``since``: when the run changed that was changed last (of those seen); ``read``: run -> up to where its events are
    read, "" for all of them; ``away_since``: since when Slack has not answered; ``quiet_until``: when it wants to be
    asked again; ``beat_at``: the last heartbeat. All moments are Unix times, 0 is never.
    """

    since: float
    read: Mapping[str, str] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    away_since: float = 0.0
    quiet_until: float = 0.0
    beat_at: float = 0.0

    def to_cursor(self) -> str:
        """The memory as text, without what is as it is by default."""
        return _MEMORY.dump_json(self, exclude_defaults=True).decode()

    @classmethod
    def from_cursor(cls, cursor: str) -> "Memory":
        """The memory that a cursor holds."""
        return _MEMORY.validate_json(cursor)

    def without_what_is_over(self, before: float) -> "Memory":
        """Without incidents of which all has been told before a moment; a digest's stay until all of them are over."""
        going_on = {each.message for each in self.incidents if each.ts and not each.is_over}
        kept = [
            each
            for each in self.incidents
            if not each.is_over or each.posted_at > before or (each.ts and each.message in going_on)
        ]
        surplus = [each for each in kept if not each.waits][: max(0, len(kept) - MAX_OPEN)]
        return replace(self, incidents=tuple(each for each in kept if each not in surplus))


_MEMORY = TypeAdapter(Memory)
