"""The Netflix sample files: their form, and the patterns that they promise."""

import ast
import csv
import hashlib
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.contracts.values import find_fault
from netflix_assets.dev.samples import generate
from netflix_assets.dev.samples.netflix import write
from netflix_assets.dev.samples.netflix.scenario import LAST_YEAR

Rows = list[dict[str, str]]


def read(folder: Path, name: str) -> Rows:
    """The records, read without any code of the project."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write(folder, 1.0, 1)
    return folder


@pytest.fixture(scope="module")
def titles(folder: Path) -> Rows:
    return read(folder, "titles.csv")


@pytest.fixture(scope="module")
def credited(folder: Path) -> Rows:
    return read(folder, "credits.csv")


def digest(folder: Path, scale: float, seed: int) -> str:
    folder.mkdir()
    names = write(folder, scale, seed)
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()


# -- form --------------------------------------------------------------------------------------------------------------


def test_the_same_scale_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    first = digest(tmp_path / "a", 0.1, 7)
    assert digest(tmp_path / "b", 0.1, 7) == first
    assert digest(tmp_path / "c", 0.1, 8) != first


def test_the_bytes_have_not_changed(tmp_path: Path) -> None:
    """Fails where a machine or a numpy makes other data; after a change of the generator, put in the new value."""
    assert digest(tmp_path / "a", 0.05, 1)[:16] == "59129b23a1eab777"


def test_they_are_among_the_files_that_generate_writes(tmp_path: Path) -> None:
    paths = generate(tmp_path / "all", 0.01)
    alone = tmp_path / "alone"
    alone.mkdir()
    write(alone, 0.01, 1)
    for name in ("titles.csv", "credits.csv"):
        assert tmp_path / "all" / name in paths
        assert (tmp_path / "all" / name).read_bytes() == (alone / name).read_bytes()


@pytest.mark.parametrize("name", ["titles", "credits"])
def test_every_record_follows_the_contract(folder: Path, name: str) -> None:
    dataset = dataset_by_id(load_sources(), f"netflix/{name}")
    rows = read(folder, f"{name}.csv")
    assert list(rows[0]) == [column.file_name for column in dataset.columns]
    faults = [
        problem for row in rows for column in dataset.columns if (problem := find_fault(column, row[column.file_name]))
    ]
    assert faults == []
    keys = Counter(
        tuple(row[column.file_name] for column in dataset.columns if column.name in dataset.key) for row in rows
    )
    assert max(keys.values()) == 1


@pytest.mark.parametrize(("scale", "count"), [(0.01, 600), (0.37, 3_650), (1.0, 6_000)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counts_follow_the_scale(tmp_path: Path, scale: float, count: int, seed: int) -> None:
    write(tmp_path, scale, seed)
    titles, credited = read(tmp_path, "titles.csv"), read(tmp_path, "credits.csv")
    assert len(titles) == count
    assert 10.5 * count < len(credited) < 14.5 * count
    assert {row["id"] for row in credited} < {row["id"] for row in titles}


# -- content -----------------------------------------------------------------------------------------------------------


def test_the_mess_of_real_files_is_there(titles: Rows, credited: Rows) -> None:
    def count(column: str, value: str = "") -> int:
        return sum(row[column] == value for row in titles)

    assert count("title") == 1
    assert 5 < count("description") < 50
    assert 10 < sum("\n" in row["description"] for row in titles) < 120
    assert sum('"' in row["description"] for row in titles) > 100
    assert 0.3 < count("age_certification") / len(titles) < 0.5
    assert 30 < count("genres", "[]") < 100
    assert 100 < count("production_countries", "[]") < 400
    assert any('"' in row["genres"] for row in titles)
    assert all(isinstance(ast.literal_eval(row["genres"]), list) for row in titles)
    assert count("seasons") == count("type", "MOVIE")
    assert sum(row["seasons"] == "1.0" for row in titles) > 1_000
    assert 0 < sum((row["imdb_score"] == "") != (row["imdb_votes"] == "") for row in titles) < 60
    assert {row["imdb_score"] == "" for row in titles if not row["imdb_id"]} == {True}
    assert 200 < len({row["id"] for row in titles} - {row["id"] for row in credited}) < 600
    people_by_name = defaultdict(set)
    for row in credited:
        people_by_name[row["name"]].add(row["person_id"])
    assert 100 < sum(len(people) > 1 for people in people_by_name.values()) < 1_500
    roles = Counter((row["person_id"], row["id"], row["role"]) for row in credited)
    assert 20 < sum(number > 1 for number in roles.values()) < 300
    assert any(", " in row["name"] for row in credited)
    assert any(", " in row["character"] for row in credited)


def test_the_mix_moves_to_series_and_away_from_the_first_country(titles: Rows) -> None:
    def share(column: str, value: str, first: int, last: int) -> float:
        chosen = [row for row in titles if first <= int(row["release_year"]) <= last]
        return sum(value in row[column] for row in chosen) / len(chosen)

    assert share("type", "SHOW", 1950, 2012) + 0.1 < share("type", "SHOW", 2021, LAST_YEAR) < 0.52
    assert share("production_countries", "'US'", 1950, 2012) > share("production_countries", "'US'", 2021, 2024) + 0.05
    assert share("production_countries", "'KR'", 2021, 2024) > share("production_countries", "'KR'", 1950, 2012) + 0.02


def test_the_catalogue_grows_and_its_newest_year_is_not_over(titles: Rows) -> None:
    by_year = Counter(int(row["release_year"]) for row in titles)
    assert max(by_year) == LAST_YEAR
    assert by_year[2010] < by_year[2014] < by_year[2018]
    assert by_year[LAST_YEAR] < 0.7 * by_year[LAST_YEAR - 1]


def test_genres_and_types_differ_in_score(titles: Rows) -> None:
    def mean(column: str, value: str) -> float:
        return statistics.mean(float(row["imdb_score"]) for row in titles if value in row[column] and row["imdb_score"])

    assert mean("genres", "'documentation'") > mean("genres", "'drama'") > mean("genres", "'horror'")
    assert mean("type", "SHOW") > mean("type", "MOVIE") + 0.4


def test_few_titles_have_most_votes_and_better_ones_have_more(titles: Rows) -> None:
    judged = [(float(row["imdb_score"]), float(row["imdb_votes"])) for row in titles if row["imdb_votes"]]
    n_votes = sum(votes for _, votes in judged)
    assert sum(sorted(votes for _, votes in judged)[-len(judged) // 10 :]) > 0.7 * n_votes
    by_vote = sum(score * votes for score, votes in judged) / n_votes
    assert by_vote > statistics.mean(score for score, _ in judged) + 0.2


def test_a_few_people_are_in_dozens_of_titles_that_draw_votes(titles: Rows, credited: Rows) -> None:
    appearances: dict[str, set[str]] = defaultdict(set)
    for row in credited:
        if row["role"] == "ACTOR":
            appearances[row["person_id"]].add(row["id"])
    numbers = sorted(map(len, appearances.values()), reverse=True)
    assert 25 < numbers[0] < 80
    assert sum(number == 1 for number in numbers) > 0.7 * len(numbers)
    with_star = set().union(*(of for of in appearances.values() if len(of) >= 15))
    votes = {row["id"]: float(row["imdb_votes"]) for row in titles if row["imdb_votes"]}
    inside = statistics.median(number for title, number in votes.items() if title in with_star)
    assert inside > 1.5 * statistics.median(number for title, number in votes.items() if title not in with_star)
