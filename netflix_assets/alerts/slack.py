"""The Slack calls that alerts need: post, edit, and list what is posted. Without a token messages go to a log.

Each message carries its subjects in its metadata. After a lost answer it is found in the channel, not posted twice.
"""

import logging
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from netflix_assets.alerts.text import Message
from netflix_assets.contracts.visibility import printable_lines

if TYPE_CHECKING:
    from slack_sdk import WebClient

EVENT_TYPE = "netflix_assets_incident"
_PAGE_SIZE, _MAX_PAGES = 200, 10
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
class PostedMessage:
    """An alert in a channel. ``is_open``: whether any of its incidents was open when it was last edited."""

    ts: str
    subjects: frozenset[str]
    is_open: bool

    def is_about(self, subject: str, opened_at: float) -> bool:
        """Whether it is about an incident that opened at a moment (Unix time), not about an earlier one."""
        return subject in self.subjects and (self.is_open or float(self.ts) >= opened_at)


@dataclass(frozen=True)
class Slack:
    """Slack's Web API. Every method raises SlackError unless the answer confirms the call."""

    client: "WebClient"

    def send(self, channel: str, message: Message, ts: str = "") -> str:
        """Post a message, or edit the one with this ts. Returns its ts."""
        metadata = {"event_type": EVENT_TYPE, "event_payload": dict(message.about)}
        content = {"channel": channel, "text": message.text, "blocks": list(message.blocks), "metadata": metadata}
        answer = self._call("chat_update", ts=ts, **content) if ts else self._call("chat_postMessage", **content)
        return str(answer["ts"])

    def messages(self, channel: str, environment: str, since: float) -> list[PostedMessage]:
        """The alerts of an environment in a channel since a moment (Unix time), oldest first.

        Raises: UnreadableChannelError, SlackError.
        """
        found: list[PostedMessage] = []
        page = {"channel": channel, "oldest": f"{since:.6f}", "limit": _PAGE_SIZE, "include_all_metadata": True}
        for _ in range(_MAX_PAGES):
            answer = self._call("conversations_history", **page)
            for each in answer.get("messages", []):
                metadata = each.get("metadata") or {}
                about = metadata.get("event_payload") or {}
                if metadata.get("event_type") == EVENT_TYPE and about["environment"] == environment:
                    found.append(PostedMessage(each["ts"], frozenset(about["subjects"]), about["open"]))
            page["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor")
            if not page["cursor"]:
                break
        return found[::-1]

    def check(self) -> None:
        """Check that Slack answers and knows the token."""
        self._call("auth_test")

    def _call(self, method: str, **arguments: Any) -> Any:
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            return getattr(self.client, method)(**arguments).data
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

    def send(self, channel: str, message: Message, ts: str = "") -> str:
        """Log a message. Returns a made-up ts."""
        self.log.warning(f"alert (NETFLIX_SLACK_TOKEN is not set):\n{printable_lines(message.text)}")
        return ts or f"printed-{time.monotonic_ns()}"

    def messages(self, channel: str, environment: str, since: float) -> list[PostedMessage]:
        """Nothing."""
        return []

    def check(self) -> None:
        """Do nothing: a log always answers."""


Chat = Slack | SlackLog
