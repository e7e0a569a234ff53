"""Group the reasons for rejects: the same fault of another value is the same reason."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

_MAX_LINES = 3  # line numbers kept of each reason
_VALUE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\(lines [0-9]+ to [0-9]+\)|has [0-9,]+ characters""")


@dataclass(frozen=True)
class RejectReason:
    """One reason: how many records it rejects, the first lines, and its text for the first of them.

    ``columns``: names of the faulty columns, joined by commas; empty where the whole record is at fault.
    """

    count: int
    lines: Sequence[int]
    text: str
    columns: str = ""


def group_reasons(rejects: Iterable[tuple[int, str, str]]) -> list[RejectReason]:
    """The reasons of rejects given as (line, columns, reason), the most frequent first."""
    found: dict[tuple[str, str], RejectReason] = {}
    for line, columns, reason in rejects:
        kind = (columns, _VALUE.sub("…", reason))
        group = found.get(kind, RejectReason(0, (), reason, columns))
        found[kind] = replace(group, count=group.count + 1, lines=(*group.lines, line)[:_MAX_LINES])
    return sorted(found.values(), key=lambda each: -each.count)
