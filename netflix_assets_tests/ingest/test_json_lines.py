"""JSON Lines: what each form of a line gives, and the one outcome of each fault."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest import json_lines
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.json_lines import JsonLines, parse_json_line
from netflix_assets.ingest.records import Record
from netflix_assets_tests.conftest import make_column, make_dataset


def dataset(*columns) -> Dataset:
    return make_dataset(*columns, format="jsonl")


PAIR = dataset(make_column("id", "integer", source_name="Id"), make_column("label", nullable=True))
NESTED = dataset(
    make_column("id", "bigint"),
    make_column("city", path="/customer/address/city", nullable=True),
    make_column("first_tag", path="/tags/0", nullable=True),
    make_column("odd", path="/a~1b/m~0n", nullable=True),
    make_column("tags", "json", nullable=True),
    make_column("more", "json", rest=True),
)


def read(folder: Path, content: str | bytes, dataset: Dataset = PAIR) -> list[Record]:
    path = folder / "object.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(JsonLines(path, dataset))


def fields(text: str, dataset: Dataset = PAIR) -> list[str]:
    record = parse_json_line(text, dataset)
    assert not record.problem
    assert not record.faults
    return record.fields


def test_members_are_found_by_name_in_the_order_of_the_contract(tmp_path):
    records = read(tmp_path, '{"label": "x", "Id": 1}\n{"Id": 2}\n{"Id": null, "label": ""}')
    assert [(each.line, each.fields) for each in records] == [(1, ["1", "x"]), (2, ["2", ""]), (3, ["", ""])]
    assert [each.text for each in records] == ['{"label": "x", "Id": 1}\n', '{"Id": 2}\n', '{"Id": null, "label": ""}']


def test_blank_lines_and_crlf_are_skipped_and_lines_stay_numbered(tmp_path):
    records = read(tmp_path, '\n{"Id": 1}\r\n \t\r\n\n{"Id": 2}\n\n')
    assert [(each.line, each.fields[0]) for each in records] == [(2, "1"), (5, "2")]


def test_other_separators_end_no_line(tmp_path):
    content = '{"Id": 1, "label": "a\u2028b\u0085c\x0b"}\n'.replace("\x0b", "")
    assert [each.fields for each in read(tmp_path, content)] == [["1", "a\u2028b\u0085c"]]
    assert [each.fields for each in read(tmp_path, '{"Id":\r1}\n')] == [["1", ""]]


@pytest.mark.parametrize(
    "number", ["0", "-0", "1E400", "1.10", "0.1e-7", "9" * 10_000, "123456789012345678901234567890.123456789"]
)
def test_numbers_keep_their_text(number):
    assert fields(f'{{"Id": {number}}}') == [number, ""]
    assert fields(f'{{"id": 1, "tags": [ {number} ]}}', NESTED)[4] == f"[{number}]"


def test_other_scalars():
    assert fields('{"Id": true, "label": "  5 "}') == ["true", "  5 "]
    assert fields('{"Id": false, "label": "a\\nb\\u00e9\\ud83d\\ude00"}') == ["false", "a\nbé😀"]


def test_paths_rest_and_json():
    text = (
        '{"id": 1, "customer": {"name": "x", "address": {"city": "Bonn"}}, "tags": ["a", {"b": null}], '
        '"a/b": {"m~n": 7}, "other": [1.50, true], "é": {}}'
    )
    assert fields(text, NESTED) == ["1", "Bonn", "a", "7", '["a",{"b":null}]', '{"other":[1.50,true],"é":{}}']
    assert fields('{"id": 1, "customer": {"address": null}, "tags": []}', NESTED) == ["1", "", "", "", "[]", "{}"]
    assert fields('{"id": 1, "customer": {}, "tags": ""}', NESTED) == ["1", "", "", "", "", "{}"]


def test_the_whole_record_as_json():
    whole = dataset(make_column("id", "bigint"), make_column("record", "json", path=""))
    assert fields('{"id": 1, "x": [ ]}', whole) == ["1", '{"id":1,"x":[]}']


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"Id": {"a": 1}}', {"id": "id is a JSON object, not an integer; declare `type: json` or a `path`"}),
        ('{"Id": 1, "label": []}', {"label": "label is a JSON array, not text; declare `type: json` or a `path`"}),
        ('{"Id": 1, "label": "\\ud800"}', {"label": "label has half of a surrogate pair (\\ud800), which is not text"}),
        ('{"Id": 1, "label": "a\\u0000b"}', {"label": "label has a NUL character (\\u0000), which is not text"}),
    ],
)
def test_a_value_of_another_kind_is_a_fault_of_its_column(text, faults):
    assert parse_json_line(text, PAIR).faults == faults


def test_a_path_through_a_scalar_is_a_fault():
    record = parse_json_line('{"id": 1, "customer": {"address": "Bonn"}, "tags": 5}', NESTED)
    assert record.faults == {
        "city": "city: /customer/address is a text, which has no member 'city'",
        "first_tag": "first_tag: /tags is a number, which has no member '0'",
    }


def test_aliases_and_defaults():
    columns = dataset(
        make_column("id", "integer", source_name="Id", aliases=("ID", "key")),
        make_column("label", default="none"),
    )
    assert fields('{"key": 3, "ID": 2}', columns) == ["2", "none"]
    assert fields('{"Id": null, "key": 3, "label": null}', columns) == ["", ""]


def test_unknown_members_are_named_once(tmp_path):
    path = tmp_path / "object.jsonl"
    path.write_text('{"Id": 1, "x": 2}\n{"Id": 1, "\\ud800": 3, "x": 2}\n')
    lines = JsonLines(path, PAIR)
    list(lines)
    assert lines.unknown == ("x", "\\ud800")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Id,label", "not valid JSON: expecting value (column 1)"),
        ('{"Id": 1,}', "not valid JSON: "),
        ("{'Id': 1}", "not valid JSON: expecting property name enclosed in double quotes (column 2)"),
        ('{"Id": 01}', "not valid JSON: expecting ',' delimiter (column 9)"),
        ('{"label": "a\tb"}', "not valid JSON: invalid control character at (column 13)"),
        ('{"Id": 1}{"Id": 2}', "more text after the JSON object, at column 10; write one object per line"),
        ('{"Id": 1},', "more text after the JSON object, at column 10; write one object per line"),
        ("5", "a number, not a JSON object; write one object per line"),
        ("null", "null, not a JSON object; write one object per line"),
        ('"{}"', "a text, not a JSON object; write one object per line"),
        ("[1]", "a JSON array, not a JSON object; write one object per line"),
        ('{"Id": 1, "Id": 1}', "duplicate member 'Id' in an object"),
        ('{"Id": 1, "x": [{"\\ud800": 1, "\\ud800": 1}]}', "duplicate member '\\ud800' in an object"),
        ('{"Id": NaN}', "NaN is not valid JSON; write null, or leave out the member"),
        ('{"Id": -Infinity}', "-Infinity is not valid JSON; write null, or leave out the member"),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "JSON nested more than 100 levels deep"),
        ('{"x": ' + '{"x":' * 100 + "1" + "}" * 101, "JSON nested more than 100 levels deep"),
        ("\ufeff{}", "not valid JSON: "),
    ],
)
def test_a_line_that_is_not_an_object_is_rejected(tmp_path, line, problem):
    records = read(tmp_path, f'{{"Id": 1}}\n{line}\n{{"Id": 3}}\n')
    assert [each.line for each in records] == [1, 2, 3]
    assert [bool(each.problem) for each in records] == [False, True, False]
    assert records[1].problem.startswith(problem)
    assert not records[1].ends_file


def test_the_deepest_nesting_that_loads():
    text = '{"id": 1, "other": ' + "[" * 99 + "]" * 99 + "}"
    assert fields(text, NESTED)[5] == '{"other":' + "[" * 99 + "]" * 99 + "}"
    brackets_in_text = '{"Id": 1, "label": "' + "[" * 200 + '\\""}'
    assert fields(brackets_in_text)[1] == "[" * 200 + '"'


@pytest.mark.parametrize(
    "end", ['{"Id": 2', '{"Id": 2, "label": "a', '{"Id": 2, "label": "a\\"', '{"x": {"y": 1}', "{"]
)
def test_a_truncated_last_line_is_cut_off(tmp_path, end):
    *_, last = read(tmp_path, '{"Id": 1}\n' + end)
    assert (last.problem, last.ends_file) == ("the object is not complete; the file may be truncated", True)
    *_, last = read(tmp_path, '{"Id": 1}\n' + end + "\n")
    assert last.problem.startswith("not valid JSON")
    assert not last.ends_file


@pytest.mark.parametrize("end", ["Total: 3 rows", '{"Id": 1}}', '{"Id": 1,}', "]"])
def test_other_last_lines_are_not_cut_off(tmp_path, end):
    *_, last = read(tmp_path, '{"Id": 1}\n' + end)
    assert last.problem
    assert not last.ends_file


ARRAY = "the file is a JSON array; write one object per line, without brackets and commas around it"
SEVERAL = "the file is JSON over several lines; write one object per line"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps([{"Id": 1}, {"Id": 2}]), ARRAY),
        (json.dumps([{"Id": 1}, {"Id": 2}], indent=2), ARRAY),
        ('\n [{"Id": 1},\n{"Id": 2}]', ARRAY),
        (json.dumps({"Id": 1, "label": "x"}, indent=2), SEVERAL),
        ('{"Id": 1,\n "label": "x"}\n', SEVERAL),
    ],
)
def test_other_json_is_refused(tmp_path, content, reason):
    with pytest.raises(RefusedError) as raised:
        read(tmp_path, content)
    assert raised.value.reason == reason


def test_a_faulty_first_line_alone_refuses_nothing(tmp_path):
    assert [bool(each.problem) for each in read(tmp_path, '{"Id": 1,\n{"Id": 2}\n')] == [True, False]


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_REJECT_LENGTH", 100)
    with pytest.raises(RefusedError, match=r"line 2 is longer than 100 characters; write one object per line"):
        read(tmp_path, '{"Id": 1}\n{"Id": 2, "label": "' + "x" * 100 + '"}\n')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["id", "tags", "customer", "other", "x"]) | st.text(), JSON), st.booleans())
@example({"id": 1.0, "other": {"é\u2028": "\x7f"}}, True)
@settings(deadline=None)
def test_a_record_says_what_json_says(record, ascii_only):
    """The rest, parsed again, is what Python's json module reads; so are scalars."""
    columns = dataset(make_column("id", nullable=True), make_column("more", "json", rest=True))
    text = json.dumps(record, ensure_ascii=ascii_only)
    found = parse_json_line(text, columns)
    assert not found.problem
    value = record.pop("id", None)
    if "more" not in found.faults:
        assert json.loads(found.fields[1], parse_float=Decimal) == json.loads(json.dumps(record), parse_float=Decimal)
    if isinstance(value, dict | list):
        assert "id" in found.faults
    elif "id" not in found.faults:
        expected = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        assert found.fields[0] == expected


@given(st.text(alphabet='{}[]",:\\ u0d81e-+.tfnaN', max_size=40))
@settings(deadline=None)
def test_what_json_does_not_parse_is_rejected(text):
    try:
        is_object = isinstance(json.loads(text), dict)
    except ValueError:
        is_object = False
    record = parse_json_line(text, PAIR)
    assert is_object or record.problem
