"""The landing sensor with a queue of file events: moto's S3 sends its own notifications to moto's SQS.

No run is made here. The events that a run leaves for the sensor are reported to Dagster's storage directly;
test_sensor.py and test_published.py have real runs.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError

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
from netflix_assets.settings import Settings, SettingsError, read_settings
from netflix_assets.storage import events
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets_tests.deploy.stacks import BUCKET, PARAMETERS, REGION, Cloud, moto_server
from netflix_assets_tests.storage.test_events import bridge_event, s3_event, through_sns

NOTHING = "no new file events; full check in"
PREFIX = "drops/"
SOURCES = [source.source for source in read_settings().sources()]


@dataclass
class Watched:
    """A bucket with notifications to a queue, and the sensor over both. Only ``tick`` advances the clock."""

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
        """The run request of a tick ``after`` this many seconds, or why it requests nothing."""
        self.now += after
        self.settings, before = settings or self.settings, self.settings
        result = self.evaluate()
        self.settings = before
        self.cursor = result.cursor or self.cursor
        return result.run_requests[0] if result.run_requests else str(result.skip_message)

    def listed_sources(self) -> list[str]:
        """The sources listed since the last call."""
        sources = list(self.listed)
        self.listed.clear()
        return sources

    def put(self, key: str, body: str | None = None) -> None:
        """Upload a file, with unique content unless given."""
        self.s3.put_object(Bucket=self.settings.bucket, Key=key, Body=(body or str(time.monotonic_ns())).encode())

    def send(self, *bodies: str) -> None:
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def message_count(self, url: str | None = None) -> int:
        """The number of messages in a queue, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

    def make_hidden_visible(self) -> None:
        """Make hidden messages visible again, as a minute does."""
        for message in self.received:
            with suppress(ClientError):  # already deleted
                self.sqs.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=0
                )
        self.received.clear()

    def sync(self) -> None:
        """Record what a full run leaves in Dagster's storage."""
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
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The bucket and the queue of deploy/aws/data.yaml, with one file."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance, moto_server() as moto:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        cloud = Cloud(moto)
        cloud.create("data", **PARAMETERS["data"] | {"Prefix": PREFIX})
        s3, sqs = cloud.client("s3"), cloud.client("sqs")
        # moto, unlike S3, reports no deletion from a bucket with versions.
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
        settings = read_settings(
            home=tmp_path_factory.mktemp("events"),
            bucket=BUCKET,
            bucket_prefix=PREFIX,
            s3_endpoint=moto,
            s3_region=REGION,
            events_queue_url=sqs.get_queue_url(QueueName="netflix-dev-events")["QueueUrl"],
        )
        watched = Watched(settings, instance, s3, sqs)
        patch.setattr(sensors.time, "time", lambda: watched.now)
        _spy(patch, S3ObjectStore, "listings", lambda _, arguments: watched.listed.append(arguments[1].source))
        _spy(patch, events.EventQueue, "receive", lambda messages, _: watched.received.extend(messages))
        watched.put(f"{PREFIX}movielens/tags.csv")
        yield watched


def _spy(patch: pytest.MonkeyPatch, owner: type, name: str, record: Callable[[Any, Any], object]) -> None:
    """Call ``record`` with the return value and the arguments of each call of a method."""
    original = getattr(owner, name)

    def method(*arguments: Any) -> Any:
        returned = original(*arguments)
        record(returned, arguments)
        return returned

    patch.setattr(owner, name, method)


@pytest.fixture
def watched(bucket: Watched) -> Watched:
    """The bucket in sync and just fully checked, with an empty queue."""
    bucket.make_hidden_visible()
    for url in (bucket.url, f"{bucket.url}-dead"):
        while waiting := bucket.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(waiting)]
            bucket.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    notification = bucket.s3.get_bucket_notification_configuration(Bucket=BUCKET)
    notification.pop("ResponseMetadata")
    bucket.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=notification)
    bucket.sync()
    bucket.cursor = None
    assert bucket.message_count() == 1  # the event that S3 sends to test the queue
    assert bucket.tick() == UP_TO_DATE  # without a cursor everything is compared
    assert bucket.listed_sources() == SOURCES
    assert bucket.message_count() == 0
    return bucket


def stale_datasets(result: dg.RunRequest | str) -> Any:
    assert isinstance(result, dg.RunRequest), result
    return result.tags["netflix/stale"]


def test_an_event_requests_a_run_after_listing_only_its_source(watched: Watched) -> None:
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.listed_sources() == []
    watched.put(f"{PREFIX}movielens/tags/a b+ü.csv")
    assert stale_datasets(watched.tick()) == "movielens/tags"
    assert watched.listed_sources() == ["movielens"]
    watched.sync()
    assert watched.tick(INTERVAL_S) == UP_TO_DATE  # a requested source is listed again without another event
    assert watched.listed_sources() == SOURCES
    watched.s3.delete_object(Bucket=watched.settings.bucket, Key=f"{PREFIX}movielens/tags/a b+ü.csv")
    assert stale_datasets(watched.tick()) == "movielens/tags"


def test_a_message_is_deleted_only_after_its_result_is_stored(watched: Watched) -> None:
    watched.put(f"{PREFIX}netflix/titles.csv")
    before = watched.cursor
    first = watched.tick()
    assert watched.message_count() == 1
    watched.cursor = before  # the daemon died before it stored the result of the tick
    watched.make_hidden_visible()
    second = watched.tick()
    assert stale_datasets(first) == stale_datasets(second) == "netflix/titles"
    assert first.run_key == second.run_key  # if the request had been stored, Dagster would not run it twice
    assert watched.message_count() == 1
    watched.make_hidden_visible()
    watched.sync()
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.message_count() == 0


def test_duplicate_late_and_foreign_events_request_nothing(watched: Watched) -> None:
    watched.put(f"{PREFIX}movielens/ratings.csv")
    assert stale_datasets(watched.tick()) == "movielens/ratings"
    watched.sync()
    assert watched.tick(INTERVAL_S) == UP_TO_DATE
    watched.listed_sources()
    name = watched.settings.bucket
    ours = s3_event(f"{PREFIX}movielens/ratings.csv", bucket=name)
    watched.send(
        s3_event("elsewhere/movielens/ratings.csv", bucket=name),
        s3_event(f"{PREFIX}movielens/ratings.csv", bucket="another"),
        s3_event(f"{PREFIX}nobody/x.csv", f"{PREFIX}x.csv", bucket=name),
    )
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.listed_sources() == []
    watched.send(ours, through_sns(ours), bridge_event(f"{PREFIX}movielens/ratings.csv", name), ours)
    assert watched.tick() == UP_TO_DATE
    assert watched.listed_sources() == ["movielens"]
    watched.make_hidden_visible()
    assert str(watched.tick()).startswith(NOTHING)
    assert watched.message_count() == 0


def test_malformed_messages_go_to_the_dead_letter_queue_and_block_nothing(
    watched: Watched, capfd: pytest.CaptureFixture[str]
) -> None:
    watched.send(*["junk", "{}", json.dumps({"Records": [1]})] * 10)
    watched.put(f"{PREFIX}movielens/tags.csv")
    assert stale_datasets(watched.tick()) == "movielens/tags"
    assert f"30 messages in {watched.url} are not S3 events" in capfd.readouterr().err
    watched.make_hidden_visible()
    watched.sync()
    watched.tick()
    assert watched.message_count() == 30
    watched.make_hidden_visible()
    while watched.sqs.receive_message(QueueUrl=watched.url, MaxNumberOfMessages=10, VisibilityTimeout=0).get(
        "Messages"
    ):
        pass  # until each was received five times
    assert watched.message_count() == 0
    assert watched.message_count(f"{watched.url}-dead") == 30


def test_the_full_check_finds_files_with_lost_events(watched: Watched) -> None:
    watched.put(f"{PREFIX}movielens/tags.csv")
    watched.sqs.purge_queue(QueueUrl=watched.url)
    assert watched.message_count() == 0
    assert str(watched.tick()).startswith(NOTHING)
    assert stale_datasets(watched.tick(FULL_CHECK_S)) == "movielens/tags"
    assert watched.listed_sources() == SOURCES


def test_the_full_check_does_not_wait_for_a_clock_that_was_set_back(watched: Watched) -> None:
    watched.tick(FULL_CHECK_S)
    watched.listed_sources()
    watched.tick(-86_400)
    assert watched.listed_sources() == SOURCES


def test_a_failing_request_is_retried_and_exhausted_with_events_too(watched: Watched) -> None:
    same = str(time.monotonic_ns())
    watched.put(f"{PREFIX}netflix/titles.csv", same)
    requests = [watched.tick(), watched.tick(31), watched.tick(601)]
    assert [each.tags["netflix/attempt"] for each in requests] == ["1", "2", "3"]
    watched.put(f"{PREFIX}netflix/titles.csv", same)  # the same content again
    assert str(watched.tick(601)).startswith("exhausted: 3 runs failed")
    watched.listed_sources()
    assert str(watched.tick(10)).startswith(NOTHING)  # and it is not listed on every tick
    assert watched.listed_sources() == []
    watched.put(f"{PREFIX}netflix/titles.csv")
    assert watched.tick().tags["netflix/attempt"] == "1"


def test_the_sensor_lists_the_bucket_when_the_queue_fails(watched: Watched, capfd: pytest.CaptureFixture[str]) -> None:
    gone = watched.settings.model_copy(update={"events_queue_url": watched.url + "-missing"})
    watched.put(f"{PREFIX}movielens/tags.csv")
    assert stale_datasets(watched.tick(settings=gone)) == "movielens/tags"
    assert "-missing: receiving events failed" in (log := capfd.readouterr().err)
    assert "Check NETFLIX_EVENTS_QUEUE_URL" in log


def test_a_burst_of_events_makes_one_request_and_drains_in_a_few_ticks(
    watched: Watched, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 messages at 40 per tick. With --cases, that many at the real limit (moto's own time grows quadratically)."""
    count = request.config.getoption("--cases")
    if count is None:
        count = 100
        monkeypatch.setattr(events, "MAX_MESSAGES", 40)
    sources = ("movielens", "netflix")
    keys = [f"{PREFIX}{sources[number % 2]}/x-{number}.csv" for number in range(count)]
    watched.send(*(s3_event(key, bucket=watched.settings.bucket) for key in keys))
    watched.put(f"{PREFIX}movielens/tags.csv")
    assert stale_datasets(watched.tick()) == "movielens/tags"
    watched.sync()
    ticks = 1
    while received := watched.message_count():
        assert not isinstance(watched.tick(1), dg.RunRequest)
        ticks += 1
        assert ticks < 20
        if watched.message_count() == received:  # all are still hidden
            watched.make_hidden_visible()
    print(f"{count} messages in {ticks} ticks with {len(watched.listed_sources())} listings")


def test_concurrent_event_and_full_checks_make_one_request(watched: Watched) -> None:
    """Two ticks at once, which a daemon never runs: one receives the messages, the other compares everything."""
    watched.put(f"{PREFIX}movielens/tags.csv")
    watched.now += FULL_CHECK_S
    with ThreadPoolExecutor(4) as pool:
        results: Sequence[Any] = list(pool.map(lambda _: watched.evaluate(), range(4)))
    keys = {request.run_key for result in results for request in result.run_requests or ()}
    assert len(keys) == 1
    assert all(Cursor.from_text(result.cursor, 0).run_key in keys for result in results)


@pytest.mark.parametrize("url", ["queue", "https://sqs.eu-central-1.amazonaws.com", "arn:aws:sqs:eu-central-1:1:x"])
def test_the_queue_setting_must_be_a_queue_url(url: str, tmp_path) -> None:
    with pytest.raises(SettingsError, match="NETFLIX_EVENTS_QUEUE_URL="):
        read_settings(home=tmp_path, events_queue_url=url)
