"""The landing sensor where a queue tells of files: moto's S3 sends its own notifications to moto's SQS.

No run is made here. What a run leaves, by which the sensor judges, is reported to Dagster's storage: test_sensors.py
and test_publish.py have real runs.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
import dagster as dg
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs import published as publish
from netflix_assets.defs.landing import sensor as sensors
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.landing.cursor import Cursor
from netflix_assets.defs.landing.sensor import FULL_CHECK_S, INTERVAL_S, UP_TO_DATE, landing_sensor
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw import assets as raw
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.dev.snowflake_setup import render_aws
from netflix_assets.settings import Settings, SettingsError, read_settings
from netflix_assets.storage import events
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets_tests.storage.test_events import bridge_event, s3_event, through_sns

NOTHING = "no new file events; full check in"
PREFIX = "drops/"


@dataclass
class Watched:
    """A bucket whose notifications go into a queue, and the sensor over both; its clock goes on by ``tick`` alone."""

    settings: Settings
    instance: dg.DagsterInstance
    s3: Any
    sqs: Any
    listed: list[str] = field(default_factory=list)
    received: list[events.Message] = field(default_factory=list)
    cursor: str | None = None
    now: float = field(default_factory=time.time)

    @property
    def url(self) -> str:
        return str(self.settings.events_queue_url)

    def evaluate(self) -> dg.SensorResult | Any:
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"bucket": landing_bucket(self.settings)}
        )
        return landing_sensor(self.settings, self.settings.sources()).evaluate_tick(context)

    def tick(self, after: float = 10.0, settings: Settings | None = None) -> dg.RunRequest | str:
        """What a tick so many seconds later asks for, or why nothing."""
        self.now += after
        self.settings, before = settings or self.settings, self.settings
        result = self.evaluate()
        self.settings = before
        self.cursor = result.cursor or self.cursor
        return result.run_requests[0] if result.run_requests else str(result.skip_message)

    def looked_at(self) -> list[str]:
        """The sources that were listed since the last call."""
        found = list(self.listed)
        self.listed.clear()
        return found

    def put(self, key: str, body: str | None = None) -> None:
        """Upload a file, of a content that none had before if none is given."""
        self.s3.put_object(Bucket=self.settings.bucket, Key=key, Body=(body or str(time.monotonic_ns())).encode())

    def send(self, *bodies: str) -> None:
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def waiting(self, url: str | None = None) -> int:
        """Messages in the queue, or in another, those that are hidden for a while included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

    def let_hidden_ones_come_again(self) -> None:
        """As after a minute."""
        for message in self.received:
            with suppress(ClientError):  # it was deleted
                self.sqs.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=0
                )
        self.received.clear()

    def sync(self) -> None:
        """What a whole run would leave in Dagster's storage."""
        with landing_bucket(self.settings).open() as store:
            states = {name: each for source in self.settings.sources() for name, each in store.listings(source).items()}
        self.listed.clear()
        datasets = all_datasets(self.settings.sources())
        served = dg.MetadataValue.json({each.id: states[each.id].fingerprint for each in datasets})
        for each in datasets:
            state = states[each.id].fingerprint
            loaded = {raw.FINGERPRINT: state, raw.LOADS: state}
            self.instance.report_runless_asset_event(dg.AssetMaterialization(landing_key(each)))
            self.instance.report_runless_asset_event(dg.AssetMaterialization(raw_key(each), metadata=loaded))
        event = dg.AssetMaterialization(PUBLISHED_KEY, metadata={publish.LOADS: served})
        self.instance.report_runless_asset_event(event)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def bucket(moto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A bucket with one file."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        s3, sqs = (boto3.client(each, endpoint_url=moto, region_name="us-east-1") for each in ("s3", "sqs"))
        s3.create_bucket(Bucket="landing")
        home = tmp_path_factory.mktemp("events")
        found = Watched(read_settings(home=home, bucket_prefix=PREFIX, s3_endpoint=moto), instance, s3, sqs)
        patch.setattr(sensors.time, "time", lambda: found.now)
        _watch(patch, S3ObjectStore, "listings", lambda _, given: found.listed.append(given[1].source))
        _watch(patch, events.EventQueue, "receive", lambda messages, _: found.received.extend(messages))
        found.put(f"{PREFIX}movielens/tags.csv")
        yield found


def _watch(patch: pytest.MonkeyPatch, owner: type, name: str, note: Callable[[Any, Any], object]) -> None:
    """Note what a method has returned, and what it was given."""
    original = getattr(owner, name)

    def method(*given: Any) -> Any:
        returned = original(*given)
        note(returned, given)
        return returned

    patch.setattr(owner, name, method)


@pytest.fixture
def watched(bucket: Watched) -> Watched:
    """The bucket when it is level and everything has just been compared, with a queue of this test's own."""
    name = f"events-{time.monotonic_ns()}"
    values = {"bucket": "landing", "prefix": PREFIX, "queue": f"arn:aws:sqs:us-east-1:123456789012:{name}"}
    queue, notification = (json.loads(render_aws(each, "dev", values)) for each in ("queue", "notification"))
    bucket.sqs.create_queue(QueueName=f"{name}-dead")
    url = bucket.sqs.create_queue(QueueName=name, Attributes=queue)["QueueUrl"]
    bucket.s3.put_bucket_notification_configuration(Bucket="landing", NotificationConfiguration=notification)
    bucket.settings = bucket.settings.model_copy(update={"events_queue_url": url})
    bucket.sync()
    bucket.cursor = None
    assert bucket.waiting() == 1  # the event by which S3 tests the queue
    assert bucket.tick() == UP_TO_DATE  # without a cursor everything is compared
    assert bucket.looked_at() == ["movielens", "netflix"]
    assert bucket.waiting() == 0
    return bucket


def behind(asked: dg.RunRequest | str) -> Any:
    assert isinstance(asked, dg.RunRequest), asked
    return asked.tags["netflix/behind"]


def test_a_file_is_asked_for_by_its_event_with_a_look_at_its_source_alone(watched: Watched) -> None:
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.looked_at() == []
    watched.put(f"{PREFIX}movielens/tags/a b+ü.csv")
    assert behind(watched.tick()) == "movielens/tags"
    assert watched.looked_at() == ["movielens"]
    watched.sync()
    assert watched.tick(INTERVAL_S) == UP_TO_DATE  # what was asked for is looked after without another event
    assert watched.looked_at() == ["movielens", "netflix"]
    watched.s3.delete_object(Bucket=watched.settings.bucket, Key=f"{PREFIX}movielens/tags/a b+ü.csv")
    assert behind(watched.tick()) == "movielens/tags"


def test_a_message_is_deleted_when_what_came_of_it_is_stored_and_not_before(watched: Watched) -> None:
    watched.put(f"{PREFIX}netflix/titles.csv")
    before = watched.cursor
    first = watched.tick()
    assert watched.waiting() == 1
    watched.cursor = before  # the daemon died before it could store what the tick has returned
    watched.let_hidden_ones_come_again()
    second = watched.tick()
    assert behind(first) == behind(second) == "netflix/titles"
    assert first.run_key == second.run_key  # and if it had stored the request, Dagster would not run it twice
    assert watched.waiting() == 1
    watched.let_hidden_ones_come_again()
    watched.sync()
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.waiting() == 0


def test_duplicates_late_ones_and_events_of_what_is_not_ours_ask_for_nothing(watched: Watched) -> None:
    watched.put(f"{PREFIX}movielens/ratings.csv")
    assert behind(watched.tick()) == "movielens/ratings"
    watched.sync()
    assert watched.tick(INTERVAL_S) == UP_TO_DATE
    watched.looked_at()
    name = watched.settings.bucket
    ours = s3_event(f"{PREFIX}movielens/ratings.csv", bucket=name)
    watched.send(
        s3_event("elsewhere/movielens/ratings.csv", bucket=name),
        s3_event(f"{PREFIX}movielens/ratings.csv", bucket="another"),
        s3_event(f"{PREFIX}nobody/x.csv", f"{PREFIX}x.csv", bucket=name),
    )
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.looked_at() == []
    watched.send(ours, through_sns(ours), bridge_event(f"{PREFIX}movielens/ratings.csv", name), ours)
    assert watched.tick() == UP_TO_DATE
    assert watched.looked_at() == ["movielens"]
    watched.let_hidden_ones_come_again()
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.waiting() == 0


def test_junk_stays_for_the_redrive_policy_and_holds_nothing_up(
    watched: Watched, capfd: pytest.CaptureFixture[str]
) -> None:
    watched.send(*["junk", "{}", json.dumps({"Records": [1]})] * 10)
    watched.put(f"{PREFIX}movielens/tags.csv")
    assert behind(watched.tick()) == "movielens/tags"
    assert f"30 messages in {watched.url} are not S3 events" in capfd.readouterr().err
    watched.let_hidden_ones_come_again()
    watched.sync()
    watched.tick()
    assert watched.waiting() == 30
    watched.let_hidden_ones_come_again()
    while watched.sqs.receive_message(QueueUrl=watched.url, MaxNumberOfMessages=10, VisibilityTimeout=0).get(
        "Messages"
    ):
        pass  # until each was received five times
    assert watched.waiting() == 0
    assert watched.waiting(f"{watched.url}-dead") == 30


def test_a_lost_event_is_made_up_for_by_the_full_comparison(watched: Watched) -> None:
    watched.put(f"{PREFIX}movielens/tags.csv")
    watched.sqs.purge_queue(QueueUrl=watched.url)
    assert watched.waiting() == 0
    assert str(watched.tick()).startswith(NOTHING)
    assert behind(watched.tick(FULL_CHECK_S)) == "movielens/tags"
    assert watched.looked_at() == ["movielens", "netflix"]


def test_a_failing_state_is_asked_for_again_and_parked_whoever_told_of_it(watched: Watched) -> None:
    same = str(time.monotonic_ns())
    watched.put(f"{PREFIX}netflix/titles.csv", same)
    requests = [watched.tick(), watched.tick(31), watched.tick(601)]
    assert [each.tags["netflix/attempt"] for each in requests] == ["1", "2", "3"]
    watched.put(f"{PREFIX}netflix/titles.csv", same)  # the same again
    assert str(watched.tick(601)).startswith("exhausted: 3 runs failed")
    watched.looked_at()
    assert str(watched.tick(10)).startswith(NOTHING)  # nor is it listed all the time
    assert watched.looked_at() == []
    watched.put(f"{PREFIX}netflix/titles.csv")
    assert watched.tick().tags["netflix/attempt"] == "1"


def test_a_queue_that_does_not_answer_makes_it_the_sensor_that_lists(
    watched: Watched, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = watched.settings.model_copy(update={"events_queue_url": watched.url + "-of-nobody"})
    watched.put(f"{PREFIX}movielens/tags.csv")
    assert behind(watched.tick(settings=gone)) == "movielens/tags"
    assert "-of-nobody: receiving events failed" in (said := capfd.readouterr().err)
    assert "Check NETFLIX_EVENTS_QUEUE_URL" in said


def test_a_burst_is_one_request_and_drained_in_a_few_ticks(
    watched: Watched, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 messages at 40 a tick; with --cases, so many at the real bound (moto's own time grows with their square)."""
    count = request.config.getoption("--cases")
    if count is None:
        count = 100
        monkeypatch.setattr(events, "MAX_MESSAGES", 40)
    sources = ("movielens", "netflix")
    keys = [f"{PREFIX}{sources[number % 2]}/x-{number}.csv" for number in range(count)]
    watched.send(*(s3_event(key, bucket=watched.settings.bucket) for key in keys))
    watched.put(f"{PREFIX}movielens/tags.csv")
    assert behind(watched.tick()) == "movielens/tags"
    watched.sync()
    ticks = 1
    while received := watched.waiting():
        assert not isinstance(watched.tick(1), dg.RunRequest)
        ticks += 1
        assert ticks < 20
        if watched.waiting() == received:  # all are hidden still
            watched.let_hidden_ones_come_again()
    print(f"{count} messages in {ticks} ticks with {len(watched.looked_at())} listings")


def test_an_event_and_a_full_comparison_at_once_are_one_request(watched: Watched) -> None:
    """Two ticks beside each other, as no daemon makes them: one gets the messages, the other has to compare."""
    watched.put(f"{PREFIX}movielens/tags.csv")
    watched.now += FULL_CHECK_S
    with ThreadPoolExecutor(4) as pool:
        results: Sequence[Any] = list(pool.map(lambda _: watched.evaluate(), range(4)))
    keys = {request.run_key for result in results for request in result.run_requests or ()}
    assert len(keys) == 1
    assert all(Cursor.from_text(result.cursor, 0).run_key in keys for result in results)


@pytest.mark.parametrize("url", ["queue", "https://sqs.eu-central-1.amazonaws.com", "arn:aws:sqs:eu-central-1:1:x"])
def test_a_queue_is_given_by_its_url(url: str, tmp_path) -> None:
    with pytest.raises(SettingsError, match="NETFLIX_EVENTS_QUEUE_URL="):
        read_settings(home=tmp_path, events_queue_url=url)
