"""``alerts``: test where alerts go."""

import click

from netflix_assets.cli.output import Failure, say
from netflix_assets.settings import current_settings


@click.group()
def alerts() -> None:
    """Alerts about failed runs and late data (docs/alerts.md)."""


@alerts.command("test")
def test_alert() -> None:
    """Send a test alert to Slack and SNS, if they are configured."""
    from netflix_assets.alerts.test_alert import TrialError, send_test

    try:
        for line in send_test(current_settings()):
            say(line)
    except TrialError as error:
        raise Failure(str(error)) from error
