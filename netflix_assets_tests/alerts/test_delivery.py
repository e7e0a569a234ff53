"""Delivery to Slack and SNS: one message per incident, whatever they answer."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from moto.server import ThreadedMotoServer

from netflix_assets.alerts.rules import Rule
from netflix_assets_tests.alerts.slack_server import FAULTS, TOKEN, SlackServer, slack_server
from netflix_assets_tests.alerts.world import EVERYTHING, world

AWS = {"AWS_ACCESS_KEY_ID": "AKIACANARYCANARYCANA", "AWS_SECRET_ACCESS_KEY": "canary/secret/of/aws/0815"}
PER_RUN = 5


def broken(name: str) -> dg.AssetsDefinition:
    @dg.asset(key=["raw", "shop", name], owners=["team:shop"])
    def step() -> None:
        raise ValueError(f"{name} is broken")

    return step


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


def test_each_failure_is_posted_once_while_30_percent_of_answers_are_errors(
    tmp_path: Path, slack: SlackServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make proof SUITE=alerts` runs 100 failures."""
    monkeypatch.setattr("netflix_assets.alerts.slack.TIMEOUT_S", 0.4)
    monkeypatch.setattr("netflix_assets.defs.alerts.hook.HOOK_S", 0.4)
    failures = request.config.getoption("--cases") or 20
    seed = random.randrange(10**6)  # noqa: S311
    print(f"seed {seed}")
    dice = random.Random(seed)  # noqa: S311
    slack.fault = lambda _: dice.choice(FAULTS) if dice.random() < 0.3 else None
    assets = [broken(f"thing_{number:03}") for number in range(failures)]
    with world(tmp_path, *assets, slack=slack) as shop:
        names = [each.key.to_user_string() for each in assets]
        for start in range(0, failures, PER_RUN):
            assert len(shop.run(*names[start : start + PER_RUN]).get_step_failure_events()) == PER_RUN
            if dice.random() < 0.5:
                shop.tick()
        by_hooks = len(slack.parents)
        ticks = shop.settle()
        posted = Counter(each["text"].split("\n")[0] for each in slack.messages)
        assert posted == Counter({f"🔴 {name} failed": 1 for name in names})
        print(f"{failures} failures, {len(slack.calls)} calls, {by_hooks} posted during runs, {ticks} more ticks")


def test_sns_receives_alerts_after_ten_minutes_without_slack(
    tmp_path: Path, slack: SlackServer, queue: "Queue", monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = EVERYTHING.model_copy(update={"rules": (Rule(events=("asset_materialization_failure",), to=("slack",)),)})
    slack.fault = lambda _: "reset before"
    with world(tmp_path, broken("thing"), slack=slack, rules=rules, sns_topic_arn=queue.topic) as shop:
        run = shop.run()
        for _ in range(5):
            shop.tick(60)
        assert queue.received() == []
        shop.tick(360)
        shop.tick(60)
        ((body, attributes),) = queue.received()
        assert (body["state"], body["subject"], body["run"]) == ("failed", "raw/shop/thing", run.run_id)
        assert body["cause"] == "ValueError: thing is broken"
        assert attributes == {"severity": "error", "owner": "team:shop", "environment": "local"}
        slack.fault = lambda _: None
        shop.settle()
        assert len(slack.parents) == 1
        assert queue.received() == []


def test_sns_receives_a_failure_and_its_recovery(tmp_path: Path, queue: "Queue") -> None:
    state: dict[str, bool] = {"broken": True}

    @dg.asset(key=["raw", "shop", "thing"], owners=["team:shop"])
    def thing() -> None:
        if state["broken"]:
            raise ValueError("no")

    rules = EVERYTHING.model_copy(update={"rules": (Rule(events=("asset_materialization_failure",), to=("sns",)),)})
    with world(tmp_path, thing, rules=rules, sns_topic_arn=queue.topic) as shop:
        for _ in range(2):
            shop.run()
            shop.tick()
        state["broken"] = False
        shop.run()
        shop.settle()
    assert [(body["state"], body["severity"], body["count"]) for body, _ in queue.received()] == [
        ("failed", "error", 1),
        ("recovered", "info", 2),
    ]


def test_a_publish_is_retried_when_sns_does_not_answer(
    tmp_path: Path, queue: "Queue", monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, broken("thing"), sns_topic_arn=queue.topic) as shop:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
        shop.run()
        shop.tick()
        assert queue.received() == []
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", queue.endpoint)
        shop.settle()
        assert len(queue.received()) == 1


def test_retry_after_is_respected(tmp_path: Path, slack: SlackServer) -> None:
    slack.retry_after_s = 100
    slack.fault = lambda _: "429"
    with world(tmp_path, *map(broken, "abcdef"), slack=slack) as shop:
        shop.run()
        slack.calls.clear()
        shop.tick()
        assert slack.calls == ["conversations.history"]
        slack.fault = lambda _: None
        shop.tick(60)
        assert len(slack.calls) == 1
        shop.tick(60)
        assert len(slack.parents) == 6


def test_a_success_is_posted_once_if_a_rule_names_it(tmp_path: Path, slack: SlackServer) -> None:
    @dg.asset
    def fine() -> None:
        pass

    rules = EVERYTHING.model_copy(update={"rules": (Rule(events=("job_success",), to=("slack",)),)})
    with world(tmp_path / "on", fine, slack=slack, rules=rules) as shop:
        shop.run()
        before = shop.cursor
        shop.settle()
        shop.cursor = before
        shop.settle()
        assert [each["text"].split("\n")[0] for each in slack.messages] == ["🟢 all_of_it succeeded"]
    slack.forget()
    with world(tmp_path / "off", fine, slack=slack) as shop:
        shop.run()
        shop.settle()
    assert slack.messages == []


def test_without_a_token_alerts_go_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with world(tmp_path, broken("thing")) as shop:
        run = shop.run()
        shop.settle()
        logged = [each.user_message for each in shop.instance.all_logs(run.run_id) if not each.is_dagster_event]
    assert any(
        "alert (NETFLIX_SLACK_TOKEN is not set):\n🔴 raw/shop/thing failed\n`ValueError" in each for each in logged
    )


def test_the_heartbeat_stops_when_slack_does_not_answer(tmp_path: Path, slack: SlackServer) -> None:
    beats: list[str] = []

    class Watch(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            beats.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    watch = HTTPServer(("127.0.0.1", 0), Watch)
    threading.Thread(target=watch.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{watch.server_port}/ping/canary"
        with world(tmp_path, broken("thing"), slack=slack, heartbeat_url=url) as shop:
            for _ in range(21):
                shop.tick()
            assert beats == ["/ping/canary"] * 3
            slack.fault = lambda _: "500 before"
            for _ in range(21):
                shop.tick()
            assert len(beats) == 3
            slack.fault = lambda _: None
            shop.tick()
            assert len(beats) == 4
    finally:
        watch.shutdown()
        watch.server_close()


def test_no_secret_is_sent_stored_or_printed(
    tmp_path: Path, slack: SlackServer, queue: "Queue", caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """Neither a credential of this process nor one that an error quotes."""
    password = "hunter2-canary"

    @dg.asset(key=["raw", "shop", "thing"])
    def thing() -> None:
        raise ValueError(f"cannot log in: https://ada:{password}@db.example/?token={password} {TOKEN} {AWS}")

    faults = iter(["500 after", "reset after", "html", "429"])
    slack.fault = lambda _: next(faults, None)
    url = f"http://127.0.0.1:9/{TOKEN}"
    with world(tmp_path, thing, slack=slack, sns_topic_arn=queue.topic, heartbeat_url=url) as shop:
        run = shop.run()
        shop.settle()
        own = [str(each) for each in shop.instance.all_logs(run.run_id) if "cannot log in" not in str(each)]
        places = {
            "Slack": json.dumps(slack.messages),
            "SNS": json.dumps(queue.received()),
            "cursor": shop.cursor or "",
            "event log": "\n".join(own),
            "settings": f"{shop.settings!r} {shop.settings.model_dump_json()}",
        }
    printed = [line for line in [*capfd.readouterr(), caplog.text] if "cannot log in" not in line]
    assert "raw/shop/thing failed" in places["Slack"]
    assert "ValueError: cannot log in: https://(not shown)@db.example/?token=(not shown)" in places["SNS"]
    for place, text in {**places, "output": "\n".join(printed)}.items():
        for secret in (TOKEN, password, *AWS.values()):
            assert secret not in text, place


# ---------------------------------------------------------------------------------------------------------------- SNS


class Queue:
    """A topic on moto with a queue that receives everything published to it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._sns, self._sqs = (
            boto3.client(name, endpoint_url=endpoint, region_name="eu-central-1") for name in ("sns", "sqs")
        )
        self.topic = self._sns.create_topic(Name="alerts")["TopicArn"]
        self._url = self._sqs.create_queue(QueueName="alerts")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self._sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def received(self) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """Body and attributes of what was published since the last call."""
        found = []
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for each in messages:
                envelope = json.loads(each["Body"])
                attributes = {name: value["Value"] for name, value in envelope["MessageAttributes"].items()}
                found.append((json.loads(envelope["Message"]), attributes))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=each["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def moto_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def queue(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Queue:
    for name, value in {**AWS, "AWS_ENDPOINT_URL_SNS": moto_server}.items():
        monkeypatch.setenv(name, value)
    found = Queue(moto_server)
    found.received()
    return found
