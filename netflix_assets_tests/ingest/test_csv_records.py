"""Records that a quote or a long text spoils: what is recovered, what is rejected, and how it is counted."""

import csv
import gzip
import io
import random

import pytest

from netflix_assets.contracts.column import DEFAULT_MAX_LENGTH
from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.ingest import csv_records
from netflix_assets.ingest.csv_records import split_lines
from netflix_assets.ingest.records import MAX_RECORD_BYTES
from netflix_assets_tests.conftest import make_column, make_dataset

TAGS = dataset_by_id(load_sources(), "movielens/tags")
KEY = "movielens/tags.csv"
HEADER = "userId,movieId,tag,timestamp\n"
OPEN = 'opens a quote (") that is not closed; the lines after it are records and are read as such'
NEVER = 'opens a quote (") that is never closed; the file may be truncated'
QUOTE = 'unescaped quote (") inside a field; quote the field and double the inner quotes'
NOTE_COLUMNS = make_column("id", "integer"), make_column("note"), make_column("author")
NOTES = make_dataset(*NOTE_COLUMNS, name="notes")


def tag(number: int, text: str = "") -> str:
    return f"1,{number},{text or f'tag{number}'},{1000 + number}"


def tags(count: int, **texts: str) -> list[str]:
    """Lines of the tags 1 to ``count``; ``n10="…"`` is the text of tag 10."""
    return [tag(number, texts.get(f"n{number}", "")) for number in range(1, count + 1)]


@pytest.fixture
def load(sync, bucket, warehouse):
    """Load the lines of one file. Returns the load, its rows in order and its rejects (record, line, reason, text)."""

    def loaded(lines: list[str], dataset=TAGS, header: str = HEADER, end: str = "\n"):
        bucket.put(f"{dataset.key_prefix}.csv", header + "".join(f"{line}\n" for line in lines)[:-1] + end)
        report = sync(dataset)
        assert [each.reason for each in report.refused] == []
        [load] = report.loads
        names = ", ".join(column.name for column in dataset.columns)
        rows = warehouse.execute(
            f"select {names} from raw.{dataset.table} where _load_id = ? order by {names}", (load.load_id,)
        )
        rejects = warehouse.execute(
            "select record_number, line_number, reason, raw_text from ops.rejected_rows "
            "where dataset = ? and load_id = ? order by 1",
            (dataset.id, load.load_id),
        )
        assert (load.rows_in, load.rows_loaded, load.rows_rejected) == (
            len(rows) + len(rejects), len(rows), len(rejects)
        )  # fmt: skip
        return report, rows, rejects

    return loaded


# ---------------------------------------------------------------- unclosed quotes


def test_an_unclosed_quote_costs_its_own_line_and_the_one_that_closes_it(load):
    lines = tags(5_000, n10='"opened', n4990='5" heels')
    report, rows, rejects = load(lines)
    assert rejects == [(10, 11, OPEN, lines[9]), (4990, 4991, QUOTE, lines[4989])]
    assert [row[1] for row in rows] == [number for number in range(1, 5_001) if number not in (10, 4990)]
    assert report.warnings == []


def test_backslashes_before_quotes_cost_only_their_lines(load):
    lines = ['1,1,"he said \\"hi\\" ok",5', '1,2,"ends \\"",6', '1,3,"fine",7', "1,4,good,8"]
    _, rows, rejects = load(lines)
    assert rows == [(1, 3, "fine", 7), (1, 4, "good", 8)]
    assert rejects == [(1, 2, QUOTE, lines[0]), (2, 3, OPEN, lines[1])]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_quote_that_is_never_closed_costs_its_line(load, line_end, end):
    lines = tags(9, n3='"opened')
    text = line_end.join(lines)
    _, rows, rejects = load([text], header=HEADER.replace("\n", line_end), end=end and line_end)
    assert [row[1] for row in rows] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert rejects == [(3, 4, OPEN, lines[2])]


def test_texts_of_several_lines_between_are_kept_whole(load):
    lines = [*tags(9, n2='"opened', n7='"seven\nlines, ""quoted""\n\nhere"'), tag(10, '5" wide'), *tags(12)[10:]]
    _, rows, rejects = load(lines)
    assert [(row[1], row[2]) for row in rows if row[1] == 7] == [(7, 'seven\nlines, "quoted"\n\nhere')]
    assert [row[1] for row in rows] == [1, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    assert rejects == [(2, 3, OPEN, tag(2, '"opened')), (10, 14, QUOTE, tag(10, '5" wide'))]


def test_records_between_that_are_faulty_are_rejected_one_by_one(load):
    lines = tags(20, n2='"opened', n19='5" wide')
    lines[9], lines[10] = "1,10,ten", "x,11,eleven,5"
    _, rows, rejects = load(lines)
    assert [row[1] for row in rows] == [1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 20]
    assert [(each[0], each[1], each[2]) for each in rejects] == [
        (2, 3, OPEN),
        (10, 11, "3 fields, but the header has 4"),
        (11, 12, "user_id 'x' is not an integer like 42"),
        (19, 20, QUOTE),
    ]


def test_a_quote_that_opens_in_a_number_is_recovered(load):
    lines = ['1,"2,tag,5', *tags(6)[2:5], '1,6,"x",5', tag(7)]
    _, rows, rejects = load(lines)
    assert [row[1] for row in rows] == [3, 4, 5, 6, 7]
    assert rejects == [(1, 2, OPEN, lines[0])]


def test_a_swallowed_file_that_is_well_formed_is_recovered_by_its_length(load):
    lines = tags(200, n10='"opened', n190='closed"')
    assert len("\n".join(lines[9:190])) > 1_000 == TAGS.columns[2].max_length
    _, rows, rejects = load(lines)
    assert [row[1] for row in rows] == [number for number in range(1, 201) if number not in (10, 190)]
    assert rejects == [(10, 11, OPEN, lines[9]), (190, 191, QUOTE, lines[189])]


@pytest.mark.parametrize("seed", range(5))
def test_any_unclosed_quotes_cost_few_records(load, seed):
    chance = random.Random(seed)  # noqa: S311
    texts = ['"open', '5" wide', '"a"b', '""x', '"x, ""y""', '"ok"', '"two\nlines"']
    faulty = {number: chance.choice(texts) for number in chance.sample(range(1, 300), 12)}
    _, rows, rejects = load(tags(300, **{f"n{number}": text for number, text in faulty.items()}))
    good = [number for number in range(1, 301) if number not in faulty]
    assert set(good) <= {row[1] for row in rows}
    assert all(row[2] in (f"tag{row[1]}", "ok", "two\nlines") for row in rows)
    assert len(rejects) <= 13


# ---------------------------------------------------------------- texts of several lines

PROSE = '7,"dear, all\nthis is 5" wide\n\nand, more\n",me'


def test_real_text_with_a_mistake_is_one_reject_of_its_lines(load):
    _, rows, rejects = load(["1,a,b", PROSE, "2,c,d"], NOTES, "id,note,author\n")
    assert rows == [(1, "a", "b"), (2, "c", "d")]
    # Its first quote closes at 5": the record ends there, and the quote in the last line opens another one.
    assert [(each[0], each[1], each[2]) for each in rejects] == [
        (2, 3, f"{QUOTE} (lines 3 to 4)"),
        (3, 6, "2 fields, but the header has 3"),
        (4, 7, OPEN),
    ]


@pytest.mark.parametrize(("lines", "is_loaded"), [(999, True), (1_100, False)])
def test_the_tolerance_counts_the_lines_of_a_reject(sync, bucket, warehouse, lines, is_loaded):
    text = "\n".join(f"words and words {number}" for number in range(lines - 1))
    bucket.put("shop/notes.csv", f'id,note,author\n1,a,b\n2,"{text}\n5" wide,me\n3,c,d\n')
    report = sync(NOTES)
    reason = f"{QUOTE} (lines 3 to {lines + 2})"
    if is_loaded:
        assert [(load.rows_in, load.rows_loaded, load.rows_rejected) for load in report.loads] == [(3, 2, 1)]
        assert [each["reason"] for each in warehouse.rejected_rows(NOTES)] == [reason]
    else:
        assert [each.reason for each in report.refused] == [
            "more than 1,000 of 3 records violate the contract, which allows 1,000 or 1.0%, whichever is more. First: "
            f"line 3: {reason}"
        ]
        assert warehouse.execute("select count(*) from raw.shop_notes") == [(0,)]
        assert warehouse.rejected_rows(NOTES) == []


def test_a_well_formed_text_stays_one_field_even_if_it_holds_records(load):
    lines = [tag(1), tag(2, '"my file:\n1,3,tag3,5\n1,4,tag4,6\nend"'), tag(5, '"two\nlines"')]
    report, rows, rejects = load(lines)
    assert [(row[1], row[2]) for row in rows] == [
        (1, "tag1"), (2, "my file:\n1,3,tag3,5\n1,4,tag4,6\nend"), (5, "two\nlines")
    ]  # fmt: skip
    assert rejects == []
    assert report.warnings == [
        f"{KEY}: the record in lines 3 to 6 holds lines that look like records; if a quote in it is closed too late, "
        "close it in its own line"
    ]


def test_a_text_without_any_other_type_is_recovered_on_more_evidence(load):
    words = make_dataset(make_column("word"), make_column("meaning", nullable=True), name="words")
    few = ['a,"so, he\nsaid, this\nis 5" wide', "b,c"]
    _, rows, rejects = load(few, words, "word,meaning\n")
    assert (rows, [each[2] for each in rejects]) == ([("b", "c")], [f"{QUOTE} (lines 2 to 4)"])
    many = ['a,"so', *(f"w{number},m" for number in range(6)), 'is,5" wide', "b,c"]
    _, rows, rejects = load(many, words, "word,meaning\n")
    assert (len(rows), [each[2] for each in rejects]) == (7, [OPEN, QUOTE])


def test_a_file_of_one_column_is_not_recovered(load):
    words = make_dataset(make_column("word", "integer"), name="numbers")
    _, rows, rejects = load(["1", '"2', "3", '4"x', "5"], words, "word\n")
    assert (rows, [each[2] for each in rejects]) == ([(1,), (5,)], [f"{QUOTE} (lines 3 to 5)"])


# ---------------------------------------------------------------- the end of the file, and limits


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_that_ends_in_a_quoted_text_may_be_truncated(sync, load, bucket, warehouse, end):
    lines = ["1,a,b", '2,"so far\nso good']
    _, rows, rejects = load(lines, NOTES, "id,note,author\n", end)
    assert (rows, rejects) == ([(1, "a", "b")], [(2, 3, f"{NEVER} (lines 3 to 4)", lines[1])])
    whole = make_dataset(*NOTE_COLUMNS, name="whole", mode="overwrite")
    bucket.put("shop/whole.csv", "id,note,author\n" + "\n".join(lines) + end)
    [refused] = sync(whole).refused
    assert refused.reason == (
        f"line 3: {NEVER} (lines 3 to 4). A truncated file cannot replace the whole table; upload it again, complete"
    )


def test_an_open_last_line_may_be_truncated(load):
    _, rows, rejects = load([*tags(3), '1,4,"some'])
    assert ([row[1] for row in rows], rejects) == ([1, 2, 3], [(4, 5, NEVER, '1,4,"some')])


def test_memory_is_bounded_and_what_cannot_be_recovered_is_refused(load, sync, bucket, monkeypatch):
    monkeypatch.setattr(csv_records, "MAX_REJECT_LENGTH", 2_000)
    _, rows, rejects = load(tags(500, n10='"opened'))
    assert [row[1] for row in rows] == [number for number in range(1, 501) if number != 10]
    assert [(each[0], each[1]) for each in rejects] == [(10, 11)]
    bucket.put("shop/notes.csv", 'id,note,author\n1,a,b\n2,"' + "words and words\n" * 200 + "3,c,d\n")
    [refused] = sync(NOTES).refused
    assert refused.reason == (
        'the record that starts at line 3 is longer than 2,000 characters: a quote (") in it is probably not closed'
    )


def test_recovery_reads_a_bounded_amount_again(load, monkeypatch):
    monkeypatch.setattr(csv_records, "_REREAD_LENGTH", 1_000)
    lines = tags(300, **{f"n{number}": '5" x,"open' for number in range(10, 300, 10)})
    rejects = load(lines)[2]
    assert len(rejects) < 29 + 2
    assert sum("(lines " in each[2] for each in rejects) == 1


# ---------------------------------------------------------------- maximum lengths


@pytest.mark.parametrize(("rule", "limit"), [({"max_length": 5}, 5), ({}, DEFAULT_MAX_LENGTH)])
@pytest.mark.parametrize("letter", ["x", "é", "🎬", "e\u0301"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_text_has_a_maximum_length_in_characters(load, rule, limit, letter, quote):
    dataset = make_dataset(make_column("id", "integer"), make_column("label", **rule), name=f"limited_{limit}")
    fits, too_long = ((letter * limit)[:length] for length in (limit, limit + 1))
    too_long = (letter * (limit + 1))[: limit + 1]
    lines = [f"1,{quote}{fits}{quote}", f"2,{quote}{too_long}{quote}"]
    _, rows, rejects = load(lines, dataset, "id,label\n")
    assert rows == [(1, fits)]
    reason = f"label has {limit + 1:,} characters, more than its max_length of {limit:,}"
    assert rejects == [(2, 3, reason, lines[1])]


def test_a_long_text_of_several_lines_is_rejected_as_one(load):
    dataset = make_dataset(make_column("id", "integer"), make_column("label", max_length=9), name="short")
    _, rows, rejects = load(["1,x", '2,"12345\n67890"', "3,y"], dataset, "id,label\n")
    assert rows == [(1, "x"), (3, "y")]
    assert rejects == [
        (2, 3, "label has 11 characters, more than its max_length of 9 (lines 3 to 4)", '2,"12345\n67890"')
    ]


def test_a_column_may_be_as_long_as_a_record(load):
    dataset = make_dataset(make_column("label", max_length=MAX_RECORD_BYTES), name="long")
    text = "x" * 1_000_000
    assert load([text], dataset, "label\n")[1:] == ([(text,)], [])


# ---------------------------------------------------------------- lines


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\r\nb", "\r\r\n\n", "a\u2028b\x0bc\x85\n", "\n\r"])
def test_lines_are_those_that_the_csv_reader_sees(text):
    assert split_lines(text) == list(io.StringIO(text, newline=""))
    assert "".join(split_lines(text)) == text
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == len(split_lines(text))


@pytest.mark.parametrize("key", ["shop/things.csv", "shop/things.csv.gz"])
def test_ctrl_z_does_not_reach_the_warehouse(sync, bucket, warehouse, key):
    things = make_dataset(make_column("id", "integer"), make_column("label"))
    content = b"id,label\n1,x\n2,y\n\x1a"
    bucket.put(key, gzip.compress(content) if key.endswith(".gz") else content)
    report = sync(things)
    assert [(load.rows_in, load.rows_loaded) for load in report.loads] == [(2, 2)]
    assert report.warnings == [f"{key}: the file ends with Ctrl-Z (0x1A), the end-of-file mark of DOS; ignored"]
    assert warehouse.execute("select id, label from raw.shop_things order by id") == [(1, "x"), (2, "y")]


def test_gzip_in_a_declared_encoding_is_loaded_as_decoded(sync, bucket, warehouse):
    things = make_dataset(make_column("id", "integer"), make_column("label"), encoding="latin-1")
    bucket.put("shop/things.csv.gz", gzip.compress("id,label\n1,café\n".encode("latin-1")))
    assert [(load.rows_in, load.rows_loaded) for load in sync(things).loads] == [(1, 1)]
    assert warehouse.execute("select id, label from raw.shop_things") == [(1, "café")]
