"""Requests over real HTTP: pages, limits, failures, keys, and what lands in the bucket."""

import contextlib
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from netflix_assets.contracts.model import Source
from netflix_assets.extract.api import client
from netflix_assets.extract.api.run import Gap, Landed, Outcome, Refused
from netflix_assets.extract.errors import SourceError, SourceUnavailableError
from netflix_assets.settings import SettingsError, read_settings
from netflix_assets_tests.extract.api.server import KEY, Api, Asked, serve, settings_for, source

DAY = "2026-11-27"
ONE = (200, {"feed": [{"id": 1, "title": "é"}]})
EMPTY = (200, {"feed": []})
HEADER = {"authentication": {"kind": "header", "name": "X-Key"}}
PARAMETER = {"authentication": {"kind": "parameter", "name": "apikey"}}


def landed(outcomes: list[Outcome]) -> Landed:
    (outcome,) = outcomes
    assert isinstance(outcome, Landed), outcome
    return outcome


def reason(outcomes: list[Outcome]) -> str:
    (outcome,) = outcomes
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def paged(**paging: object) -> Source:
    return source({"paging": paging})


def records(*ids: int) -> dict:
    return {"feed": [{"id": each} for each in ids]}


# ---------------------------------------------------------------- answers


def test_an_answer_lands_as_it_is_and_is_not_requested_again(api: Api) -> None:
    body = b'{ "feed": [ {"id": 1.0,\t"title": "\xc3\xa9"} ] }\n'
    api.server.replies((200, body))
    outcome = landed(api.request(source()))
    assert (outcome.keys, outcome.records) == ((f"wire/news/{DAY}.json",), 1)
    assert api.read(f"wire/news/{DAY}.json") == body
    (asked,) = api.server.asked
    assert (asked.path, dict(asked.query)) == (f"/news/{DAY}", {"to": f"{DAY}T23:59:59"})
    assert api.request(source()) == []
    assert len(api.server.asked) == 1


def test_only_the_missing_days_of_a_range_are_requested(api: Api) -> None:
    api.server.answer = lambda asked: ONE
    api.request(source(), DAY, DAY)
    api.bucket.put("wire/news/2026-11-25.json.gz", b"dropped by hand")
    outcomes = api.request(source(), "2026-11-24", "2026-11-28")
    assert [each.period.name for each in outcomes] == ["2026-11-28", "2026-11-26", "2026-11-24"]  # the newest first


def test_an_answer_without_records_is_an_answer(api: Api) -> None:
    api.server.replies(EMPTY)
    assert landed(api.request(source())).records == 0
    assert api.keys == [f"wire/news/{DAY}.json"]


def test_a_status_that_means_nothing_there_is_a_gap_and_is_remembered(api: Api) -> None:
    api.server.replies((404, {"message": "no data"}))
    wire = source({"gap_statuses": [404]})
    (outcome,) = api.request(wire)
    assert isinstance(outcome, Gap)
    assert api.keys == [f"_extracts/wire/news/gaps/{DAY}.json"]
    assert json.loads(api.read(api.keys[0]))["status"] == 404
    assert api.request(wire) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"Information": "25 requests per day"}, "unusable response: the document has no records at '/feed'; it has"),
        (b"<html>Sorry", "unusable response: the file is not valid JSON: Expecting value (line 1, column 1) (it beg"),
        (b'{"feed": [{"id": 1}', "unusable response: the file is not valid JSON: Expecting ',' delimiter"),
        ({"feed": "none"}, "unusable response: '/feed' is a text, not a list of records"),
    ],
)
def test_an_error_with_status_200_does_not_count_as_the_answer(api: Api, answer: object, said: str) -> None:
    api.server.replies((200, answer), ONE)
    assert reason(api.request(source())).startswith(f"wire/news {DAY}: {said}")
    assert api.keys == []
    assert landed(api.request(source())).records == 1


def test_a_period_without_an_answer_costs_itself_only(api: Api) -> None:
    api.server.answer = lambda asked: (400, {"error": "no"}) if asked.path.endswith("26") else ONE
    outcomes = api.request(source(), "2026-11-25", DAY)
    assert [type(each) for each in outcomes] == [Landed, Refused, Landed]


# ---------------------------------------------------------------- pages


def test_pages_are_counted_until_one_has_no_records(api: Api) -> None:
    api.server.replies((200, records(1, 2)), (200, records(3)), EMPTY)
    outcome = landed(api.request(paged(kind="page", parameter="page", first=0)))
    assert (outcome.records, outcome.keys) == (3, (f"wire/news/{DAY}.json", f"wire/news/{DAY}-p0002.json"))
    assert [asked.query["page"] for asked in api.server.asked] == ["0", "1", "2"]


def test_offsets_count_records(api: Api) -> None:
    api.server.replies((200, records(1, 2)), (200, records(3)), EMPTY)
    assert landed(api.request(paged(kind="offset", parameter="skip"))).records == 3
    assert [asked.query["skip"] for asked in api.server.asked] == ["0", "2", "3"]


def test_as_many_pages_as_are_allowed(api: Api) -> None:
    api.server.replies((200, records(1)), (200, records(2)), EMPTY)
    assert landed(api.request(paged(kind="page", parameter="page", max_pages=2))).records == 2


def test_a_page_without_records_that_names_the_next_is_not_the_last(api: Api) -> None:
    api.server.replies((200, {**records(1), "next": "b"}), (200, {**records(), "next": "c"}), (200, records(2)))
    outcome = landed(api.request(paged(kind="cursor", parameter="after", next="/next")))
    assert (outcome.records, len(outcome.keys)) == (2, 3)


def test_a_gap_in_the_middle_of_an_answer_is_an_error(api: Api) -> None:
    api.server.replies((200, {**records(1), "next": "b"}), (404, {}))
    wire = source({"paging": {"kind": "cursor", "parameter": "after", "next": "/next"}, "gap_statuses": [404]})
    assert "page 2 is named by the page before, but the API says 404" in reason(api.request(wire))
    assert api.keys == []


def test_cursors_are_sent_back_until_there_is_none(api: Api) -> None:
    cursors = ["a b&c", 7, "", None]
    api.server.answer = lambda asked: (
        200,
        {**records(len(api.server.asked)), "meta": {"next": cursors[len(api.server.asked) - 1]}},
    )
    assert landed(api.request(paged(kind="cursor", parameter="after", next="/meta/next"))).records == 3
    assert [asked.query.get("after") for asked in api.server.asked] == [None, "a b&c", "7"]


def test_links_are_followed_in_the_answer_and_in_the_header(api: Api) -> None:
    api.server.replies((200, {**records(1), "next": "/news?page=2"}), (200, {**records(2), "next": None}))
    assert landed(api.request(paged(kind="link", next="/next"))).records == 2
    assert (api.server.asked[1].path, dict(api.server.asked[1].query)) == ("/news", {"page": "2"})
    link = {"Link": f'<{api.server.url}/more>; rel="next"'}
    api.server.replies((200, records(3), link), (200, records(4)))
    assert landed(api.request(paged(kind="link"), "2026-11-26", "2026-11-26")).records == 2


def test_a_link_to_another_server_is_not_followed(api: Api) -> None:
    with serve() as other:
        api.server.replies((200, {**records(1), "next": f"{other.url}/news"}))
        assert "the next page is on another server" in reason(api.request(paged(kind="link", next="/next")))
        assert other.asked == []
    assert api.keys == []


@pytest.mark.parametrize(
    ("paging", "said"),
    [
        ({"kind": "cursor", "parameter": "after", "next": "/next"}, "page 2 repeats an earlier one"),
        ({"kind": "page", "parameter": "page"}, "page 2 repeats an earlier one"),
        ({"kind": "page", "parameter": "page", "max_pages": 1}, "the response has more than 1 page "),
    ],
)
def test_pages_without_end_are_an_error(api: Api, paging: dict, said: str) -> None:
    api.server.answer = lambda asked: (200, {**records(1), "next": "again"})
    assert said in reason(api.request(source({"paging": paging})))
    assert api.keys == []


def test_a_page_that_fails_leaves_nothing_and_the_period_is_requested_again(api: Api) -> None:
    wire = paged(kind="page", parameter="page")
    api.server.replies((200, records(1)), (400, {"error": "no"}))
    assert "400 Bad Request" in reason(api.request(wire))
    assert api.keys == []
    api.server.replies((200, records(1)), (200, records(2)), EMPTY)
    assert landed(api.request(wire)).records == 2


def test_a_period_whose_landing_was_cut_off_is_requested_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    wire, put = paged(kind="page", parameter="page"), api.bucket.store.put

    def fail_at_first_page(key: str, path: Path) -> None:
        if key.endswith(f"{DAY}.json"):
            raise KeyboardInterrupt
        put(key, path)

    api.server.answer = lambda asked: (200, records(int(asked.query["page"]))) if asked.query["page"] < "4" else EMPTY
    with monkeypatch.context() as patch:
        patch.setattr(api.bucket.store, "put", fail_at_first_page)
        with pytest.raises(KeyboardInterrupt):
            api.request(wire)
    further = [f"wire/news/{DAY}-p0002.json", f"wire/news/{DAY}-p0003.json"]
    assert api.keys == further
    # The answer has only two pages now, so what landed of the third must not be loaded.
    api.server.answer = lambda asked: (200, records(int(asked.query["page"]))) if asked.query["page"] < "3" else EMPTY
    assert landed(api.request(wire)).records == 2
    assert api.keys == sorted([f"wire/news/{DAY}.json", *further])
    assert [json.loads(api.read(key)) for key in further] == [records(2), []]


# ---------------------------------------------------------------- limits and failures


@pytest.mark.parametrize("failure", [(500, {}), (503, {}), (429, {}, {"Retry-After": "0"}), (429, {}), None])
def test_what_passes_is_retried(api: Api, failure: tuple | None) -> None:
    api.server.replies(failure, failure, ONE)
    assert landed(api.request(source())).records == 1


def test_the_server_says_how_long_to_wait(api: Api) -> None:
    api.server.replies((429, {}, {"Retry-After": "1"}), ONE)
    started = time.monotonic()
    landed(api.request(source()))
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("as_date", [False, True])
def test_a_long_wait_is_left_to_the_next_run(api: Api, as_date: bool) -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True) if as_date else "3600"
    api.server.answer = lambda asked: (429, {}, {"Retry-After": header}) if asked.path.endswith("28") else ONE
    with pytest.raises(SourceUnavailableError, match=r"429 Too Many Requests; it asks to wait 3[56]\d\d s"):
        api.request(source(), DAY, "2026-11-29")
    assert api.keys == [f"wire/news/{DAY}.json", "wire/news/2026-11-29.json"]  # the others have landed


@pytest.mark.parametrize("status", [500, 401])
def test_after_three_failures_in_a_row_the_others_are_left(api: Api, status: int) -> None:
    api.server.answer = lambda asked: ONE if asked.path.endswith("29") else (status, {})
    with contextlib.suppress(SourceUnavailableError):
        api.request(source(), "2026-11-01", "2026-11-29")
    asked = list(dict.fromkeys(each.path[-2:] for each in api.server.asked))
    assert asked == ["29", "28", "27", "26"]
    assert api.keys == ["wire/news/2026-11-29.json"]


def test_a_server_that_stays_away_is_named(api: Api) -> None:
    api.server.answer = lambda asked: (503, {})
    with pytest.raises(SourceUnavailableError, match=r"api 'wire': GET /news/.*: 503 Service Unavailable; tried 5 tim"):
        api.request(source())
    assert len(api.server.asked) == client.TRIES


def test_a_server_that_does_not_answer_times_out(api: Api) -> None:
    def slow(asked: Asked) -> None:
        time.sleep(0.4)

    api.server.answer = slow
    with pytest.raises(SourceUnavailableError, match="the server timed out; tried 5 times"):
        api.request(source(api={"timeout_seconds": 0.1}))


def test_nothing_listens(api: Api, tmp_path: Path) -> None:
    with serve() as gone:
        api.settings = settings_for(gone, tmp_path / "home")
    with pytest.raises(SourceUnavailableError, match="cannot be reached: Connection refused"):
        api.request(source())


def test_requests_keep_their_distance(api: Api) -> None:
    api.server.answer = lambda asked: ONE
    started = time.monotonic()
    api.request(source(api={"requests_per_minute": 300}), "2026-11-24", DAY)
    assert time.monotonic() - started >= 3 * 0.2


def test_an_answer_that_is_too_large_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_DOCUMENT_BYTES", 1000)
    api.server.replies((200, b" " * 1001))
    assert "the response is larger than 1,000 bytes" in reason(api.request(source()))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((400, {"error": "bad date"}), '400 Bad Request: {"error": "bad date"}'),
        ((401, {"error": "no"}), '401 Unauthorized: {"error": "no"}. Check NETFLIX_API_WIRE_KEY'),
        ((302, b"", {"Location": "https://other.example/x"}), "it redirects to other.example. Correct api.url in"),
        ((404, b""), "404 Not Found: an empty response"),
    ],
)
def test_what_does_not_pass_is_not_retried(api: Api, reply: tuple, said: str) -> None:
    api.server.answer = lambda asked: reply
    assert said in reason(api.request(source()))
    assert len(api.server.asked) == 1


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ({"kind": "bearer"}, lambda asked: asked.headers["authorization"].removeprefix("Bearer ")),
        ({"kind": "header", "name": "X-Key"}, lambda asked: asked.headers["x-key"]),
        ({"kind": "parameter", "name": "apikey"}, lambda asked: asked.query["apikey"]),
    ],
)
def test_the_key_is_sent_as_the_contract_says(api: Api, how: dict, where) -> None:
    api.server.answer = lambda asked: ONE
    api.request(source(api={"authentication": how}))
    assert [where(asked) for asked in api.server.asked] == [KEY]


@pytest.mark.parametrize("reply", [(400, {"error": f"bad {KEY}"}), (401, {"error": KEY}), (200, {"error": KEY})])
@pytest.mark.parametrize("how", [HEADER, PARAMETER])
def test_no_message_shows_the_key(api: Api, how: dict, reply: tuple) -> None:
    api.server.answer = lambda asked: reply
    said = reason(api.request(source(api=how)))
    assert KEY not in said
    assert "***" in said


def test_an_answer_with_the_key_is_kept_without_it_and_followed_with_it(api: Api) -> None:
    link = f"/news?page=2&apikey={quote(KEY, safe='')}"
    api.server.replies((200, {**records(1), "next": link, "you": KEY}), (200, records(2)))
    landed(api.request(source({"paging": {"kind": "link", "next": "/next"}}, api=PARAMETER)))
    assert dict(api.server.asked[1].query) == {"page": "2", "apikey": KEY}
    kept = api.read(f"wire/news/{DAY}.json").decode()
    assert KEY not in kept
    assert json.loads(kept)["next"] == "/news?page=2&apikey=***"


def test_no_log_shows_the_key(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.server.answer = lambda asked: (200, {"feed": []}, {"bad header": "x"})
    with caplog.at_level(logging.DEBUG):
        api.request(source(api=PARAMETER))
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert "***" in caplog.text
    assert not any(form in caplog.text for form in (KEY, quote(KEY, safe="")))


def test_a_word_that_contains_the_key_stays(api: Api, tmp_path: Path) -> None:
    api.settings = settings_for(api.server, tmp_path / "home", "democracy")
    body = b'{"feed": [{"id": 1, "title": "democracys democracy"}]}'
    api.server.replies((200, body))
    landed(api.request(source(api=HEADER)))
    assert api.read(f"wire/news/{DAY}.json") == body.replace(b" democracy", b" ***")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="NETFLIX_API_WIRE_KEY: shorter than 8 characters"):
        read_settings(apis={"wire": {"key": "demo"}})


def test_a_parameter_whose_name_ends_like_that_of_the_key_does_not_replace_it(api: Api) -> None:
    api.server.answer = lambda asked: ONE
    wire = source({"parameters": {"sort_key": "date"}}, api={"authentication": {"kind": "parameter", "name": "key"}})
    api.request(wire)
    assert dict(api.server.asked[0].query) == {"sort_key": "date", "key": KEY}


def test_an_answer_with_a_byte_order_mark_lands(api: Api) -> None:
    api.server.replies((200, b'\xef\xbb\xbf{"feed": [{"id": 1}]}'))
    assert landed(api.request(source())).records == 1


def test_an_answer_that_is_not_utf8_is_refused(api: Api) -> None:
    api.server.replies((200, b'{"feed": [{"id": 1, "title": "\xe9"}]}'))
    assert "unusable response: it is not UTF-8" in reason(api.request(source()))
    assert api.keys == []


def test_what_netrc_has_for_the_host_is_not_sent(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api.server.answer = lambda asked: ONE
    api.request(source())
    assert "authorization" not in api.server.asked[0].headers


def test_an_api_without_its_key_is_not_requested(api: Api, tmp_path: Path) -> None:
    api.settings = settings_for(api.server, tmp_path / "home", key=None)
    with pytest.raises(SourceError, match="the API has no key: NETFLIX_API_WIRE_KEY is not set"):
        api.request(source(api=HEADER))
    assert api.server.asked == []


def test_an_api_that_is_not_switched_on_is_not_requested(api: Api, tmp_path: Path) -> None:
    api.settings = read_settings(home=tmp_path / "home", apis={})
    with pytest.raises(SourceError, match=r"not switched on: set NETFLIX_API_WIRE=https://wire\.example"):
        api.request(source())
