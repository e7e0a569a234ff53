"""``ui``, ``dashboards`` and ``reset``: serve a home or remove its state."""

from pathlib import Path

import click

from netflix_assets.cli.output import Failure, say
from netflix_assets.settings import Settings, current_settings

_PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--port", default=3000, type=_PORT, show_default=True, envvar="UI_PORT", help="Port of the web page.")
def ui(port: int) -> None:
    """Serve the Dagster UI until Ctrl-C.

    Also runs Dagster's daemon and the local S3, so that landed files start runs, and the sample databases if the demo
    made them, so that changed rows do.
    """
    from netflix_assets.dev.ui import serve

    serve(current_settings(), port, announce=say)


@click.command()
@click.option(
    "--port", default=3100, type=_PORT, show_default=True, envvar="DASHBOARDS_PORT", help="Port of the web pages."
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open them in the browser.")
def dashboards(port: int, browser: bool) -> None:
    """Serve the dashboards until Ctrl-C.

    Only on this machine. The pages also open as files, without a server.
    """
    from netflix_assets.dashboards.server import serve

    settings = current_settings()
    if not first_page(settings).exists():
        raise Failure(
            f"{settings.dashboards_folder} has no pages yet; build them with netflix-assets run, or with "
            "netflix-assets demo from sample files"
        )
    serve(settings.dashboards_folder, port, say, open_browser=browser)


def first_page(settings: Settings) -> Path:
    """The file that opens the dashboards."""
    return settings.dashboards_folder / "index.html"


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def reset(yes: bool) -> None:
    """Remove all state.

    Removes the local bucket, the warehouse, published tables and Dagster's history. Files that `fetch` downloaded stay.
    """
    from netflix_assets.operations.reset import find_state, remove_state

    settings = current_settings()
    found = find_state(settings)
    if not found:
        say(f"Nothing to remove in {settings.home}")
        return
    names = ", ".join(path.name for path in found)
    if not yes:
        click.confirm(f"Remove {names} from {settings.home}?", abort=True)
    remove_state(settings, found)
    say(f"Removed {names} from {settings.home}")
