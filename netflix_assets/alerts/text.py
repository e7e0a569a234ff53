"""What a message says: incidents become Slack's blocks, a plain text, or the JSON of SNS. Pure; knows no Dagster."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from netflix_assets.alerts.incidents import Incident
from netflix_assets.alerts.rules import Severity, severity_of

_SIGNS = {"retrying": "🟡", "recovered": "🟢", "succeeded": "🟢"}
_SIGNS_OF_FAILURE: Mapping[Severity, str] = {"error": "🔴", "warning": "🟠", "info": "🔵"}
_LINES_SHOWN = 20  # of a digest
_STALE_SHOWN = 3
_SECTION_CHARACTERS = 2_900  # Slack refuses a section above 3,000


@dataclass(frozen=True)
class Message:
    """One message: for Slack, and as plain text for notifications, for the log and for screen readers."""

    text: str
    blocks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Writer:
    """Writes messages of one environment. ``web``: where Dagster's UI is; ``mentions``: owner -> mention in Slack."""

    environment: str
    web: str
    mentions: Mapping[str, str]

    def message(self, incidents: Sequence[Incident]) -> Message:
        """One incident whole, or several as a digest."""
        if len(incidents) == 1:
            return self._whole(incidents[0])
        over = sum(not each.is_open for each in incidents)
        said = f", {over} of them recovered" if over else ""
        sign = "🟢" if over == len(incidents) else "🔴"
        head = f"{sign} {len(incidents)} incidents in {self.environment}{said}"
        lines = [f"• {self.headline(each)}" for each in incidents[:_LINES_SHOWN]]
        lines += [f"and {len(incidents) - _LINES_SHOWN} more"] if len(incidents) > _LINES_SHOWN else []
        owners = [self._mention(each) for each in _all_owners(incidents)]
        text = "\n".join(lines)
        blocks = [_section(f"*{_escaped(head)}*"), _section(_escaped(text)), *_context([" ".join(owners)])]
        return Message(f"{head}\n{text}", blocks)

    def headline(self, incident: Incident) -> str:
        """An incident in one line."""
        cause = incident.found.cause
        return f"{self._title(incident)}: {cause}" if cause else self._title(incident)

    def details(self, incident: Incident) -> Message:
        """What stands in the thread: what else is known, and the command that tries again."""
        text = "\n".join([incident.found.title, *incident.found.details, "to run it again:"])
        command = self.command(incident)
        return Message(f"{text}\n{command}", [_section(_escaped(text)), _section(f"```{_escaped(command)}```")])

    def command(self, incident: Incident) -> str:
        """What to type to run again what is broken and all that follows."""
        environment = "" if self.environment == "local" else f"NETFLIX_ENV={self.environment} "
        assets = [each for each in incident.found.assets if not each.startswith("s3/")]
        select = " or ".join(f'key:"{each}"+' for each in assets)
        return f"{environment}netflix-assets run" + (f" --select {shlex.quote(select)}" if select else "")

    def sns(self, incident: Incident) -> dict[str, Any]:
        """The arguments of SNS' publish, but for the topic."""
        found = incident.found
        severity = "info" if found.state in _SIGNS else severity_of(found.event)
        owners = ",".join(found.owners) or "nobody"
        body = {
            "incident": incident_id(incident),
            "event": found.event,
            "state": found.state,
            "severity": severity,
            "environment": self.environment,
            "subject": found.title,
            "cause": found.cause,
            "owners": found.owners,
            "count": incident.count,
            "opened_at": _iso(incident.opened_at),
            "at": _iso(found.at),
            "stale": found.stale,
            "last_good": {"at": _iso(found.good_at), "run": found.good_run} if found.good_at else None,
            "run": found.run_id or None,
            "links": dict(self._links(incident)),
            "command": self.command(incident),
        }
        attributes = {"severity": severity, "owner": owners, "environment": self.environment}
        return {
            # A subject is ASCII of at most 100 characters.
            "Subject": f"[{self.environment}] {found.title} {found.state}".encode("ascii", "replace").decode()[:100],
            "Message": json.dumps(body, ensure_ascii=False),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }

    def _whole(self, incident: Incident) -> Message:
        found = incident.found
        head = self._title(incident)
        facts = [("Environment", self.environment), ("Since", _minute(incident.opened_at))]
        if found.owners:
            facts.append(("Owner", " ".join(map(self._mention, found.owners))))
        if found.good_at:
            facts.append(("Last good run", f"{_minute(found.good_at)} ({found.good_run[:8]})"))
        stale = self._stale(incident)
        blocks = [
            _section(f"*{_escaped(head)}*"),
            *([_section(f"```{_escaped(found.cause)}```")] if found.cause else []),
            {"type": "section", "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in facts]},
            *([_section(_escaped(stale))] if stale else []),
            *_context([" · ".join(f"<{link}|{name}>" for name, link in self._links(incident))]),
        ]
        said = [head, found.cause, *(f"{name}: {value}" for name, value in facts), stale]
        said += [f"{name}: {link}" for name, link in self._links(incident)]
        return Message("\n".join(filter(None, said)), blocks)

    def _title(self, incident: Incident) -> str:
        found = incident.found
        sign = _SIGNS.get(found.state) or _SIGNS_OF_FAILURE[severity_of(found.event)]
        return f"{sign} {found.title} {self._state(incident)}"

    def _state(self, incident: Incident) -> str:
        found, times = incident.found, f" {incident.count} times" if incident.count > 1 else ""
        if found.state == "retrying":
            return f"is retrying {found.attempt}/{found.attempts}"
        if found.state == "recovered":
            lasted = f"recovered after {_lasted(incident.ended_at - incident.opened_at)}"
            return f"{lasted}, having failed{times}" if times else lasted
        if found.state == "succeeded":
            return "succeeded"
        return {
            "asset_freshness_fail": "is overdue",
            "asset_freshness_warn": "is late",
            "job_long_running": "takes long",
            "files_parked": "are parked",
            "tick_failure": "fails",
            "objects_refused": "has refused objects",
        }.get(found.event, f"failed{times}")

    def _stale(self, incident: Incident) -> str:
        found = incident.found
        if not found.stale or found.state in _SIGNS:
            return ""
        more = found.stale_count - _STALE_SHOWN
        names = ", ".join(found.stale[:_STALE_SHOWN]) + (f" and {more} more" if more > 0 else "")
        if not found.good_at:
            return f"Not made because of it: {names}"
        return f"Stale because of it: {names}; since {_minute(found.good_at)}"

    def _links(self, incident: Incident) -> Iterator[tuple[str, str]]:
        found, web = incident.found, self.web.rstrip("/")
        if found.run_id:
            yield "run", f"{web}/runs/{found.run_id}"
            yield "log", f"{web}/runs/{found.run_id}?focusedTime={int(found.at * 1000)}"
        for asset in found.assets[:1]:
            yield "asset", f"{web}/assets/{quote(asset)}"

    def _mention(self, owner: str) -> str:
        return self.mentions.get(owner, owner)


def incident_id(incident: Incident) -> str:
    """An incident's name, the same in all its messages."""
    return f"{incident.subject}@{_iso(incident.opened_at)}"


def _all_owners(incidents: Sequence[Incident]) -> list[str]:
    return list(dict.fromkeys(owner for each in incidents for owner in each.found.owners))


def _section(text: str) -> Mapping[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_SECTION_CHARACTERS]}}


def _context(texts: Sequence[str]) -> list[Mapping[str, Any]]:
    elements = [{"type": "mrkdwn", "text": text[:_SECTION_CHARACTERS]} for text in texts if text]
    return [{"type": "context", "elements": elements}] if elements else []


def _escaped(text: str) -> str:
    """Slack's three control characters, and its fences."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _minute(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _lasted(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
