"""``contract show`` and ``contract check``."""

from pathlib import Path

import pytest

from netflix_assets_tests.cli.command import run

HEADER = "userId,movieId,rating,timestamp\n"
GOOD = "1,2,4.5,1000000000\n"


def test_show_names_files_rules_and_what_a_wrong_value_does(tmp_path: Path) -> None:
    done = run(tmp_path, "contract", "show", "netflix/titles")
    assert done.returncode == 0
    assert "titles.csv, titles-<anything>.csv" in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("imdb_id"))
    assert "text; pattern tt[0-9]{7,9}" in line
    assert "missing: no value; wrong: record rejected" in line
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("release_year"))
    assert "integer; min 1850; max 2100" in line
    assert "missing: record rejected" in line


def test_an_unknown_dataset_is_wrong_use(tmp_path: Path) -> None:
    done = run(tmp_path, "contract", "show", "netflix/films")
    assert (done.returncode, "unknown dataset 'netflix/films'" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (HEADER + 3 * GOOD, 0, "3 records, 3 rows would load"),
        (
            f"{HEADER}{GOOD}1,x,4.5,1000000000\n1,y,4.5,1000000000\n1,2,4.7,1000000000\n",
            0,
            "2 rejected, lines 3, 4: movie_id 'x' is not an integer like 42",
        ),
        (f"{HEADER}1,x,4.5,1000000000\n", 4, "1 record, 0 rows would load, 1 rejected"),
        (HEADER, 0, "ignored: the file has a header but no records"),
        ("userId,movieId,stars,timestamp\n", 3, "refused: the header is missing column 'rating'"),
        (HEADER + 1500 * "1,x,4.5,1000000000\n", 3, "1,500 rejected, lines 2, 3, 4, …: movie_id 'x'"),
        ("", 3, "refused: the file is empty"),
    ],
)
def test_check_says_what_a_load_would_give(tmp_path: Path, content: str, code: int, says: str) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(content)
    home = tmp_path / "home"
    done = run(home, "contract", "check", str(file))
    assert (done.returncode, says in done.stdout) == (code, True), done.stdout + done.stderr
    assert [path.name for path in home.rglob("*") if path.is_file()] == []


def test_files_are_checked_one_by_one(tmp_path: Path) -> None:
    """Each as if it was the only one: the second does not supersede the first, which is the whole table too."""
    files = [tmp_path / "titles-1.csv", tmp_path / "titles-2.csv"]
    for file in files:
        file.write_text("id,name\n")
    done = run(tmp_path / "home", "contract", "check", *map(str, files), "--as", "movielens/movies")
    assert done.returncode == 3
    assert done.stdout.count("refused: the header is missing") == 2


def test_a_name_that_no_dataset_has_is_wrong_use(tmp_path: Path) -> None:
    file = tmp_path / "unknown.csv"
    file.write_text("a\n1\n")
    done = run(tmp_path / "home", "contract", "check", str(file))
    assert (done.returncode, "does not match any dataset" in done.stderr) == (2, True)
