"""``retention``: remove what is old."""

import click

from netflix_assets.cli.output import say
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import current_settings


@click.command()
def retention() -> None:
    """Remove old runs and superseded rows, like the nightly job `retention`.

    Removes old runs with their logs, dbt's old target folders, and the rows of superseded files that the contracts no
    longer keep (keep_versions).
    """
    from netflix_assets.operations.retention import remove_what_is_old

    removed = remove_what_is_old(current_settings())
    parts = (
        counted(removed.runs, "run"),
        counted(removed.dbt_folders, "dbt folder"),
        f"the rows of {counted(removed.loads, 'superseded load')}",
    )
    say(f"removed {parts[0]}, {parts[1]} and {parts[2]}")
