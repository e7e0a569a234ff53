"""What S3 tells through a queue (SQS): of which sources the bucket has changed. Knows no Dagster.

An event only says where to look: what is loaded follows from a listing, so events that are lost, doubled or out of
order change nothing but when somebody looks. Does not belong here: where the queue's credentials come from
(``resources.py``), what is done where something has changed (``sensors.py``).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

# Of one tick, in requests of SQS' ten: 100 requests each to receive and to delete them take a few seconds, and a tick
# may take 60.
MOST_MESSAGES = 1_000
_BATCH = 10

# How long a message is kept from others after it was received; then it comes again, unless it was deleted.
VISIBILITY_S = 60


class EventQueueError(RuntimeError):
    """The queue does not answer, or not to us; the message says which one and what to look at."""


class UnreadableEventError(ValueError):
    """A message that no S3 sends."""


@dataclass(frozen=True)
class Message:
    """A message as it was received. ``sent_at``: when the queue got it, in ms by its own clock."""

    message_id: str
    receipt: str
    body: str
    sent_at: int


@dataclass(frozen=True)
class News:
    """What messages come to: source -> ``sent_at`` of the newest message after which it has not been listed yet.

    ``unreadable``: the ids of messages that are none of S3's.
    """

    newest: Mapping[str, int]
    unreadable: Sequence[str] = ()


class EventQueue:
    """An SQS queue, by boto3's client for it."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def receive(self) -> list[Message]:
        """The messages that wait, up to a bound; none where none does, after one short request.

        Raises: EventQueueError.
        """
        found: list[Message] = []
        while len(found) < MOST_MESSAGES and (batch := self._batch()):
            found += batch
        return found

    def _batch(self) -> list[Message]:
        try:
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=0,
                VisibilityTimeout=VISIBILITY_S,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        except (BotoCoreError, ClientError) as error:
            raise self._error("receiving", "sqs:ReceiveMessage", error) from None
        return [
            Message(each["MessageId"], each["ReceiptHandle"], each["Body"], int(each["Attributes"]["SentTimestamp"]))
            for each in answer.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """Have messages not come again; one that the queue does not delete comes again. Raises: EventQueueError."""
        for start in range(0, len(messages), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": each.receipt}
                for number, each in enumerate(messages[start : start + _BATCH])
            ]
            try:
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise self._error("deleting", "sqs:DeleteMessage", error) from None

    def _error(self, what: str, right: str, error: Exception) -> EventQueueError:
        return EventQueueError(
            f"{self._url}: {what} events failed: {error}. Look at NETFLIX_EVENTS_QUEUE_URL, the right {right} and the "
            "queue's region, which is to be NETFLIX_S3_REGION"
        )


def read_news(queue: EventQueue, heard: Mapping[str, int], bucket: str, prefix: str, sources: Collection[str]) -> News:
    """Receive what waits in the queue, and delete of it what needs nothing done any more.

    ``heard``: source -> ``sent_at`` of the newest message after which it was listed, as it is remembered durably: a
    message is deleted when it comes after that was stored, and not before. So none is lost with a process that dies
    between, and a message that needed a look comes twice. Events of other buckets, prefixes and folders, and S3's test
    events, are deleted at once. What cannot be read stays, for the queue's redrive policy to put aside.

    Raises: EventQueueError.
    """
    newest: dict[str, int] = {}
    settled, unreadable = [], []
    for message in queue.receive():
        try:
            named = {_source(key, prefix) for in_bucket, key in changed_objects(message.body) if in_bucket == bucket}
        except UnreadableEventError:
            unreadable.append(message.message_id)
            continue
        new = {source for source in named.intersection(sources) if message.sent_at > heard.get(source, 0)}
        newest |= {source: max(message.sent_at, newest.get(source, 0)) for source in new}
        if not new:
            settled.append(message)
    queue.delete(settled)
    return News(newest, unreadable)


def _source(key: str, prefix: str) -> str:
    return key.removeprefix(prefix).partition("/")[0] if key.startswith(prefix) else ""


def changed_objects(body: str) -> list[tuple[str, str]]:
    """Bucket and key of the objects that a message is about; none for the event by which S3 tests a queue.

    It may come from S3 itself, through SNS or through EventBridge. Raises: UnreadableEventError.
    """
    try:
        return list(_objects(json.loads(body)))
    except (ValueError, RecursionError) as error:
        raise UnreadableEventError("no event of S3, also not through SNS or EventBridge") from error


def _objects(event: object) -> Iterator[tuple[str, str]]:
    match event:
        case {"Type": "Notification", "Message": str(wrapped)}:  # through SNS
            yield from _objects(json.loads(wrapped))
        case {"Event": "s3:TestEvent"}:
            return
        case {"source": "aws.s3", "detail": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}}:
            yield bucket, key  # through EventBridge, which does not encode keys
        case {"Records": [*records]}:
            for record in records:
                yield _of_record(record)
        case _:
            raise ValueError


def _of_record(record: object) -> tuple[str, str]:
    match record:
        case {"s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}}:
            return bucket, unquote_plus(key)
    raise ValueError
