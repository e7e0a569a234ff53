"""``land``, ``generate`` and ``fetch``."""

import os
from pathlib import Path

import pytest

from netflix_assets_tests.cli.command import run


def test_generate_replaces_no_other_file(tmp_path: Path) -> None:
    real = tmp_path / "a" / "ratings-2024.csv"
    real.parent.mkdir()
    real.write_text("mine")
    done = run(tmp_path, "generate", str(real.parent), "--scale", "0.01")
    assert (done.returncode, real.read_text()) == (2, "mine")
    assert f"{real} already exists with other content" in done.stderr
    assert [path.name for path in real.parent.iterdir()] == [real.name]


def test_generate_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert run(tmp_path, "generate", str(tmp_path / folder), "--scale", "0.02").returncode == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {"ratings-2024.csv", "titles.csv", "credits.csv"} <= set(files)
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_two_files_that_would_become_one_object_are_not_landed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n")
    done = run(tmp_path / "home", "land", str(tmp_path / "a" / "ratings.csv"), str(tmp_path / "b" / "ratings.csv"))
    assert done.returncode == 2
    assert "would both become movielens/ratings.csv" in done.stderr
    assert not (tmp_path / "home" / "s3" / "landing" / "movielens").exists()


def test_a_file_that_no_key_of_its_dataset_fits_is_not_landed(tmp_path: Path) -> None:
    file = tmp_path / "export.dat"
    file.write_text("userId,movieId,rating,timestamp\n")
    done = run(tmp_path / "home", "land", "--as", "movielens/ratings", str(file))
    assert done.returncode == 2
    assert "does not end in .csv (also .tsv, .txt; .gz, .zst, .bz2, .zip)" in done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "ratings_09.csv",
            "'ratings_09.csv' does not match any dataset. Rename it (ratings-<anything>.csv) or pass --as",
        ),
        ("ratings (1).csv", "Rename it (ratings-<anything>.csv) or pass --as DATASET"),
        ("tagsx.csv", "Rename it (tags-<anything>.csv) or pass --as DATASET"),
        ("other.csv", "netflix/titles (titles-<anything>.csv)"),
        ("RATINGS-8.CSV", "rename it to 'ratings-8.csv'"),
        ("ratings-\a.csv", "the file name 'ratings-\\x07.csv' has a character that cannot be printed"),
    ],
)
def test_a_name_that_matches_no_dataset_gets_advice(tmp_path: Path, name: str, says: str) -> None:
    file = tmp_path / name
    file.write_text("userId,movieId,rating,timestamp\n")
    done = run(tmp_path / "home", "land", str(file))
    assert done.returncode == 2
    assert says in done.stderr
    assert "*" not in done.stderr


def test_a_pipe_is_not_landed_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "ratings.csv"
    os.mkfifo(pipe)
    done = run(tmp_path / "home", "land", str(pipe))
    assert done.returncode == 2
    assert f"{pipe} is not a regular file" in done.stderr


def test_a_fetch_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    done = run(tmp_path, "fetch", "movielens", "--base-url", "http://127.0.0.1:9", no_proxy="127.0.0.1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert not (tmp_path / "downloads").exists()
