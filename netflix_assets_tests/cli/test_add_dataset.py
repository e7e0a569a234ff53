"""``add-dataset``, with the files that it writes into a copy of the contracts and of the dbt project."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from netflix_assets.contracts.loading import CONTRACTS_DIR, load_source
from netflix_assets.dev import add_dataset
from netflix_assets.dev.add_dataset import FileChange, write_changes
from netflix_assets.settings import REPO
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.defs.dbt.rules import RULES, Project

SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Copy:
    """A copy of contracts and dbt project, and a home."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            "NETFLIX_CONTRACTS": str(self.folder / "contracts"),
            "NETFLIX_DBT_PROJECT": str(self.folder / "dbt"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.folder / "home", *arguments, **self.variables)

    def content(self) -> Mapping[Path, bytes]:
        folders = (self.folder / "contracts", self.folder / "dbt")
        return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}

    def write(self, name: str, text: str, encoding: str = "utf-8") -> str:
        path = self.folder / name
        path.write_text(text, encoding=encoding)
        return str(path)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    shutil.copytree(CONTRACTS_DIR, tmp_path / "contracts", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copytree(REPO / "dbt", tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs", ".user.yml"))
    return Copy(tmp_path)


def european(count: int = 120) -> str:
    lines = [f"{i};Müller {i % 7};{i % 28 + 1:02}.03.2024;1.{i:03},50;{i if i % 9 else 'NA'}\n" for i in range(count)]
    return "Beleg-Nr;Kunde;Buchungstag;Betrag;Menge\n" + "".join(lines)


def test_a_new_source_is_written_and_its_files_load(copy: Copy) -> None:
    file = copy.write("umsatz-2024-03.csv", european(), "latin-1")
    done = copy.run("add-dataset", file, "--source", "bank", "--owner", "team:finance")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bank/umsatz: looked at 1 file, 120 records, all of them" in done.stdout
    assert "umsatz-2024-03.csv: 120 records, 120 rows would load" in done.stdout
    assert f"To load: netflix-assets land {file} && netflix-assets run" in done.stdout
    source = load_source(copy.folder / "contracts" / "bank.yaml")
    (dataset,) = source.datasets
    assert source.owners == ("team:finance",)
    assert {column.name: column.type for column in dataset.columns} == {
        "beleg_nr": "integer", "kunde": "text", "buchungstag": "date", "betrag": "decimal(9,2)", "menge": "integer",
    }  # fmt: skip
    assert (dataset.encoding, dataset.mode, dataset.key) == ("latin-1", "append", ("beleg_nr",))
    folder = copy.folder / "dbt" / "models" / "staging" / "bank"
    assert sorted(path.name for path in folder.iterdir()) == [
        "_bank__sources.yml", "stg_bank__umsatz.sql", "stg_bank__umsatz.yml",
    ]  # fmt: skip
    core = copy.folder / "dbt" / "models" / "core"
    assert {"fct_umsatz.sql", "fct_umsatz.yml"} <= {path.name for path in core.iterdir()}
    assert "Every record of every file is a row." in " ".join((core / "fct_umsatz.yml").read_text().split())
    checked = copy.run("contract", "check", file)
    assert (checked.returncode, "120 rows would load" in checked.stdout) == (0, True)


def test_a_dry_run_shows_the_same_and_writes_nothing(copy: Copy) -> None:
    file = copy.write("umsatz.csv", european())
    before = copy.content()
    dry = copy.run("add-dataset", file, "--source", "bank", "--dry-run")
    assert (dry.returncode, "Nothing is written" in dry.stdout) == (0, True)
    assert copy.content() == before
    done = copy.run("add-dataset", file, "--source", "bank")
    assert done.stdout.splitlines()[:-3] == dry.stdout.splitlines()[:-1]
    assert copy.content() != before


def test_an_entry_is_added_to_a_source_and_the_rest_of_its_file_stays(copy: Copy) -> None:
    path = copy.folder / "contracts" / "movielens.yaml"
    before = path.read_text(encoding="utf-8")
    file = copy.write("reviews.csv", "reviewId,order,stars\n1,2,4.5\n2,3,5.0\n")
    done = copy.run("add-dataset", file, "--source", "movielens")
    assert done.returncode == 0, done.stdout + done.stderr
    after = path.read_text(encoding="utf-8")
    assert after.startswith(before)
    assert "    dialect" not in after.removeprefix(before)
    reviews = load_source(path).datasets[-1]
    assert [column.name for column in reviews.columns] == ["review_id", "order_", "stars"]
    assert (reviews.mode, reviews.key) == ("overwrite", ("review_id",))


def test_a_later_delivery_shows_what_would_change_and_writes_nothing(copy: Copy) -> None:
    copy.run("add-dataset", copy.write("sales-1.csv", "id,n,label\n1,2,a\n2,3,b\n"), "--source", "shop")
    before = copy.content()
    same = copy.run("add-dataset", copy.write("sales-2.csv", "id,n,label\n3,4,c\n"), "--source", "shop")
    assert (same.returncode, "The contract of shop/sales fits" in same.stdout) == (0, True), same.stdout
    third = copy.write("sales-3.csv", "id,n,label,price\n3,4.5,,1.50\n4,7,d,2\n")
    later = copy.run("add-dataset", third, "--source", "shop")
    assert later.returncode == 0
    shown = later.stdout[later.stdout.index("would have to change") :]
    assert "new column" in shown
    assert "price (decimal(9,2))" in shown
    assert "n: integer -> decimal(9,1)" in shown
    assert "n '4.5' is not an integer like 42" in shown
    assert "nullable: true" in shown
    assert copy.content() == before


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("id,n\n1,2\n2,3,4\n", 0, "fits, except for 1 rejected record"),
        ("id,n\n1;2\n2;3\n", 4, "does not fit: no record of sales-2.csv would load, for the reason above"),
        ("id,n\n1,1.500\n2,2.750\n", 4, "n: integer -> decimal(9,3)"),
    ],
)
def test_a_delivery_that_does_not_load_does_not_fit(copy: Copy, content: str, code: int, says: str) -> None:
    copy.run("add-dataset", copy.write("sales-1.csv", "id,n\n1,2\n2,3\n"), "--source", "shop", "--key", "")
    later = copy.run("add-dataset", copy.write("sales-2.csv", content), "--source", "shop")
    assert (later.returncode, says in later.stdout) == (code, True), later.stdout + later.stderr
    assert "nothing to change" not in later.stdout
    assert "missing values" not in later.stdout


def test_rows_that_will_be_rejected_are_named(copy: Copy) -> None:
    lines = "".join(f"{i},{i}\n" for i in range(200))
    done = copy.run("add-dataset", copy.write("odd.csv", f"id,n\n{lines}200,many\n"))
    assert done.returncode == 0
    assert "1 rejected, line 202: n 'many' is not an integer like 42" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "arguments", "code", "says"),
    [
        ("empty.csv", "", (), 3, "is empty"),
        ("twice.csv", "a,b,a\n1,2,3\n", (), 3, "column 'a' twice"),
        ("x.csv", "a,b\n1,2\n", ("--source", "My shop"), 2, "--source 'My shop' is not snake_case; try 'my_shop'"),
        ("файл.csv", "a,b\n1,2\n", (), 2, "Choose one with --name"),
        ("x.csv", "a,b\n1,2\n", ("--key", "a,c"), 2, "--key: the files have no column 'c'; they have a, b"),
        ("x.csv", "b,a\n2,1\n3,\n4,5\n", ("--key", "a"), 0, "missing in 1; the key rejects 1 record"),
        ("x.csv", "id,b\n1,2\n", ("--key", ""), 0, "as --key says"),
        ("x.json", '[{"id":1},{"id":2}]', (), 3, "x.json: the file is a JSON array; write one object per line"),
        ("x.json", '[\n  {\n    "id": 1\n  }\n]\n', (), 3, "x.json: the file is a JSON array; write one object per"),
        ("x.json", '{\n  "id": 1\n}\n', (), 3, "x.json: no line of the file is a valid JSON object"),
        ("x.json", "{}\n", (), 3, "x.json: no object in the file has a member"),
        ("x.json", '{"data":[{"id":1},{"id":2}],"next":"a"}', (), 3, "records are in its member 'data'"),
        ("x.json", '{"id":7,"lines":[{"n":1},{"n":2}]}', (), 0, "1 record, 1 row would load"),
        ("tags.csv", "a,b\n1,2\n", ("--source", "movielens_x", "--name", "tags"), 0, "movielens_x/tags"),
        ("y.csv", "a,b\n1,2\n", ("--source", "movielens", "--name", "tags"), 3, "movielens/tags would have to change"),
    ],
)
def test_what_cannot_be_added(
    copy: Copy, name: str, content: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    before = copy.content()
    done = copy.run("add-dataset", copy.write(name, content), *arguments)
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
    assert (copy.content() == before) == (code != 0)


@pytest.mark.parametrize("fails_at", range(3))
def test_nothing_is_half_written(tmp_path: Path, fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "old.yml"
    old.write_text("old")
    changes = [
        FileChange(old, "old", "new"),
        FileChange(tmp_path / "made" / "a.sql", None, "a"),
        FileChange(tmp_path / "made" / "b.yml", None, "b"),
    ]
    replace, calls = Path.replace, iter(range(9))

    def fail(self: Path, target: Path) -> Path:
        if next(calls) == fails_at:
            raise OSError("no space left on device")
        return replace(self, target)

    monkeypatch.setattr(add_dataset.Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_changes(changes)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("old.yml")]
    assert old.read_text() == "old"


@pytest.mark.long
def test_what_is_written_follows_the_rules_of_the_project(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt parses it without a warning; sqlfluff, the project's rules and dbt_sources find no fault."""
    for name, text, arguments in (
        ("umsatz-2024-03.csv", european(), ("--source", "bank")),
        ("films.csv", "a,b_id,year,seen\n1,2,2000,yes\n1,3,2000,no\n", ("--source", "bank")),
        ("log.csv", "x,y\n1,1.5\n1,1.5\n", ("--source", "bank")),
        ("reviews.csv", "reviewId,stars\n1,4.5\n", ("--source", "movielens")),
    ):
        done = copy.run("add-dataset", copy.write(name, text), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    home = copy.folder / "home"
    environment = {
        **os.environ, **copy.variables, "NETFLIX_HOME": str(home), "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
    }  # fmt: skip
    for command, folder in (
        ([SCRIPTS / "dbt", "--warn-error", "parse"], copy.folder / "dbt"),
        ([SCRIPTS / "python", "-m", "netflix_assets.dev.dbt_sources", "--check"], REPO),
    ):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("NETFLIX_CONTRACTS", str(copy.folder / "contracts"))
    project = Project.read(home / "target" / "manifest.json", copy.folder / "dbt")
    assert [fault for rule in RULES for fault in rule(project)] == []
    shutil.copy(REPO / "setup.cfg", copy.folder / "setup.cfg")
    models = copy.folder / "dbt/models"
    new = [path for name in ("bank", "movielens") for path in (models / "staging" / name).glob("*.sql")]
    core = [models / "core" / f"{name}.sql" for name in ("fct_umsatz", "dim_films", "fct_log", "dim_reviews")]
    new += core
    done = subprocess.run(
        [SCRIPTS / "sqlfluff", "lint", *(path.relative_to(copy.folder) for path in new)],
        cwd=copy.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
