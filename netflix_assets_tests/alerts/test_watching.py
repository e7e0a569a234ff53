"""Real runs that fail, and what Slack has of them in the end."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from netflix_assets_tests.alerts.slack_server import SlackServer, slack_server
from netflix_assets_tests.alerts.world import World, world


class Broken:
    """Whether a step fails, and how."""

    error: Exception | None = None
    retries: int = 0


@dg.asset(key=["raw", "shop", "things"], owners=["team:shop"])
def things(context: dg.AssetExecutionContext) -> None:
    if Broken.retries > context.retry_number:
        raise dg.RetryRequested(max_retries=3, seconds_to_wait=0) from ConnectionError("the lock is held")
    if Broken.error:
        raise Broken.error


@dg.asset(key=["marts", "mart_things"], deps=[things])
def mart() -> None:
    pass


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


@pytest.fixture
def shop(tmp_path: Path, slack: SlackServer) -> Iterator[World]:
    Broken.error, Broken.retries = None, 0
    slack.messages.clear()
    slack.calls.clear()
    slack.edits.clear()
    slack.fault = lambda _: None
    with world(tmp_path, things, mart, slack=slack) as found:
        yield found


def test_a_failure_is_told_by_the_hook_at_once_and_by_nobody_again(shop: World, slack: SlackServer) -> None:
    shop.run()
    Broken.error = ValueError("disk & table <full>")
    result = shop.run()
    (message,) = slack.messages
    assert "🔴 raw/shop/things failed" in message["text"]
    assert "ValueError: disk & table <full>" in message["text"]
    assert "team:shop" in message["text"]
    assert "Last good run: " in message["text"]
    assert "Stale because of it: marts/mart_things; since " in message["text"]
    assert f"http://127.0.0.1:3000/runs/{result.run_id}" in message["text"]
    assert "disk &amp; table &lt;full&gt;" in str(message["blocks"])
    assert shop.settle() == 1
    (parent,) = slack.parents
    assert parent["ts"] == message["ts"]
    (reply,) = slack.thread(message["ts"])
    assert """netflix-assets run --select 'key:"raw/shop/things"+'""" in reply["text"]
    assert shop.tick() == "1 open incidents, 0 to be delivered"
    assert len(slack.messages) == 2
