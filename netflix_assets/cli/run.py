"""``run`` and ``demo``: run the graph and print how it went."""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.files import generate_samples, print_landing
from netflix_assets.cli.home import first_page
from netflix_assets.cli.output import (
    EXIT_FAILED,
    EXIT_NOTHING_LOADED,
    EXIT_REFUSED,
    fail,
    print_table,
    progress_text,
    say,
    spinner,
    warn,
)
from netflix_assets.cli.status import bucket_lines, print_published, warn_if_unlisted
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import Settings, current_settings

if TYPE_CHECKING:
    from netflix_assets.operations.outcome import RunOutcome


@click.command()
@click.option(
    "--select", metavar="SELECTION", help="Dagster asset selection, such as 'group:raw' or 'raw/movielens/tags'."
)
@click.option("--full-refresh", is_flag=True, help="Rebuild incremental models from all current rows.")
@click.pass_context
def run(context: click.Context, select: str | None, full_refresh: bool) -> None:
    """Load new files, then build and test.

    Runs the graph once. Everything that depends on the new files is built, tested and published.
    """
    context.exit(_run(current_settings(), select, full_refresh))


@click.command()
@click.option("--scale", default=1.0, show_default=True, help="Size of the samples; 1 is 60,000 ratings, 6,000 titles.")
@click.pass_context
def demo(context: click.Context, scale: float) -> None:
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
    exit_code = 0
    if is_up_to_date(settings):
        say("Already up to date; nothing to do")
    else:
        exit_code = _run(settings, select=None, full_refresh=False)
    if exit_code != EXIT_FAILED:
        _print_highlights(settings)
        _print_places(settings)
    context.exit(exit_code)


def _run(settings: Settings, select: str | None, full_refresh: bool) -> int:
    """Run the graph, print how it went, and return the exit code."""
    started = time.monotonic()
    with spinner("loading definitions") as status:
        from netflix_assets.defs.published import PUBLISHED_KEY
        from netflix_assets.operations.bucket import read_bucket
        from netflix_assets.operations.run import load_definitions, run_graph

        defs = load_definitions(settings)
        status.update("starting")
        outcome = run_graph(
            settings,
            defs,
            select=select,
            full_refresh=full_refresh,
            progress=lambda message: status.update(progress_text(message)),
        )
    print_outcome(outcome, time.monotonic() - started)
    if select is None or PUBLISHED_KEY.to_user_string() in outcome.materialized:
        print_published(settings)
    if any(asset.startswith("dashboards/") for asset in outcome.materialized):
        say(f"dashboards: {first_page(settings).as_uri()}, or: netflix-assets dashboards")
    if not outcome.success:
        return EXIT_FAILED
    for asset, reason in (*outcome.refused, *outcome.without_rows):
        warn(f"{asset}: {reason}")
    bucket = read_bucket(settings)
    warn_if_unlisted(bucket)
    for line in bucket_lines(bucket):
        warn(line)
    if outcome.refused:
        return EXIT_REFUSED
    return EXIT_NOTHING_LOADED if outcome.without_rows else 0


def print_outcome(outcome: "RunOutcome", seconds: float) -> None:
    """Print the checks and errors of a run, and how it ended."""
    for check in outcome.failed_checks:
        message = outcome.check_messages[check]
        fail(f"{check} failed: {message}" if message else f"{check} failed")
    for check in outcome.warned_checks:
        asset = check.partition(": ")[0]
        message = outcome.check_messages[check]
        warn(f"warning: {asset}: {message}" if message else f"warning: {check} failed")
    for asset, warning in outcome.warnings:
        warn(f"warning: {asset}: {warning}")
    for error in outcome.errors:
        fail(error)
    built = counted(len(set(outcome.materialized) - outcome.reused), "asset")
    reused = f"{len(outcome.reused)} reused, " if outcome.reused else ""
    say(
        f"run {outcome.run_id} {'succeeded' if outcome.success else 'FAILED'} in {seconds:.0f} s: "
        f"{built} built, {reused}{counted(outcome.passed_checks, 'check')} passed, "
        f"{len(outcome.warned_checks)} warned, {len(outcome.failed_checks)} failed"
    )


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
    say("Dagster UI   make ui    (http://127.0.0.1:3000)")
