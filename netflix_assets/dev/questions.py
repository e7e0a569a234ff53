"""The questions that the marts answer: ``python -m netflix_assets.dev.questions WAREHOUSE`` writes docs/questions.md.

Belongs here: reading the questions (dbt/analyses/questions, the one place where question and query stand) and writing
them with their answers. Does not belong here: what an answer is made of; that is the mart's business.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from netflix_assets.settings import REPO, current_settings

Answer = tuple[Sequence[str], Sequence[Sequence[Any]]]  # names of the columns, rows

PAGE = REPO / "docs" / "questions.md"

_REF = re.compile(r"\{\{ ref\('(mart_\w+)'\) \}\}")
_TEXT_CHARACTERS = 60

_INTRODUCTION = """\
# Questions and answers

<!-- Written by `make questions` from dbt/analyses/questions and a warehouse: change those, not this. -->

Each question is answered by one query of one mart; paste it into any client of the published marts
(`$NETFLIX_HOME/published/current/netflix.duckdb`, on Snowflake the database `..._SERVING`). The query's source is the
file in `dbt/analyses/questions` that is named beside it.

The answers below are the first rows on [MovieLens' ml-latest-small](https://grouplens.org/datasets/movielens/latest/)
(100,836 ratings, 9,742 films, 610 users, 1996 to 2018) and a catalogue of Netflix with 5,850 titles and 77,801 credits.
They show how an answer looks and how far it can be trusted; 610 users do not tell what people like.
"""


@dataclass(frozen=True)
class Question:
    """A question; ``number``: by the file's name, ``reading``: how to read the answer, ``sql``: as a client runs it."""

    name: str
    number: int
    text: str
    reading: str
    mart: str
    sql: str


class QuestionError(ValueError):
    """A question that cannot be asked: no query, or not a query of one mart; the message names it."""


def questions(dbt_project: Path) -> list[Question]:
    """Every question of the dbt project, by number.

    Raises:
        QuestionError: a query without a question, a question without a query, or a query of none or several marts.
    """
    folder = dbt_project / "analyses" / "questions"
    entries = yaml.safe_load((folder / "_questions.yml").read_text(encoding="utf-8"))["analyses"]
    described, written = {entry["name"] for entry in entries}, {file.stem for file in folder.glob("*.sql")}
    if described != written:
        raise QuestionError(f"only one of question and query is there: {', '.join(sorted(described ^ written))}")
    return sorted((_question(entry, folder) for entry in entries), key=lambda each: each.number)


def _question(entry: dict[str, Any], folder: Path) -> Question:
    name = entry["name"]
    text = (folder / f"{name}.sql").read_text(encoding="utf-8").strip()
    marts = _REF.findall(text)
    sql = _REF.sub(r"marts.\1", text)
    if len(set(marts)) != 1 or "{{" in sql or "{%" in sql:
        raise QuestionError(f"{name}: not a plain query of one mart")
    return Question(
        name=name,
        number=int(name[1:3]),
        text=entry["config"]["meta"]["question"],
        reading=" ".join(entry["description"].split()),
        mart=marts[0],
        sql=sql,
    )


def page(asked: Iterable[Question], answer: Callable[[str], Answer]) -> str:
    """The Markdown page; ``answer`` runs a query."""
    return "\n".join([_INTRODUCTION, *(line for each in asked for line in _section(each, answer(each.sql)))])


def without_answers(text: str) -> str:
    """The page without the rows of its answers: what must follow from the questions alone."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


def _section(question: Question, answer: Answer) -> Iterator[str]:
    names, rows = answer
    yield f"## {question.number}. {question.text}"
    yield ""
    yield f"{question.reading} (`{question.name}`, mart `{question.mart}`)"
    yield ""
    yield f"```sql\n{question.sql}\n```"
    yield ""
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    yield ""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= _TEXT_CHARACTERS else f"{text[: _TEXT_CHARACTERS - 1]}…"


def main() -> None:
    """Write docs/questions.md from a warehouse, or with --check say that it asks something else than dbt does."""
    import duckdb

    settings = current_settings()
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "warehouse", nargs="?", type=Path, default=settings.warehouse_file, help="a DuckDB file with the schema marts"
    )
    parser.add_argument("--check", action="store_true", help="compare questions and queries, exit 1 where they differ")
    parser.add_argument("--output", type=Path, default=PAGE, help="the file to write")
    arguments = parser.parse_args()
    asked = questions(settings.dbt_project)
    if arguments.check:
        if not is_current(asked, arguments.output):
            sys.exit(f"{arguments.output.name} asks something else than dbt/analyses/questions: make questions")
        return
    with duckdb.connect(str(arguments.warehouse), read_only=True) as connection:

        def answer(sql: str) -> Answer:
            found = connection.execute(sql)
            return [column[0] for column in found.description], found.fetchall()

        arguments.output.write_text(page(asked, answer), encoding="utf-8")


def is_current(asked: Iterable[Question], file: Path) -> bool:
    """Whether the page has these questions, readings and queries, whatever its answers."""
    expected = page(asked, lambda sql: ([], []))
    return file.exists() and without_answers(file.read_text(encoding="utf-8")) == without_answers(expected)


if __name__ == "__main__":
    main()
