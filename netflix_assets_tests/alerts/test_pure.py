"""Rules, incidents, texts and redaction on arbitrary input."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netflix_assets.alerts.incidents import AlertState, Finding, Incident, fold
from netflix_assets.alerts.redaction import redact
from netflix_assets.alerts.rules import AlertsError, Rules, load_rules
from netflix_assets.alerts.text import Writer
from netflix_assets.contracts.visibility import Showable
from netflix_assets.settings import SettingsError, read_settings
from netflix_assets_tests.alerts import slack_server
from netflix_assets_tests.cli.command import run

KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
SECRETS = ["xoxb-12-ab", "AKIAABCDEFGHIJKLMNOP", "s3cret/of+mine", KEY]
WRITER = Writer(
    "production", "https://dagster.example/prod/", "https://git.example/docs/", {"team:shop": "<!subteam^S1>"}
)
FAILURE = "asset_materialization_failure"

findings = st.builds(
    Finding,
    subject=st.sampled_from(["step:a", "step:b", "check:a:b"]),
    event=st.just(FAILURE),
    state=st.sampled_from(["retrying", "failed", "recovered", "succeeded"]),
    at=st.integers(1, 40).map(float),
    title=st.text(min_size=1, max_size=300),
    cause=st.text(max_size=300),
    assets=st.sampled_from([(), ("raw/a",), ("raw/a", "raw/b")]),
    details=st.lists(st.text(max_size=300), max_size=3).map(tuple),
    owners=st.sampled_from([(), ("team:shop",), ("ada@example.com", "team:shop")]),
    stale=st.sampled_from([(), ("marts/a",)]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(findings, max_size=12))
def test_repeated_findings_change_nothing_and_a_subject_has_one_open_incident(found: list[Finding]) -> None:
    once = fold([], found)
    open_subjects = [each.subject for each in once if each.is_open]
    assert len(open_subjects) == len(set(open_subjects))
    assert fold(once, found) == once
    state = AlertState(since=1.0, incidents=tuple(once), read={"run": ""})
    assert AlertState.from_cursor(state.to_cursor()) == state


@settings(max_examples=60, deadline=None)
@given(st.lists(findings, min_size=1, max_size=30), st.text(max_size=4_000))
def test_slack_accepts_every_message(found: list[Finding], long: str) -> None:
    incidents = [Incident(replace(each, cause=each.cause + long), opened_at=1.0, count=2) for each in found]
    for each in incidents:
        slack_server._check_content({"text": WRITER.slack(each)})
        published = WRITER.sns(each)
        assert json.loads(published["Message"])["subject"] == each.finding.title
        assert len(published["Subject"]) <= 100
        assert published["Subject"].isascii()


def test_an_incident_recovers_when_its_own_assets_are_materialized() -> None:
    failed = Finding("step:dbt", FAILURE, "failed", 1.0, assets=("core/dim_genres",))
    (still,) = fold([], [failed, Finding("step:dbt", FAILURE, "recovered", 2.0, assets=("core/dim_dates",))])
    assert still.is_open
    (over,) = fold(
        [still], [Finding("step:dbt", FAILURE, "recovered", 3.0, assets=("core/dim_genres", "core/dim_dates"))]
    )
    assert not over.is_open


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(SECRETS))
def test_secrets_are_redacted(before: str, after: str, secret: str) -> None:
    text = redact(f"{before} {secret} {after}", ["s3cret/of+mine"], Showable(None))
    assert secret not in text
    assert "MIIE" not in text
    assert len(text) <= 300
    assert "\n" not in text


def test_values_hidden_by_a_contract_are_redacted() -> None:
    redacted = redact("Could not convert string 'Ada, 12 May' to INT", [], Showable(frozenset({"rating"})))
    assert redacted == "Could not convert string '(not shown)' to INT"
    assert redact("login password=hunter2;x https://me:pw@host/", [], Showable(None)) == (
        "login password=(not shown);x https://(not shown)@host/"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: [{events: [job_failed], to: [slack]}]", "rules.0.events.0='job_failed': Input should be 'asset_mater"),
        ("rules: [{events: [job_failure], to: [pager]}]", "rules.0.to.0='pager': Input should be 'slack' or 'sns'"),
        ("rules: [{events: [job_failure], to: [slack], channel: '#x'}]", "rules.0.channel='#x'"),
        ("digest_above: 3", "digest_above=3: Extra inputs are not permitted"),
        ("mentions: {ada: '@ada'}", "mentions.ada='@ada'"),
        ("rules: [", "while parsing"),
    ],
)
def test_an_invalid_alerts_file_is_rejected_with_its_entry(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text(text)
    with pytest.raises(AlertsError) as error:
        load_rules(path)
    assert str(path) in str(error.value)
    assert problem in str(error.value)


def test_rules_route_by_event_environment_and_owner() -> None:
    events = ["job_failure", "step_retry"]
    rules = Rules.model_validate({
        "rules": [
            {"events": ["job_failure"], "to": ["sns"], "owners": ["team:shop"]},
            {"events": events, "to": ["slack"], "environments": ["production"], "channel": "C0DEV"},
            {"events": ["job_failure"], "to": ["slack", "sns"]},
        ],
    })  # fmt: skip
    way = {
        (event, env, owners): (rule.to, rule.channel) if (rule := rules.route(event, env, owners)) else None  # type: ignore[arg-type]
        for event in ("job_failure", "step_retry")
        for env in ("production", "dev")
        for owners in ((), ("team:shop",))
    }
    assert way["job_failure", "dev", ("team:shop",)] == (("sns",), None)
    assert way["job_failure", "production", ()] == (("slack",), "C0DEV")
    assert way["job_failure", "dev", ()] == (("slack", "sns"), None)
    assert way["step_retry", "production", ("team:shop",)] == (("slack",), "C0DEV")
    assert way["step_retry", "dev", ()] is None


def test_every_event_but_success_has_a_default_rule() -> None:
    events = {event for rule in load_rules().rules for event in rule.events}
    assert "job_success" not in events
    assert len(events) == 11


def test_a_token_without_a_channel_is_rejected_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="NETFLIX_SLACK_CHANNEL is not") as error:
        read_settings(slack_token=slack_server.TOKEN)
    assert slack_server.TOKEN not in str(error.value)


def test_the_test_alert_names_what_is_missing(tmp_path: Path) -> None:
    with slack_server.slack_server() as slack:
        given = {"NETFLIX_SLACK_CHANNEL": slack_server.CHANNEL, "NETFLIX_SLACK_BASE_URL": slack.url}
        token = {"NETFLIX_SLACK_TOKEN": slack_server.TOKEN}
        done = run(tmp_path, "alerts", "test", **given, **token)
        assert done.stdout == "Slack: posted in C0ALERTS\nSNS: NETFLIX_SNS_TOPIC_ARN is not set\n"
        assert slack.parents[0]["text"].startswith("🟢 test alert succeeded")
        done = run(tmp_path, "alerts", "test", **given, NETFLIX_SLACK_TOKEN="xoxb-wrong")
        assert (done.returncode, "invalid_auth" in done.stderr) == (1, True)
        slack.unreadable = True
        done = run(tmp_path, "alerts", "test", **given, **token)
        assert (done.returncode, "channels:history" in done.stderr) == (1, True)
    assert "NETFLIX_SLACK_TOKEN is not set" in run(tmp_path, "alerts", "test").stdout


@pytest.mark.parametrize(
    ("assets", "command"),
    [
        ((), "netflix-assets run"),
        (("raw/movielens/tags",), "netflix-assets run"),  # a selection of models is never published
        (("marts/mart_a", "published/marts"), "netflix-assets run"),
        (("published/marts",), "netflix-assets run --select 'key:\"published/marts\"+'"),
        (("dashboards/audience",), "netflix-assets run --select 'key:\"dashboards/audience\"+'"),
        (("postgres/shop/orders", "postgres/shop/cards"), "netflix-assets sources extract shop && netflix-assets run"),
        (("api/frankfurter/rates",), "netflix-assets sources extract frankfurter && netflix-assets run"),
    ],
)
def test_the_command_of_an_alert_publishes_what_it_repairs(assets: tuple[str, ...], command: str) -> None:
    finding = Finding(subject="step:a", event=FAILURE, state="failed", at=1.0, assets=assets)
    assert replace(WRITER, environment="local").command(finding) == command
    assert WRITER.command(finding) == command.replace("netflix-assets", "NETFLIX_ENV=production netflix-assets")
