"""The text of alerts: incidents as one text for Slack and the log, and as JSON for SNS."""

import html
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from netflix_assets.alerts.incidents import Finding, Incident
from netflix_assets.alerts.rules import Event, Rules, Severity, severity_of
from netflix_assets.settings import Settings

_STATE_SIGNS = {"retrying": "🟡", "recovered": "🟢", "succeeded": "🟢"}
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


@dataclass(frozen=True)
class Writer:
    """Writes the messages of one environment.

    ``web``: URL of Dagster's UI; ``docs``: URL of this project's docs folder; ``mentions``: owner -> Slack mention.
    """

    environment: str
    web: str
    docs: str
    mentions: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings, rules: Rules) -> "Writer":
        """The writer of these settings' environment."""
        return cls(settings.env, settings.web_url, settings.docs_url, rules.mentions)

    def command(self, finding: Finding) -> str:
        """The command that runs what failed, and builds and publishes what follows from it.

        A run of everything builds only what differs. A selection of raw tables or models would build them and fail at
        ``published/marts``, which serves whole builds only.
        """
        environment = "" if self.environment == "local" else f"NETFLIX_ENV={self.environment} "
        extracted = sorted({each.split("/")[1] for each in finding.assets if each.startswith(("postgres/", "api/"))})
        extract = f"{environment}netflix-assets sources extract {' '.join(extracted)} && " if extracted else ""
        is_after = all(each.startswith(("published/", "dashboards/")) for each in finding.assets)
        select = " or ".join(f'key:"{each}"+' for each in finding.assets) if is_after else ""
        return f"{extract}{environment}netflix-assets run" + (f" --select {shlex.quote(select)}" if select else "")

    def sns(self, incident: Incident) -> dict[str, Any]:
        """The arguments of SNS' publish, without the topic."""
        finding = incident.finding
        severity = "info" if finding.state in _STATE_SIGNS else severity_of(finding.event)
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
            "run": finding.run_id or None,
            "links": dict(self._links(finding)),
            "command": self.command(finding),
            "what_to_do": self._section(finding),
        }
        subject = f"[{self.environment}] {finding.title} {finding.state}"
        return {
            "Subject": subject.encode("ascii", "replace").decode()[:100],  # SNS allows 100 ASCII characters
            "Message": json.dumps(body, ensure_ascii=False),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }

    def slack(self, incident: Incident) -> str:
        """The message of an incident, in Slack's markup."""
        return "\n".join(self._lines(incident))

    def _lines(self, incident: Incident) -> Iterator[str]:
        finding = incident.finding
        yield _escaped(_title(incident))
        if finding.cause:
            yield _code(finding.cause)
        yield f"Environment: {self.environment}"
        yield f"Since: {_minute(incident.opened_at)}"
        if finding.owners:
            yield "Owner: " + " ".join(self.mentions.get(owner, owner) for owner in finding.owners)
        if finding.stale and finding.state not in _STATE_SIGNS:
            more = f" and {finding.stale_count - len(finding.stale)} more"
            yield f"Stale: {', '.join(finding.stale)}{more if finding.stale_count > len(finding.stale) else ''}"
        if finding.state == "failed":
            yield from map(_escaped, finding.details)
            if finding.event not in _NOT_FIXED_BY_A_RUN:
                yield f"Run again: {_code(self.command(finding))}"
            yield f"What to do: {self._section(finding)}"
        yield from (f"{name}: {link}" for name, link in self._links(finding))

    def _section(self, finding: Finding) -> str:
        """The section for people on duty; its heading is the event."""
        return f"{self.docs.rstrip('/')}/operations.md#{finding.event}"

    def _links(self, finding: Finding) -> Iterator[tuple[str, str]]:
        web = self.web.rstrip("/")
        if finding.run_id:
            yield "run", f"{web}/runs/{finding.run_id}"
            yield "log", f"{web}/runs/{finding.run_id}?focusedTime={int(finding.at * 1000)}"
        for asset in finding.assets[:1]:
            yield "asset", f"{web}/assets/{quote(asset)}"


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
    sign = _STATE_SIGNS.get(finding.state) or _FAILURE_SIGNS[severity_of(finding.event)]
    return f"{sign} {finding.title} {status}"


def _escaped(text: str) -> str:
    """A text without Slack's control characters."""
    return html.escape(text, quote=False)


def _code(text: str) -> str:
    return f"`{_escaped(text).replace('`', chr(39))}`"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _minute(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
