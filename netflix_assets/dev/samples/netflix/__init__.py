"""Sample data in the format of Netflix's catalogue: synthetic films and series with their actors and directors.

It contains these patterns:

* The catalogue grows from year to year and then levels off; its newest year is only half over.
* The mix moves from films to series, and from the first of the ``INDUSTRIES`` to others.
* Genres and types differ in score and length, and new titles score lower than old ones.
* Most people appear in one title. A few (``STAR_SHARE``) appear in dozens, and their titles draw more votes.
* A few titles have most of the votes, the better ones more, so that a mean weighted by votes is above a plain mean.
* Awkward records: names with commas, quotes, apostrophes and other scripts; different people with the same name;
  descriptions with several lines; lists in brackets, empty or with an apostrophe; seasons written as ``1.0``; missing
  scores, votes, certifications and identifiers; a title without a name; titles without credits; actors with two
  characters.
"""

import math
from pathlib import Path

from netflix_assets.dev.samples.common import write_rows
from netflix_assets.dev.samples.netflix.credits import CREDIT_COLUMNS, credit_rows, make_cast
from netflix_assets.dev.samples.netflix.titles import TITLE_COLUMNS, make_titles, title_rows

TITLES = 6_000  # at scale 1


def write(folder: Path, scale: float, seed: int) -> list[str]:
    """Write titles.csv and credits.csv into an existing folder and return their names.

    Scale 1 means 6,000 titles and about 74,000 credits of 50,000 people. They grow with the square root of the scale,
    because films multiply more slowly than their audience. Titles are ordered by release year, credits by title.
    """
    titles = make_titles(round(TITLES * math.sqrt(scale)), seed)
    cast = make_cast(titles, seed)
    return [
        write_rows(folder / "titles.csv", TITLE_COLUMNS, title_rows(titles, cast.stars, seed)),
        write_rows(folder / "credits.csv", CREDIT_COLUMNS, credit_rows(titles, cast, seed)),
    ]
