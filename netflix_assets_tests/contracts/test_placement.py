"""Where a file with a wrong name or in a wrong folder probably belongs."""

import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.placement import likely_key


@pytest.mark.parametrize(
    ("key", "likely"),
    [
        ("ratings.csv", "movielens/ratings.csv"),
        ("titles-2024.csv.gz", "netflix/titles-2024.csv.gz"),
        ("movielense/ratings.csv", "movielens/ratings.csv"),
        ("MovieLens/Ratings.CSV", "movielens/ratings.csv"),
        ("ml-25m/genome-scores.csv", "movielens/genome-scores.csv"),
        ("movielens//ratings-x.csv", "movielens/ratings-x.csv"),
        ("movielens/../tags.csv", "movielens/tags.csv"),
        ("movielens/ratings_10.csv", "movielens/ratings-10.csv"),
        ("movielens/ratings 10.csv", "movielens/ratings-10.csv"),
        ("movielens/genome_tags.csv", "movielens/genome-tags.csv"),
        ("movielens/ratings-2024.csv/part-0.csv", "movielens/ratings/part-0.csv"),
        ("movielens/raitings.csv", "movielens/ratings-<anything>.csv"),
        ("movielens/rating.txt", "movielens/ratings-<anything>.csv"),
        ("logs/2024/app.log", None),
        ("movielens/README.txt", None),
        ("", None),
    ],
)
def test_likely_key(key: str, likely: str | None) -> None:
    assert likely_key(load_sources(), key) == likely
