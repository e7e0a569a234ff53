"""``alerts``: test where alerts go."""

import logging

import click

from netflix_assets.cli.output import Failure, say
from netflix_assets.settings import current_settings


@click.group()
def alerts() -> None:
    """Alerts about failed runs and late data (docs/alerts.md)."""


@alerts.command("test")
def test_alert() -> None:
    """Send a test alert to Slack and SNS, if they are configured."""
    from netflix_assets.alerts.slack import open_chat
    from netflix_assets.alerts.test_alert import AlertNotSentError, send_test_alert

    settings = current_settings()
    try:
        for line in send_test_alert(settings, open_chat(settings, logging.getLogger(__name__))):
            say(line)
    except AlertNotSentError as error:
        raise Failure(str(error)) from error
