"""Send one test alert to each destination, to check tokens, scopes and addresses."""

import time
from collections.abc import Iterator

from netflix_assets.alerts.delivery import SETTLE_S, Delivery
from netflix_assets.alerts.incidents import AlertState, Finding, Incident
from netflix_assets.alerts.rules import Rule, Rules, load_rules
from netflix_assets.alerts.slack import Chat, Slack
from netflix_assets.alerts.sns import open_topic
from netflix_assets.alerts.text import Writer
from netflix_assets.settings import Settings


class AlertNotSentError(RuntimeError):
    """A destination that does not work; the message names it and what to check."""


def send_test_alert(settings: Settings, chat: Chat) -> Iterator[str]:
    """Deliver a message as the sensor does. Yields a line for each destination.

    Raises: AlertNotSentError, AlertsError.
    """
    writer = Writer(settings.env, settings.web_url, load_rules(settings.alerts).mentions)
    rules = Rules(rules=(Rule(events=("job_success",), to=("slack", "sns")),))
    now, channel, topic, problems = time.time(), settings.slack_channel or "", open_topic(settings), list[str]()
    finding = Finding(f"test:{now:.0f}", "job_success", "succeeded", now - SETTLE_S, title="test alert")
    delivery = Delivery(rules, writer, chat, topic, channel, now, problems.append)
    delivery.deliver(AlertState(now, incidents=(Incident.opened_by(finding),)))
    if problems:
        raise AlertNotSentError(f"{'; '.join(problems)}; docs/alerts.md lists the app's scopes")
    if isinstance(chat, Slack):
        yield f"Slack: posted in {channel}"
    else:
        yield "Slack: NETFLIX_SLACK_TOKEN is not set; alerts are printed in the log of the sensor `alerts`"
    yield f"SNS: published to {topic.arn}" if topic else "SNS: NETFLIX_SNS_TOPIC_ARN is not set"
