"""Tokens of statements that sqlglot does not parse completely: COPY, PUT, REMOVE, CREATE STAGE, ALTER SESSION."""

import re

from netflix_assets_tests.emulator.errors import compilation_error

_TOKEN = re.compile(
    r"""\s*(?:--[^\n]*\n|/\*.*?\*/|
        (?P<token>'(?:[^'\\]|\\.|'')*'|@[^\s()'=]+|"[^"]+"(?:\."[^"]+"|\.\w+)*
            |[\w$]+(?:\.(?:[\w$]+|"[^"]+"))*|[^\s]))""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)

Option = str | list[str] | dict[str, "Option"]


class Tokens:
    """A cursor over the tokens of a statement. Words are compared case-insensitively."""

    def __init__(self, statement: str) -> None:
        matches = (match["token"] for match in _TOKEN.finditer(statement))
        self._tokens = [token for token in matches if token is not None and token != ";"]
        self._at = 0

    def peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise compilation_error("syntax error: unexpected end of the statement")
        self._at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Take these words if they come next."""
        if any(self.peek(ahead).lower() != word for ahead, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise compilation_error(f"syntax error: unexpected '{self.peek()}', expected '{' '.join(words)}'")

    def end(self) -> None:
        if self.peek():
            raise compilation_error(f"syntax error: unexpected '{self.peek()}'")

    def until(self, *words: str) -> list[str]:
        """The tokens before the next of these words outside parentheses."""
        taken: list[str] = []
        depth = 0
        while depth or self.peek().lower() not in words:
            token = self.take()
            depth += {"(": 1, ")": -1}.get(token, 0)
            taken.append(token)
        return taken

    def options(self) -> dict[str, Option]:
        """Parse ``name = value`` up to the end. A value is a token, or a list or options in parentheses."""
        options: dict[str, Option] = {}
        while self.peek() and self.peek() != ")":
            self.accept(",")
            name = self.take().lower()
            self.expect("=")
            if name in options:
                raise compilation_error(f"duplicate option '{name}'")
            options[name] = self._value()
        return options

    def _value(self) -> Option:
        if not self.accept("("):
            return self.take()
        if self.peek(1) == "=":
            options = self.options()
            self.expect(")")
            return options
        values = []
        while not self.accept(")"):
            values.append(self.take())
            if self.peek() != ")":
                self.expect(",")
        return values


def text_of(token: str) -> str:
    """The text of a token: a literal without quotes and escapes, a word unchanged."""
    if not token.startswith("'"):
        return token
    return _ESCAPE.sub(_unescape, token[1:-1])


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    if escaped is None:
        return "'"
    return _ESCAPES.get(escaped, escaped)
