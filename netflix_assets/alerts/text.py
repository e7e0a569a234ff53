"""The text of alerts: incidents as Slack blocks, as plain text, and as JSON for SNS."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from netflix_assets.alerts.incidents import Finding, Incident
from netflix_assets.alerts.rules import Event, Severity, severity_of

_OVER_SIGNS = {"retrying": "🟡", "recovered": "🟢", "succeeded": "🟢"}
_FAILURE_SIGNS: Mapping[Severity, str] = {"error": "🔴", "warning": "🟠", "info": "🔵"}
_VERBS: Mapping[Event, str] = {
    "asset_freshness_fail": "is overdue",
    "asset_freshness_warn": "is late",
    "job_long_running": "is taking too long",
    "files_parked": "are not loading",
    "tick_failure": "is failing",
    "objects_refused": "found refused objects",
}
_NOT_FIXED_BY_A_RUN: frozenset[Event] = frozenset({"tick_failure", "job_long_running"})
_DIGEST_LINES = 20
_STALE_NAMED = 3
_SELECT_CHARACTERS = 1_500
_SECTION_CHARACTERS = 2_900  # Slack rejects a section above 3,000


@dataclass(frozen=True)
class Message:
    """A Slack message, its plain text, and its metadata (``about``)."""

    text: str
    blocks: Sequence[Mapping[str, Any]]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Writer:
    """Writes the messages of one environment. ``web``: URL of Dagster's UI; ``mentions``: owner -> Slack mention."""

    environment: str
    web: str
    mentions: Mapping[str, str]

    def message(self, incidents: Sequence[Incident]) -> Message:
        """One incident in full, or several as a digest."""
        text, blocks = self._full(incidents[0]) if len(incidents) == 1 else self._digest(incidents)
        about = {
            "subjects": [each.subject for each in incidents],
            "environment": self.environment,
            "open": any(each.is_open for each in incidents),
        }
        return Message(text, blocks, about)

    def command(self, incidents: Iterable[Incident]) -> str:
        """The command that runs the broken assets and everything downstream; all assets if that would be too long."""
        environment = "" if self.environment == "local" else f"NETFLIX_ENV={self.environment} "
        assets = dict.fromkeys(asset for each in incidents for asset in each.finding.assets)
        select = " or ".join(f'key:"{each}"+' for each in assets if not each.startswith("s3/"))
        has_select = 0 < len(select) <= _SELECT_CHARACTERS
        return f"{environment}netflix-assets run" + (f" --select {shlex.quote(select)}" if has_select else "")

    def sns(self, incident: Incident) -> dict[str, Any]:
        """The arguments of SNS' publish, without the topic."""
        finding = incident.finding
        severity = "info" if finding.state in _OVER_SIGNS else severity_of(finding.event)
        attributes = {
            "severity": severity,
            "owner": ",".join(finding.owners) or "nobody",
            "environment": self.environment,
        }
        body = {
            "incident": incident_id(incident),
            "event": finding.event,
            "state": finding.state,
            "severity": severity,
            "environment": self.environment,
            "subject": finding.title,
            "cause": finding.cause,
            "owners": finding.owners,
            "count": incident.count,
            "opened_at": _iso(incident.opened_at),
            "at": _iso(finding.at),
            "stale": finding.stale,
            "last_good": {"at": _iso(finding.good_at), "run": finding.good_run} if finding.good_at else None,
            "run": finding.run_id or None,
            "links": dict(self._links(finding)),
            "command": self.command([incident]),
        }
        subject = f"[{self.environment}] {finding.title} {finding.state}"
        return {
            "Subject": subject.encode("ascii", "replace").decode()[:100],  # SNS allows 100 ASCII characters
            "Message": json.dumps(body, ensure_ascii=False),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }

    def _full(self, incident: Incident) -> tuple[str, list[Mapping[str, Any]]]:
        finding = incident.finding
        facts = [("Environment", self.environment), ("Since", _minute(incident.opened_at))]
        facts += [("Owner", " ".join(map(self._mention, finding.owners)))] if finding.owners else []
        if finding.good_at:
            facts.append(("Last good run", f"{_minute(finding.good_at)} ({finding.good_run[:8]})"))
        has_command = finding.state == "failed" and finding.event not in _NOT_FIXED_BY_A_RUN
        title, stale, command = _title(incident), _stale(finding), self.command([incident]) if has_command else ""
        details = "\n".join(finding.details) if finding.state == "failed" else ""
        fields = [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in facts]
        links = list(self._links(finding))
        blocks = [
            *_section(f"*{_escaped(title)}*"),
            *_section(_escaped(finding.cause), code=True),
            {"type": "section", "fields": fields},
            *_section(_escaped(stale)),
            *_section(_escaped(details)),
            *_section(_escaped(command), code=True),
            *_context(" · ".join(f"<{link}|{name}>" for name, link in links)),
        ]
        lines = [title, finding.cause, *(f"{name}: {value}" for name, value in facts), stale, details]
        lines += [f"Run again: {command}" if command else "", *(f"{name}: {link}" for name, link in links)]
        return "\n".join(filter(None, lines)), blocks

    def _digest(self, incidents: Sequence[Incident]) -> tuple[str, list[Mapping[str, Any]]]:
        still_open = [each for each in incidents if each.is_open]
        recovered = len(incidents) - len(still_open)
        head = f"{'🔴' if still_open else '🟢'} {len(incidents)} incidents in {self.environment}"
        head += f", {recovered} recovered" if recovered else ""
        lines = [
            ": ".join(filter(None, [f"• {_title(each)}", each.finding.cause])) for each in incidents[:_DIGEST_LINES]
        ]
        lines += [f"and {len(incidents) - _DIGEST_LINES} more"] if len(incidents) > _DIGEST_LINES else []
        text, command = "\n".join(lines), self.command(still_open) if still_open else ""
        owners = dict.fromkeys(self._mention(owner) for each in incidents for owner in each.finding.owners)
        blocks = [
            *_section(f"*{_escaped(head)}*"),
            *_section(_escaped(text)),
            *_section(_escaped(command), code=True),
            *_context(" ".join(owners)),
        ]
        return "\n".join(filter(None, [head, text, command and f"Run again: {command}"])), blocks

    def _links(self, finding: Finding) -> Iterator[tuple[str, str]]:
        web = self.web.rstrip("/")
        if finding.run_id:
            yield "run", f"{web}/runs/{finding.run_id}"
            yield "log", f"{web}/runs/{finding.run_id}?focusedTime={int(finding.at * 1000)}"
        for asset in finding.assets[:1]:
            yield "asset", f"{web}/assets/{quote(asset)}"

    def _mention(self, owner: str) -> str:
        return self.mentions.get(owner, owner)


def incident_id(incident: Incident) -> str:
    """The incident's id, the same in all its messages."""
    return f"{incident.subject}@{_iso(incident.opened_at)}"


def _title(incident: Incident) -> str:
    finding, times = incident.finding, f"failed {incident.count} times" if incident.count > 1 else ""
    if finding.state == "retrying":
        status = f"is retrying {finding.attempt}/{finding.attempts}"
    elif finding.state == "recovered":
        status = f"recovered after {_duration(incident.ended_at - incident.opened_at)}" + (times and f" ({times})")
    elif finding.state == "succeeded":
        status = "succeeded"
    else:
        status = _VERBS.get(finding.event, times or "failed")
    sign = _OVER_SIGNS.get(finding.state) or _FAILURE_SIGNS[severity_of(finding.event)]
    return f"{sign} {finding.title} {status}"


def _stale(finding: Finding) -> str:
    if not finding.stale or finding.state in _OVER_SIGNS:
        return ""
    more = finding.stale_count - _STALE_NAMED
    names = ", ".join(finding.stale[:_STALE_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"Stale since {_minute(finding.good_at)}: {names}" if finding.good_at else f"Blocked: {names}"


def _section(text: str, *, code: bool = False) -> list[Mapping[str, Any]]:
    text = text[:_SECTION_CHARACTERS]
    content = {"type": "mrkdwn", "text": f"```{text}```" if code else text}
    return [{"type": "section", "text": content}] if text else []


def _context(text: str) -> list[Mapping[str, Any]]:
    elements = [{"type": "mrkdwn", "text": text[:_SECTION_CHARACTERS]}]
    return [{"type": "context", "elements": elements}] if text else []


def _escaped(text: str) -> str:
    """A text without Slack's control characters and code fences."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _minute(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
