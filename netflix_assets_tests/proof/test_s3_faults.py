"""A proxy that makes S3 fail in every way, between the product and a real S3 server.

It proves that a failed call is retried exactly as often as configured, after growing random delays; that permanent
errors are not retried; that an unreadable object does not stop the others; that the first run after any failure has
loaded every version exactly once; and that an error names the bucket, the cause and the setting to check, without
secrets.
"""

import os
import random
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest

from netflix_assets.cli.app import main as cli
from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.ingest import sync as sync_module
from netflix_assets.ingest.sync import READERS, ROUNDS, SyncReport, sync
from netflix_assets.settings import current_settings
from netflix_assets.storage import bucket as bucket_module
from netflix_assets.storage.objects import MAX_READ_FAILURES_IN_A_ROW, ObjectChangedError, ObjectStore, objects_of
from netflix_assets.storage.retries import RETRIES, BucketError, RetryPolicy
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import Bucket, make_column, make_dataset, s3_client
from netflix_assets_tests.proof.fault_proxy import (
    INTERNAL_ERROR,
    SLOW_DOWN,
    Fault,
    FaultProxy,
    Response,
    Rule,
    changed,
    cut,
    error,
    fault_proxy,
    hang,
    reset,
    trickle,
)
from netflix_assets_tests.waiting import until

# The product's policy with short delays. A busy machine may be silent for a while, so only tests in which the server
# falls silent use a read timeout that is short enough to wait for.
QUICK = RetryPolicy(max_retries=3, first_delay_s=0.01, max_delay_s=0.1, connect_timeout_s=2.0, read_timeout_s=5.0)
IMPATIENT = replace(QUICK, read_timeout_s=0.5)
TRIES = QUICK.max_retries + 1
HANG_S = 2 * IMPATIENT.read_timeout_s
FOREVER = float("inf")

_GARBLED = changed(lambda response: replace(response, body=b"<ListBucketResult><Contents>"))
LIST_FAULTS = {
    "500": INTERNAL_ERROR,
    "503": SLOW_DOWN,
    "reset": reset,
    "cut": cut(),
    "cut by reset": cut(by_reset=True),
    "garbled": _GARBLED,
    "hang": hang(HANG_S),
}
GET_FAULTS = {
    "500": INTERNAL_ERROR,
    "503": SLOW_DOWN,
    "reset": reset,
    "cut": cut(),
    "cut at once": cut(0.0),
    "cut by reset": cut(by_reset=True),
    "hang": hang(HANG_S),
    "hang in the body": hang(HANG_S, share=0.5),
}
PUT_FAULTS = {"500": INTERNAL_ERROR, "503": SLOW_DOWN, "reset": reset, "hang": hang(HANG_S)}

THINGS = make_dataset(make_column("thing_id", "integer"), make_column("label"))
KEY = "shop/things.csv"


def things(*numbers: int, label: str = "a") -> str:
    return "thing_id,label\n" + "".join(f"{number},{label}\n" for number in numbers)


@pytest.fixture(scope="module")
def proxy(s3_server) -> Iterator[FaultProxy]:
    with fault_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, proxy, s3_server) -> None:
    """Quick retries, and the server's keys in the environment, as a user would set them."""
    proxy.script()
    monkeypatch.setattr(bucket_module, "RETRIES", QUICK)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_access_key)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@contextmanager
def opened(bucket: Bucket, proxy: FaultProxy, retries: RetryPolicy = QUICK) -> Iterator[ObjectStore]:
    """A bucket through the proxy, opened as a run's step opens it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket_module, "RETRIES", retries)
        with LandingBucket(bucket=bucket.name, endpoint=proxy.endpoint).open() as store:
            yield store


@pytest.fixture
def store(bucket: Bucket, proxy: FaultProxy) -> Iterator[ObjectStore]:
    """The test's bucket, through the proxy."""
    with opened(bucket, proxy) as through:
        yield through


@pytest.fixture
def impatient_store(bucket: Bucket, proxy: FaultProxy) -> Iterator[ObjectStore]:
    """The same with a short read timeout, for tests in which the server falls silent."""
    with opened(bucket, proxy, IMPATIENT) as through:
        yield through


def current_rows(warehouse: DuckDBWarehouse, dataset: Dataset = THINGS) -> list[tuple]:
    return warehouse.execute(f"select thing_id, label from raw.{dataset.table}_current order by 1, 2")


# ---------------------------------------------------------------- how often, and how fast


def _all_of(store: ObjectStore) -> bytes:
    [listed] = objects_of(THINGS, store)
    return b"".join(store.read(listed))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, table in (("list", LIST_FAULTS), ("get", GET_FAULTS)) for name in table]
)
def test_a_read_is_retried_until_it_succeeds_or_retries_are_exhausted(request, bucket, proxy, kind, name):
    store = request.getfixturevalue("impatient_store" if "hang" in name else "store")
    bucket.put(KEY, things(*range(50)))
    fault = (LIST_FAULTS if kind == "list" else GET_FAULTS)[name]
    proxy.script(Rule(fault, kind, times=QUICK.max_retries))
    assert _all_of(store) == things(*range(50)).encode()
    assert len(proxy.seen(kind)) == TRIES
    proxy.script(Rule(fault, kind))
    with pytest.raises(BucketError, match=f"{TRIES} tries in") as raised:
        _all_of(store)
    assert len(proxy.seen(kind)) == TRIES
    what = "listing shop/things" if kind == "list" else f"reading {KEY}"
    assert f"s3://{bucket.name}/ at {proxy.endpoint}: {what}" in str(raised.value)


@pytest.mark.parametrize("name", PUT_FAULTS)
def test_an_upload_is_retried_until_it_succeeds_or_retries_are_exhausted(request, bucket, proxy, tmp_path, name):
    store = request.getfixturevalue("impatient_store" if "hang" in name else "store")
    path = tmp_path / "things.csv"
    path.write_text(things(1))
    proxy.script(Rule(PUT_FAULTS[name], "put"))
    with pytest.raises(BucketError, match=rf"uploading {KEY} failed .{TRIES} tries in"):
        store.put(KEY, path)
    assert len(proxy.seen("put")) == TRIES
    proxy.script(Rule(PUT_FAULTS[name], "put", times=QUICK.max_retries))
    store.put(KEY, path)
    assert len(proxy.seen("put")) == TRIES
    assert _all_of(bucket.store) == things(1).encode()


def test_a_multipart_upload_survives_faults_of_every_request(bucket, store, proxy, tmp_path):
    path = tmp_path / "things.csv"
    path.write_bytes(os.urandom(12 * 2**20))  # three parts
    for kind in ("put", "post"):  # the parts; the beginning and the end
        for fault in (SLOW_DOWN, reset, *([cut()] if kind == "post" else [])):
            proxy.script(Rule(fault, kind, times=2))
            store.put(KEY, path)
            assert sum(each.has_failed for each in proxy.seen(kind)) == 2
            proxy.script()
            assert _all_of(bucket.store) == path.read_bytes()
            bucket.delete(KEY)


@pytest.mark.parametrize(("kind", "fault"), [("get", SLOW_DOWN), ("list", cut())], ids=["obstore's", "ours"])
def test_retry_delays_grow_and_have_jitter(bucket, proxy, kind, fault):
    bucket.put(KEY, things(1))
    [listed] = objects_of(THINGS, bucket.store)
    retries = RetryPolicy(first_delay_s=0.004, max_delay_s=0.5)
    gaps = []
    for _ in range(6):
        proxy.script(Rule(fault, kind))
        with opened(bucket, proxy, retries) as store, pytest.raises(BucketError):
            b"".join(store.read(listed)) if kind == "get" else store.list("shop/")
        times = [request.at for request in proxy.seen(kind)]
        gaps.append([after - before for before, after in pairwise(times)])
    assert {len(each) for each in gaps} == {retries.max_retries}
    assert min(min(each) for each in gaps) >= retries.first_delay_s * 0.9
    # The last delays are many times the first; what a busy machine adds is the same for all of them.
    assert mean(each[-1] for each in gaps) > 2 * mean(each[0] for each in gaps)
    last = [each[-1] for each in gaps]
    assert max(last) > 1.2 * min(last)


@pytest.mark.parametrize("name", ["cut", "cut by reset", "hang in the body"])
def test_a_broken_download_resumes_where_it_ended(bucket, impatient_store, proxy, name):
    content = os.urandom(9 * 2**20)  # more than two blocks
    bucket.put(KEY, content)
    proxy.script(Rule(GET_FAULTS[name], "get", times=2))
    assert _all_of(impatient_store) == content
    starts = [request.range for request in proxy.seen("get")]
    assert starts[0] is None
    assert all(start and start.startswith("bytes=") and not start.startswith("bytes=0-") for start in starts[1:])


def test_a_slow_download_does_not_time_out_while_bytes_keep_coming(bucket, impatient_store, proxy):
    bucket.put(KEY, things(*range(500)))
    proxy.script(Rule(trickle(5 * IMPATIENT.read_timeout_s), "get"))
    started = time.monotonic()
    assert _all_of(impatient_store) == things(*range(500)).encode()
    assert time.monotonic() - started > 4 * IMPATIENT.read_timeout_s
    assert len(proxy.seen("get")) == 1


def test_the_default_timeouts(request, bucket, proxy):
    """Takes 200 s, so only with --cases: a silence of 30 s is retried, a body of three minutes is resumed."""
    if request.config.getoption("--cases") is None:
        pytest.skip("takes 200 s; runs with --cases")
    content = {key: os.urandom(2**20) for key in ("shop/things-a.csv", "shop/things-b.csv")}
    for key, body in content.items():
        bucket.put(key, body)

    def slow_then_cut(handler, answer):
        response = answer()
        handler.give(response, end=0)
        for start in range(0, len(response.body) // 2, 4096):
            time.sleep(200 / (len(response.body) / 2 / 4096))  # longer than obstore's limits of 30 s and 3 minutes
            handler.send(response.body[start : start + 4096])

    proxy.script(
        Rule(hang(RETRIES.read_timeout_s + 5), "get", "a.csv", times=1), Rule(slow_then_cut, "get", "b.csv", 1)
    )
    with opened(bucket, proxy, RETRIES) as store, ThreadPoolExecutor(max_workers=2) as pool:
        listing = objects_of(THINGS, store)
        found = dict(zip(content, pool.map(lambda listed: b"".join(store.read(listed)), listing), strict=True))
    assert found == content
    hung = [each.at for each in proxy.seen("get", "a.csv")]
    assert len(hung) == len(proxy.seen("get", "b.csv")) == 2
    assert RETRIES.read_timeout_s <= hung[1] - hung[0] < RETRIES.read_timeout_s + 5


# ---------------------------------------------------------------- permanent errors and their messages

CANARY = "CANARY-9f3b"
_TELLTALE = (
    f"</Message><Token-0>{CANARY}</Token-0><AWSAccessKeyId>{CANARY}</AWSAccessKeyId>"
    f"<StringToSign>{CANARY}</StringToSign><Message>"
)
PERMANENT = {
    "403 AccessDenied": "NETFLIX_AWS_PROFILE",
    "403 InvalidAccessKeyId": "NETFLIX_AWS_PROFILE",
    "403 SignatureDoesNotMatch": "NETFLIX_AWS_PROFILE",
    "400 ExpiredToken": "NETFLIX_AWS_PROFILE",
    "403 RequestTimeTooSkewed": "clock",
    "404 NoSuchBucket": "NETFLIX_BUCKET",
    "400 AuthorizationHeaderMalformed": "NETFLIX_S3_REGION",
    "301 PermanentRedirect": "NETFLIX_S3_REGION",
}


@pytest.mark.parametrize("kind", ["list", "get", "put"])
@pytest.mark.parametrize("answer", PERMANENT)
def test_a_permanent_error_is_not_retried_and_shows_no_secret(bucket, store, proxy, answer, kind):
    bucket.put(KEY, things(1))
    status, code = answer.split()
    proxy.script(Rule(error(int(status), code, "What is wrong." + _TELLTALE), kind))
    with pytest.raises(BucketError) as raised:
        store.put(KEY, bucket.scratch) if kind == "put" else _all_of(store)
    assert len(proxy.seen(kind)) == 1
    message = str(raised.value)
    assert PERMANENT[answer] in message
    assert "tries" not in message
    if status != "301":  # a redirect has only its status
        assert f"{status} {code}: What is wrong" in message
    whole = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert CANARY not in whole
    assert "Debug source" not in whole


def test_the_real_server_reports_wrong_keys(monkeypatch, bucket, proxy):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    with (
        LandingBucket(bucket=bucket.name, endpoint=proxy.endpoint).open() as store,
        pytest.raises(BucketError) as raised,
    ):
        store.list("shop/")
    assert len(proxy.seen("list")) == 1
    assert "403 SignatureDoesNotMatch" in str(raised.value)
    assert "NETFLIX_AWS_PROFILE" in str(raised.value)
    assert CANARY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("endpoint", "cause"),
    [
        ("http://someone:CANARY-9f3b@127.0.0.1:9", "Connection refused"),
        ("http://no-such-host.invalid", "not known"),
        ("https://127.0.0.1:{port}", ""),  # TLS to a server without
    ],
)
def test_an_unreachable_endpoint_is_reported(bucket, proxy, endpoint, cause):
    address = endpoint.format(port=proxy.port)
    with LandingBucket(bucket=bucket.name, endpoint=address).open() as store, pytest.raises(BucketError) as raised:
        store.list("shop/")
    message = str(raised.value)
    assert "NETFLIX_S3_ENDPOINT" in message
    assert f"{TRIES} tries" in message
    assert cause in message
    assert address.rpartition("/")[2].rpartition("@")[2] in message
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_missing_credentials_and_an_unknown_profile_are_reported(monkeypatch, bucket, proxy):
    with pytest.raises(BucketError, match=r"profile .nobody.*NETFLIX_AWS_PROFILE"):
        LandingBucket(bucket=bucket.name, endpoint=proxy.endpoint, profile="nobody").open().__enter__()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(BucketError, match=r"no credentials.*NETFLIX_AWS_PROFILE"):
        LandingBucket(bucket=bucket.name, endpoint=proxy.endpoint).open().__enter__()


def test_credentials_that_cannot_be_refreshed_are_reported(monkeypatch, bucket, proxy, tmp_path):
    config = tmp_path / "config"
    config.write_text(f"[profile late]\ncredential_process = {sys.executable} -c 'raise SystemExit(1)'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(BucketError, match="NETFLIX_AWS_PROFILE"):  # noqa: SIM117
        with LandingBucket(bucket=bucket.name, endpoint=proxy.endpoint, profile="late").open() as store:
            store.list("shop/")
    assert proxy.seen() == []


# ---------------------------------------------------------------- failures of single objects


def test_an_unreadable_object_does_not_stop_the_others(sync, bucket, store, proxy, warehouse):
    for number in range(4):
        bucket.put(f"shop/things-{number}.csv", things(number))
    proxy.script(Rule(INTERNAL_ERROR, "get", "things-1"), Rule(error(403, "AccessDenied"), "get", "things-2"))
    report = sync(THINGS, store=store)
    assert [load.listed.key for load in report.loads] == ["shop/things-0.csv", "shop/things-3.csv"]
    assert [listed.key for listed, _ in report.failed_reads] == ["shop/things-1.csv"]
    assert [each.listed.key for each in report.refused] == ["shop/things-2.csv"]
    proxy.script()
    assert [load.listed.key for load in sync(THINGS, store=store).loads] == ["shop/things-1.csv", "shop/things-2.csv"]
    assert current_rows(warehouse) == [(number, "a") for number in range(4)]


OBJECTS_FAULTS = {
    "403 InvalidObjectState: Not valid for the object's storage class": "It is archived: restore it",
    "403 AccessDenied: Access Denied": "s3:GetObject",
    "400 KMS.DisabledException: The key is disabled": "Enable its KMS key",
    "400 InvalidRequest: Stored using a form of Server Side Encryption": "encrypted with a key of the sender (SSE-C)",
}


@pytest.mark.parametrize("mode", ["append", "overwrite"])
@pytest.mark.parametrize("answer", OBJECTS_FAULTS)
def test_an_object_that_is_itself_at_fault_is_refused_until_it_can_be_read(
    sync, bucket, store, proxy, warehouse, answer, mode
):
    dataset = make_dataset(*THINGS.columns, mode=mode)
    bucket.put("shop/things-1.csv", things(1))
    sync(dataset, store=store)
    bucket.put("shop/things-2.csv", things(2))
    status, code, message = answer.replace(":", "").split(maxsplit=2)
    proxy.script(Rule(error(int(status), code, message), "get", "things-2"))
    for _ in range(2):  # the second sync tries once more
        report = sync(dataset, store=store)
        assert (report.loads, report.failed_reads) == ([], [])
        [refused] = report.refused
        assert refused.reason.startswith(f"cannot be read: {answer}. ")
        assert OBJECTS_FAULTS[answer] in refused.reason
        assert "http" not in refused.reason
    assert len(proxy.seen("get", "things-2")) == 2
    assert current_rows(warehouse) == [(1, "a")]
    proxy.script()
    assert [load.listed.key for load in sync(dataset, store=store).loads] == ["shop/things-2.csv"]
    assert warehouse.refused_objects(dataset) == []
    assert current_rows(warehouse) == ([(2, "a")] if mode == "overwrite" else [(1, "a"), (2, "a")])


def test_a_file_that_the_local_server_may_not_open_is_refused_until_it_may(sync, bucket, store, proxy):
    """It lists such a file without an ETag. Root may open every file, so the proxy takes the ETag away."""
    for number in range(2):
        bucket.put(f"shop/things-{number}.csv", things(number))
    closed = changed(lambda found: replace(found, body=re.sub(rb"<ETag>[^<]*<", b"<ETag><", found.body, count=1)))
    proxy.script(Rule(closed, "list"))
    report = sync(THINGS, store=store)
    assert [load.listed.key for load in report.loads] == ["shop/things-1.csv"]
    assert [(each.listed.key, each.reason) for each in report.refused] == [
        ("shop/things-0.csv", "cannot be read: it has no ETag. Make the file readable (chmod u+r)")
    ]
    proxy.script()
    report = sync(THINGS, store=store)
    assert ([load.listed.key for load in report.loads], report.refused) == (["shop/things-0.csv"], [])


def test_few_of_many_unreadable_objects_are_tried_again(monkeypatch, sync, bucket, store, proxy, warehouse):
    monkeypatch.setattr(sync_module, "MAX_STILL_UNREADABLE", 2)
    for number in range(5):
        bucket.put(f"shop/things-{number}.csv", things(number))
    proxy.script(Rule(error(403, "InvalidObjectState"), "get"))
    assert len(sync(THINGS, store=store).refused) == 5
    proxy.script(Rule(error(403, "InvalidObjectState"), "get"))
    assert len(sync(THINGS, store=store).refused) == 5
    assert len(proxy.seen("get")) == 2
    proxy.script()
    assert len(sync(THINGS, store=store).loads) == 5


def test_reading_stops_after_a_few_failures_in_a_row(sync, bucket, store, proxy, warehouse):
    objects = MAX_READ_FAILURES_IN_A_ROW + 2 * READERS
    for number in range(objects):
        bucket.put(f"shop/things-{number:02}.csv", things(number))
    proxy.script(Rule(SLOW_DOWN, "get"))
    report = sync(THINGS, store=store)
    begun = range(MAX_READ_FAILURES_IN_A_ROW, MAX_READ_FAILURES_IN_A_ROW + READERS)  # some are being read meanwhile
    assert len(proxy.seen("get")) in [each * TRIES for each in begun]
    assert len(report.failed_reads) == objects
    assert "was skipped because" in str(report.failed_reads[-1][1])
    # A denied read fails at once and says nothing about the objects after it.
    proxy.script(Rule(error(403, "AccessDenied"), "get", "things-0[0-4]"))
    with opened(bucket, proxy) as reopened:
        assert [load.listed.key for load in sync(THINGS, store=reopened).loads] == [
            f"shop/things-{number:02}.csv" for number in range(5, objects)
        ]


def test_a_successful_probe_ends_a_row_of_failures(bucket, store, proxy):
    for number in range(2 * MAX_READ_FAILURES_IN_A_ROW):
        bucket.put(f"shop/things-{number:02}.csv", things(number))
    proxy.script(Rule(SLOW_DOWN, "get", "things-0[024]"))
    outcomes = []
    for listed in store.list("shop/"):
        try:
            next(store.read(listed))  # a sync reads the first block of an object that could not be read before
            outcomes.append("read")
        except BucketError:
            outcomes.append("failed")
    assert outcomes == ["failed", "read"] * MAX_READ_FAILURES_IN_A_ROW


def test_an_object_overwritten_during_a_broken_read_loads_its_new_version(sync, bucket, store, proxy, warehouse):
    bucket.put(KEY, things(1, 2, 3))

    def overwrite_and_cut(handler, answer):
        response = answer()
        bucket.put(KEY, things(4, 5, 6, label="b"))
        handler.give(response, end=len(response.body) // 2)

    proxy.script(Rule(overwrite_and_cut, "get", times=1))
    assert len(sync(THINGS, store=store).loads) == 1
    assert current_rows(warehouse) == [(4, "b"), (5, "b"), (6, "b")]
    assert warehouse.execute(f"select count(*) from raw.{THINGS.table}") == [(3,)]


def _other_etag(response: Response) -> Response:
    headers = [(name, '"0123456789abcdef"' if name.lower() == "etag" else value) for name, value in response.headers]
    return replace(response, headers=headers)


def _shorter(response: Response) -> Response:
    return replace(response, body=response.body[:-5])


@pytest.mark.parametrize("lie", [_other_etag, _shorter])
def test_a_response_other_than_the_listed_version_is_never_loaded(sync, bucket, store, proxy, warehouse, lie):
    bucket.put(KEY, things(1, 2))
    bucket.put("shop/things-2.csv", things(3))
    proxy.script(Rule(changed(lie), "get", "things.csv"))
    with pytest.raises(ObjectChangedError, match=f"gave up after {ROUNDS} tries"):
        sync(THINGS, store=store)
    assert len(proxy.seen("get", "things.csv")) == ROUNDS
    assert current_rows(warehouse) == [(3, "a")]
    proxy.script(Rule(changed(lie), "get", "things.csv", times=ROUNDS - 1))
    assert len(sync(THINGS, store=store).loads) == 1
    assert current_rows(warehouse) == [(1, "a"), (2, "a"), (3, "a")]


# ---------------------------------------------------------------- listings


def _stale(proxy: FaultProxy, store: ObjectStore, prefix: str = "shop/things") -> Fault:
    """The current listing, to be served again later."""
    kept: list[bytes] = []

    def keep(response: Response) -> Response:
        kept.append(response.body)
        return response

    proxy.script(Rule(changed(keep), "list", times=1))
    store.list(prefix)
    proxy.script()
    [body] = kept
    return changed(lambda response: replace(response, body=body))


def test_a_stale_listing_loses_nothing_and_loads_no_deleted_object(sync, bucket, store, proxy, warehouse):
    for name in ("kept", "overwritten", "deleted"):
        bucket.put(f"shop/things-{name}.csv", things(1, label=name))
    sync(THINGS, store=store)
    before = current_rows(warehouse)
    stale = _stale(proxy, store)
    bucket.put("shop/things-overwritten.csv", things(1, label="changed"))
    bucket.put("shop/things-new.csv", things(1, label="new"))
    bucket.delete("shop/things-deleted.csv")
    proxy.script(Rule(stale, "list"))
    assert sync(THINGS, store=store).loads == []
    assert current_rows(warehouse) == before
    proxy.script()
    assert len(sync(THINGS, store=store).loads) == 2
    # Then the old listing again: it has a version that is gone, and lacks one that is loaded.
    proxy.script(Rule(stale, "list"))
    with pytest.raises(ObjectChangedError, match=r"things-overwritten.csv changed"):
        sync(THINGS, store=store)
    proxy.script(Rule(stale, "list", times=ROUNDS - 1))
    assert sync(THINGS, store=store).loads == []
    rows = sorted((1, label) for label in ("kept", "changed", "deleted", "new"))
    assert current_rows(warehouse) == rows
    assert warehouse.execute(f"select count(*) from raw.{THINGS.table}") == [(5,)]


def test_an_object_deleted_before_its_load_adds_no_row(sync, bucket, store, proxy, warehouse):
    bucket.put(KEY, things(1))
    bucket.put("shop/things-2.csv", things(2))
    stale = _stale(proxy, store)
    bucket.delete(KEY)
    proxy.script(Rule(stale, "list"))
    [refused] = sync(THINGS, store=store).refused
    assert (refused.listed.key, "does not find it" in refused.reason) == (KEY, True)
    proxy.script()
    assert sync(THINGS, store=store).refused == []
    assert current_rows(warehouse) == [(2, "a")]


def test_a_listing_is_complete_or_an_error(sync, bucket, proxy, s3_server, warehouse):
    count = 1_005  # the server gives 1,000 a page, as S3 does
    folder = s3_server.folder / bucket.name / "shop"
    folder.mkdir()
    for number in range(count):
        (folder / f"things-{number:04}.csv").write_text(things(number))
    with opened(bucket, proxy, replace(QUICK, read_timeout_s=30)) as store:
        # The server looks at its folder once a second.
        until(lambda: len(objects_of(THINGS, store)) == count, seconds=20)
        for fault in (SLOW_DOWN, cut()):
            proxy.script(Rule(fault, "list", times=2, is_first_page=False))
            assert len(objects_of(THINGS, store)) == count
            assert sum(request.has_failed for request in proxy.seen("list")) == 2
            proxy.script(Rule(fault, "list", is_first_page=False))
            with pytest.raises(BucketError, match=f"{TRIES} tries"):
                sync(THINGS, store=store)
    assert current_rows(warehouse) == []  # a partial listing is not used


# ---------------------------------------------------------------- a file that is still being copied


@contextmanager
def copied_slowly(path: Path, content: str, seconds: float, pieces: int = 10) -> Iterator[threading.Thread]:
    """A file that grows in the local S3's folder, like a copy over a slow connection."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def copy() -> None:
        step = -(-len(content) // pieces)
        with path.open("w") as file:
            for start in range(0, len(content), step):
                file.write(content[start : start + step])
                file.flush()
                time.sleep(seconds / pieces)

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_sync_waits_for_a_file_that_is_still_being_copied(sync, bucket, store, s3_server, warehouse):
    content = things(*range(2_000))
    with copied_slowly(s3_server.folder / bucket.name / KEY, content, seconds=2.5) as copying:
        until(lambda: objects_of(THINGS, store))
        assert copying.is_alive()  # or there was nothing to wait for
        report = sync(THINGS, store=store, settle_seconds=1.5)
        assert not copying.is_alive()
    assert [load.rows_loaded for load in report.loads] == [2_000]
    assert current_rows(warehouse) == [(number, "a") for number in range(2_000)]


def test_runs_that_do_not_wait_also_load_the_whole_file(sync, bucket, store, s3_server, warehouse):
    content = things(*range(2_000))
    with copied_slowly(s3_server.folder / bucket.name / KEY, content, seconds=2.5) as copying:
        while copying.is_alive():
            with suppress(ObjectChangedError):
                sync(THINGS, store=store)
            time.sleep(0.2)
    until(lambda: [listed.size for listed in objects_of(THINGS, store)] == [len(content)])
    sync(THINGS, store=store)
    assert current_rows(warehouse) == [(number, "a") for number in range(2_000)]
    assert sync(THINGS, store=store).loads == []


# ---------------------------------------------------------------- random scenarios

DATASETS = (
    make_dataset(make_column("thing_id", "integer"), make_column("label"), source="north"),
    make_dataset(make_column("thing_id", "integer"), make_column("label"), source="south", mode="upsert",
                 key=("thing_id",)),
    make_dataset(make_column("thing_id", "integer"), make_column("label"), source="west"),
)  # fmt: skip


@dataclass
class Planned:
    """A random script: its rules and the expected outcome."""

    rules: list[Rule] = field(default_factory=list)
    bounded: dict[tuple[str, str], int] = field(default_factory=dict)  # (kind, key) -> number of failures
    unreadable: set[str] = field(default_factory=set)
    unlisted: set[str] = field(default_factory=set)


class World:
    """A bucket with objects of several datasets, and a record of what was put into it."""

    def __init__(self, rng: random.Random, bucket: Bucket, client, proxy: FaultProxy, folder: Path) -> None:
        self.rng = rng
        self.bucket = bucket
        self.client = client
        self.proxy = proxy
        self.folder = folder
        self.live: dict[str, dict[str, list[tuple[int, str]]]] = {each.id: {} for each in DATASETS}
        self.gone: dict[str, list[tuple[int, str]]] = {each.id: [] for each in DATASETS}
        self.put_etags: set[tuple[str, str]] = set()
        self.numbers = iter(range(10**9))

    def put(self, dataset: Dataset, key: str) -> None:
        version = next(self.numbers)
        # Different numbers in each object and version, so that no row can be mistaken for another.
        rows = [(version * 1_000 + number, f"v{version}") for number in range(self.rng.choice((1, 3, 300)))]
        body = "thing_id,label\n" + "".join(f"{number},{label}\n" for number, label in rows)
        answer = self.client.put_object(Bucket=self.bucket.name, Key=key, Body=body.encode())
        self.put_etags.add((key, answer["ETag"].strip('"')))
        self.live[dataset.id][key] = rows

    def fill(self) -> None:
        for dataset in DATASETS:
            for number in range(self.rng.randint(1, 4)):
                self.put(dataset, f"{dataset.key_prefix}-{number}.csv")

    def change(self, loaded: set[str]) -> None:
        """Overwrite, delete and add objects. Only loaded objects are deleted: their rows stay."""
        for dataset in DATASETS:
            live = self.live[dataset.id]
            for key in sorted(live):
                fate = self.rng.random()
                if fate < 0.3:
                    self.put(dataset, key)
                elif fate < 0.5 and key in loaded:
                    self.client.delete_object(Bucket=self.bucket.name, Key=key)
                    self.gone[dataset.id] += live.pop(key)
            if self.rng.random() < 0.5:
                self.put(dataset, f"{dataset.key_prefix}-new-{next(self.numbers)}.csv")

    def script(self) -> Planned:
        """Make some calls fail, temporarily or permanently; too few per dataset for the store to give up."""
        planned = Planned()
        for dataset in DATASETS:
            self._plan(planned, "list", dataset.key_prefix, LIST_FAULTS, 0.3)
            endless = 0
            for key in self.live[dataset.id]:
                self._plan(planned, "get", key, GET_FAULTS, 0.6, may_last=endless < MAX_READ_FAILURES_IN_A_ROW - 1)
                endless += key in planned.unreadable
        return planned

    def _plan(
        self, planned: Planned, kind: str, key: str, faults: dict[str, Fault], share: float, may_last: bool = True
    ) -> None:
        if self.rng.random() > share:
            return
        names = [name for name in faults if "hang" not in name or self.rng.random() < 0.3]
        if may_last and self.rng.random() < 0.3:
            planned.rules.append(Rule(faults[self.rng.choice(names)], kind, f"^{key}$"))
            (planned.unlisted if kind == "list" else planned.unreadable).add(key)
            return
        total = self.rng.randint(1, QUICK.max_retries)
        first = self.rng.randint(0, total)
        for times in (first, total - first):
            if times:
                planned.rules.append(Rule(faults[self.rng.choice(names)], kind, f"^{key}$", times))
        planned.bounded[kind, key] = total

    def run(self, warehouse: DuckDBWarehouse) -> dict[str, SyncReport | Exception]:
        """Sync every dataset once, like the steps of a run: each opens the bucket itself."""
        outcomes: dict[str, SyncReport | Exception] = {}
        for dataset in DATASETS:
            with opened(self.bucket, self.proxy, IMPATIENT) as store:
                try:
                    outcomes[dataset.id] = sync(dataset, store, warehouse, "run", work_folder=self.folder)
                except (BucketError, ObjectChangedError) as failure:
                    outcomes[dataset.id] = failure
        return outcomes

    def check(self, warehouse: DuckDBWarehouse, *, is_in_sync: bool) -> set[str]:
        """No version is loaded twice, and none that was never put; when in sync, the rows are exactly the live ones."""
        loads = [load.listed for dataset in DATASETS for load in warehouse.loads(dataset)]
        versions = [(listed.key, listed.etag) for listed in loads]
        assert len(versions) == len(set(versions))
        assert set(versions) <= self.put_etags
        for dataset in DATASETS:
            rows = current_rows(warehouse, dataset)
            assert len(rows) == len(set(rows))
            if is_in_sync:
                expected = [row for each in self.live[dataset.id].values() for row in each] + self.gone[dataset.id]
                assert rows == sorted(expected)
        return {listed.key for listed in loads}


def _check_outcomes(world: World, planned: Planned, outcomes: dict[str, SyncReport | Exception]) -> None:
    """Temporary failures are retried exactly as often as needed; permanent ones, and only they, are reported."""
    for dataset in DATASETS:
        prefix = dataset.key_prefix
        outcome = outcomes[dataset.id]
        lists, gets = world.proxy.seen("list", f"^{prefix}$"), world.proxy.seen("get", f"^{prefix}")
        if prefix in planned.unlisted:
            assert isinstance(outcome, BucketError), outcome
            assert (len(lists), len(gets)) == (TRIES, 0)
            continue
        assert isinstance(outcome, SyncReport), outcome
        live = set(world.live[dataset.id])
        assert {listed.key for listed, _ in outcome.failed_reads} == planned.unreadable & live
        assert all(f"reading {listed.key}" in str(error) for listed, error in outcome.failed_reads)
        assert {load.listed.key for load in outcome.loads} == live - planned.unreadable
        for key in live:
            failures = QUICK.max_retries if key in planned.unreadable else planned.bounded.get(("get", key), 0)
            assert len([each for each in gets if each.key == key]) == failures + 1, key
        # One listing, and one more for each object whose body ended early for good.
        failures = planned.bounded.get(("list", prefix), 0)
        assert failures + 1 <= len(lists) <= failures + 1 + len(planned.unreadable & live)


def test_random_faults_lose_nothing_and_load_nothing_twice(cases, s3_server, proxy, tmp_path):
    client = s3_client(s3_server)
    for case in range(cases(4)):
        rng = random.Random(f"s3-faults-{case}")  # noqa: S311
        bucket = Bucket(f"faults-{case}", s3_server.home, None, tmp_path / "upload")
        client.create_bucket(Bucket=bucket.name)
        folder = tmp_path / str(case)
        folder.mkdir()
        world = World(rng, bucket, client, proxy, folder)
        with DuckDBWarehouse(folder / "warehouse.duckdb", wait_seconds=0) as warehouse:
            try:
                _scenario(world, warehouse)
            except BaseException as failure:
                failure.add_note(f"case {case}")
                raise


def _scenario(world: World, warehouse: DuckDBWarehouse) -> None:
    world.fill()
    planned = world.script()
    world.proxy.script(*planned.rules)
    _check_outcomes(world, planned, world.run(warehouse))
    world.check(warehouse, is_in_sync=False)
    listings = _listings(world)
    world.run(warehouse)
    loaded = world.check(warehouse, is_in_sync=True)
    # Then the bucket changes while it still serves some old listings, and fails.
    world.change(loaded)
    stale = [Rule(fault, "list", f"^{prefix}$", world.rng.choice((1, 2, FOREVER))) for prefix, fault in listings]
    chosen = [rule for rule in stale if world.rng.random() < 0.5]
    world.proxy.script(*chosen, *world.script().rules)
    world.run(warehouse)
    world.check(warehouse, is_in_sync=False)
    world.proxy.script()
    assert all(isinstance(each, SyncReport) for each in world.run(warehouse).values())
    world.check(warehouse, is_in_sync=True)
    world.proxy.script()
    world.run(warehouse)
    assert world.proxy.seen("get") == []
    world.check(warehouse, is_in_sync=True)


def _listings(world: World) -> Sequence[tuple[str, Fault]]:
    """The current listing of each dataset, to be served again later."""
    found = []
    with opened(world.bucket, world.proxy) as store:
        for dataset in DATASETS:
            prefix = dataset.key_prefix
            found.append((prefix, _stale(world.proxy, store, prefix)))
    return found


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all commands, so that dbt is parsed once."""
    return tmp_path_factory.mktemp("home")


@dataclass(frozen=True)
class Done:
    code: int
    output: str


@pytest.fixture
def command(monkeypatch, capsys, home, bucket, proxy):
    """Run `netflix-assets` in this process (imports take 5 s), with the bucket behind the proxy."""

    def run(*arguments: str, **environment: str) -> Done:
        monkeypatch.setenv("NETFLIX_HOME", str(home))
        monkeypatch.setenv("NETFLIX_BUCKET", bucket.name)
        monkeypatch.setenv("NETFLIX_S3_ENDPOINT", proxy.endpoint)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["netflix-assets", *arguments])
        current_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            cli()
        current_settings.cache_clear()
        captured = capsys.readouterr()
        return Done(ended.value.code or 0, " ".join((captured.out + captured.err).split()))

    return run


RUN = ("run", "--select", "raw/movielens/tags")
TAGS = "userId,movieId,tag,timestamp\n1,2,fine,1600000000\n"


def test_the_command_explains_a_bucket_error_in_one_line(command, home, bucket, proxy):
    bucket.put("movielens/tags.csv", TAGS)
    forbidden = error(403, "AccessDenied", "User is not authorized." + _TELLTALE)
    for rules, environment, expected in (
        ([], {"NETFLIX_S3_ENDPOINT": "http://127.0.0.1:9"}, "Connection refused. Check NETFLIX_S3_ENDPOINT"),
        ([], {"NETFLIX_BUCKET": "no-such-bucket"}, "404 NoSuchBucket"),
        (
            [Rule(forbidden, "list")],
            {},
            "403 AccessDenied: User is not authorized. Check that the credentials are valid",
        ),
        ([Rule(SLOW_DOWN, "list")], {}, f"listing movielens/tags* failed ({TRIES} tries in 0 s): 503 SlowDown"),
        ([Rule(SLOW_DOWN, "get")], {}, f"reading movielens/tags.csv failed ({TRIES} tries in 0 s): 503 SlowDown"),
    ):
        proxy.script(*rules)
        done = command(*RUN, **environment)
        assert done.code == 1, done.output
        assert expected in done.output
        assert f"s3://{environment.get('NETFLIX_BUCKET', bucket.name)}/ at http://127.0.0.1:" in done.output
        assert "Traceback" not in done.output
        assert CANARY not in done.output
    # An endpoint with a password is refused before any request, and not shown.
    done = command(*RUN, NETFLIX_S3_ENDPOINT=f"http://me:{CANARY}@127.0.0.1:9")
    assert done.code == 2, done.output
    assert "NETFLIX_S3_ENDPOINT" in done.output
    assert CANARY not in done.output
    # Nor does Dagster store it: not in messages, stack traces or causes of any event.
    kept = b"".join(path.read_bytes() for path in (home / "dagster").rglob("*") if path.is_file())
    assert b"AccessDenied" in kept
    assert CANARY.encode() not in kept
    proxy.script()
    assert command(*RUN).code == 0


def test_the_command_reports_missing_credentials_and_wrong_profiles(command, monkeypatch, bucket, proxy, tmp_path):
    path = tmp_path / "tags.csv"
    path.write_text(TAGS)
    for arguments in (RUN, ("land", str(path))):
        done = command(*arguments, NETFLIX_AWS_PROFILE="nobody")
        assert (done.code, "Traceback" in done.output) == (1, False)
        assert "profile (nobody) could not be found. Set NETFLIX_AWS_PROFILE" in done.output
    monkeypatch.delenv("NETFLIX_AWS_PROFILE")
    proxy.script(Rule(error(400, "ExpiredToken", "The provided token has expired."), "put"))
    done = command("land", str(path))
    assert (done.code, "Traceback" in done.output) == (1, False)
    assert "uploading movielens/tags.csv failed: 400 ExpiredToken: The provided token has expired" in done.output


def test_the_run_names_the_unreadable_object_and_loads_the_others(command, bucket, proxy):
    for number in range(3):
        bucket.put(f"movielens/tags-{number}.csv", TAGS.replace("1,2", f"{number + 1},2"))
    proxy.script(Rule(cut(), "get", "tags-1"))
    failed = command(*RUN)
    assert failed.code == 1
    assert "reading movielens/tags-1.csv" in failed.output
    assert "connection closed early" in failed.output
    proxy.script()
    assert command(*RUN).code == 0
    assert [request.key for request in proxy.seen("get")] == ["movielens/tags-1.csv"]
