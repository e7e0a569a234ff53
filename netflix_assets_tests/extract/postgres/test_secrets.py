"""What a contract protects never leaves the database, and passwords are in no message."""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from netflix_assets.extract.errors import SourceError, SourceUnavailableError
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.extract.postgres.database import Database, dataset
from netflix_assets_tests.waiting import free_port

CANARY = "canary-4111-1111"
CARDS = f"{CANARY}-left-out", f"{CANARY}-hashed", f"{CANARY}-masked"
COLUMNS = [
    dataset().columns[0],
    {"name": "email", "type": "text", "nullable": True, "protect": "hash", "description": "E-mail."},
    {"name": "iban", "type": "text", "nullable": True, "protect": "mask", "description": "IBAN."},
]


class Copies:
    """A store that keeps what is in the scratch folder whenever something is uploaded."""

    def __init__(self, real: Any, folder: Path) -> None:
        self.real, self.folder, self.bucket = real, folder, real.bucket
        self.contents: list[bytes] = []

    def list(self, key_prefix: str) -> Any:
        return self.real.list(key_prefix)

    def read(self, listed: Any) -> Any:
        return self.real.read(listed)

    def put(self, key: str, path: Path) -> None:
        for each in path.parent.iterdir():
            self.contents += [each.read_bytes(), unpacked(each)]
        self.real.put(key, path)


def unpacked(path: Path) -> bytes:
    if path.suffix != ".zst":
        return b""
    try:
        with pa.input_stream(str(path), "zstd") as stream:
            return bytes(stream.read())
    except (OSError, pa.ArrowInvalid):  # still being written
        return b""


def test_protected_columns_never_leave(
    database: Database,
    warehouse: Warehouse,
    sync: Callable[..., SyncReport],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    left_out, hashed, masked = CARDS
    database.execute(
        "create table orders (order_id bigint primary key, card text, email text, iban text)",
        f"insert into orders values (1, '{left_out}', '{hashed}', '{masked}'), (2, '', '', ''), (3, null, null, null)",
        "insert into orders values (4, 'x', 'x', 'abc'), (5, 'x', 'x', 'abcdef')",
    )
    copies = Copies(database.bucket.store, tmp_path)
    database.bucket = type(database.bucket)(database.bucket.name, database.bucket.home, copies, tmp_path / "upload")
    one = dataset(columns=COLUMNS, extract={"left_out": ["card"]})
    outcomes: list[Any] = [database.extract_one(one)]
    database.execute(
        f"update orders set email = '{hashed}2' where order_id = 1", "delete from orders where order_id = 2"
    )
    outcomes.append(database.extract_one(one))
    database.execute("alter table orders alter column order_id type numeric(3,1)")  # refused
    outcomes.append(database.refused(one))
    assert not sync(one).refused

    rows = warehouse.query(
        "select order_id, email, iban from raw.shop_orders_current "
        "where extract_number = (select min(extract_number) from raw.shop_orders_current) order by order_id"
    )[1]
    assert [row[2] for row in rows] == [f"****{masked[-4:]}", "****", None, "****", "****ef"]
    assert len(str(rows[0][1])) == 64
    assert rows[3][1] == rows[4][1]  # equal values stay equal
    assert rows[1][1] is None

    objects = [b"".join(copies.read(listed)) for listed in copies.list("")]
    (tmp_path / "one.zst").touch()
    for content in objects:
        (tmp_path / "one.zst").write_bytes(content)
        copies.contents += [content, unpacked(tmp_path / "one.zst")]
    tables = warehouse.query("select table_schema, table_name from information_schema.tables")[1]
    loaded = str([warehouse.query(f'select * from "{schema}"."{name}"')[1] for schema, name in tables])
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    printed = "".join(capfd.readouterr())
    texts = [loaded, caplog.text, printed, repr(outcomes)]
    everything = b"\n".join([*copies.contents, *files, *(text.encode() for text in texts)])
    assert b"order_id" in everything
    assert CANARY.encode() not in everything


@pytest.mark.parametrize("fault", ["wrong password", "no such database", "unreachable", "unknown host"])
def test_password_is_in_no_message(database: Database, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    host = database.url.partition("@")[2].partition("/")[0]
    address, error, message = {
        "wrong password": (database.url, SourceError, "password authentication failed"),
        "no such database": (f"postgresql://postgres@{host}/nowhere", SourceError, "does not exist"),
        "unreachable": (f"postgresql://postgres@127.0.0.1:{free_port()}/shop", SourceUnavailableError, "refused"),
        "unknown host": ("postgresql://postgres@host.invalid/shop", SourceError, "Name or service not known"),
        "no server": (
            f"postgresql://postgres@127.0.0.1:{free_port()}/shop",
            SourceUnavailableError,
            "cannot be reached",
        ),
    }[fault]
    password = database.password if fault == "no such database" else f"{CANARY}-password"
    broken = Database(address, password, database.bucket, database.folder)
    with pytest.raises(error, match=message) as raised:
        broken.extract()
    told = "".join(traceback.format_exception(raised.value)) + repr(broken.settings) + caplog.text
    assert password not in told
    assert "database 'shop'" in str(raised.value)
