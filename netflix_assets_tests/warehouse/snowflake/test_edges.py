"""Values at the edges of the contracts, on both warehouses: the graph runs, and the tables are the same."""

from pathlib import Path

import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.storage.local_s3 import LocalS3
from netflix_assets_tests.emulator.fixtures import SnowflakeEmulator
from netflix_assets_tests.proof.arrivals import random
from netflix_assets_tests.proof.edges import edge_rows, file_of
from netflix_assets_tests.warehouse.snowflake.test_graph import emulated_twins

# The emulator returns no timestamp whose microseconds since 1970 are above 2^53.
WITHIN_THE_EMULATOR = {
    b"0001-01-01 00:00:00": b"1700-01-01 00:00:00",
    b"2262-04-12 00:00:00": b"2255-01-01 00:00:00",
    b"9999-12-31 23:59:59": b"2255-06-05 00:00:00",
}


@pytest.mark.emulated
def test_emulated_edges_of_the_contracts_build_the_same_tables_as_duckdb(
    snowflake_server: SnowflakeEmulator, s3_server: LocalS3, tmp_path: Path
) -> None:
    chance, files = random("edges"), []
    for dataset in [each for each in all_datasets(load_sources()) if each.format == "csv"]:
        file = tmp_path / f"{dataset.file_stem}.{dataset.format}"
        content = file_of(dataset, edge_rows(dataset, chance))
        for text, nearer in WITHIN_THE_EMULATOR.items():
            content = content.replace(text, nearer)
        file.write_bytes(content)
        files.append(str(file))
    with emulated_twins(snowflake_server, s3_server, files, tmp_path) as twins:
        execute = lambda statement: snowflake_server.execute(statement, database="NETFLIX_PRODUCTION")  # noqa: E731
        assert twins.differences(execute) == []
