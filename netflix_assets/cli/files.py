"""``land``, ``generate`` and ``fetch``: files on their way to the bucket."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from netflix_assets.cli.arguments import find_dataset
from netflix_assets.cli.output import err, say, spinner
from netflix_assets.contracts.model import Dataset
from netflix_assets.settings import Settings, current_settings


@click.command()
@click.argument(
    "paths", metavar="FILES...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--as", "dataset_id", metavar="DATASET", help="The dataset of files whose names do not match one.")
def land(paths: tuple[Path, ...], dataset_id: str | None) -> None:
    """Upload files to the bucket, under the keys of their datasets.

    The name of a file decides its dataset: ratings.csv and ratings-<anything>.csv belong to movielens/ratings,
    titles.csv belongs to netflix/titles. Other names need --as. Files may be compressed (.gz, .zst, .bz2, .zip).
    """
    settings = current_settings()
    print_landing(settings, paths, find_dataset(settings, dataset_id) if dataset_id else None)


def print_landing(settings: Settings, paths: Iterable[Path], dataset: Dataset | None) -> None:
    """Upload files and print where each went."""
    from netflix_assets.operations.landing import land_files

    for path, address in land_files(settings, paths, dataset, uploading=lambda path: spinner(_landing(path))):
        say(f"{path.name} -> {address}")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--scale", default=1.0, show_default=True, help="1 is 60,000 ratings and 6,000 titles.")
@click.option("--seed", default=1, show_default=True, help="The same seed and scale give the same bytes.")
def generate(folder: Path, scale: float, seed: int) -> None:
    """Write sample files to FOLDER.

    They look like MovieLens' ratings and Netflix's catalogue. Existing files with other content are never replaced.
    """
    from netflix_assets.operations.samples import move_samples

    with tempfile.TemporaryDirectory() as drafts, spinner("generating sample files"):
        paths = move_samples(generate_samples(Path(drafts), scale, seed), folder)
    _print_sizes(paths)


def generate_samples(folder: Path, scale: float, seed: int) -> list[Path]:
    """Write sample files to a folder. Raises: click.UsageError when scale or seed is out of range."""
    from netflix_assets.dev.samples import generate as write_samples

    try:
        return write_samples(folder, scale, seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@click.command()
@click.argument("what", type=click.Choice(["movielens"]))
@click.option(
    "--release",
    type=click.Choice(["ml-latest-small", "ml-25m", "ml-32m"]),
    default="ml-latest-small",
    show_default=True,
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="$NETFLIX_HOME/downloads/RELEASE",
    help="Folder for the files.",
)
@click.option("--base-url", default=None, help="A mirror of GroupLens' download folder.")
def fetch(what: str, release: Any, folder: Path | None, base_url: str | None) -> None:
    """Download a MovieLens release.

    Verifies the download and unpacks its CSV files. Read GroupLens' licence before you use them.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    from netflix_assets.dev.fetch import fetch_movielens

    target = folder or current_settings().home / "downloads" / release
    with Progress("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=err) as bars:
        task = bars.add_task(f"{what} {release}", total=None)
        paths = fetch_movielens(
            release,
            target,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
            **({"base_url": base_url} if base_url else {}),
        )
    _print_sizes(paths)
    say(f"To land them: netflix-assets land {target}/*.csv")


def _landing(path: Path) -> str:
    return f"landing {path.name}, {path.stat().st_size:,} bytes"


def _print_sizes(paths: Iterable[Path]) -> None:
    for path in paths:
        say(f"{path}  {path.stat().st_size:,} bytes")
