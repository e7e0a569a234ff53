"""Files that spoil a load, from landing to the exit code: what the commands say and do."""

import json
from pathlib import Path

from netflix_assets_tests.cli.command import run

HEADER = "userId,movieId,rating,timestamp\n"
TAGS_HEADER = "userId,movieId,tag,timestamp\n"


def land_and_run(home: Path, dataset: str, name: str, content: bytes):
    file = home / name
    file.write_bytes(content)
    assert run(home, "land", str(file)).returncode == 0
    return run(home, "run", "--select", f"raw/{dataset}")


def state(home: Path, dataset: str) -> dict:
    states = json.loads(run(home, "status", "--json").stdout)["datasets"]
    return next(each for each in states if each["dataset"] == dataset)


def test_a_file_of_which_nothing_loads_has_its_own_state_and_exit_code(fresh: Path) -> None:
    bad = HEADER + "x,1,4.5,1\n1,1,4.5\n1,2,9.5,1\n1,3,0.0,1\n"
    done = land_and_run(fresh, "movielens/ratings", "ratings.csv", bad.encode())
    reason = (
        "nothing loaded: all of its 4 records violate the contract. First: line 2: user_id 'x' is not an integer like "
        "42; line 3: 3 fields, but the header has 4; line 4: rating '9.5' is above the maximum 5.0"
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"raw/movielens/ratings: movielens/ratings.csv: {reason}" in done.stderr.splitlines()
    assert (
        "warning: raw/movielens/ratings: 4 rejected rows; no rows loaded from movielens/ratings.csv; see "
        "netflix-assets rejects list" in done.stderr.splitlines()
    )
    ratings = state(fresh, "movielens/ratings")
    assert (ratings["state"], ratings["rows"], ratings["rejected"]) == ("rejected", 0, 4)
    assert [(each["object"], each["reason"]) for each in ratings["without_rows"]] == [("movielens/ratings.csv", reason)]
    shown = run(fresh, "status").stdout
    assert f"movielens/ratings.csv: {reason}" in shown.splitlines()
    # As long as the file is there, each run says so; a file that is refused counts more.
    assert run(fresh, "run", "--select", "raw/movielens/ratings").returncode == 4
    assert land_and_run(fresh, "movielens/ratings", "ratings-2.csv", b"").returncode == 3
    # A file that loads ends the state of the dataset, not that of the file.
    (fresh / "s3" / "landing" / "movielens" / "ratings-2.csv").write_text(HEADER + "1,2,4.5,1\n")
    assert run(fresh, "run", "--select", "raw/movielens/ratings").returncode == 4
    ratings = state(fresh, "movielens/ratings")
    assert (ratings["state"], ratings["rows"], len(ratings["without_rows"])) == ("loaded", 1, 1)
    (fresh / "s3" / "landing" / "movielens" / "ratings.csv").write_text(HEADER + "1,3,4.5,1\n")
    assert run(fresh, "run", "--select", "raw/movielens/ratings").returncode == 0
    assert state(fresh, "movielens/ratings")["without_rows"] == []


def test_escaped_quotes_are_exported_and_landed_back_without_loading(fresh: Path) -> None:
    lines = ['1,1,"he said \\"hi\\" ok",5', '1,2,"ends \\"",6', '1,3,"fine",7', "1,4,good,8"]
    content = TAGS_HEADER + "".join(f"{line}\n" for line in lines)
    assert land_and_run(fresh, "movielens/tags", "tags.csv", content.encode()).returncode == 0
    exported = fresh / "tags-fixed.csv"
    assert run(fresh, "rejects", "export", "movielens/tags", str(exported)).returncode == 0
    assert exported.read_text().splitlines()[1:] == [
        '"1,1,""he said \\""hi\\"" ok"",5",,,,"not a record: movielens/tags.csv line 2: unescaped quote ("") inside a '
        'field; quote the field and double the inner quotes"',
        '"1,2,""ends \\"""",6",,,,"not a record: movielens/tags.csv line 3: opens a quote ("") that is not closed; the '
        'lines after it are records and are read as such"',
    ]
    assert run(fresh, "land", str(exported)).returncode == 0
    assert run(fresh, "run", "--select", "raw/movielens/tags").returncode == 4
    tags = state(fresh, "movielens/tags")
    assert (tags["rows"], tags["rejected"]) == (2, 4)


NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x7f\u202e\u2028"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\r\x7f\u202e\u2028"


def test_control_characters_are_shown_escaped(fresh: Path) -> None:
    content = f'{TAGS_HEADER}1,1,good,1\n"x{NASTY}",2,"{NASTY}\nsecond :smile: [red]line",2\n'
    done = land_and_run(fresh, "movielens/tags", "tags.csv", content.encode())
    name = "tags-\x9b2Jred\u202enext.csv"  # the local S3 itself replaces the control characters of ASCII in names
    (fresh / "s3" / "landing" / "movielens" / name).write_bytes(b"")
    (fresh / "s3" / "landing" / "movielens" / "stray\x9b2J.csv").write_bytes(b"")
    outputs = [done]
    outputs.append(run(fresh, "run", "--select", "raw/movielens/tags"))
    for arguments in (["status"], ["rejects", "list"], ["rejects", "show", "movielens/tags", "1", "2"], ["replay"]):
        outputs.append(run(fresh, *arguments))
    text = "".join(each.stdout + each.stderr for each in outputs)
    shown = outputs[-2].stdout
    assert f'"x{SHOWN}",2,"{SHOWN}\nsecond :smile: [red]line",2\n' in shown
    assert r"tags-\x9b2Jred\u202enext.csv refused: the file is empty" in outputs[2].stdout
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
