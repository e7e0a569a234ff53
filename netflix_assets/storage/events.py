"""Read S3 event notifications from an SQS queue: which sources have changed in the bucket.

An event only says where to look; a listing decides what to load. Lost, duplicate or reordered events therefore only
change when the bucket is listed.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

# Messages of one tick. At 10 per request, SQS' maximum, 100 requests to receive them and 100 to delete them take a few
# seconds; a tick may take 60.
MAX_MESSAGES = 1_000
_BATCH_SIZE = 10

# How long a received message stays hidden from other readers. Unless it is deleted, it is delivered again after that.
VISIBILITY_S = 60


class EventQueueError(RuntimeError):
    """The queue cannot be reached or denies access; the message names the queue and what to check."""


class UnreadableEventError(ValueError):
    """A message that is not an S3 event."""


@dataclass(frozen=True)
class Message:
    """A received message. ``sent_at``: when SQS received it, in ms since 1970 by its own clock."""

    message_id: str
    receipt: str
    body: str
    sent_at: int


@dataclass(frozen=True)
class ReceivedEvents:
    """The changes that a batch of messages reports.

    ``newest``: source -> ``sent_at`` of its newest message; only sources that were not listed since. ``unreadable``:
    ids of messages that are not S3 events.
    """

    newest: Mapping[str, int]
    unreadable: Sequence[str] = ()


class EventQueue:
    """An SQS queue, accessed through a boto3 client."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def receive(self) -> list[Message]:
        """The waiting messages, at most ``MAX_MESSAGES``. An empty queue costs one short request.

        Raises: EventQueueError.
        """
        found: list[Message] = []
        while len(found) < MAX_MESSAGES and (batch := self._receive_batch()):
            found += batch
        return found

    def _receive_batch(self) -> list[Message]:
        try:
            response = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH_SIZE,
                WaitTimeSeconds=0,
                VisibilityTimeout=VISIBILITY_S,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        except (BotoCoreError, ClientError) as error:
            raise self._error("receiving", "sqs:ReceiveMessage", error) from None
        return [
            Message(each["MessageId"], each["ReceiptHandle"], each["Body"], int(each["Attributes"]["SentTimestamp"]))
            for each in response.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages. One that SQS fails to delete is delivered again. Raises: EventQueueError."""
        for start in range(0, len(messages), _BATCH_SIZE):
            entries = [
                {"Id": str(number), "ReceiptHandle": each.receipt}
                for number, each in enumerate(messages[start : start + _BATCH_SIZE])
            ]
            try:
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise self._error("deleting", "sqs:DeleteMessage", error) from None

    def _error(self, action: str, permission: str, error: Exception) -> EventQueueError:
        return EventQueueError(
            f"{self._url}: {action} events failed: {error}. Check NETFLIX_EVENTS_QUEUE_URL, the permission "
            f"{permission}, and that the queue is in the region NETFLIX_S3_REGION"
        )


def receive_events(
    queue: EventQueue, received: Mapping[str, int], bucket: str, prefix: str, sources: Collection[str]
) -> ReceivedEvents:
    """Receive the waiting messages and delete those that need no further action.

    ``received``: source -> ``sent_at`` of the newest message after which the source was listed, as stored in the
    sensor's cursor. A message is deleted only once the cursor covers it, so a process that dies in between loses
    nothing. The price: a message that caused a listing is delivered twice.

    Events of other buckets, prefixes and folders, and S3's test events, are deleted at once. Unreadable messages stay
    in the queue, for its redrive policy to move to the dead-letter queue.

    Raises: EventQueueError.
    """
    newest: dict[str, int] = {}
    handled, unreadable = [], []
    for message in queue.receive():
        try:
            changed = {
                _source_of(key, prefix) for in_bucket, key in changed_objects(message.body) if in_bucket == bucket
            }
        except UnreadableEventError:
            unreadable.append(message.message_id)
            continue
        new = {source for source in changed.intersection(sources) if message.sent_at > received.get(source, 0)}
        newest |= {source: max(message.sent_at, newest.get(source, 0)) for source in new}
        if not new:
            handled.append(message)
    queue.delete(handled)
    return ReceivedEvents(newest, unreadable)


def _source_of(key: str, prefix: str) -> str:
    return key.removeprefix(prefix).partition("/")[0] if key.startswith(prefix) else ""


def changed_objects(body: str) -> list[tuple[str, str]]:
    """Bucket and key of the objects that a message reports; none for the event with which S3 tests a queue.

    The message may come from S3 directly, through SNS or through EventBridge. Raises: UnreadableEventError.
    """
    try:
        return list(_parse_event(json.loads(body)))
    except (ValueError, RecursionError) as error:
        raise UnreadableEventError("not an S3 event, neither direct nor through SNS or EventBridge") from error


def _parse_event(event: object) -> Iterator[tuple[str, str]]:
    match event:
        case {"Type": "Notification", "Message": str(wrapped)}:  # through SNS
            yield from _parse_event(json.loads(wrapped))
        case {"Event": "s3:TestEvent"}:
            return
        case {"source": "aws.s3", "detail": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}}:
            yield bucket, key  # through EventBridge, which does not URL-encode keys
        case {"Records": [*records]}:
            for record in records:
                yield _parse_record(record)
        case _:
            raise ValueError


def _parse_record(record: object) -> tuple[str, str]:
    match record:
        case {"s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}}:
            return bucket, unquote_plus(key)
    raise ValueError
