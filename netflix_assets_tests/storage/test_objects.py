"""Listing and reading objects with unusual keys, from S3 servers that accept them."""

import gzip
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from netflix_assets.contracts.model import Source
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.storage.local_s3 import unserved_files
from netflix_assets.storage.objects import S3ObjectStore, fingerprint, objects_of
from netflix_assets.storage.retries import UnreadableObjectError
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.proof.fault_proxy import FaultProxy, fault_proxy

PREFIX = "drops/"
THINGS = make_dataset(make_column("thing_id", "integer"))
SHOP = Source(source="shop", description="A shop.", datasets=(THINGS,))

READABLE = (
    "things/sp ace.csv", "things/pl+us.csv", "things/per%20cent.csv", "things/100%.csv", "things/%2e%2e.csv",
    "things/emoji 😀.csv", "things/nfd u\u0301.csv", "things/back\\slash.csv", "things/q?u#a&s=t.csv",
    "things/<tag>&'\"*[x]~^{}|.csv", "things/new\u0085line.csv", "things/" + "long" * 200 + ".csv",
)  # fmt: skip
UNREADABLE = {
    "things//empty.csv": "an empty, '.' or '..' segment",
    "things/./dot.csv": "an empty, '.' or '..' segment",
    "things/../dots.csv": "an empty, '.' or '..' segment",
    "things/tab\t.csv": "a control character",
    "things/escape\x1b[31m.csv": "a control character",
    "things/delete\x7f.csv": "a control character",
}
OF_NO_DATASET = ("/things.csv", "./things.csv", "../things.csv", "things.csv/", "things/", "")


class Moto:
    """An empty bucket of a moto server, behind a proxy, and the store that the product opens on it."""

    def __init__(self, client, name: str, proxy: FaultProxy, store: S3ObjectStore) -> None:
        self.name, self.proxy, self.store = name, proxy, store
        self._client = client

    def put(self, key: str, body: str | bytes = "thing_id\n1\n", **options: str) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=body, **options)


@pytest.fixture(scope="module")
def moto_server() -> Iterator[FaultProxy]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with fault_proxy(f"http://{host}:{port}") as proxy:
        yield proxy
    server.stop()


@pytest.fixture
def moto(moto_server: FaultProxy, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Moto]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = boto3.client("s3", endpoint_url=moto_server.endpoint, region_name="us-east-1")
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    client.create_bucket(Bucket=name)
    moto_server.script()
    with LandingBucket(bucket=name, prefix=PREFIX, endpoint=moto_server.endpoint).open() as store:
        yield Moto(client, name, moto_server, store)


def test_every_key_is_listed_as_it_is(moto: Moto) -> None:
    keys = [*READABLE, *UNREADABLE, *OF_NO_DATASET]
    for key in keys:
        moto.put(f"{PREFIX}shop/{key}")
    moto.put(f"{PREFIX}other.csv")
    assert [each.key for each in moto.store.list("shop/")] == sorted(f"shop/{key}" for key in keys)
    owned = objects_of(THINGS, moto.store)
    assert [each.key for each in owned] == sorted(f"shop/{key}" for key in (*READABLE, *UNREADABLE))
    listing = moto.store.listings(SHOP)[THINGS.id]
    assert (listing.objects, listing.fingerprint) == (len(owned), fingerprint(owned))


def test_an_object_is_read_or_unreadable_by_its_own_fault(moto: Moto) -> None:
    for key in (*READABLE, *UNREADABLE):
        moto.put(f"{PREFIX}shop/{key}", key)
    for listed in objects_of(THINGS, moto.store):
        key = listed.key.removeprefix("shop/")
        if key in READABLE:
            assert b"".join(moto.store.read(listed)).decode() == key
        else:
            with pytest.raises(UnreadableObjectError) as raised:
                next(moto.store.read(listed))
            assert (
                raised.value.cause
                == f"the key has {UNREADABLE[key]}. Copy the object to another key and delete this one"
            )


def test_an_unreadable_key_does_not_stop_the_others(moto: Moto, sync: Callable, warehouse) -> None:
    moto.put(f"{PREFIX}shop/things.csv")
    for key in ("things/../x.csv", "things//x.csv", "things\t/x.csv", "things-2024.csv/"):
        moto.put(f"{PREFIX}shop/{key}", "")
    report = sync(THINGS, store=moto.store)
    assert [load.listed.key for load in report.loads] == ["shop/things.csv"]
    assert [each.listed.key for each in report.refused] == ["shop/things/../x.csv", "shop/things//x.csv"]
    assert all(each.reason.startswith("cannot be read: the key has") for each in report.refused)
    again = sync(THINGS, store=moto.store)
    assert (again.loads, again.refused) == ([], report.refused)


def test_a_compressed_object_with_its_content_encoding_loads(moto: Moto, sync: Callable) -> None:
    moto.put(f"{PREFIX}shop/things.csv", gzip.compress(b"thing_id\n1\n2\n"), ContentEncoding="gzip")
    assert [load.rows_loaded for load in sync(THINGS, store=moto.store).loads] == [2]


def test_pages_are_followed_and_peeking_takes_one_request(moto: Moto) -> None:
    for number in range(1_005):
        moto.put(f"{PREFIX}shop/things-{number:04}.csv", "")
    moto.put(f"{PREFIX}root.csv")
    moto.proxy.script()
    assert len(moto.store.list("shop/")) == 1_005
    assert len(moto.proxy.seen("list")) == 2
    moto.proxy.script()
    keys, folders = moto.store.peek("", 10, delimiter="/")
    assert ([each.key for each in keys], folders) == (["root.csv"], ["shop/"])
    assert len(moto.store.peek("shop/", 10)[0]) == 10
    assert len(moto.proxy.seen("list")) == 2


# ---------------------------------------------------------------- the local folder


def _listed(store, key_prefix: str, until: Callable[[list], bool]) -> list:
    """The listing, once the server has looked at its folder again."""
    deadline = time.monotonic() + 15
    while not until(found := store.list(key_prefix)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_a_new_version(bucket, tmp_path, sync, warehouse) -> None:
    path = bucket.home / "s3" / bucket.name / "shop" / "things.csv"
    path.parent.mkdir()
    path.write_text("thing_id\n1\n")
    [before] = _listed(bucket.store, "shop/", bool)
    sync(THINGS)
    other = tmp_path / "other.csv"
    other.write_text("thing_id\n2\n")
    shutil.copystat(path, other)
    shutil.copy2(other, path)
    assert path.stat().st_mtime_ns == other.stat().st_mtime_ns
    [after] = _listed(bucket.store, "shop/", lambda found: found[0].etag != before.etag)
    assert (after.size, after.last_modified) == (before.size, before.last_modified)
    sync(THINGS)
    assert warehouse.execute(f"select thing_id from raw.{THINGS.table}_current") == [(2,)]


def test_a_name_that_is_not_utf8_does_not_stop_the_others(bucket, sync) -> None:
    folder = bucket.home / "s3" / bucket.name / "shop"
    folder.mkdir()
    (folder / "things.csv").write_text("thing_id\n1\n")
    Path(str(folder / "things-") + "\udce9.csv").write_text("thing_id\n2\n")
    _listed(bucket.store, "shop/", lambda found: len(found) == 2)
    report = sync(THINGS)
    assert [load.listed.key for load in report.loads] == ["shop/things.csv"]
    [refused] = report.refused
    assert refused.reason == "cannot be read: its name is not valid UTF-8. Rename the file"


def test_files_that_the_server_does_not_serve_are_named(tmp_path: Path) -> None:
    (tmp_path / "shop" / "things").mkdir(parents=True)
    (tmp_path / "shop" / "things.csv").write_text("thing_id\n1\n")
    (tmp_path / "shop" / "link.csv").symlink_to("things.csv")
    (tmp_path / "shop" / "things" / "parent").symlink_to("..")
    (tmp_path / "shop" / "gone.csv").symlink_to("nowhere.csv")
    link = "is a symbolic link and is not loaded; copy the files themselves here"
    assert list(unserved_files(tmp_path)) == [
        ("shop/gone.csv", link), ("shop/link.csv", link), ("shop/things/parent", link)
    ]  # fmt: skip
