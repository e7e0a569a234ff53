"""``alerts``: test where alerts go."""

import logging
import time

import click

from netflix_assets.cli.output import Failure, say
from netflix_assets.settings import current_settings


@click.group()
def alerts() -> None:
    """Alerts about failed runs and late data (docs/alerts.md)."""


@alerts.command("test")
def test_alert() -> None:
    """Send a test alert to Slack and SNS, if they are configured."""
    from netflix_assets.alerts.delivery import SETTLE_S, Delivery
    from netflix_assets.alerts.incidents import AlertState, Finding, Incident
    from netflix_assets.alerts.rules import Rule, load_rules
    from netflix_assets.alerts.slack import open_chat

    settings, now, problems = current_settings(), time.time(), list[str]()
    everywhere = Rule(events=("job_success",), to=("slack", "sns"))
    rules = load_rules(settings.alerts).model_copy(update={"rules": (everywhere,)})
    finding = Finding(f"test:{now:.0f}", "job_success", "succeeded", now - SETTLE_S, title="test alert")
    # The way that the sensor takes: it also has to read the channel.
    delivery = Delivery(settings, rules, open_chat(settings, logging.getLogger(__name__)), now, problems.append)
    delivery.deliver(AlertState(now, incidents=(Incident.opened_by(finding),)))
    if problems:
        raise Failure(f"{'; '.join(problems)}; docs/alerts.md lists the app's scopes")
    if settings.slack_token is None:
        say("Slack: NETFLIX_SLACK_TOKEN is not set; alerts are printed in the log of the sensor `alerts`")
    else:
        say(f"Slack: posted in {settings.slack_channel}")
    topic = settings.sns_topic_arn
    say(f"SNS: published to {topic}" if topic else "SNS: NETFLIX_SNS_TOPIC_ARN is not set")
