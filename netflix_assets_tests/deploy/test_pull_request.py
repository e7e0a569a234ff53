"""The make targets of a pull request, from git to the comment. The tables are tested in ``cli/test_branch.py``."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from netflix_assets.settings import REPO

# GitHub's CLI, as far as `make pr-comment` uses it. It keeps the comments in a file.
GH = """#!/usr/bin/env python3
import json, re, sys
from pathlib import Path
file = Path(__file__).with_name("comments.json")
comments = json.loads(file.read_text())
match sys.argv[1:]:
    case ["api", "--paginate", "repos/{owner}/{repo}/issues/7/comments", "--jq", query]:
        start = re.fullmatch(r'\\.\\[\\] \\| select\\(\\.body \\| startswith\\("([^"]+)"\\)\\) \\| \\.id', query)[1]
        print(*(each["id"] for each in comments if each["body"].startswith(start)), sep="\\n")
    case ["api", "--silent", "--method", "PATCH", address, "--field", field]:
        (found,) = (each for each in comments if address == "repos/{owner}/{repo}/issues/comments/%d" % each["id"])
        found["body"] = Path(field.removeprefix("body=@")).read_text()
    case ["pr", "comment", "7", "--body-file", body]:
        comments.append({"id": 100 + len(comments), "body": Path(body).read_text()})
    case other:
        sys.exit(f"unknown: {other}")
file.write_text(json.dumps(comments))
"""


def make(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join([*([str(path)] if path else []), os.environ["PATH"]])
    return subprocess.run(
        ["make", "--file", str(REPO / "Makefile"), "--directory", str(folder), *arguments],
        env={**os.environ, "PATH": search},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_comment_is_updated_and_not_repeated(tmp_path: Path) -> None:
    mark = "<!-- what this pull request changes in the data -->\n"
    comments, diff = tmp_path / "bin" / "comments.json", tmp_path / "build" / "pr" / "diff.md"
    for folder in (comments.parent, diff.parent):
        folder.mkdir(parents=True)
    (comments.parent / "gh").write_text(GH)
    (comments.parent / "gh").chmod(0o755)
    others = [{"id": 1, "body": "Deployed."}, {"id": 2, "body": f"> {mark}quoted"}]
    comments.write_text(json.dumps(others))
    for text in (f'{mark}### Data: 1 of 39 tables differs\n`$(x)` "é"\n', f"{mark}### Data: nothing differs\n"):
        diff.write_text(text)
        done = make(tmp_path, "pr-comment", "PR=7", path=comments.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        *rest, comment = json.loads(comments.read_text())
        assert (rest, comment["body"]) == (others, text)


@pytest.mark.parametrize("target", ["pr-build", "pr-diff", "pr-comment", "pr-drop"])
def test_without_a_number_nothing_runs(target: str, tmp_path: Path) -> None:
    done = make(tmp_path, target)
    assert done.returncode == 2
    assert f"Usage: make {target} PR=7" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_base_is_where_the_branch_started(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def commit(text: str) -> None:
        (tmp_path / "file").write_text(text)
        git("add", "file")
        git("commit", "--message", text)

    git("init", "--initial-branch", "main")
    commit("started from")
    git("switch", "--create", "branch")
    commit("of the branch")
    git("switch", "main")
    commit("later, on main")
    git("switch", "branch")
    done = make(tmp_path, "pr-code", "BASE=main")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "pr" / "base" / "file").read_text() == "started from"
    (tmp_path / "build" / "pr" / "base" / "left over").touch()
    make(tmp_path, "pr-code", "BASE=main")
    assert [each.name for each in (tmp_path / "build" / "pr" / "base").iterdir()] == ["file"]
    assert make(tmp_path, "pr-code", "BASE=unknown").returncode == 2
