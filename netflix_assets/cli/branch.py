"""``branch``: the tables of a pull request."""

import time
from pathlib import Path

import click

from netflix_assets.cli.output import EXIT_FAILED, progress_text, say, spinner
from netflix_assets.cli.run import print_outcome
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import current_settings


@click.group()
def branch() -> None:
    """Build a branch in its own schemas, and drop them.

    NETFLIX_SCHEMA_PREFIX names the schemas: with pr_7_, they are pr_7_core, pr_7_marts and so on.
    """


@branch.command()
@click.option(
    "--base",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The dbt project that the branch started from.",
)
@click.pass_context
def build(context: click.Context, base: Path) -> None:
    """Build what the branch changes.

    Copies all tables into the branch's schemas, on Snowflake as clones. Then builds and tests there every model that
    differs from the base, and all that depend on it. Nothing is loaded or published.
    """
    settings, started = current_settings(), time.monotonic()
    with spinner("loading definitions") as status:
        from netflix_assets.operations.branch import build_branch

        keys, outcome = build_branch(
            settings, base.resolve(), progress=lambda message: status.update(progress_text(message))
        )
    if outcome is None:
        say(f"The dbt project does not differ from {base}; {settings.schema_prefix}* has copies of all tables")
        return
    print_outcome(outcome, time.monotonic() - started)
    say(f"built in {settings.schema_prefix}*: {', '.join(keys)}")
    context.exit(0 if outcome.success else EXIT_FAILED)


@branch.command()
def drop() -> None:
    """Drop the branch's schemas and the records of its builds."""
    settings = current_settings()
    with spinner("loading definitions"):
        from netflix_assets.operations.branch import drop_branch

        found = drop_branch(settings)
    say(f"dropped {counted(len(found), 'schema')}{': ' if found else ''}{', '.join(found)}")
