"""``sources``: the databases that datasets are extracted from."""

import time
from collections.abc import Sequence

import click

from netflix_assets.cli.output import EXIT_FAILED, EXIT_REFUSED, fail, progress_text, say, spinner
from netflix_assets.cli.run import print_outcome
from netflix_assets.settings import Settings, current_settings


@click.group()
def sources() -> None:
    """Check and extract databases.

    Contracts name the databases; NETFLIX_POSTGRES_<NAME> is the address of one. docs/databases.md has the details.
    """


@sources.command()
@click.argument("databases", nargs=-1)
@click.pass_context
def check(context: click.Context, databases: tuple[str, ...]) -> None:
    """Show what DATABASES lack for their extracts: rights, keys, columns. Default: all that have an address."""
    from netflix_assets.operations import extract as operation

    settings = current_settings()
    has_problem = False
    for name, datasets in operation.select_databases(settings, databases).items():
        for finding in operation.check(settings, name, datasets):
            (fail if finding.is_problem else say)(f"{finding.subject}: {finding.text}")
            has_problem |= finding.is_problem
    context.exit(EXIT_FAILED if has_problem else 0)


@sources.command()
@click.argument("databases", nargs=-1)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="DATASET",
    help="Extract this dataset although its table has lost many rows, or has narrower columns; may be repeated.",
)
@click.pass_context
def extract(context: click.Context, databases: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    """Extract what has changed in DATABASES into the bucket. Default: all that have an address.

    `netflix-assets run` loads it. Beside a running UI both happen by themselves.
    """
    context.exit(extract_and_print(current_settings(), databases, accepted))


def extract_and_print(settings: Settings, databases: Sequence[str], accepted: Sequence[str] = ()) -> int:
    """Extract databases, print how it went, and return the exit code."""
    with spinner("loading definitions") as status:
        from netflix_assets.operations import extract as operation
        from netflix_assets.operations.run import load_definitions

        chosen = operation.select_databases(settings, databases)
        operation.check_accepted(chosen, accepted)
        defs = load_definitions(settings)
        outcomes = []
        for name in chosen:
            started = time.monotonic()
            status.update(f"extracting {name}")
            outcome = operation.extract(
                settings, defs, name, accepted, lambda message: status.update(progress_text(message))
            )
            outcomes.append((outcome, time.monotonic() - started))
    for outcome, seconds in outcomes:
        print_outcome(outcome, seconds)
    if not all(outcome.success for outcome, _ in outcomes):
        return EXIT_FAILED
    return EXIT_REFUSED if any(outcome.failed_checks for outcome, _ in outcomes) else 0
