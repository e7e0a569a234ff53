"""``demo``: run the graph on samples."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from netflix_assets.cli.files import generate_samples, print_landing
from netflix_assets.cli.home import first_page
from netflix_assets.cli.output import EXIT_FAILED, print_table, say, spinner, warn
from netflix_assets.cli.run import run_and_print
from netflix_assets.cli.sources import extract_and_print
from netflix_assets.settings import DatabaseSettings, Settings, current_settings


@click.command()
@click.option("--scale", default=1.0, show_default=True, help="Size of the samples; 1 is 60,000 ratings, 6,000 titles.")
@click.option("--databases", is_flag=True, help="Serve the sample databases meanwhile, and extract them too.")
@click.pass_context
def demo(context: click.Context, scale: float, databases: bool) -> None:
    """Run the graph on generated sample files.

    Generates and lands the files, runs the graph unless everything is up to date, and shows a few results.
    """
    from netflix_assets.dev.postgres import DATABASES
    from netflix_assets.operations.demo import check_only_samples, databases_to_extract, is_up_to_date

    settings = current_settings()
    if settings.env != "local":
        raise click.UsageError(f"demo needs NETFLIX_ENV=local, not {settings.env}")
    with tempfile.TemporaryDirectory() as folder:
        with spinner("generating sample files"):
            samples = generate_samples(Path(folder), scale, seed=1)
        check_only_samples(settings, samples)
        print_landing(settings, samples, dataset=None)
    missing = databases_to_extract(settings, DATABASES) if databases else []
    exit_code = _extract_samples(settings, missing) if missing else 0
    if is_up_to_date(settings):
        say("Already up to date; nothing to do")
    else:
        exit_code = run_and_print(settings, select=None, full_refresh=False) or exit_code
    if exit_code != EXIT_FAILED:
        _print_highlights(settings)
        _print_places(settings)
    context.exit(exit_code)


def _extract_samples(settings: Settings, databases: Sequence[str]) -> int:
    """Extract these sample databases for the first time, print how it went, and return the exit code."""
    from netflix_assets.dev.business.serve import served
    from netflix_assets.dev.postgres import READER, PostgresError

    with ExitStack() as stack:
        try:
            with spinner("starting PostgreSQL with the sample databases"):
                server = stack.enter_context(served(settings.home / "postgres"))
        except PostgresError as error:  # some machines cannot run it; the files are worth a demo without
            warn(f"warning: the sample databases are left out: {error}")
            return 0
        addresses = {
            name: DatabaseSettings.model_validate({"url": server.address(name), "password": server.passwords[READER]})
            for name in databases
        }
        return extract_and_print(settings.model_copy(update={"databases": addresses}), databases)


def _print_highlights(settings: Settings) -> None:
    from netflix_assets.operations.demo import highlights

    for title, columns, rows in highlights(settings):
        say()
        shown = ([f"{value:,}" if isinstance(value, int) else str(value) for value in row] for row in rows)
        print_table(columns, shown, title)


def _print_places(settings: Settings) -> None:
    say()
    say(f"Files        {settings.s3_folder / settings.bucket}")
    say(f"Warehouse    {settings.warehouse_file}")
    say(f"For BI tools {settings.published_folder / 'current' / 'netflix.duckdb'}")
    say(f"Dashboards   {first_page(settings).as_uri()}    (or: netflix-assets dashboards)")
    say("Databases    netflix-assets dev postgres    (samples; docs/sample-databases.md)")
    say("Dagster UI   make ui    (http://127.0.0.1:3000)")
