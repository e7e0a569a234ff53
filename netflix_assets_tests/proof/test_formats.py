"""Generated JSON Lines and Parquet files, through S3 into the table. Python's json and pyarrow predict the rows.

Some lines of JSON are garbled and some values are of another kind. Whatever comes: loaded + rejected = records, and
what loads has the value that json or pyarrow reads.
"""

import io
import json
import random
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_formats import PACKERS, rows

COLUMNS = (
    make_column("id", "bigint"),
    make_column("label", nullable=True, max_length=1_000),
    make_column("price", "decimal(20,4)", nullable=True),
    make_column("score", "double", nullable=True),
    make_column("is_new", "boolean", nullable=True),
    make_column("day", "date", nullable=True),
    make_column("sold_at", "timestamp", nullable=True),
    make_column("tags", "json", nullable=True),
)
TEXTS = ("a", "", "é", '"', ",", "\n", "\r\n", "\\", "null", " x ", "\u2028", "😀", "{}", "\t", "'", "NULL", "\ufeff")
ODD = ([1], {"a": 1}, "x", 2.5, True, 10**30, "")


def record(chance: random.Random, number: int) -> dict:
    """A record whose values all fit; each but the id may be missing."""
    full = {
        "id": number,
        "label": "".join(chance.choices(TEXTS, k=chance.randrange(5))),
        "price": Decimal(chance.randrange(-(10**12), 10**12)).scaleb(-4),
        "score": chance.choice([chance.random(), chance.uniform(-1e300, 1e300), 5e-324, -0.0, 1e22]),
        "is_new": chance.random() < 0.5,
        "day": date(1, 1, 1) + timedelta(days=chance.randrange(3_600_000)),
        "sold_at": datetime(1, 1, 1) + timedelta(microseconds=chance.randrange(10**17)),
        "tags": chance.choice([[], ["a", 1], [{"b": None}]]),
    }
    return {name: value for name, value in full.items() if name == "id" or chance.random() > 0.2}


def as_json(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def row(values: dict) -> tuple:
    """What the table has for a record."""
    found = {name: None if value == "" else value for name, value in values.items()}
    tags = found.get("tags")
    found["tags"] = None if tags is None else json.dumps(tags, separators=(",", ":"))
    return tuple(found.get(column.name) for column in COLUMNS)


def json_file(chance: random.Random) -> tuple[bytes, dict[int, tuple], int]:
    """Lines, the rows of those that are as they should be, and the number of records."""
    lines: list[str] = []
    expected: dict[int, tuple] = {}
    for number in range(chance.randrange(1, 40)):
        values = record(chance, number)
        values["price"] = round(values.get("price", Decimal(0)) % 1_000, 2)
        fault = chance.random()
        line = json.dumps(values, default=as_json, ensure_ascii=chance.random() < 0.5)
        if number and fault < 0.1:
            at = chance.randrange(len(line))
            line = line[:at] + chance.choice('{}[]",:x') + line[at + 1 :]
        elif number and fault < 0.2:
            line = json.dumps({**values, "id": chance.choice(ODD)}, default=as_json)
        else:
            expected[number] = row(values)
        lines.append(line)
    end = chance.choice(["\n", "\r\n"])
    return (end.join(lines) + chance.choice(["", end])).encode(), expected, len(lines)


def parquet_file(chance: random.Random) -> tuple[bytes, dict[int, tuple], int]:
    """A file with some of many layouts, its rows, and their number."""
    records = [record(chance, number) for number in range(chance.randrange(1, 40))]
    kinds = {
        "id": chance.choice([pa.int64(), pa.int32(), pa.uint16(), pa.decimal128(20, 0), pa.string()]),
        "label": chance.choice([pa.string(), pa.large_string()]),
        "price": chance.choice([pa.decimal128(20, 4), pa.decimal256(50, 4)]),
        "score": pa.float64(),
        "is_new": pa.bool_(),
        "day": chance.choice([pa.date32(), pa.date64()]),
        "sold_at": chance.choice([pa.timestamp("us"), pa.timestamp("us", "UTC")]),
        "tags": pa.string(),
    }
    texts = {"tags": lambda value: json.dumps(value, separators=(",", ":")), "id": str}
    names = list(kinds)
    chance.shuffle(names)
    arrays = {}
    for name in names:
        values = [each.get(name) for each in records]
        if name in texts and kinds[name] == pa.string():
            values = [None if value is None else texts[name](value) for value in values]
        arrays[name] = pa.array(values, kinds[name])
    target = io.BytesIO()
    pq.write_table(
        pa.table(arrays),
        target,
        row_group_size=chance.randrange(1, 50),
        compression=chance.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
        use_dictionary=chance.random() < 0.5,
        data_page_version=chance.choice(["1.0", "2.0"]),
    )
    return target.getvalue(), {each["id"]: row(each) for each in records}, len(records)


@pytest.mark.parametrize(("kind", "generate"), [("jsonl", json_file), ("parquet", parquet_file)])
def test_every_generated_file_matches_its_oracle(cases, sync, bucket, warehouse, kind, generate):
    chance = random.Random(f"formats {kind}")  # noqa: S311
    for number in range(cases(20)):
        dataset = make_dataset(*COLUMNS, name=f"things_{number}", format=kind, tolerance={"rejected_rows": 1_000})
        content, expected, count = generate(chance)
        packer = chance.choice(list(PACKERS))
        bucket.put(f"{dataset.key_prefix}.{dataset.extension}", PACKERS[packer](content))
        report = sync(dataset)
        assert [each.reason for each in report.refused] == []
        [load] = report.loads
        assert load.rows_in == count == load.rows_loaded + load.rows_rejected
        loaded = {each[0]: each for each in rows(warehouse, dataset)}
        found = {key: loaded.get(key) for key in expected}
        assert {key: (each, found[key]) for key, each in expected.items() if each != found[key]} == {}
