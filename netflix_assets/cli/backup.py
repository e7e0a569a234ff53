"""``backup`` and ``restore``: copy the state of a home, also while it is in use, and put a copy back."""

from pathlib import Path

import click

from netflix_assets.cli.output import say
from netflix_assets.settings import current_settings


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def backup(folder: Path) -> None:
    """Copy the state of this home to a new FOLDER.

    Copies the local bucket, the warehouse, the published tables and Dagster's history. The UI and runs may go on; a run
    that wants to write the warehouse waits until its file is copied.
    """
    from netflix_assets.operations.backup import back_up

    size = back_up(current_settings(), folder)
    say(f"Copied {size / 2**20:,.1f} MiB to {folder}")
    say(f"To restore it: NETFLIX_HOME=<a new folder> netflix-assets restore {folder}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def restore(folder: Path) -> None:
    """Restore the backup in FOLDER into this home, which must have no state."""
    from netflix_assets.operations import backup

    settings = current_settings()
    backup.restore(settings, folder)
    say(f"Restored {folder} to {settings.home}. What has changed since is loaded by: netflix-assets run")
