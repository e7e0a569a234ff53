"""The command line: its commands, its exit codes, and the errors that end it in one line.

Commands import what is slow to load (Dagster, dbt) themselves, so that ``--help`` stays fast.

Exit codes: 0 done (rejects within tolerance are fine), 1 failed, 2 wrong use, 3 done but objects were refused,
4 done but a file loaded none of its records, 130 stopped.
"""

import errno
import io
import sys
from pathlib import Path

import click

from netflix_assets.cli.add_dataset import add_dataset
from netflix_assets.cli.alerts import alerts
from netflix_assets.cli.backup import backup, restore
from netflix_assets.cli.branch import branch
from netflix_assets.cli.contract import contract
from netflix_assets.cli.demo import demo
from netflix_assets.cli.dev import dev
from netflix_assets.cli.diff import diff
from netflix_assets.cli.erase import erase
from netflix_assets.cli.files import fetch, generate, land
from netflix_assets.cli.home import dashboards, reset, ui
from netflix_assets.cli.output import EXIT_FAILED, EXIT_STOPPED, EXIT_USAGE, fail, note
from netflix_assets.cli.publish import publish
from netflix_assets.cli.rejects import rejects
from netflix_assets.cli.replay import rebuild, replay
from netflix_assets.cli.retention import retention
from netflix_assets.cli.run import run
from netflix_assets.cli.sources import sources
from netflix_assets.cli.status import status
from netflix_assets.settings.environment import protect_command


def main() -> None:
    """Run the command line. An error that names its cause ends it with one line instead of a traceback."""
    protect_command()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and values may not fit the terminal's encoding
    try:
        sys.exit(cli(standalone_mode=False))  # the code that a command gave to context.exit, or None
    except click.exceptions.Abort:
        note("stopped")
        sys.exit(EXIT_STOPPED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        fail(f"netflix-assets: {_message(error)}")
        sys.exit(code)


def _exit_code(error: Exception) -> int | None:
    """The exit code for an error that names its cause; None for any other, which is a bug."""
    from netflix_assets.alerts.rules import AlertsError
    from netflix_assets.contracts.loading import ContractError
    from netflix_assets.dev.fetch import DownloadError
    from netflix_assets.operations.errors import InputError, OperationError
    from netflix_assets.settings import SettingsError
    from netflix_assets.settings.secret_store import SecretError
    from netflix_assets.storage.local_s3 import LocalS3Error
    from netflix_assets.storage.retries import BucketError
    from netflix_assets.warehouse.errors import WarehouseError

    if isinstance(error, InputError | SettingsError | ContractError | AlertsError):
        return EXIT_USAGE
    failures = OperationError | WarehouseError | BucketError | SecretError | LocalS3Error | DownloadError | OSError
    return EXIT_FAILED if isinstance(error, failures) else None


def _message(error: Exception) -> str:
    """The error's message; of a file under $NETFLIX_HOME with where that is, and what to do if it cannot be written."""
    from netflix_assets.settings import current_settings

    if isinstance(error, OSError) and error.filename is not None:
        home = current_settings().home
        if Path(str(error.filename)).is_relative_to(home):
            read_only = isinstance(error, PermissionError) or error.errno == errno.EROFS
            advice = "; set NETFLIX_HOME to a folder that you can write to" if read_only else ""
            return f"{error} (NETFLIX_HOME={home}){advice}"
    return str(error)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    commands=[
        add_dataset,
        alerts,
        backup,
        branch,
        contract,
        dashboards,
        demo,
        dev,
        diff,
        erase,
        fetch,
        generate,
        land,
        publish,
        rebuild,
        rejects,
        replay,
        reset,
        restore,
        retention,
        run,
        sources,
        status,
        ui,
    ],
)
@click.version_option(package_name="netflix-assets")
def cli() -> None:
    """Land files in S3; get tested tables and dashboards.

    All state is under $NETFLIX_HOME (default: .netflix in the repository).
    """
