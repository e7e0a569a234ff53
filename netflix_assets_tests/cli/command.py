"""The installed command, started as a user starts it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from netflix_assets_tests.demo import COMMAND


def run(
    home: Path, *arguments: str, through: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``netflix-assets`` with these arguments and variables in a home; its output is captured.

    ``through``: a command that starts it.
    """
    return subprocess.run(
        [*through, COMMAND, *arguments],
        env={
            **os.environ,
            "NETFLIX_HOME": str(home),
            "NETFLIX_SETTLE_SECONDS": "0.2",
            "COLUMNS": "200",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
