"""``demo``: run the graph on samples."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.files import generate_samples, print_landing
from netflix_assets.cli.home import first_page
from netflix_assets.cli.output import EXIT_FAILED, print_table, say, spinner, warn
from netflix_assets.cli.run import run_and_print
from netflix_assets.cli.sources import extract_and_print
from netflix_assets.settings import Settings, current_settings
from netflix_assets.settings.named import ApiSettings, DatabaseSettings

if TYPE_CHECKING:
    from netflix_assets.contracts.model import Dataset, Source


@click.command()
@click.option("--scale", default=1.0, show_default=True, help="Size of the samples; 1 is 60,000 ratings, 6,000 titles.")
@click.option("--business", is_flag=True, help="Serve the sample databases and APIs meanwhile, and extract them too.")
@click.pass_context
def demo(context: click.Context, scale: float, business: bool) -> None:
    """Run the graph on generated sample files.

    Generates and lands the files, runs the graph unless everything is up to date, and shows a few results.
    """
    from netflix_assets.operations.demo import check_only_samples, is_up_to_date

    settings = current_settings()
    if settings.env != "local":
        raise click.UsageError(f"demo needs NETFLIX_ENV=local, not {settings.env}")
    with tempfile.TemporaryDirectory() as folder:
        with spinner("generating sample files"):
            samples = generate_samples(Path(folder), scale, seed=1)
        check_only_samples(settings, samples)
        print_landing(settings, samples, dataset=None)
    exit_code = _extract_samples(settings) if business else 0
    if is_up_to_date(settings):
        say("Already up to date; nothing to do")
    else:
        exit_code = run_and_print(settings, select=None, full_refresh=False) or exit_code
    if exit_code != EXIT_FAILED:
        _print_highlights(settings)
        _print_places(settings)
    context.exit(exit_code)


def _extract_samples(settings: Settings) -> int:
    """Extract the sample databases and APIs that never were, print how it went, and return the exit code."""
    from netflix_assets.defs.extract.database_assets import by_database
    from netflix_assets.dev.history import sample_keys
    from netflix_assets.dev.postgres import DATABASES
    from netflix_assets.operations.demo import apis_to_request, databases_to_extract

    databases = databases_to_extract(settings, DATABASES)
    apis = apis_to_request(settings, sample_keys(settings.sources()))
    if not databases and not apis:
        return 0
    with ExitStack() as stack:
        served = settings.model_copy(
            update={
                "databases": stack.enter_context(_served_databases(settings, databases)),
                "apis": stack.enter_context(_served_apis()),
            }
        )
        tables = by_database(settings.sources())
        return extract_and_print(
            served, {name: tables[name] for name in served.databases}, _land_history(served, apis) if apis else []
        )


@contextmanager
def _served_databases(settings: Settings, names: Sequence[str]) -> Iterator[dict[str, DatabaseSettings]]:
    """Serve these sample databases; none where PostgreSQL cannot run, because the rest is worth a demo without."""
    from netflix_assets.dev.business.serve import served
    from netflix_assets.dev.postgres import READER, PostgresError

    with ExitStack() as stack:
        try:
            with spinner("starting PostgreSQL with the sample databases"):
                server = stack.enter_context(served(settings.home / "postgres")) if names else None
        except PostgresError as error:
            warn(f"warning: the sample databases are left out: {error}")
            server = None
        yield {
            name: DatabaseSettings.model_validate({"url": server.address(name), "password": server.passwords[READER]})
            for name in names
            if server
        }


@contextmanager
def _served_apis() -> Iterator[dict[str, ApiSettings]]:
    from netflix_assets.dev.apis import APIS, KEY, address_of, serve_apis

    with serve_apis() as port:
        yield {name: ApiSettings.model_validate({"url": address_of(name, port), "key": KEY}) for name in APIS}


def _land_history(settings: Settings, apis: "Sequence[Source]") -> "list[tuple[Dataset, list[str]]]":
    """Land the files with the history of the sample APIs. Returns what is left to request from them."""
    from netflix_assets.dev.business.scenario import LAST_DAY
    from netflix_assets.dev.history import first_requested_day, write_history
    from netflix_assets.operations.request import missing_between
    from netflix_assets.storage.bucket import landing_bucket

    with tempfile.TemporaryDirectory() as folder, landing_bucket(settings).open() as store:
        for api in apis:
            store.put(*write_history(Path(folder), api.source))
        return [each for api in apis for each in missing_between(settings, api, first_requested_day(), LAST_DAY)]


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
