"""Contracts: which dataset owns an object, and errors that name the file and the entry."""

from pathlib import Path

import pytest

from netflix_assets.contracts.loading import ContractError, dataset_by_id, load_source, load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.contracts.visibility import showable

CONTRACT = """
source: shop
description: A shop.
datasets:
  genome:
    description: Genomes.
    mode: append
    key: [id]
    freshness: {warn_after_days: 1, fail_after_days: 2}
    columns:
      - {name: id, type: integer, description: Number.}
      - {name: label, source_name: Label, type: text, description: Label.}
  genome_tags:
    description: Tags of genomes.
    file: genome-tags
    mode: append
    key: [id]
    freshness: {warn_after_days: 1, fail_after_days: 2}
    columns:
      - {name: id, type: integer, description: Number.}
"""


def written(folder: Path, content: str, name: str = "shop.yaml") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def movielens():
    return next(source for source in load_sources() if source.source == "movielens")


@pytest.mark.parametrize(
    "key",
    [
        "movielens/ratings.csv",
        "movielens/ratings.csv.gz",
        "movielens/ratings-2024.csv",
        "movielens/ratings-.csv",
        "movielens/ratings-a b+c%é'.csv.gz",
        "movielens/ratings-with.dots.csv",
        "movielens/ratings/2024.csv",
        "movielens/ratings/2024/01/part-0.csv.gz",
        "movielens/ratings/genome-tags.csv",
        "movielens/ratings-two\nlines.csv",
    ],
)
def test_keys_of_the_dataset(movielens, key):
    assert movielens.dataset_of(key).id == "movielens/ratings"


@pytest.mark.parametrize(
    "key",
    [
        "movielens/ratings.csv.tmp",
        "movielens/ratings.csv.gz.zip",
        "movielens/ratings.parquet",
        "movielens/ratings.gz",
        "movielens/ratings.zip.csv.tmp",
        "movielens/ratings",
        "movielens/ratings/",
        "movielens/ratings/.csv",
        "movielens/ratingsx.csv",
        "movielens/ratings2024.csv",
        "movielens/ratings_2024.csv",
        "movielens/ratings-2024/part.csv",
        "movielens/old/ratings.csv",
        "xmovielens/ratings.csv",
        "ratings.csv",
        "movielens/ratings.csv\n",
        "/movielens/ratings.csv",
    ],
)
def test_keys_of_no_dataset(movielens, key):
    assert movielens.dataset_of(key) is None


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("shop/genome.csv", "genome"),
        ("shop/genome-tags.csv", "genome_tags"),
        ("shop/genome-tags.csv.gz", "genome_tags"),
        ("shop/genome-tags.CSV.Zst", "genome_tags"),
        ("shop/genome-tags-2.TSV", "genome_tags"),
        ("shop/genome/tags.txt.bz2", "genome"),
        ("shop/genome.zip", "genome"),
        ("shop/genome.jsonl", None),
        ("shop/genome.csv.xz", None),
        ("shop/genome-tags-2.csv", "genome_tags"),
        ("shop/genome-tags/2.csv", "genome_tags"),
        ("shop/genome-tagsx.csv", "genome"),
        ("shop/genome-tag.csv", "genome"),
        ("shop/genome/tags.csv", "genome"),
        ("shop/genome/genome-tags.csv", "genome"),
        ("shop/genome_tags.csv", None),
    ],
)
def test_the_dataset_with_the_longer_name_owns_the_object(tmp_path, key, owner):
    source = load_source(written(tmp_path, CONTRACT))
    owners = [dataset.name for dataset in source.datasets if dataset.owns_key(key)]
    assert owners == ([owner] if owner else [])


def test_names_derived_from_an_entry(tmp_path):
    genome, tags = load_source(written(tmp_path, CONTRACT)).datasets
    assert (tags.id, tags.table, tags.key_prefix) == ("shop/genome_tags", "shop_genome_tags", "shop/genome-tags")
    assert tags.file_names == "genome-tags.csv, genome-tags-<anything>.csv (also .tsv, .txt; .gz, .zst, .bz2, .zip)"
    assert [column.file_name for column in genome.columns] == ["id", "Label"]


FAULTS = {
    "unknown type": ("type: text", "type: string", "datasets.genome.columns.label.type: ", "unknown type 'string'"),
    "impossible decimal": ("type: text", 'type: "decimal(2,5)"', "datasets.genome.columns.label.type: ", "(2,5)"),
    "too many digits": ("type: text", 'type: "decimal(39,0)"', "datasets.genome.columns.label.type: ", "1 to 38"),
    "unknown key column": ("key: [id]", "key: [ident]", "datasets.genome: ", "key column 'ident' is not one of the"),
    "duplicate column": ("name: label", "name: id", "datasets.genome: ", "duplicate column 'id'"),
    "duplicate file column": (
        "source_name: Label",
        "source_name: id",
        "datasets.genome: ",
        "duplicate file column 'id'",
    ),
    "unknown field": ("mode: append", "mode: append\n    colour: red", "datasets.genome.colour: ", "not permitted"),
    "unknown mode": ("mode: append", "mode: replace", "datasets.genome.mode: ", "'append', 'upsert' or 'overwrite'"),
    "missing field": ("    mode: append\n", "", "datasets.genome.mode: ", "Field required"),
    "invalid name": ("name: label", "name: Label", "datasets.genome.columns.Label.name: ", "not snake_case"),
    "bound on a text": ("type: text", "type: text, min: 1", "datasets.genome.columns.label: ", "require a numeric"),
    "broken pattern": ("type: text", "type: text, pattern: '['", "datasets.genome.columns.label: ", "regular expr"),
    "quote as delimiter": (
        "mode: append",
        "mode: append\n    dialect: {delimiter: '\"'}",
        "datasets.genome.dialect: ",
        "delimiter and quote_char are both",
    ),
    "delimiter beside the dialect": (
        "mode: append",
        "mode: append\n    delimiter: ';'",
        "datasets.genome: ",
        "write `dialect: {delimiter: …}`",
    ),
    "unknown encoding": (
        "mode: append",
        "mode: append\n    encoding: utf8mb4",
        "datasets.genome.encoding: ",
        "unknown encoding 'utf8mb4'; use utf-8, utf-16, utf-16-le, utf-16-be, latin-1, windows-1252, ",
    ),
    "encoding that is not a text encoding": (
        "mode: append",
        "mode: append\n    encoding: zip",
        "datasets.genome.encoding: ",
        "unkn",
    ),
    "long delimiter": (
        "mode: append",
        "mode: append\n    dialect: {delimiter: ';;'}",
        "datasets.genome.dialect: ",
        "requires quote_char: null",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_name_file_and_entry(tmp_path, fault):
    right, wrong, entry, problem = FAULTS[fault]
    assert right in CONTRACT
    path = written(tmp_path, CONTRACT.replace(right, wrong, 1))
    with pytest.raises(ContractError) as raised:
        load_source(path)
    assert str(raised.value).startswith(f"contract {path}: {entry}")
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("written_as", "encoding"),
    [
        ("utf8", "utf-8"),
        ("UTF-16", "utf-16"),
        ("latin1", "latin-1"),
        ("ISO-8859-1", "latin-1"),
        ("cp1252", "windows-1252"),
    ],
)
def test_an_encoding_may_be_any_python_alias(tmp_path, written_as, encoding):
    path = written(tmp_path, CONTRACT.replace("mode: append", f"mode: append\n    encoding: {written_as}", 1))
    genome, tags = load_source(path).datasets
    assert (genome.encoding, tags.encoding) == (encoding, "utf-8")


@pytest.mark.parametrize(
    "content", ["", "just words", "source: [", "source: shop\ndatasets: {a: }", "datasets: {}", "- 1"]
)
def test_an_invalid_file_is_named(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(ContractError, match="not a contract file") as raised:
        load_source(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ("", "source, datasets"),
        ("just words", "source, datasets"),
        ("datasets: {}", "source"),
        ("source: a", "datasets"),
    ],
)
def test_missing_keys_are_named(tmp_path, content, missing):
    path = written(tmp_path, content)
    with pytest.raises(ContractError) as raised:
        load_source(path)
    assert str(raised.value) == f"contract {path}: not a contract file (missing: {missing})"


def test_a_yaml_error_shows_line_and_column(tmp_path):
    path = written(tmp_path, "source: shop\ndescription: a: b\n")
    with pytest.raises(ContractError, match=r"mapping values are not allowed .*\n.* line 2, column 15") as raised:
        load_source(path)
    assert "Mark object" not in str(raised.value)


def test_a_binary_file_is_named(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"source: caf\xe9")
    with pytest.raises(ContractError, match="not a contract file"):
        load_source(path)


@pytest.mark.parametrize("folder", ["", "missing"])
def test_a_folder_without_contracts_is_an_error(tmp_path, folder):
    with pytest.raises(ContractError, match=r"no contract \(\*\.yaml\) in ") as raised:
        load_sources(tmp_path / folder)
    assert str(tmp_path / folder) in str(raised.value)


def test_sources_are_ordered_by_file_and_datasets_as_written(tmp_path):
    written(tmp_path, CONTRACT.replace("source: shop", "source: zoo"), "zoo.yaml")
    written(tmp_path, CONTRACT)
    ids = [dataset.id for dataset in all_datasets(load_sources(tmp_path))]
    assert ids == ["shop/genome", "shop/genome_tags", "zoo/genome", "zoo/genome_tags"]


def test_an_unknown_dataset_error_lists_the_known_ones(tmp_path):
    sources = (load_source(written(tmp_path, CONTRACT)),)
    assert dataset_by_id(sources, "shop/genome_tags").name == "genome_tags"
    with pytest.raises(KeyError, match="unknown dataset 'shop/genomes'; known: shop/genome, shop/genome_tags"):
        dataset_by_id(sources, "shop/genomes")


def test_hidden_columns_and_quoted_values_are_not_shown() -> None:
    (source,) = (each for each in load_sources() if each.source == "movielens")
    assert showable([source]).column("original_title")
    assert showable([source]).message("cannot cast 'Heat'") == "cannot cast 'Heat'"
    movies = source.datasets[0]
    columns = [column.model_copy(update={"showable": column.name != "title"}) for column in movies.columns]
    hiding = source.model_copy(update={"datasets": (movies.model_copy(update={"columns": tuple(columns)}),)})
    shown = showable([hiding])
    assert [shown.column(name) for name in ("title", "original_title", "movie_id", "n_ratings")] == [
        False, False, True, True,
    ]  # fmt: skip
    assert shown.message("cannot cast 'Heat' to 'INT'") == "cannot cast '(not shown)' to '(not shown)'"
