"""Exported rejects: nothing loads from a file that nobody edited, and every text can be found in it."""

import csv
import io
import random

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.csv_records import split_lines
from netflix_assets.ingest.export import write_rejects
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.proof.csv_files import random_dataset, random_file

RATINGS = dataset_by_id(load_sources(), "movielens/ratings")
TAGS = dataset_by_id(load_sources(), "movielens/tags")
OTHER_ORDER = "movieId,userId,rating,timestamp"
WIDER = "movieId,device,userId,rating,timestamp"


@pytest.fixture
def export(tmp_path, warehouse):
    """Export a dataset's rejects. Returns the bytes."""

    def exported(dataset: Dataset) -> bytes:
        file = tmp_path / f"{dataset.name}-exported.csv"
        rejects = warehouse.rejected_rows(dataset)
        assert write_rejects(dataset, rejects, file) == len(rejects)
        return file.read_bytes()

    return exported


@pytest.fixture
def lands_nothing(sync, bucket, warehouse):
    """Land an exported file unedited and check that no row loads from it."""

    def landed(dataset: Dataset, content: bytes) -> None:
        count = warehouse.counts(dataset).current_rows
        bucket.put(f"{dataset.key_prefix}-fixed.csv", content)
        report = sync(dataset)
        assert [load.rows_loaded for load in report.loads] in ([0], [])
        assert warehouse.counts(dataset).current_rows == count

    return landed


def exported_fields(content: bytes, dataset: Dataset) -> list[list[str]]:
    text = content.decode(dataset.encoding)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=dataset.dialect.delimiter))


def written(tmp_path, header: str, record: str, reason: str = "why", dataset: Dataset = RATINGS) -> str:
    file = tmp_path / "fixed.csv"
    reject = {"header": header, "raw_text": record, "object_key": "a.csv", "line_number": 7, "reason": reason}
    assert write_rejects(dataset, [reject], file) == 1
    return file.read_text().removeprefix("userId,movieId,rating,timestamp\n")


@pytest.mark.parametrize(
    ("header", "record", "exported"),
    [
        (OTHER_ORDER, "6,78,7.5,1", "78,6,7.5,1"),
        (WIDER, "6,tv,78,7.5,1", "78,6,7.5,1"),
        ("", "78,6,7.5,1", "78,6,7.5,1"),
    ],
)
def test_values_follow_the_contracts_order_by_their_own_header(tmp_path, header, record, exported):
    assert written(tmp_path, header, record) == f"{exported}\n"


@pytest.mark.parametrize(
    ("header", "record", "first"),
    [
        (OTHER_ORDER, "6,78,3.0", '"6,78,3.0"'),
        (OTHER_ORDER, "6", "6"),
        (WIDER, "6,78,3.0,1", '"6,78,3.0,1"'),
        (WIDER, '6,"tv",78,5" x,1', '"6,""tv"",78,5"" x,1"'),
        ("userId,stars", "1,9.5", '"1,9.5"'),
        ("", "78,6,3.0", '"78,6,3.0"'),
    ],
)
def test_what_is_not_a_record_is_one_field_with_a_note(tmp_path, header, record, first):
    assert written(tmp_path, header, record) == f"{first},,,,not a record: a.csv line 7: why\n"


def test_each_line_of_a_text_has_its_own_row_and_number(tmp_path):
    assert written(tmp_path, OTHER_ORDER, '1,"2\r\n3,4\x1b[31m\rx"" ', "why\x1b") == (
        '"1,""2",,,,not a record: a.csv line 7: why\\x1b\n'
        '"3,4\x1b[31m",,,,not a record: a.csv line 8: why\\x1b\n'
        '"x"""" ",,,,not a record: a.csv line 9: why\\x1b\n'
    )


def test_a_reject_that_the_contract_accepts_now_is_left_to_replay(tmp_path):
    assert written(tmp_path, OTHER_ORDER, "6,78,4.5,1") == (
        '"6,78,4.5,1",,,,not a record: a.csv line 7: satisfies the contract now; load it with: netflix-assets rejects '
        "replay movielens/ratings\n"
    )


def test_an_existing_file_is_not_overwritten(tmp_path):
    file = tmp_path / "fixed.csv"
    file.write_text("half fixed")
    with pytest.raises(FileExistsError):
        write_rejects(RATINGS, [], file)
    assert file.read_text() == "half fixed"


def test_escaped_quotes_lose_and_merge_nothing(sync, bucket, warehouse, export, lands_nothing):
    lines = ['1,1,"he said \\"hi\\" ok",5', '1,2,"ends \\"",6', '1,3,"fine",7', "1,4,good,8"]
    bucket.put("movielens/tags.csv", "userId,movieId,tag,timestamp\n" + "\n".join(lines) + "\n")
    bucket.put("movielens/tags-2.csv", "userId,movieId,x,tag,timestamp\n" + "\n".join(lines).replace(",", ",y,", 1))
    sync(TAGS)
    assert sorted(row[0] for row in warehouse.execute("select movie_id from raw.movielens_tags")) == [3, 4]
    content = export(TAGS)
    kept = [row[0] for row in exported_fields(content, TAGS)[1:]]
    assert set(kept) >= set(lines[:2])
    lands_nothing(TAGS, content)


def test_a_line_that_is_a_record_only_in_the_exported_layout_does_not_load(sync, bucket, export, lands_nothing):
    # In its own file, which has another column, no line of this text is a record; in the contract's order each is one.
    things = make_dataset(make_column("id", "integer"), make_column("label"))
    bucket.put("shop/things.csv", 'id,more,label\nbad,m,"x\n1,a\n2,b\n3,c"\n')
    sync(things)
    content = export(things)
    assert [row[0] for row in exported_fields(content, things)[1:]] == ['bad,m,"x', "1,a", "2,b", '3,c"']
    lands_nothing(things, content)


def test_a_carriage_return_in_a_field_stays_in_it(sync, bucket, export, lands_nothing):
    things = make_dataset(make_column("id", "integer"), make_column("label"))
    bucket.put("shop/things.csv", 'id,label\nbad,"x\r1,y\r2,z"\n7,"a\rb\r"x\n')
    sync(things)
    lands_nothing(things, export(things))


NASTY = [
    '"', '""', '"x', 'x"', '5" w', "\\", '\\"', '"a\nb"', '"a\n1,2', "", "1", "2", "3.5", "bad", "#", "\x1a", "\ufeff",
    "é", "=1", ";", "\t", "Total: 3",
]  # fmt: skip
ENDS = ["\n", "\n", "\n", "\r\n", "\r", "\n\n"]


def nasty_file(chance: random.Random, dataset: Dataset) -> bytes:
    """Records of up to six odd fields under a right header that may have more columns and another order."""
    header = [column.file_name for column in dataset.columns]
    header += [f"more {number}" for number in range(chance.choice([0, 0, 1, 2]))]
    chance.shuffle(header)
    parts = [dataset.dialect.delimiter.join(header), "\n"]
    for _ in range(chance.randint(1, 12)):
        width = len(header) if chance.random() < 0.7 else chance.randint(1, 6)
        parts += [dataset.dialect.delimiter.join(chance.choice(NASTY) for _ in range(width)), chance.choice(ENDS)]
    return "".join(parts).encode(dataset.encoding, errors="replace")


SHAPES = {
    "typed": (make_column("id", "integer"), make_column("label"), make_column("score", "double", nullable=True)),
    "nullable": (make_column("a", nullable=True, max_length=2), make_column("b", nullable=True)),
    "numbers": (make_column("a", "integer", nullable=True), make_column("b", "integer", nullable=True)),
    "single": (make_column("a", "integer"),),
    "text": (make_column("a", max_length=1),),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8"), (";", "windows-1252"), ("\t", "utf-16")])
def test_an_unedited_export_never_loads(sync, bucket, warehouse, export, lands_nothing, shape, delimiter, encoding):
    dataset = make_dataset(*SHAPES[shape], name=shape, dialect={"delimiter": delimiter}, encoding=encoding)
    chance = random.Random(f"{shape} {delimiter}")  # noqa: S311
    for number in range(30):
        bucket.put(f"{dataset.key_prefix}-{number}.csv", nasty_file(chance, dataset))
    sync(dataset)
    assert_exported_whole(warehouse.rejected_rows(dataset), dataset, content := export(dataset))
    lands_nothing(dataset, content)


@pytest.mark.parametrize("group", range(6))
def test_an_unedited_export_of_generated_files_never_loads(sync, bucket, warehouse, export, lands_nothing, group):
    chance = random.Random(f"export {group}")  # noqa: S311
    dataset = random_dataset(chance, f"exported_{group}")
    for number in range(15):
        wanted = chance.choice(
            ["quote inside a field", "quote opened", "ragged", "wrong value", "line break in a field"]
        )
        bucket.put(f"{dataset.key_prefix}-{number}.csv", random_file(chance, dataset, wanted).content)
    sync(dataset)
    assert_exported_whole(warehouse.rejected_rows(dataset), dataset, content := export(dataset))
    lands_nothing(dataset, content)


def assert_exported_whole(rejects: list[dict], dataset: Dataset, content: bytes) -> None:
    """Every line of every reject is in a row of its own, or its values are in the contract's columns."""
    assert len(rejects) > 0
    _, *rows = exported_fields(content, dataset)
    width = len(dataset.columns)
    assert {len(row) for row in rows} <= {width, width + 1}
    wrapped = iter([row[0] for row in rows if len(row) > width])
    whole = [row for row in rows if len(row) == width]
    count = 0
    expected = []
    for reject in rejects:
        lines = [line.rstrip("\r\n") for line in split_lines(reject["raw_text"])]
        fields = list(csv.reader([reject["raw_text"]], delimiter=dataset.dialect.delimiter))
        header = next(csv.reader([reject["header"]], delimiter=dataset.dialect.delimiter))
        is_split = len(lines) == 1 and reject["column_name"] != ""
        if is_split:
            values = dict(zip(header, fields[0], strict=True))
            assert whole[count] == [values[column.file_name] for column in dataset.columns]
            count += 1
        else:
            expected += lines
    assert list(wrapped) == expected
    assert count == len(whole)
