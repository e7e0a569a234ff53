"""Compares the warehouse at $NETFLIX_HOME with what GroupLens says of ml-latest-small."""

import os
import sys

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
    "ops.rejected_rows": 0,
    "ops.refused_objects": 0,
    "marts.mart_movie_releases": 9_742,
}

with duckdb.connect(f"{os.environ['NETFLIX_HOME']}/warehouse.duckdb", read_only=True) as warehouse:
    found = {table: warehouse.execute(f"select count(*) from {table}").fetchone()[0] for table in EXPECTED}  # noqa: S608
for table, rows in found.items():
    print(f"{table:40s} {rows:>9,}")
expected = {table: EXPECTED[table] for table, rows in found.items() if rows != EXPECTED[table]}
if expected:
    sys.exit(f"expected otherwise: {expected}")
