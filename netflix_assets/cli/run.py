"""``run``: run the graph and print how it went."""

import time
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.home import first_page
from netflix_assets.cli.output import (
    EXIT_FAILED,
    EXIT_NOTHING_LOADED,
    EXIT_REFUSED,
    fail,
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
    context.exit(run_and_print(current_settings(), select, full_refresh))


def run_and_print(settings: Settings, select: str | None, full_refresh: bool) -> int:
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
    """Print the checks and errors of a run, what it extracted, and how it ended."""
    for asset, rows in outcome.extracted:
        say(f"{asset}: {rows}")
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
    built = counted(len(set(outcome.materialized) - outcome.reused - outcome.awaited), "asset")
    reused = f"{len(outcome.reused)} reused, " if outcome.reused else ""
    awaited = f"{len(outcome.awaited)} awaited, " if outcome.awaited else ""
    say(
        f"run {outcome.run_id} {'succeeded' if outcome.success else 'FAILED'} in {seconds:.0f} s: "
        f"{built} built, {reused}{awaited}{counted(outcome.passed_checks, 'check')} passed, "
        f"{len(outcome.warned_checks)} warned, {len(outcome.failed_checks)} failed"
    )
