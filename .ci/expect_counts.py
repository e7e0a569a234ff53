"""Compares what is published at $NETFLIX_HOME with what the publishers say of their files.

ml-latest-small by GroupLens, and a catalogue of 5,850 titles with 77,801 credits.
"""

import os
import sys
from pathlib import Path

import duckdb

EXPECTED = {
    "core.fct_ratings": 100_836,
    "core.dim_movies": 9_742,
    "raw.movielens_ratings_current": 100_836,
    "raw.movielens_movies_current": 9_742,
    "raw.movielens_tags_current": 3_683,
    "raw.movielens_links_current": 9_742,
    "raw.movielens_genome_tags_current": 0,
    "raw.movielens_genome_scores_current": 0,
    "raw.netflix_titles_current": 5_850,
    "raw.netflix_credits_current": 77_801,
    "core.dim_netflix_titles": 5_850,
    "ops.rejected_rows": 0,
    "ops.refused_objects": 0,
    "marts.mart_movie_releases": 9_742,
}


def rows_in(file: Path, tables: list[str]) -> dict[str, int]:
    """The number of rows of each table in a DuckDB file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in tables}  # noqa: S608


home = Path(os.environ["NETFLIX_HOME"])
served = [table for table in EXPECTED if table.startswith(("core.", "marts."))]
for file, tables in ((home / "warehouse.duckdb", list(EXPECTED)), (home / "published/current/marts.duckdb", served)):
    found = rows_in(file, tables)
    for table, rows in found.items():
        print(f"{table:40s} {rows:>9,}")
    expected = {table: EXPECTED[table] for table, rows in found.items() if rows != EXPECTED[table]}
    if expected:
        sys.exit(f"{file.name}: expected otherwise: {expected}")
