"""The dashboards command: it serves the folder of pages on localhost."""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.waiting import free_port, until


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "dashboards", "--no-browser", *arguments],
        env={**os.environ, "NETFLIX_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fetch(process: subprocess.Popen[str], url: str) -> tuple[bytes, Message] | None:
    """A page and its headers, once it is served."""
    try:
        with urllib.request.urlopen(url) as response:
            return response.read(), response.headers
    except urllib.error.URLError:
        assert process.poll() is None
        return None


def test_without_pages_the_command_names_what_to_run(tmp_path: Path) -> None:
    process = start(tmp_path)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "build them with netflix-assets run" in error


def test_the_command_serves_the_folder_until_interrupted(tmp_path: Path) -> None:
    index = tmp_path / "dashboards" / "index.html"
    index.parent.mkdir()
    index.write_text("<h1>Overview</h1>")
    port = free_port()
    process = start(tmp_path, "--port", str(port))
    try:
        page, headers = until(lambda: fetch(process, f"http://127.0.0.1:{port}/"), seconds=30)
        assert (page, headers["Cache-Control"]) == (b"<h1>Overview</h1>", "no-cache")
        second = start(tmp_path, "--port", str(port))
        assert "choose another" in second.communicate(timeout=30)[1]
        assert second.returncode == 1
    finally:
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (0, "")
    assert f"http://127.0.0.1:{port}/" in out
