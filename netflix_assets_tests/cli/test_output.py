"""Progress of long commands where nobody watches a terminal."""

import time

import pytest

from netflix_assets.cli import output


def test_a_log_shows_what_is_going_on_and_for_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "SECONDS_PER_LINE", 0.05)
    with output.spinner("loading definitions") as status:
        time.sleep(0.2)
        status.update(output.progress_text("3 of 90 assets and checks done. Started raw/movielens/ratings"))
        time.sleep(0.2)
    time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert "0 s: loading definitions" in lines
    assert "0 s: 3 of 90 assets and checks done. Started raw/movielens/ratings" in lines
    time.sleep(0.1)
    assert capsys.readouterr().err == "", "a line after the end"


def test_a_command_that_ends_soon_prints_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with output.spinner("checking"):
        pass
    assert capsys.readouterr().err == ""
