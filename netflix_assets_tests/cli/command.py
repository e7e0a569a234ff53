"""The command ``netflix-assets``, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from netflix_assets.cli.app import main
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.forks import FORKS


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``netflix-assets`` with these arguments and variables in a home; its output is captured.

    In a fork of a process that has imported everything; ``run_installed`` is for what Python itself reads at its start.
    """
    with TemporaryDirectory() as folder:
        output = [Path(folder, name) for name in ("stdout", "stderr")]
        process = FORKS.Process(target=_main, args=(arguments, _variables(home, environment), output))
        process.start()
        process.join()
        printed = [path.read_text(encoding="utf-8") for path in output]
    assert process.exitcode is not None
    return subprocess.CompletedProcess(arguments, process.exitcode, *printed)


def _main(arguments: Sequence[str], variables: Mapping[str, str], output: Sequence[Path]) -> None:
    for number, path in enumerate(output, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = [str(COMMAND), *arguments]
    main()


def run_installed(
    home: Path, *arguments: str, through: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Start the installed command as a user starts it. ``through``: a command that starts it."""
    return subprocess.run(
        [*through, COMMAND, *arguments],
        env=_variables(home, environment),
        capture_output=True,
        text=True,
        check=False,
    )


def _variables(home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "NETFLIX_HOME": str(home),
        "NETFLIX_SETTLE_SECONDS": "0.2",
        "COLUMNS": "200",
        **environment,
    }
