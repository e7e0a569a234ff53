"""One test alert to wherever alerts go, to see that tokens, rights and addresses are right."""

import logging
import time
from collections.abc import Iterator

from netflix_assets.alerts.incidents import Finding, Incident
from netflix_assets.alerts.rules import load_rules
from netflix_assets.alerts.slack import Slack, SlackAwayError, chat, payload
from netflix_assets.alerts.sns import TopicAwayError, topic
from netflix_assets.alerts.text import Writer
from netflix_assets.settings import Settings


class TrialError(RuntimeError):
    """A destination that cannot be reached or used; the message says which and what to look at."""


def send_test(settings: Settings) -> Iterator[str]:
    """Send one message to each destination. Yields what was done. Raises: TrialError; AlertsError."""
    writer = Writer(settings.env, settings.web_url, load_rules(settings.alerts).mentions)
    now = time.time()
    incident = Incident(Finding(f"test:{now:.0f}", "job_success", "succeeded", now, title="a test alert"), now)
    slack, channel, aws = chat(settings, logging.getLogger(__name__)), settings.slack_channel or "", topic(settings)
    if isinstance(slack, Slack):
        try:
            ts = slack.post(channel, writer.message([incident]), payload([incident.subject], settings.env, True))
            is_found = any(each.ts == ts for each in slack.posted(channel, now - 3_600))
        except SlackAwayError as error:
            raise TrialError(f"Slack, channel {channel}: {error}; docs/alerts.md says what the app needs") from None
        yield f"Slack: posted in {channel}"
        if not is_found:
            raise TrialError(
                f"Slack: the app cannot read {channel}, so a lost answer makes an alert come twice: give it the scope "
                "channels:history (private channels: groups:history) and invite it to the channel"
            )
    else:
        yield "Slack: NETFLIX_SLACK_TOKEN is not set; alerts are printed in the log of the sensor `alerts`"
    if aws is None:
        yield "SNS: NETFLIX_SNS_TOPIC_ARN is not set"
        return
    try:
        aws.publish(writer.sns(incident), group=incident.subject, once=incident.subject)
    except TopicAwayError as error:
        raise TrialError(str(error)) from None
    yield f"SNS: published to {aws.arn}"
