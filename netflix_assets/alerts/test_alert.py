"""Send one test alert to each destination, to check tokens, scopes and addresses."""

import time
from collections.abc import Iterator

from netflix_assets.alerts.incidents import Finding, Incident
from netflix_assets.alerts.rules import load_rules
from netflix_assets.alerts.slack import Chat, Slack, SlackError
from netflix_assets.alerts.sns import TopicError, open_topic
from netflix_assets.alerts.text import Writer
from netflix_assets.settings import Settings


class AlertNotSentError(RuntimeError):
    """A destination that does not work; the message names it and what to check."""


def send_test_alert(settings: Settings, chat: Chat) -> Iterator[str]:
    """Send one message to each destination. Yields a line for each. Raises: AlertNotSentError, AlertsError."""
    writer = Writer(settings.env, settings.web_url, load_rules(settings.alerts).mentions)
    now, channel = time.time(), settings.slack_channel or ""
    incident = Incident.opened_by(Finding(f"test:{now:.0f}", "job_success", "succeeded", now, title="test alert"))
    if isinstance(chat, Slack):
        try:
            chat.send(channel, writer.message([incident]))
            chat.messages(channel, settings.env, now)  # the sensor has to read what it posts
        except SlackError as error:
            raise AlertNotSentError(
                f"Slack, channel {channel}: {error}; docs/alerts.md lists the app's scopes"
            ) from None
        yield f"Slack: posted in {channel}"
    else:
        yield "Slack: NETFLIX_SLACK_TOKEN is not set; alerts are printed in the log of the sensor `alerts`"
    topic = open_topic(settings)
    if topic is None:
        yield "SNS: NETFLIX_SNS_TOPIC_ARN is not set"
        return
    try:
        topic.publish(writer.sns(incident), group=incident.subject, deduplication_id=incident.subject)
    except TopicError as error:
        raise AlertNotSentError(str(error)) from None
    yield f"SNS: published to {topic.arn}"
