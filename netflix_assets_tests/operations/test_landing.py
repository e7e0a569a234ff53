"""Which object key a file to land gets, by its name and extension."""

from pathlib import Path

import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.landing import object_keys
from netflix_assets_tests.conftest import make_column, make_dataset


def key_of(folder: Path, name: str, dataset: Dataset | None = None, sources: list[Source] | None = None) -> str:
    path = folder / name
    path.touch()
    [key] = object_keys(sources or load_sources(), [path], dataset)
    return key


@pytest.mark.parametrize(
    "name", ["ratings.CSV", "ratings-7.tsv", "ratings.txt", "ratings.csv.zst", "ratings-7.Csv.BZ2", "ratings.zip"]
)
def test_other_extensions_are_landed(tmp_path, name):
    assert key_of(tmp_path, name) == f"movielens/{name}"


@pytest.mark.parametrize(("name", "advice"), [("RATINGS.CSV", "rename it to 'ratings.csv'"), ("ratings.xz", "--as")])
def test_other_names_are_not_landed(tmp_path, name, advice):
    with pytest.raises(InputError, match=advice):
        key_of(tmp_path, name)


@pytest.mark.parametrize(
    ("kind", "fits", "ending"),
    [
        ("jsonl", ["x.jsonl", "x.NDJSON.gz", "x.json"], ".jsonl (also .ndjson, .json; .gz, .zst, .bz2, .zip)"),
        ("parquet", ["x.parquet", "x.pq", "x.jsonl"], ".parquet (also .pq, .jsonl; .gz, .zst, .bz2, .zip)"),
    ],
)
def test_the_format_decides_the_extensions(tmp_path, kind, fits, ending):
    dataset = make_dataset(make_column("id"), format=kind)
    for name in fits:
        assert key_of(tmp_path, name, dataset) == f"shop/things/{name}"
    with pytest.raises(InputError) as raised:
        key_of(tmp_path, "x.csv", dataset)
    assert str(raised.value) == f"'x.csv' does not end in {ending}. Rename the file"
