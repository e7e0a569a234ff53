"""Group the reasons for rejects: the same fault of another value is the same reason."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MAX_LINES = 3  # line numbers kept of each reason
_VALUE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\(lines [0-9]+ to [0-9]+\)|has [0-9,]+ characters""")


@dataclass(frozen=True)
class RejectReason:
    """One reason: how many records it rejects, the first lines, and its text for the first of them."""

    count: int
    lines: Sequence[int]
    text: str


def group_reasons(rejects: Iterable[tuple[int, str, str]]) -> list[RejectReason]:
    """The reasons of rejects given as (line, columns, reason), the most frequent first."""
    found: dict[tuple[str, str], tuple[int, list[int], str]] = {}
    for line, columns, reason in rejects:
        kind = (columns, _VALUE.sub("…", reason))
        count, lines, first = found.get(kind, (0, [], reason))
        found[kind] = (count + 1, [*lines, line][:_MAX_LINES], first)
    ordered = sorted(found.values(), key=lambda each: -each[0])
    return [RejectReason(count, lines, text) for count, lines, text in ordered]
