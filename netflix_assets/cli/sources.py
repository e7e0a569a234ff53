"""``sources``: the databases and APIs that datasets are extracted from."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.output import EXIT_FAILED, EXIT_REFUSED, fail, progress_text, say, spinner
from netflix_assets.cli.run import print_outcome
from netflix_assets.settings import Settings, current_settings

if TYPE_CHECKING:
    from netflix_assets.contracts.model import Dataset

_DAY = click.DateTime(["%Y-%m-%d"])

Missing = Sequence[tuple["Dataset", Sequence[str]]]


@click.group()
def sources() -> None:
    """Check and extract databases and APIs.

    Contracts name them. NETFLIX_POSTGRES_<NAME> is the address of a database, NETFLIX_API_<NAME> that of an API.
    docs/databases.md and docs/apis.md have the details.
    """


@sources.command()
@click.argument("names", nargs=-1)
@click.pass_context
def check(context: click.Context, names: tuple[str, ...]) -> None:
    """Show what databases and APIs still need before they can be extracted. Default: all in use.

    Databases: rights, keys, columns. APIs: one request each.
    """
    from netflix_assets.operations import extract as databases
    from netflix_assets.operations import request as apis
    from netflix_assets.operations.sources import choose_sources, unknown_variables

    settings = current_settings()
    has_problem = False
    chosen = choose_sources(settings, names)
    findings = [each for name, tables in chosen.databases.items() for each in databases.check(settings, name, tables)]
    findings += [each for source in chosen.apis for each in apis.check_api(settings, source)]
    if not names:
        for line in unknown_variables(settings):
            say(line)
    for finding in findings:
        (fail if finding.is_problem else say)(f"{finding.subject}: {finding.text}")
        has_problem |= finding.is_problem
    context.exit(EXIT_FAILED if has_problem else 0)


@sources.command()
@click.argument("names", nargs=-1)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="DATASET",
    help="Extract this dataset although its table has lost many rows, or has narrower columns; may be repeated.",
)
@click.pass_context
def extract(context: click.Context, names: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    """Extract changed rows of databases and new periods of APIs into the bucket. Default: all in use.

    `netflix-assets run` loads them. While the UI runs, its sensors do both.
    """
    from netflix_assets.operations.request import missing_now
    from netflix_assets.operations.sources import choose_sources

    settings = current_settings()
    chosen = choose_sources(settings, names)
    missing = [each for source in chosen.apis for each in missing_now(settings, source)]
    context.exit(extract_and_print(settings, chosen.databases, missing, accepted))


@sources.command()
@click.argument("name")
@click.option("--from", "first", type=_DAY, metavar="DATE", required=True, help="First day, such as 2024-12-01.")
@click.option("--to", "last", type=_DAY, metavar="DATE", required=True, help="Last day.")
@click.pass_context
def backfill(context: click.Context, name: str, first: datetime, last: datetime) -> None:
    """Request the missing periods of an API, from one day to another.

    NAME is the source of the API. Periods that are in the bucket are not requested again.
    """
    from netflix_assets.operations.errors import InputError
    from netflix_assets.operations.request import check_days, missing_between
    from netflix_assets.operations.sources import choose_sources

    settings = current_settings()
    chosen = choose_sources(settings, (name,))
    if chosen.databases:
        raise InputError(f"'{name}' is a database; an extract of it has everything: netflix-assets sources extract")
    (source,) = chosen.apis
    check_days(source, first.date(), last.date())
    missing = missing_between(settings, source, first.date(), last.date())
    context.exit(extract_and_print(settings, {}, missing))


def extract_and_print(
    settings: Settings,
    databases: Mapping[str, Sequence["Dataset"]],
    missing: Missing = (),
    accepted: Sequence[str] = (),
) -> int:
    """Extract databases and request missing periods, print how it went, and return the exit code."""
    with spinner("loading definitions") as status:
        from netflix_assets.operations import extract as operation
        from netflix_assets.operations.request import request
        from netflix_assets.operations.run import load_definitions

        operation.check_addresses(settings, databases)
        operation.check_accepted(databases, accepted)
        if not databases and not missing:
            say("No period is missing; nothing to do")
            return 0
        defs = load_definitions(settings)
        runs = [
            *((f"extracting {name}", partial(operation.extract, settings, defs, name, accepted)) for name in databases),
            *(
                (f"requesting {dataset.id}", partial(request, settings, defs, dataset, names))
                for dataset, names in missing
            ),
        ]
        outcomes = []
        for what, run in runs:
            started = time.monotonic()
            status.update(what)
            outcome = run(lambda message: status.update(progress_text(message)))
            outcomes.append((outcome, time.monotonic() - started))
    for outcome, seconds in outcomes:
        print_outcome(outcome, seconds)
    if not all(outcome.success for outcome, _ in outcomes):
        return EXIT_FAILED
    return EXIT_REFUSED if any(outcome.failed_checks for outcome, _ in outcomes) else 0
