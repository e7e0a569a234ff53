"""Publish alerts to one SNS topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netflix_assets.settings import Settings

TIMEOUT_S = 5


class TopicError(RuntimeError):
    """SNS did not take a message, or its answer was lost."""


@dataclass(frozen=True)
class Topic:
    """An SNS topic. A FIFO topic (``….fifo``) drops a duplicate sent within 5 minutes."""

    client: Any
    arn: str

    def publish(self, arguments: Mapping[str, Any], group: str, deduplication_id: str) -> None:
        """Publish a message; on a FIFO topic in the order of its group. Raises: TopicError."""
        from botocore.exceptions import BotoCoreError, ClientError

        is_fifo = self.arn.endswith(".fifo")
        fifo = {"MessageGroupId": group[:128], "MessageDeduplicationId": deduplication_id[:128]} if is_fifo else {}
        try:
            self.client.publish(TopicArn=self.arn, **arguments, **fifo)
        except (BotoCoreError, ClientError, OSError) as error:
            raise TopicError(f"SNS {self.arn}: {error}") from None


def open_topic(settings: Settings) -> Topic | None:
    """The topic in the settings, with AWS' default credentials; None if no topic is set."""
    if settings.sns_topic_arn is None:
        return None
    import boto3
    from botocore.config import Config

    # boto's own retries would send a message twice; the next tick retries.
    config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 1})
    session = boto3.Session(profile_name=settings.aws_profile, region_name=settings.sns_topic_arn.split(":")[3])
    return Topic(session.client("sns", config=config), settings.sns_topic_arn)
