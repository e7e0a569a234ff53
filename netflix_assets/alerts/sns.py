"""SNS, as alerts use it: publish to one topic. Does not belong here: what is published and when (``delivery.py``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netflix_assets.settings import Settings

TIMEOUT_S = 5


class TopicAwayError(RuntimeError):
    """SNS has not taken a message, or has and did not say so."""


@dataclass(frozen=True)
class Topic:
    """A topic of AWS. On a FIFO topic (``….fifo``) a message that is sent again within 5 minutes is dropped by SNS."""

    client: Any
    arn: str

    def publish(self, arguments: Mapping[str, Any], group: str, once: str) -> None:
        """Publish; ``group``: what stays in order, ``once``: equal for the same message. Raises: TopicAwayError."""
        from botocore.exceptions import BotoCoreError, ClientError

        fifo = (
            {"MessageGroupId": group[:128], "MessageDeduplicationId": once[:128]} if self.arn.endswith(".fifo") else {}
        )
        try:
            self.client.publish(TopicArn=self.arn, **arguments, **fifo)
        except (BotoCoreError, ClientError, OSError) as error:
            raise TopicAwayError(f"SNS {self.arn}: {error}") from None


def topic(settings: Settings) -> Topic | None:
    """The topic of these settings, with the credentials of AWS' default chain; None where none is set."""
    if settings.sns_topic_arn is None:
        return None
    import boto3
    from botocore.config import Config

    # A publish that is repeated below us would be a second message; the next tick repeats it.
    config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 1})
    session = boto3.Session(profile_name=settings.aws_profile, region_name=settings.sns_topic_arn.split(":")[3])
    return Topic(session.client("sns", config=config), settings.sns_topic_arn)
