"""``erase``: remove one person from everything."""

from typing import TYPE_CHECKING

import click

from netflix_assets.cli.output import EXIT_FAILED, fail, note, print_table, progress_text, say, spinner
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import Settings, current_settings

if TYPE_CHECKING:
    from netflix_assets.operations.erase import Erasure, Found


@click.command()
@click.option("--user", required=True, metavar="ID", help="The person, by the id in columns with `identifies: user`.")
@click.option("--dry-run", is_flag=True, help="Show where the person is, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_context
def erase(context: click.Context, user: str, dry_run: bool, yes: bool) -> None:
    """Remove one person from every load, reject, table, snapshot, page and published version.

    Rebuilds and publishes all tables without the person, removes the earlier published versions, and then searches
    again: anything left is named, and the command exits with 1. Later loads leave the person out. Objects in the bucket
    are not changed; those that hold erased persons are listed. If it is interrupted, run it again.
    """
    from netflix_assets.operations.erase import check_person, find

    settings = current_settings()
    text = check_person(settings, user)
    if dry_run:
        with spinner("searching"):
            found = find(settings, text)
        _print_found(found, text)
        return
    if not yes:
        click.confirm(
            f"Erase user {text} from {settings.home if settings.names is None else settings.env}?", abort=True
        )
    context.exit(_erase(settings, text))


def _erase(settings: Settings, user: str) -> int:
    with spinner("loading definitions") as status:
        from netflix_assets.operations import erase as operation
        from netflix_assets.operations.run import load_definitions

        defs = load_definitions(settings)
        done = operation.erase(settings, defs, user, lambda message: status.update(progress_text(message)))
    _print_found(done.found, user)
    _print_rest(done)
    if done.left.places:
        for place, rows in done.left.places.items():
            fail(f"left: {place} ({counted(rows, 'row')})")
        fail(f"user {user} is not erased everywhere. Remove what is named above, or run the command again")
        return EXIT_FAILED
    say(f"user {user} is erased: nothing was found in the tables, the published version and the files")
    return 0


def _print_found(found: "Found", user: str) -> None:
    if found.places:
        print_table(("place", "rows"), ([place, f"{rows:,}"] for place, rows in found.places.items()))
    else:
        say(f"user {user} is in no table and no file")


def _print_rest(done: "Erasure") -> None:
    if done.forgotten:
        say(f"removed {counted(len(done.forgotten), 'earlier published version')}")
    for key in done.objects:
        note(f"{key} in the bucket still holds erased persons; every load leaves them out")
    for key in done.unread:
        note(f"{key} in the bucket was refused, so it is not known whom it names")
