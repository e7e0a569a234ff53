"""``publish``: list the kept versions, serve one of them, go back to the newest."""

from typing import TYPE_CHECKING

import click

from netflix_assets.cli.output import EXIT_FAILED, fail, print_table, progress_text, say, spinner
from netflix_assets.cli.status import print_published
from netflix_assets.settings import Settings, current_settings

if TYPE_CHECKING:
    from netflix_assets.warehouse.publishing import Publication


@click.command()
@click.option("--list", "is_list", is_flag=True, help="List the kept versions.")
@click.option("--version", "version", metavar="VERSION", help="Serve this version, even after newer builds.")
@click.option("--latest", is_flag=True, help="Serve the newest version, and each new one from now on.")
@click.pass_context
def publish(context: click.Context, is_list: bool, version: str | None, latest: bool) -> None:
    """Choose the version that consumers see.

    A run publishes what it has built by itself. This command goes back to an earlier version (--version) and forward
    again (--latest), and rebuilds the dashboards from it.
    """
    if is_list + (version is not None) + latest != 1:
        raise click.UsageError("give one of --list, --version and --latest")
    settings = current_settings()
    if is_list:
        _print_versions(settings)
    else:
        context.exit(_serve(settings, version))


def _serve(settings: Settings, version: str | None) -> int:
    """Serve a version, or the newest; print what consumers see, and return the exit code."""
    with spinner("loading definitions") as status:
        from netflix_assets.operations import publish as operation
        from netflix_assets.operations.run import load_definitions

        defs = load_definitions(settings)
        status.update("switching versions")
        shown = operation.unpin(settings) if version is None else operation.pin(settings, version)
        outcome = operation.rebuild_dashboards(settings, defs, lambda message: status.update(progress_text(message)))
    say(f"consumers see version {shown.version}; {sum(shown.tables.values()):,} rows in {len(shown.tables)} tables")
    print_published(settings)
    for error in outcome.errors:
        fail(error)
    if not outcome.success:
        fail("the dashboards are not rebuilt. To rebuild them: netflix-assets run --select group:dashboards")
        return EXIT_FAILED
    return 0


def _print_versions(settings: Settings) -> None:
    from netflix_assets.operations.publish import list_versions

    versions, shown = list_versions(settings)
    if not versions:
        say("nothing is published yet. To build and publish everything: netflix-assets run")
        return
    print_table(("version", "built (UTC)", "published (UTC)", "rows", ""), (_row(each, shown) for each in versions))


def _row(version: "Publication", shown: "Publication | None") -> list[str]:
    times = (f"{each:%Y-%m-%d %H:%M}" for each in (version.built_at, version.published_at))
    rows = f"{sum(version.tables.values()):,}"
    is_shown = shown is not None and shown.version == version.version
    return [version.version, *times, rows, ("pinned" if shown and shown.pinned_at else "served") if is_shown else ""]
