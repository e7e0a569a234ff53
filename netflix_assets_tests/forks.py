"""A fork server that has imported what commands import lazily, which takes 4 s of CPU in each process.

Importing starts no thread and opens no connection, so a fork behaves like a new process. A process of pytest has one
fork server with one list of what it imports, so it imports what any suite needs. A second list would replace it, and
each command would take 4 s instead of 0.2.
"""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
_MODULES = [
    *(
        f"netflix_assets.{name}"
        for name in (
            "cli.app",
            "definitions",
            "defs.landing.sensor",
            "dev.fetch",
            "dev.samples",
            "operations.branch",
            "operations.demo",
            "operations.erase",
            "operations.landing",
            "operations.rejects",
            "operations.replay",
            "operations.run",
            "operations.status",
            "storage.listing",
            "storage.local_s3",
            "warehouse.duckdb.publisher",
        )
    ),
    *("boto3", "obstore.auth.boto3", "obstore.store"),
    *(f"netflix_assets_tests.proof.{name}" for name in ("crashing", "quick_dbt", "test_extract_servers")),
]


def preload(*modules: str) -> None:
    """Import these too, if the fork server is not running yet."""
    FORKS.set_forkserver_preload([*_MODULES, *modules])


preload()
