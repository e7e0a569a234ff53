"""Parsing messages: the objects of S3's events, however they arrive; anything else is unreadable."""

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netflix_assets.storage.events import UnreadableEventError, changed_objects

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


def s3_event(*keys: str, bucket: str = "landing", name: str = "ObjectCreated:Put") -> str:
    """A direct S3 notification; keys are URL-encoded as in a form."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-central-1",
            "eventTime": "2026-05-01T12:00:00.000Z",
            "eventName": name,
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "netflix-assets",
                "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                "object": {"key": quote_plus(key), "size": 1, "eTag": "9dd4e461", "sequencer": "0055AED6DCD90281E5"},
            },
        }
        for key in keys
    ]
    return json.dumps({"Records": records})


def bridge_event(key: str, bucket: str = "landing") -> str:
    """The same event through EventBridge, which does not encode keys."""
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 1}, "reason": "PutObject"}
    return json.dumps({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": detail})


def through_sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:x:1:t", "Message": body})


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-05-01", "Bucket": "landing"})


@given(KEYS)
def test_every_key_survives_every_route(key: str) -> None:
    for body in (s3_event(key), bridge_event(key)):
        assert changed_objects(body) == changed_objects(through_sns(body)) == [("landing", key)]


def test_an_event_reports_any_number_of_objects() -> None:
    keys = ["movielens/a b+c.csv", "movielens/ü.csv"]
    assert changed_objects(s3_event(*keys)) == [("landing", key) for key in keys]
    assert changed_objects(s3_event()) == changed_objects(TEST_EVENT) == changed_objects(through_sns(TEST_EVENT)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=9), each, max_size=3),
)


@given(JSON.map(json.dumps) | st.text())
def test_junk_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableEventError):
        changed_objects(body)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[" * 100_000,
        through_sns("hello"),
        json.dumps({"Records": [{"s3": {"object": {"key": "x"}}}]}),
        json.dumps({"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": "x"}}]}),
        json.dumps({"Records": {"s3": 1}}),
        json.dumps({"source": "aws.ec2", "detail": {}}),
        s3_event("movielens/tags.csv")[:-1],
    ],
)
def test_malformed_events_are_unreadable(body: str) -> None:
    with pytest.raises(UnreadableEventError):
        changed_objects(body)
