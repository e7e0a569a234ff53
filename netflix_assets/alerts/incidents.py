"""Incidents: how findings open, count up and close them, and the state that the sensor keeps between ticks."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from netflix_assets.alerts.rules import Destination, Event

State = Literal["retrying", "failed", "recovered", "succeeded"]

# A condition is found again at each tick while it lasts. It has recovered when it is not found any more.
CONDITIONS: frozenset[Event] = frozenset({
    "asset_freshness_fail", "asset_freshness_warn", "tick_failure", "job_long_running", "files_parked",
})  # fmt: skip

OVERLAP_S = 600.0  # the clocks of the machines that write runs differ by less


@dataclass(frozen=True)
class Finding:
    """The state of one subject (a step, check, run, sensor or the age of an asset) at a moment.

    ``at`` is a Unix time. ``assets`` are the broken assets, or the materialized ones after a success. ``stale`` names
    the first of ``stale_count`` assets downstream.
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


@dataclass
class Incident:
    """A subject in trouble: its latest finding, and what has been delivered. A subject has at most one open incident.

    ``count``: number of failures; ``channel`` and ``ts``: its Slack message; ``delivered``: the version that Slack has;
    ``published``: the state that SNS has. Aliases are the cursor's keys.
    """

    finding: Annotated[Finding, Field(alias="found")]
    opened_at: float
    count: int = 0
    ended_at: float = 0.0
    to: tuple[Destination, ...] = ()
    channel: str = ""
    ts: str = ""
    delivered: Annotated[str, Field(alias="told")] = ""
    published: str = ""

    @classmethod
    def opened_by(cls, finding: Finding) -> "Incident":
        """A new incident. A success has ended when it opens."""
        ended_at = finding.at if finding.state == "succeeded" else 0.0
        return cls(finding, opened_at=finding.at, count=int(finding.state == "failed"), ended_at=ended_at)

    @property
    def subject(self) -> str:
        """The subject in trouble."""
        return self.finding.subject

    @property
    def version(self) -> str:
        """Changes whenever the Slack message has to be edited."""
        return f"{self.finding.event} {self.finding.state} {self.finding.attempt} {self.count}"

    @property
    def is_open(self) -> bool:
        """Whether the trouble continues."""
        return not self.ended_at

    @property
    def pending(self) -> frozenset[Destination]:
        """The destinations that do not have its latest version."""
        if self.finding.state == "recovered" and not (self.count or self.ts):
            return frozenset()  # a retry that succeeded before its first message is not reported
        has_latest = {"slack": self.delivered == self.version, "sns": self.published == self.finding.state}
        return frozenset(each for each in self.to if not has_latest[each])

    def update(self, finding: Finding) -> None:
        """Apply a newer finding on the same subject to an open incident."""
        before = self.finding
        if finding.state == "recovered":
            if set(before.assets) <= set(finding.assets):  # otherwise only other assets were materialized
                self.finding, self.ended_at = replace(before, state="recovered", at=finding.at), finding.at
        elif finding.event in CONDITIONS:
            self.finding = replace(finding, at=before.at)
        elif not (finding.state == "retrying" and before.state == "failed"):  # another run retries: wait for its end
            self.count += finding.state == "failed"
            self.finding = finding


def fold(incidents: Sequence[Incident], findings: Iterable[Finding]) -> list[Incident]:
    """The incidents after these findings. Findings that were applied before change nothing."""
    folded = [copy(each) for each in incidents]
    for finding in sorted(findings, key=lambda each: each.at):
        latest = next((each for each in reversed(folded) if each.subject == finding.subject), None)
        if latest is not None and finding.at <= latest.finding.at:
            continue
        if latest is not None and latest.is_open:
            latest.update(finding)
        elif finding.state != "recovered":
            folded.append(Incident.opened_by(finding))
    return folded


@dataclass(frozen=True)
class AlertState:
    """What the sensor keeps in its cursor between ticks. All moments are Unix times; 0 means never.

    ``since``: the latest change of a run that was read; ``read``: the ended runs that need no second reading, as keys;
    ``away_since``: when Slack stopped answering; ``quiet_until``: Slack's ``Retry-After``; ``beat_at``: last heartbeat.
    """

    since: float
    read: Mapping[str, str] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    away_since: float = 0.0
    quiet_until: float = 0.0
    beat_at: float = 0.0

    @property
    def reread_after(self) -> float:
        """Events after this moment may be read more than once."""
        return self.since - OVERLAP_S

    def to_cursor(self) -> str:
        """The state as JSON, without defaults."""
        return _STATE.dump_json(self, by_alias=True, exclude_defaults=True).decode()

    @classmethod
    def from_cursor(cls, cursor: str) -> "AlertState":
        """The state in a cursor. Raises: pydantic's ValidationError."""
        return _STATE.validate_json(cursor)

    def pruned(self) -> "AlertState":
        """Without closed and delivered incidents whose events are not read again."""
        kept = [each for each in self.incidents if each.is_open or each.pending or each.ended_at > self.reread_after]
        return replace(self, incidents=tuple(kept))


_STATE = TypeAdapter(AlertState)
