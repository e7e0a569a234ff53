"""The MovieLens sample files: their form, and the patterns that they promise."""

import csv
import hashlib
import io
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset
from netflix_assets.dev.samples import generate
from netflix_assets.dev.samples.movielens import scenario

MOVIELENS = next(source for source in load_sources() if source.source == "movielens")
RATINGS_FILES = [f"ratings-{year}.csv" for year in range(2015, 2025)]
NAMES = ["movies.csv", "links.csv", *RATINGS_FILES, "tags.csv", "genome-tags.csv", "genome-scores.csv"]


class Rating(NamedTuple):
    user: int
    film: int
    stars: float
    at: datetime


@dataclass
class Drop:
    """The content of the sample files, read without any code of the project."""

    folder: Path
    movies: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    ratings: list[Rating] = field(default_factory=list)
    faulty: list[list[str]] = field(default_factory=list)

    def rows(self, name: str) -> list[list[str]]:
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file, strict=True))[1:]


def as_rating(row: list[str]) -> Rating | None:
    """Return the rating of a record that follows the contract, else None."""
    if len(row) != 4 or not (row[0].isdigit() and row[1].isdigit() and row[3].isdigit()):
        return None
    if not re.fullmatch(r"[0-4]\.[05]|5\.0", row[2]) or row[2] == "0.0":
        return None
    return Rating(int(row[0]), int(row[1]), float(row[2]), datetime.fromtimestamp(int(row[3]), UTC))


def read(folder: Path) -> Drop:
    drop = Drop(folder)
    for film, title, genres in drop.rows("movies.csv"):
        drop.movies[int(film)] = (title, [] if genres == scenario.NO_GENRES else genres.split("|"))
    for name in RATINGS_FILES:
        for row in drop.rows(name):
            rating = as_rating(row)
            if rating is None:
                drop.faulty.append([name, *row])
            else:
                drop.ratings.append(rating)
    return drop


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Drop:
    folder = tmp_path_factory.mktemp("samples")
    generate(folder)
    return read(folder)


def digests(folder: Path, scale: float, seed: int) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in generate(folder, scale, seed)}


# -- form --------------------------------------------------------------------------------------------------------------


def test_the_same_scale_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    first = digests(tmp_path / "a", 0.1, 7)
    assert digests(tmp_path / "b", 0.1, 7) == first
    other = digests(tmp_path / "c", 0.1, 8)
    assert {name for name in NAMES if other[name] == first[name]} == {"genome-tags.csv"}


def test_the_bytes_have_not_changed(tmp_path: Path) -> None:
    """Fails if a machine or a numpy version generates other data; update the value after a change of the generator."""
    total = hashlib.sha256()
    generate(tmp_path, 0.05)
    for name in NAMES:
        total.update((tmp_path / name).read_bytes())
    assert total.hexdigest()[:16] == "107b0a2c48221a5f"


def test_only_the_files_appear_and_earlier_ones_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("old")
    (tmp_path / "other.csv").write_text("other")
    paths = generate(tmp_path, 0.01)
    assert paths == [tmp_path / name for name in (*NAMES, "titles.csv", "credits.csv")]
    assert {path.name for path in tmp_path.iterdir()} == {*(path.name for path in paths), "other.csv"}
    assert (tmp_path / "movies.csv").read_text(encoding="utf-8").startswith("movieId,title,genres\n")


@pytest.mark.parametrize("dataset", MOVIELENS.datasets, ids=lambda dataset: str(dataset.name))
def test_headers_are_those_of_the_contract(drop: Drop, dataset: Dataset) -> None:
    names = [name for name in NAMES if dataset.owns_key(f"movielens/{name}")]
    assert names
    for name in names:
        with (drop.folder / name).open(encoding="utf-8") as file:
            assert file.readline().rstrip("\n").split(",") == [column.file_name for column in dataset.columns]


def test_every_file_belongs_to_a_dataset() -> None:
    assert [name for name in NAMES if MOVIELENS.dataset_of(f"movielens/{name}") is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_files_are_plain_utf8_with_lf(drop: Drop, name: str) -> None:
    content = (drop.folder / name).read_bytes()
    assert b"\r" not in content
    assert b"\0" not in content
    assert content.endswith(b"\n")
    assert not content.startswith("\ufeff".encode())
    content.decode("utf-8")
    # No record goes over several lines.
    assert len(list(csv.reader(io.StringIO(content.decode("utf-8")), strict=True))) == content.count(b"\n")


def assert_counts(made: Drop, films: int, users: int, ratings: int, tags: int, genome: int) -> None:
    assert len(made.movies) == films
    assert len(made.rows("links.csv")) == films
    assert {rating.user for rating in made.ratings} == set(range(1, users + 1))
    assert len(made.ratings) == ratings
    assert len(made.faulty) == scenario.FAULTY_RECORDS
    assert len(made.rows("tags.csv")) == tags
    assert len(made.rows("genome-tags.csv")) == 120
    assert len(made.rows("genome-scores.csv")) == 120 * genome
    assert {rating.at.year for rating in made.ratings} == set(range(2015, 2025))
    assert min(Counter(rating.user for rating in made.ratings).values()) >= 20


def test_counts_at_scale_1(drop: Drop) -> None:
    assert_counts(drop, films=1_200, users=600, ratings=60_000, tags=3_000, genome=400)


@pytest.mark.parametrize(
    ("scale", "films", "users", "ratings", "tags", "genome"),
    [(0.01, 400, 6, 600, 30, 40), (0.37, 730, 222, 22_200, 1_110, 243), (0.9, 1_138, 540, 54_000, 2_700, 379)],
)
def test_counts_follow_the_scale(
    tmp_path: Path, scale: float, films: int, users: int, ratings: int, tags: int, genome: int
) -> None:
    generate(tmp_path, scale)
    assert_counts(read(tmp_path), films, users, ratings, tags, genome)


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.009, 25.1, float("nan"), float("inf")])
def test_other_scales_are_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ValueError, match=r"scale .* is not between 0\.01 and 25"):
        generate(tmp_path / "x", scale)
    assert not (tmp_path / "x").exists()


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed -1 is negative"):
        generate(tmp_path, 0.01, -1)


@pytest.mark.parametrize("seed", range(2, 8))
def test_every_seed_works_at_the_smallest_scale(tmp_path: Path, seed: int) -> None:
    generate(tmp_path, 0.01, seed)
    made = read(tmp_path)
    assert len(made.ratings) == 600
    assert {rating.at.year for rating in made.ratings} == set(range(2015, 2025))
    assert len(made.faulty) == scenario.FAULTY_RECORDS


# -- content -----------------------------------------------------------------------------------------------------------


def test_exactly_the_faulty_records_are_faulty(drop: Drop) -> None:
    assert scenario.FAULTY_RECORDS == 5
    assert {name for name, *_ in drop.faulty} == {"ratings-2024.csv"}
    records = [record for _, *record in drop.faulty]
    assert [len(record) for record in records] == [4, 3, 4, 4, 4]
    assert records[0][2] == "four"
    assert records[2][2] == "7.5"
    assert records[3][0] == ""
    assert records[4][3] == "2024-07-01 20:15:00"
    # Each is faulty in one thing only: with that put right it is a rating.
    for record, column, value in (
        (records[0], 2, "4.0"),
        (records[2], 2, "4.0"),
        (records[3], 0, "1"),
        (records[4], 3, "1719864900"),
    ):
        assert as_rating([*record[:column], value, *record[column + 1 :]]) is not None
    assert as_rating([*records[1], "1719864900"]) is not None


def test_ids_refer_to_each_other(drop: Drop) -> None:
    films = set(drop.movies)
    assert [int(film) for film, *_ in drop.rows("links.csv")] == list(drop.movies)
    assert {rating.film for rating in drop.ratings} <= films
    rated = {(rating.user, rating.film) for rating in drop.ratings}
    tags = drop.rows("tags.csv")
    assert {(int(user), int(film)) for user, film, *_ in tags} <= rated
    assert len({tuple(row[:3]) for row in tags}) == len(tags)
    tag_ids = [int(tag) for tag, _ in drop.rows("genome-tags.csv")]
    assert tag_ids == list(range(1, 121))
    scores = [(int(film), int(tag)) for film, tag, _ in drop.rows("genome-scores.csv")]
    assert scores == sorted(set(scores))
    assert {film for film, _ in scores} <= films
    assert {tag for _, tag in scores} == set(tag_ids)


def test_ids_have_gaps_and_rows_are_ordered(drop: Drop) -> None:
    ids = list(drop.movies)
    assert ids == sorted(set(ids))
    assert 2 * len(ids) < ids[-1]
    for name in RATINGS_FILES:
        rows = [(int(row[0]), int(row[1]), int(row[3])) for row in drop.rows(name) if as_rating(row)]
        assert rows == sorted(set(rows))


def test_ratings_are_in_the_file_of_their_year(drop: Drop) -> None:
    for name in RATINGS_FILES:
        years = {rating.at.year for row in drop.rows(name) if (rating := as_rating(row))}
        assert years == {int(name[8:12])}


def test_values_follow_the_contract(drop: Drop) -> None:
    for film, imdb, tmdb in drop.rows("links.csv"):
        assert re.fullmatch("[0-9]{7,8}", imdb), film
        assert tmdb == "" or int(tmdb) > 0, film
    imdb_ids = [imdb for _, imdb, _ in drop.rows("links.csv")]
    assert len(set(imdb_ids)) == len(imdb_ids)
    assert sum(imdb.startswith("0") for imdb in imdb_ids) > 100
    assert 5 <= sum(tmdb == "" for *_, tmdb in drop.rows("links.csv")) <= 60
    for *_, relevance in drop.rows("genome-scores.csv"):
        assert re.fullmatch(r"0\.[0-9]+|1\.0", relevance)
    for user, film, tag, at in drop.rows("tags.csv"):
        assert tag.strip(), (user, film)
        assert 2015 <= datetime.fromtimestamp(int(at), UTC).year <= 2024
    assert all(set(genres) <= set(scenario.GENRES) for _, genres in drop.movies.values())
    assert any(not genres for _, genres in drop.movies.values())


@pytest.mark.parametrize(
    "form",
    [
        r".+, The \(\d{4}\)",
        r".+, A \(\d{4}\)",
        r"[^()]+",
        r".+ \(\d{4}-\d{4}\)",
        r".+ \(\d{4}–\d{4}\)",  # noqa: RUF001
        r".+ \(\d{4}-\)",
        r".+ \(a\.k\.a\. .+\) \(\d{4}\)",
        r'.*"\w+".*',
        r".*[^\x00-\u024f].*",
    ],
)
def test_titles_come_in_every_awkward_form(drop: Drop, form: str) -> None:
    assert [title for title, _ in drop.movies.values() if re.fullmatch(form, title)]


def test_titles_differ_and_mostly_end_with_their_year(drop: Drop) -> None:
    titles = [title for title, _ in drop.movies.values()]
    assert len(set(titles)) == len(titles)
    assert [title for title in titles if title != title.strip()] == []
    assert sum(bool(re.search(r" \((19|20)\d\d\)$", title)) for title in titles) > 0.93 * len(titles)


def test_nobody_rates_a_film_before_it_is_available(drop: Drop) -> None:
    years = {
        film: int(match[1]) for film, (title, _) in drop.movies.items() if (match := re.search(r"\((\d{4})", title))
    }
    assert [rating for rating in drop.ratings if rating.at.year < years.get(rating.film, 0)] == []


def test_some_ratings_correct_earlier_ones(drop: Drop) -> None:
    versions = defaultdict(set)
    for rating in drop.ratings:
        versions[rating.user, rating.film].add(rating.at)
    repeated = len(drop.ratings) - len(versions)
    assert 0.007 < repeated / len(drop.ratings) < 0.013
    assert sum(len(times) for times in versions.values()) == len(drop.ratings)  # never twice at one time


# -- patterns ----------------------------------------------------------------------------------------------------------


def share_of_top_tenth(counts: Counter[int]) -> float:
    ordered = sorted(counts.values(), reverse=True)
    return sum(ordered[: len(ordered) // 10]) / sum(ordered)


def test_activity_and_popularity_have_heavy_tails(drop: Drop) -> None:
    users = Counter(rating.user for rating in drop.ratings)
    films = Counter(rating.film for rating in drop.ratings)
    assert share_of_top_tenth(users) > 0.3
    assert share_of_top_tenth(films) > 0.3
    assert max(users.values()) > 5 * statistics.median(users.values())
    assert max(films.values()) > 0.4 * len(users)
    assert sum(count < 10 for count in films.values()) > 0.05 * len(drop.movies)


def test_users_have_a_taste(drop: Drop) -> None:
    """The first half of a user's ratings predicts what the user watches and likes in the second half."""
    by_user: dict[int, list[Rating]] = defaultdict(list)
    for rating in sorted(drop.ratings, key=lambda rating: rating.at):
        by_user[rating.user].append(rating)

    def in_taste(rating: Rating, taste: scenario.Taste) -> bool:
        return bool(set(drop.movies[rating.film][1]) & set(taste.genres))

    def share(ratings: list[Rating], taste: scenario.Taste) -> float:
        return sum(in_taste(rating, taste) for rating in ratings) / len(ratings)

    usual = {taste.name: share(drop.ratings, taste) for taste in scenario.TASTES}
    lifts, inside, outside = [], [], []
    found = Counter()
    for ratings in by_user.values():
        half = len(ratings) // 2
        favourite = max(scenario.TASTES, key=lambda taste: share(ratings[:half], taste) - usual[taste.name])
        found[favourite.name] += 1
        lifts.append(share(ratings[half:], favourite) / usual[favourite.name])
        for rating in ratings[half:]:
            (inside if in_taste(rating, favourite) else outside).append(rating.stars)
    assert statistics.median(lifts) > 1.5
    assert statistics.mean(inside) > statistics.mean(outside) + 0.2
    assert min(found[taste.name] for taste in scenario.TASTES) > 0.05 * len(by_user)


def test_genres_differ_in_quality_and_in_demand_against_supply(drop: Drop) -> None:
    stars, demand = defaultdict(list), Counter()
    for rating in drop.ratings:
        for genre in drop.movies[rating.film][1]:
            stars[genre].append(rating.stars)
            demand[genre] += 1
    supply = Counter(genre for _, genres in drop.movies.values() for genre in genres)
    means = {genre: statistics.mean(values) for genre, values in stars.items()}
    assert min(means, key=means.__getitem__) == "Horror"
    assert means["Drama"] > means["Horror"] + 0.3
    gap = {genre: demand[genre] / demand.total() - supply[genre] / supply.total() for genre in supply}
    assert gap["Documentary"] > 0
    assert gap["Children"] > 0
    assert gap["Romance"] < 0
    assert gap["Film-Noir"] < 0


def counts_by(drop: Drop, part: Callable[[datetime], int]) -> Counter[int]:
    return Counter(part(rating.at) for rating in drop.ratings)


def test_hours_weekdays_months_and_years_differ(drop: Drop) -> None:
    hours = counts_by(drop, lambda at: at.hour)
    assert set(hours) == set(range(24))
    assert max(hours, key=hours.__getitem__) in (19, 20, 21, 22)
    assert hours[20] > 10 * hours[5]
    days = counts_by(drop, lambda at: at.isoweekday())
    assert min(days[6], days[7]) > 1.3 * max(days[1], days[2], days[3])
    months = counts_by(drop, lambda at: at.month)
    assert months[12] > 1.5 * months[7]
    assert months[1] > 1.3 * months[6]
    years = counts_by(drop, lambda at: at.year)
    assert years[2024] > 1.8 * years[2015]


def test_the_unusual_weeks_stand_out(drop: Drop) -> None:
    weeks: dict[tuple[int, int], list[float]] = defaultdict(list)
    for rating in drop.ratings:
        weeks[rating.at.isocalendar()[:2]].append(rating.stars)

    def around(week: scenario.Week) -> tuple[float, float]:
        """Volume and mean of the eight weeks around."""
        number = week.monday.isocalendar()
        near = [weeks[number.year, number.week + step] for step in (-4, -3, -2, -1, 1, 2, 3, 4)]
        return statistics.mean(len(stars) for stars in near), statistics.mean(star for stars in near for star in stars)

    surge, bombing, outage = scenario.UNUSUAL_WEEKS
    for week in (surge, bombing):
        assert len(weeks[week.monday.isocalendar()[:2]]) > 2 * around(week)[0]
    assert len(weeks[outage.monday.isocalendar()[:2]]) < 0.25 * around(outage)[0]
    assert statistics.mean(weeks[bombing.monday.isocalendar()[:2]]) < around(bombing)[1] - 0.7
    assert abs(statistics.mean(weeks[surge.monday.isocalendar()[:2]]) - around(surge)[1]) < 0.2


def test_some_films_are_polarised_and_some_popular_ones_are_flops(drop: Drop) -> None:
    by_film: dict[int, list[float]] = defaultdict(list)
    for rating in drop.ratings:
        by_film[rating.film].append(rating.stars)
    seen = [stars for stars in by_film.values() if len(stars) >= 40]
    polarised = [
        stars
        for stars in seen
        if min(sum(star >= 4.5 for star in stars), sum(star <= 1.5 for star in stars)) > 0.25 * len(stars)
    ]
    assert 4 <= len(polarised) <= 30
    often = statistics.quantiles([len(stars) for stars in by_film.values()], n=10)[-1]
    flops = [stars for stars in seen if len(stars) >= often and statistics.mean(stars) < 2.6]
    assert len(flops) >= 3


def test_the_genome_fits_the_genres(drop: Drop) -> None:
    tags = {int(tag_id): tag for tag_id, tag in drop.rows("genome-tags.csv")}
    space = {True: [], False: []}
    for film, tag_id, relevance in drop.rows("genome-scores.csv"):
        if tags[int(tag_id)] == "space":
            space["Sci-Fi" in drop.movies[int(film)][1]].append(float(relevance))
    assert statistics.mean(space[True]) > 2 * statistics.mean(space[False])


def test_tags_come_in_several_spellings(drop: Drop) -> None:
    tags = Counter(tag for *_, tag, _ in drop.rows("tags.csv"))
    assert len(tags) > len({tag.casefold() for tag in tags}) > 100
    assert any("," in tag for tag in tags)
    assert any('"' in tag for tag in tags)
