"""Write files of about ml-25m's size and shape: of 25 million ratings drawn, the 23.8 million distinct ones.

    python -m bench.movielens FOLDER [--size 1]

Everything comes from hashes of row numbers, so the same size and version of DuckDB give the same files. Users rate 20
to a few thousand films, most of them few; films are popular by a power law; half of the ratings are 3 to 4 stars.

People rate in sessions: half of the users rate everything in one session of two hours, the others in two to a few
hundred, most of it in the first ones. So there are far fewer pairs of user and day than ratings.
"""

import argparse
from pathlib import Path

import duckdb

USERS, FILMS, RATINGS, GENOME_FILMS, GENOME_TAGS, TAGS = 162_541, 62_423, 25_000_095, 13_816, 1_128, 1_093_360

# A number in [0, 1) from integers, the same on every machine.
SETUP = """
create macro chance(a, b) as (hash(a * 1000003 + b) % 1000000007) / 1000000007.0;
create macro genre_names() as [
    'Action', 'Adventure', 'Animation', 'Children', 'Comedy', 'Crime', 'Documentary', 'Drama', 'Fantasy', 'Film-Noir',
    'Horror', 'Musical', 'Mystery', 'Romance', 'Sci-Fi', 'Thriller', 'War', 'Western'
];
"""

FILES = {
    "movies": """
        select
            n * 3 + 1 as "movieId",
            'Film ' || n || ' (' || 1920 + cast(floor(100 * sqrt(chance(n, 1))) as integer) || ')' as title,
            coalesce(
                nullif(array_to_string(list_filter(genre_names(), lambda genre: hash(genre || n) % 8 = 0), '|'), ''),
                '(no genres listed)'
            ) as genres
        from range({films}) as films(n)
    """,
    "links": """
        select n * 3 + 1 as "movieId", lpad(cast(100000 + n as varchar), 7, '0') as "imdbId", n + 1 as "tmdbId"
        from range({films}) as films(n)
    """,
    "ratings": """
        with users as (
            select n + 1 as user_id, 20 + cast(floor({mean} * -ln(1 - chance(n, 2)) * 0.85) as integer) as n_ratings
            from range({users}) as users(n)
        ),
        rated as (
            select distinct
                user_id,
                least(cast(floor(1 / (1 - chance(user_id, 3))) as integer), 1 + n_ratings // 4) as n_sessions,
                cast(floor({films} * pow(chance(user_id, unnest(range(n_ratings)) + 10), 2.6)) as integer) as film
            from users
        )
        select
            user_id as "userId", film * 3 + 1 as "movieId",
            [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 3.5, 3.5, 4.0, 4.0, 4.0, 4.5, 5.0, 5.0][
                1 + cast(hash(user_id, film) % 15 as integer)
            ] as rating,
            789652009 + 7200 * cast(hash(user_id, session) % 109000 as bigint)
                + cast(hash(film, user_id) % 7200 as bigint) as timestamp
        from (
            select *, cast(floor(n_sessions * pow(chance(cast(film as bigint), user_id), 2)) as integer) as session
            from rated
        )
        order by user_id, film
    """,
    "tags": """
        select
            1 + n % {users} as "userId", cast(floor({films} * pow(chance(n, 5), 2.6)) as integer) * 3 + 1 as "movieId",
            'tag ' || hash(n, 6) % 70000 as tag, 1137179352 + cast(hash(n, 7) % 437000000 as bigint) as timestamp
        from range({tags}) as tags(n)
    """,
    "genome-tags": """
        select n + 1 as "tagId", 'genome tag ' || n as tag from range({genome_tags}) as tags(n)
    """,
    "genome-scores": """
        select
            film * 3 + 1 as "movieId", tag + 1 as "tagId", round(chance(film, tag + 100) * 0.9 + 0.05, 5) as relevance
        from range({genome_films}) as films(film), range({genome_tags}) as tags(tag)
        order by film, tag
    """,
}


def write(folder: Path, size: float) -> None:
    """Write the six files; ``size`` 1 is ml-25m's. Films and genome tags shrink with the root of it."""
    folder.mkdir(parents=True, exist_ok=True)
    root = size**0.5
    numbers = {
        "users": max(1, round(USERS * size)),
        "films": max(100, round(FILMS * root)),
        "mean": RATINGS / USERS,
        "tags": round(TAGS * size),
        "genome_films": max(10, round(GENOME_FILMS * root)),
        "genome_tags": max(10, round(GENOME_TAGS * root)),
    }
    with duckdb.connect() as connection:
        connection.execute(SETUP)
        for name, sql in FILES.items():
            connection.execute(f"copy ({sql.format(**numbers)}) to '{folder / name}.csv' (header true)")


def main() -> None:
    """Write the files and say how many records each has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=1)
    arguments = parser.parse_args()
    write(arguments.folder, arguments.size)
    for name in FILES:
        with (arguments.folder / f"{name}.csv").open("rb") as file:
            print(f"{name:14} {sum(1 for _ in file) - 1:>12,} records")


if __name__ == "__main__":
    main()
