"""Options that contradict each other, or do not fit, are errors that name the entry and the option."""

import pytest

from netflix_assets.contracts.loading import ContractError, load_source

CONTRACT = """
source: shop
description: A shop.
datasets:
  things:
    description: Things.
    mode: append
    key: []
    freshness: {{warn_after_days: 1, fail_after_days: 2}}
    {dataset}
    columns:
      - {{name: a, type: {column}, description: A.}}
      - {{name: b, type: text, description: B.}}
"""

FAULTS = {
    "dialect: {delimiter: '::'}": "dialect: delimiter '::' has several characters, which requires quote_char: null",
    "dialect: {delimiter: '::', quote_char: null, escape_char: x}": "dialect: delimiter '::' has several characters",
    "dialect: {delimiter: x}": "dialect: delimiter 'x' can be part of a value",
    "dialect: {delimiter: ''}": "dialect.delimiter: '' cannot separate fields",
    "dialect: {quote_char: ','}": "dialect: delimiter and quote_char are both ','",
    "dialect: {escape_char: '\"'}": "dialect: quote_char and escape_char are both '\"'",
    "dialect: {quote_char: null, decimal_char: ','}": "dialect: numbers contain ',', which separates fields",
    "dialect: {decimal_char: '.', group_char: '.'}": "dialect: decimal_char and group_char are both '.'",
    "dialect: {decimal_char: '-'}": "dialect: decimal_char '-' can be part of a number",
    "dialect: {true_values: ['1'], false_values: ['1']}": "dialect: '1' is in true_values and in false_values",
    "dialect: {header: false, header_rows: [2]}": "dialect: header_rows requires header: true",
    "dialect: {header_rows: [1, 3]}": "dialect: header_rows must follow each other, such as [2, 3]",
    "dialect: {field_count: 3}": "dialect: field_count requires header: false",
    "dialect: {header: false, field_count: 1}": "dialect.field_count is 1, but a column is at position 2",
    "dialect: {skip_initial_space: true, delimiter: ' '}": "dialect: skip_initial_space does not fit delimiter ' '",
    "dialect: {date_format: '%d.%m'}": "dialect: format '%d.%m' does not determine year, month and day",
    "dialect: {date_format: '%Y-%m-%d %H'}": "dialect: format '%Y-%m-%d %H': unknown directive %H",
    "dialect: {timestamp_format: '%Y-%m-%d'}": "format '%Y-%m-%d' does not determine year, month, day and hour",
    "dialect: {time_zone: Mars}": "dialect.time_zone: unknown time zone 'Mars'; use a name such as Europe/Berlin",
    "dialect: {colour: red}": "dialect.colour: Extra inputs are not permitted",
    "format: xml": "format: ",
    "format: jsonl\n    dialect: {delimiter: ';'}": "dialect.delimiter does not fit format: jsonl",
    "format: parquet\n    encoding: latin-1": "encoding does not fit format: parquet",
    "extensions: [.csv]": "extensions.0: extension '.csv' is not lowercase letters and digits; leave out the dot",
}


@pytest.mark.parametrize("dataset", FAULTS)
def test_contradictions_of_a_dataset(tmp_path, dataset):
    assert FAULTS[dataset] in error_of(tmp_path, dataset=dataset)


COLUMN_FAULTS = {
    "integer, group_char: '.'": "column 'a': decimal_char and group_char are both '.'",
    "text, decimal_char: ','": "column 'a': decimal_char requires a numeric type, not text",
    "double, decimal_zeros: true": "column 'a': decimal_zeros requires type integer or bigint, not double",
    "text, true_values: [J]": "column 'a': true_values requires type boolean, not text",
    "date, time_zone: Europe/Berlin": "column 'a': time_zone requires type timestamp, not date",
    "text, format: '%Y'": "column 'a': format requires type date or timestamp, not text",
    "date, format: '%Y'": "column 'a': format '%Y' does not determine year, month and day",
    "date, format: '%Y-%m-%d-%d'": "column 'a': format '%Y-%m-%d-%d': %d appears twice",
    "text, rest: true": "column 'a': rest requires type json, not text",
    "text, path: /x": "column 'a': path and rest require format: jsonl, json or parquet",
    "text, path: x": "path: 'x' is not a JSON Pointer (RFC 6901), such as /customer/address/city",
    "text, position: 2": "column 'a': position requires a CSV file with header: false",
    "text, default: ''": "column 'a': an empty default requires nullable: true",
    "integer, default: x": "column 'a': default: a 'x' is not an integer like 42",
    "integer, max: 5, default: '7'": "column 'a': default: a '7' is above the maximum 5",
    "text, aliases: [b]": "duplicate file column 'b'",
    "text, aliases: [x, x]": "duplicate file column 'x'",
}


@pytest.mark.parametrize("column", COLUMN_FAULTS)
def test_contradictions_of_a_column(tmp_path, column):
    assert COLUMN_FAULTS[column] in error_of(tmp_path, column=column)


def test_a_column_found_by_position_has_no_other_name(tmp_path):
    message = error_of(tmp_path, dataset="dialect: {header: false}", column="text, source_name: x")
    assert "column 'a': source_name, aliases and default require a header" in message


def test_a_column_groups_by_points_where_the_dialect_has_a_decimal_comma(tmp_path):
    file = tmp_path / "shop.yaml"
    column = "integer, group_char: '.'"
    file.write_text(CONTRACT.format(dataset="dialect: {decimal_char: ','}", column=column), encoding="utf-8")
    assert load_source(file).datasets[0].columns[0].group_char == "."


def test_two_columns_cannot_have_one_position(tmp_path):
    file = tmp_path / "shop.yaml"
    text = CONTRACT.format(dataset="dialect: {header: false}", column="text, position: 2")
    file.write_text(text.replace("name: b, ", "name: b, position: 2, "), encoding="utf-8")
    with pytest.raises(ContractError, match="duplicate position '2'"):
        load_source(file)


def error_of(tmp_path, dataset: str = "optional: true", column: str = "text") -> str:
    file = tmp_path / "shop.yaml"
    file.write_text(CONTRACT.format(dataset=dataset, column=column), encoding="utf-8")
    with pytest.raises(ContractError) as error:
        load_source(file)
    assert str(error.value).startswith(f"contract {file}: datasets.things")
    return str(error.value)
