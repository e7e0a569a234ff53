"""Slack, as alerts use it: post, edit, and find what was posted. Also the log that takes its place without a token.

A message carries in its metadata which subjects it is about, so that after an answer that was lost it can be looked up
instead of being posted twice. Does not belong here: what is sent and when (``delivery.py``).
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from dagster_slack import SlackResource
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from netflix_assets.alerts.text import Message
from netflix_assets.settings import Settings

EVENT_TYPE = "netflix_assets_incident"
TIMEOUT_S = 5
_PAGE, _PAGES = 200, 10  # how much of a channel is looked through

# With these answers Slack is there and will never show the channel: better told twice than not at all.
_BLIND = frozenset({"missing_scope", "not_in_channel", "no_permission", "not_allowed_token_type"})


class SlackAwayError(RuntimeError):
    """Slack has not done what was asked, or has and did not say so. ``retry_after``: seconds that it wants to rest."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Posted:
    """A message that stands in a channel: the subjects it is about, in which environment, and whether it is over."""

    ts: str
    subjects: frozenset[str]
    environment: str
    is_open: bool


def payload(subjects: Sequence[str], environment: str, is_open: bool) -> dict[str, Any]:
    """The metadata of a message."""
    return {"subjects": list(subjects), "environment": environment, "open": is_open}


class Server(SlackResource):
    """dagster-slack's resource at an address of choice; a call takes ``timeout`` seconds and is not repeated."""

    base_url: str
    timeout: float = TIMEOUT_S

    def get_client(self) -> WebClient:
        """The client. Repetitions are ours: only who knows the incident can look whether it was posted."""
        return WebClient(self.token, base_url=self.base_url, timeout=self.timeout, retry_handlers=[])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Slack:
    """The real thing, or whatever speaks its protocol. Each method raises SlackAwayError unless it was surely done."""

    client: WebClient

    def post(self, channel: str, message: Message, about: Mapping[str, Any], thread: str | None = None) -> str:
        """Post a message, in a thread if one is given. Returns its ts."""
        answer = self._call("chat_postMessage", {**_content(channel, message, about), "thread_ts": thread})
        return str(answer["ts"])

    def update(self, channel: str, ts: str, message: Message, about: Mapping[str, Any]) -> str:
        """Replace what a message says."""
        return str(self._call("chat_update", {**_content(channel, message, about), "ts": ts})["ts"])

    def posted(self, channel: str, since: float) -> list[Posted]:
        """The incidents' messages in a channel since a moment (Unix time)."""
        found: list[Posted] = []
        cursor: str | None = None
        asked = {"channel": channel, "oldest": f"{since:.6f}", "limit": _PAGE, "include_all_metadata": True}
        for _ in range(_PAGES):
            try:
                answer = self._call("conversations_history", {**asked, "cursor": cursor})
            except _BlindError:
                return []
            found += [_posted(each) for each in answer.get("messages", []) if _about(each)]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return found

    def has_thread(self, channel: str, ts: str, subject: str) -> bool:
        """Whether the details of a subject stand in the thread of a message."""
        try:
            answer = self._call(
                "conversations_replies", {"channel": channel, "ts": ts, "limit": _PAGE, "include_all_metadata": True}
            )
        except _BlindError:
            return False
        replies = [_about(each) for each in answer["messages"] if each["ts"] != ts]
        return any(subject in about["subjects"] for about in replies if about)

    def is_there(self) -> None:
        """Ask whose token this is."""
        self._call("auth_test", {})

    def _call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return getattr(self.client, method)(**given).data
        except SlackApiError as error:
            problem = error.response.get("error") if isinstance(error.response.data, dict) else None
            if problem in _BLIND and method.startswith("conversations_"):
                raise _BlindError(str(problem)) from None
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            rest = headers.get("retry-after", "0")
            raise SlackAwayError(
                f"{method}: {problem or f'HTTP {error.response.status_code}'}", float(rest) if rest.isdigit() else 0.0
            ) from None
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            raise SlackAwayError(f"{method}: {type(error).__name__}") from None


class _BlindError(RuntimeError):
    """The token may not read the channel."""


@dataclass(frozen=True)
class Printed:
    """The log in place of Slack: what would be posted is printed once and never looked up."""

    log: logging.Logger

    def post(self, channel: str, message: Message, about: Mapping[str, Any], thread: str | None = None) -> str:
        """Print a message."""
        self.log.warning(f"alert (NETFLIX_SLACK_TOKEN is not set):\n{message.text}")
        return f"printed-{time.monotonic_ns()}"

    def update(self, channel: str, ts: str, message: Message, about: Mapping[str, Any]) -> str:
        """Print what the message says now."""
        return self.post(channel, message, about)

    def posted(self, channel: str, since: float) -> list[Posted]:
        """Nothing."""
        return []

    def has_thread(self, channel: str, ts: str, subject: str) -> bool:
        """It never has."""
        return False

    def is_there(self) -> None:
        """It always is."""


Chat = Slack | Printed


def chat(settings: Settings, log: logging.Logger, timeout: float = TIMEOUT_S) -> Chat:
    """Slack by these settings; without a token the log."""
    if settings.slack_token is None:
        return Printed(log)
    token = settings.slack_token.get_secret_value()
    return Slack(Server(token=token, base_url=settings.slack_base_url, timeout=timeout).get_client())


def _content(channel: str, message: Message, about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": channel,
        "text": message.text,
        "blocks": list(message.blocks),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": dict(about)},
    }


def _about(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    metadata = message.get("metadata") or {}
    return metadata.get("event_payload") if metadata.get("event_type") == EVENT_TYPE else None


def _posted(message: Mapping[str, Any]) -> Posted:
    about = _about(message) or {}
    return Posted(message["ts"], frozenset(about["subjects"]), about["environment"], about["open"])
