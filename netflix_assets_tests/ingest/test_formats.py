"""JSON Lines, Parquet and compressed files from the bucket to the table: rows, rejects, replays and exports."""

import bz2
import gzip
import io
import json
import random
import zipfile
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netflix_assets.contracts.model import Dataset, Tolerance
from netflix_assets.ingest.export import write_rejects
from netflix_assets.ingest.replay import replay_rejects
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_decompress import zstd

COLUMNS = (
    make_column("id", "integer", source_name="Id"),
    make_column("label", nullable=True),
    make_column("price", "decimal(9,2)", nullable=True, max="100"),
    make_column("score", "double", nullable=True),
    make_column("day", "date", nullable=True),
    make_column("sold_at", "timestamp", source_name="at", nullable=True),
    make_column("is_new", "boolean", nullable=True),
    make_column("city", path="/customer/city", nullable=True),
    make_column("tags", "json", nullable=True),
    make_column("more", "json", rest=True),
)
NOON = datetime(2026, 11, 7, 12, 0, 0, 250_000)
RECORDS = [
    {
        "Id": 1,
        "label": 'é "quoted",\nin two lines\r\n',
        "price": Decimal("1.50"),
        "score": 0.1,
        "day": date(2026, 11, 7),
        "at": NOON,
        "is_new": True,
        "customer": {"city": "Bonn", "zip": "53111"},
        "tags": ["a", "b"],
        "other": 7,
    },
    {"Id": 2, "label": "", "price": None, "is_new": False, "customer": None, "tags": [], "other": None},
]
ROWS = [
    (1, 'é "quoted",\nin two lines\r\n', Decimal("1.50"), 0.1, date(2026, 11, 7), NOON, True, "Bonn", '["a","b"]',
     '{"other":7}'),
    (2, None, None, None, None, None, False, None, "[]", '{"other":null}'),
]  # fmt: skip


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("things", content)
    return target.getvalue()


PACKERS = {"": bytes, "gz": gzip.compress, "zst": zstd, "bz2": bz2.compress, "zip": zipped}


def json_lines(records: list[dict]) -> bytes:
    return "".join(json.dumps(each, default=_plain) + "\n" for each in records).encode()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def json_document(records: list[dict]) -> bytes:
    return json.dumps(records, default=_plain, indent=1).encode()


def parquet(records: list[dict]) -> bytes:
    names = dict.fromkeys(name for record in records for name in record)
    target = io.BytesIO()
    pq.write_table(pa.table({name: pa.array([record.get(name) for record in records]) for name in names}), target)
    return target.getvalue()


WRITERS = {"jsonl": json_lines, "json": json_document, "parquet": parquet}


def things(kind: str, *columns, **changes) -> Dataset:
    return make_dataset(*(columns or COLUMNS), format=kind, **changes)


def rows(warehouse, dataset: Dataset) -> list[tuple]:
    names = ", ".join(column.name for column in dataset.columns)
    return warehouse.execute(f"select {names} from raw.{dataset.table}_current order by 1")


def rejects(warehouse, dataset: Dataset) -> list[tuple]:
    return [(each["line_number"], each["reason"], each["raw_text"]) for each in warehouse.rejected_rows(dataset)]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", WRITERS)
def test_values_load_exactly(sync, bucket, warehouse, kind, packer):
    dataset = things(kind)
    ending = f".{packer}" if packer else ""
    bucket.put(f"shop/things.{dataset.extension}{ending}", PACKERS[packer](WRITERS[kind](RECORDS)))
    report = sync(dataset)
    assert [each.reason for each in report.refused] == []
    assert [(load.rows_in, load.rows_loaded) for load in report.loads] == [(2, 2)]
    assert rows(warehouse, dataset) == ROWS


@pytest.mark.parametrize("key", ["shop/things.csv", "shop/things.CSV.GZ", "shop/things-2.tsv.zst", "shop/things.zip"])
@pytest.mark.parametrize("packer", PACKERS)
def test_the_bytes_say_how_csv_is_compressed_not_the_key(sync, bucket, warehouse, packer, key):
    dataset = make_dataset(make_column("id", "integer"), make_column("label"))
    bucket.put(key, PACKERS[packer](b"id,label\n1,a\n2,b\n"))
    sync(dataset)
    assert rows(warehouse, dataset) == [(1, "a"), (2, "b")]


FAULTY = [
    {"Id": 1, "price": Decimal("1.00"), "label": "good"},
    {"Id": 2, "price": Decimal("101.00"), "label": "dear"},
    {"Id": None, "price": Decimal("2.00"), "label": "nameless"},
    {"Id": 4, "price": Decimal("102.00"), "label": "dear, too"},
]
SMALL = (COLUMNS[0], COLUMNS[1], COLUMNS[2])
RELAXED = (COLUMNS[0], COLUMNS[1], make_column("price", "decimal(9,2)", nullable=True, max="101"))
TEXTS = {
    "jsonl": ['{"Id": 2, "price": 101.0, "label": "dear"}', '{"Id": null, "price": 2.0, "label": "nameless"}',
              '{"Id": 4, "price": 102.0, "label": "dear, too"}'],
    "json": ['{"Id":2,"price":101.0,"label":"dear"}', '{"Id":null,"price":2.0,"label":"nameless"}',
             '{"Id":4,"price":102.0,"label":"dear, too"}'],
    "parquet": ['{"Id":2,"label":"dear","price":101.00}', '{"Id":null,"label":"nameless","price":2.00}',
                '{"Id":4,"label":"dear, too","price":102.00}'],
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_rejects_name_their_line_and_are_replayed(sync, bucket, warehouse, tmp_path, kind):
    strict, relaxed = things(kind, *SMALL), things(kind, *RELAXED)
    bucket.put(f"shop/things.{strict.extension}", WRITERS[kind](FAULTY))
    [load] = sync(strict).loads
    assert (load.rows_in, load.rows_loaded, load.rows_rejected) == (4, 1, 3)
    prices = ["101.0", "102.0"] if kind != "parquet" else ["101.00", "102.00"]
    assert rejects(warehouse, strict) == [
        (2, f"price '{prices[0]}' is above the maximum 100", TEXTS[kind][0]),
        (3, "id is empty", TEXTS[kind][1]),
        (4, f"price '{prices[1]}' is above the maximum 100", TEXTS[kind][2]),
    ]
    [replayed] = replay_rejects(relaxed, warehouse, "replay-1", tmp_path)
    assert (replayed.rows_in, replayed.rows_loaded, replayed.parent_load_id) == (1, 1, load.load_id)
    assert rows(warehouse, relaxed) == [(1, "good", Decimal("1.00")), (2, "dear", Decimal("101.00"))]
    assert replay_rejects(relaxed, warehouse, "replay-2", tmp_path) == []


@pytest.mark.parametrize("kind", WRITERS)
def test_an_unedited_export_loads_nothing_and_a_fixed_one_loads(sync, bucket, warehouse, tmp_path, kind):
    dataset = things(kind, *SMALL)
    bucket.put(f"shop/things.{dataset.extension}", WRITERS[kind](FAULTY))
    sync(dataset)
    file = tmp_path / "rejects.jsonl"
    assert write_rejects(dataset, warehouse.rejected_rows(dataset), file) == 3
    assert file.read_text().splitlines() == TEXTS[kind]
    bucket.put("shop/things-fixed.jsonl", file.read_bytes())
    assert [load.rows_loaded for load in sync(dataset).loads] == [0]
    bucket.put("shop/things-fixed.jsonl", file.read_text().replace("null", "3").replace("102.0", "12.0"))
    sync(dataset)
    assert [row[0] for row in rows(warehouse, dataset)] == [1, 3, 4]


def test_what_is_not_a_record_is_exported_with_a_note(sync, bucket, warehouse, tmp_path):
    dataset = things("jsonl", *SMALL)
    bucket.put("shop/things.jsonl", b'{"Id": 1}\nnonsense\n{"Id": 2, "Id": 3}\n{"Id": 4} {"Id": 5}\n{"Id": 6')
    sync(dataset)
    file = tmp_path / "rejects.jsonl"
    write_rejects(dataset, warehouse.rejected_rows(dataset), file)
    assert file.read_text().splitlines() == [
        '"not a record: shop/things.jsonl line 2: not valid JSON: expecting value (column 1)" nonsense',
        """"not a record: shop/things.jsonl line 3: duplicate member 'Id' in an object" {"Id": 2, "Id": 3}""",
        '"not a record: shop/things.jsonl line 4: more text after the JSON object, at column 11; write one object per '
        'line" {"Id": 4} {"Id": 5}',
        '"not a record: shop/things.jsonl line 5: the object is not complete; the file may be truncated" {"Id": 6',
    ]
    relaxed = things("jsonl", make_column("id", "integer", source_name="Id", nullable=True))
    (tmp_path / "again").mkdir()
    write_rejects(relaxed, [{**warehouse.rejected_rows(dataset)[0], "raw_text": '{"Id": 7}'}], tmp_path / "again" / "x")
    bucket.put("shop/things-2.jsonl", file.read_bytes() + (tmp_path / "again" / "x").read_bytes())
    [load] = sync(relaxed).loads
    assert (load.rows_in, load.rows_loaded) == (5, 0)


@pytest.mark.parametrize("seed", range(5))
def test_an_unedited_export_of_garbled_json_never_loads(sync, bucket, warehouse, tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311
    dataset = things("jsonl", *SMALL)
    lines = []
    for number in range(200):
        line = list(json.dumps({"Id": number, "label": chance.choice(["a", "é", "\\", '"']), "price": 1.5}))
        for _ in range(chance.randrange(3)):
            line[chance.randrange(len(line))] = chance.choice('{}[]",:\\ 0é')
        lines.append("".join(line))
    bucket.put("shop/things.jsonl", "\n".join(['{"Id": 0}', *lines]).encode())
    [load] = sync(dataset).loads
    assert load.rows_in == load.rows_loaded + load.rows_rejected
    file = tmp_path / "rejects.jsonl"
    assert write_rejects(dataset, warehouse.rejected_rows(dataset), file) == load.rows_rejected > 0
    bucket.put("shop/things-2.jsonl", file.read_bytes())
    report = sync(dataset)
    assert [(each.rows_loaded, each.rows_in) for each in report.loads] == [(0, load.rows_rejected)]


@pytest.mark.parametrize(("kind", "place"), [("jsonl", "line 2"), ("parquet", "row 2")])
def test_messages_name_the_place_as_the_format_does(sync, bucket, warehouse, kind, place):
    dataset = things(kind, *SMALL, tolerance=Tolerance(rejected_rows=0, rejected_share=0))
    bucket.put(f"shop/things.{kind}", WRITERS[kind](FAULTY))
    [refused] = sync(dataset).refused
    assert f". First: {place}: price '101" in refused.reason


def test_a_truncated_file_does_not_replace_the_table(sync, bucket, warehouse):
    dataset = things("jsonl", *SMALL, mode="overwrite")
    bucket.put("shop/things.jsonl", b'{"Id": 1}\n{"Id": 2, "lab')
    assert [each.reason for each in sync(dataset).refused] == [
        "line 2: the object is not complete; the file may be truncated. A truncated file cannot replace the whole "
        "table; upload it again, complete"
    ]


AS_LINES = "export it as JSON Lines"
AS_PARQUET = "export it as Parquet"
CORRECT = ", or correct `format` in the contract"
ARRAY = "the file is a JSON array; write one object per line, without brackets and commas around it"
LATIN = (
    "byte 0xff at offset 20 is not valid UTF-8; the file is probably Latin-1 or Windows-1252: save it as 'CSV UTF-8', "
    "or declare `encoding: windows-1252` in the contract"
)


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("jsonl", b"", "the file is empty (0 bytes)"),
        ("jsonl", b"\n \n", "the file contains only blank lines"),
        ("jsonl", b"Id,label,price\n1,a,2\n", f"the file is CSV, not JSON Lines; {AS_LINES}{CORRECT}"),
        ("jsonl", parquet(FAULTY), f"the file is Parquet, not JSON Lines; {AS_LINES}"),
        ("jsonl", b'[{"Id": 1}]', ARRAY),
        ("jsonl", b'{"Id": 1, "label": "\xff"}', LATIN),
        ("jsonl", gzip.compress(json_lines(FAULTY), mtime=0)[:-4], "the gzip data ends early; upload the file again"),
        ("parquet", b"", "the file is empty (0 bytes)"),
        ("parquet", parquet(FAULTY)[:-1], "the Parquet file ends early; upload it again"),
        ("parquet", b"Id,label,price\n1,a,2\n", f"the file is CSV, not Parquet; {AS_PARQUET}{CORRECT}"),
        ("parquet", b'[{"Id": 1}]', f"the file is JSON, not Parquet; {AS_PARQUET}"),
        ("parquet", parquet([{"Id": 1, "label": "a"}]), "the file is missing column 'price'; expected: Id,label,price"),
        ("parquet", b"nonsense", f"the file is not Parquet; {AS_PARQUET}{CORRECT}"),
    ],
)
def test_other_files_are_refused(sync, bucket, warehouse, kind, content, reason):
    dataset = things(kind, *SMALL)
    bucket.put(f"shop/things.{dataset.extension}", content)
    assert [each.reason for each in sync(dataset).refused] == [reason]
    assert rows(warehouse, dataset) == []


def test_a_parquet_file_without_rows_is_ignored(sync, bucket, warehouse):
    dataset = things("parquet", *SMALL)
    target = io.BytesIO()
    schema = pa.schema([("Id", pa.int64()), ("label", pa.string()), ("price", pa.decimal128(9, 2))])
    pq.write_table(schema.empty_table(), target)
    bucket.put("shop/things.parquet", target.getvalue())
    assert [(each.outcome, each.reason) for each in sync(dataset).refused] == [
        ("ignored", "the file has columns but no rows; keeping the rows loaded earlier")
    ]


@pytest.mark.parametrize("kind", WRITERS)
def test_unknown_members_warn_once(sync, bucket, kind):
    dataset = things(kind, *SMALL)
    bucket.put(f"shop/things.{dataset.extension}", WRITERS[kind]([{**each, "x": 1, "y": 2} for each in FAULTY]))
    assert list(sync(dataset).warnings) == [
        f"shop/things.{dataset.extension}: columns 'x', 'y' are not in the contract; ignored"
    ]
