"""Make the PostgreSQL of fixtures.py available to the tests of this folder."""

from netflix_assets_tests.extract.postgres import fixtures

postgres, database = fixtures.postgres, fixtures.database
