"""The Slack calls that alerts need: post, edit, and find what is posted. Without a token messages go to a log.

Each message carries its subject in its metadata. After a lost answer it is found in the channel, not posted twice.
"""

import html
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from netflix_assets.alerts.incidents import Incident
from netflix_assets.contracts.visibility import printable_lines
from netflix_assets.settings import Settings

if TYPE_CHECKING:
    from slack_sdk import WebClient

EVENT_TYPE = "netflix_assets_incident"
TIMEOUT_S = 5.0
_PAGE_SIZE = 200
_UNREADABLE = frozenset({"missing_scope", "not_in_channel", "no_permission", "not_allowed_token_type"})
_READ_ACCESS = "give the app the scope channels:history (private channels: groups:history) and invite it to the channel"


class SlackError(RuntimeError):
    """A call failed, or its answer was lost. ``retry_after``: seconds that Slack asks us to wait."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreadableChannelError(SlackError):
    """The app's scopes do not let it read the channel."""


@dataclass(frozen=True)
class Slack:
    """Slack's Web API for the alerts of one environment. Every method raises SlackError without a valid answer."""

    client: "WebClient"
    environment: str

    def send(self, incident: Incident, text: str) -> str:
        """Post an incident's message, or edit the one that it has. Returns its ts."""
        about = {"subjects": [incident.subject], "environment": self.environment, "open": incident.is_open}
        metadata = {"event_type": EVENT_TYPE, "event_payload": about}
        content = {"channel": incident.channel, "text": text, "metadata": metadata}
        if incident.ts:  # without blocks: an earlier version posted some, and Slack keeps them
            (answer,) = self._call("chat_update", ts=incident.ts, blocks=[], **content)
        else:
            (answer,) = self._call("chat_postMessage", **content)
        return str(answer["ts"])

    def find(self, incident: Incident, since: float, others: Collection[str] = ()) -> str:
        """The ts of the message that the channel has about an incident, or "".

        A message posted before the incident opened is about it if it shows an open incident; ``since`` (Unix time)
        excludes older ones, and ``others`` the messages of other incidents. Raises: UnreadableChannelError, SlackError.
        """
        page = {"oldest": f"{since:.6f}", "limit": _PAGE_SIZE, "include_all_metadata": True}
        answers = self._call("conversations_history", channel=incident.channel, **page)
        found = []
        for message in (each for answer in answers for each in answer.get("messages", [])):
            metadata, ts = message.get("metadata") or {}, message["ts"]
            about = metadata.get("event_payload") or {}
            is_ours = metadata.get("event_type") == EVENT_TYPE and about["environment"] == self.environment
            if is_ours and ts not in others and incident.subject in about["subjects"]:
                found += [ts] if about["open"] or float(ts) >= incident.opened_at else []
        return min(found, default="")

    def check(self) -> None:
        """Check that Slack answers and knows the token."""
        self._call("auth_test")

    def _call(self, method: str, **arguments: Any) -> list[Any]:
        """The pages of an answer; most have one."""
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            return [page.data for page in getattr(self.client, method)(**arguments)]
        except SlackApiError as error:
            problem = error.response.get("error") if isinstance(error.response.data, dict) else None
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            seconds = headers.get("retry-after", "0")
            text = f"{method}: {problem or f'HTTP {error.response.status_code}'}"
            if method == "conversations_history" and problem in _UNREADABLE:
                raise UnreadableChannelError(f"{text}; {_READ_ACCESS}") from None
            raise SlackError(text, float(seconds) if seconds.isdigit() else 0.0) from None
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            raise SlackError(f"{method}: {type(error).__name__}") from None


@dataclass(frozen=True)
class SlackLog:
    """A log with Slack's methods. Nothing in it can be found again."""

    log: logging.Logger

    def send(self, incident: Incident, text: str) -> str:
        """Log an incident. Returns a made-up ts."""
        self.log.warning(f"alert (NETFLIX_SLACK_TOKEN is not set):\n{printable_lines(html.unescape(text))}")
        return incident.ts or f"printed-{time.monotonic_ns()}"

    def find(self, incident: Incident, since: float, others: Collection[str] = ()) -> str:
        """Nothing."""
        return ""

    def check(self) -> None:
        """Do nothing: a log always answers."""


Chat = Slack | SlackLog


def open_chat(settings: Settings, log: logging.Logger, timeout: float | None = None) -> Chat:
    """Slack with these settings; without a token a log. ``timeout``: seconds per call."""
    if settings.slack_token is None:
        return SlackLog(log)
    from slack_sdk import WebClient  # slow to import

    token, timeout = settings.slack_token.get_secret_value(), timeout or TIMEOUT_S
    # slack_sdk's own retries would post twice; delivery retries after it has read the channel.
    client = WebClient(token, base_url=settings.slack_base_url, timeout=timeout, retry_handlers=[])  # type: ignore[arg-type]
    return Slack(client, settings.env)
