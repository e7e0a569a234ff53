"""The setup and teardown scripts of deploy/snowflake, split into statements."""

import re
from collections import defaultdict

import sqlglot
from sqlglot.tokens import TokenType

ENVS = ("dev", "staging", "production")
SERVING_SCHEMAS = ("CORE", "MARTS", "CORE_NEXT", "MARTS_NEXT")
CREATED = re.compile(r"create (?:or replace )?(?P<kind>[a-z ]+?) (?:if not exists )?(?P<name>NETFLIX_\S+)")
DROPPED = re.compile(r"drop (?P<kind>[a-z ]+?) if exists (?P<name>NETFLIX_\S+)")


def statements(sql: str) -> list[str]:
    """The statements of a file, each on one line and without comments."""
    texts, first, last = [], None, None
    for token in sqlglot.tokenize(sql, dialect="snowflake"):
        if token.token_type is TokenType.SEMICOLON:
            texts.append(" ".join(sql[first : last + 1].split()))
            first = None
        else:
            first, last = token.start if first is None else first, token.end
    assert first is None, "the last statement has no semicolon"
    return texts


def objects(script: list[str], verb: re.Pattern[str]) -> dict[str, set[str]]:
    """The names in the statements that ``verb`` matches, by kind of object."""
    names: dict[str, set[str]] = defaultdict(set)
    for match in filter(None, map(verb.match, script)):
        names[match["kind"]].add(match["name"])
    return names
