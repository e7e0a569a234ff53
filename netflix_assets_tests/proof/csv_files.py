"""Random contracts, and random valid and invalid CSV files for them, from a seed."""

import codecs
import gzip
import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset, Tolerance
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.proof.csv_oracle import LONGEST_RECORD, packed

KINDS = ("text", "text", "text", "integer", "bigint", "decimal(4,2)", "decimal(38,0)", "date", "boolean")
ENCODINGS = ("utf-8",) * 6 + ("utf-16", "latin-1", "windows-1252")
ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}

# Every file gets one of these features on purpose; most also occur in other files by chance.
FEATURES = (
    "LF", "CRLF", "CR", "mixed line endings", "no final line ending", "blank lines", "byte order mark", "gzip",
    "gzip of several members", "gzip with zeros after it", "all quoted", "some quoted", "line break in a field",
    "doubled quotes", "delimiter in a field", "beyond Latin-1", "combining character", "NBSP", "spaces around a value",
    "long field", "text too long", "record too long", "ragged", "wrong value", "empty value", "quote inside a field",
    "quote opened", "Ctrl-Z", "header reordered",
    "added columns", "unnamed columns", "odd line separators", "many records",
    "header only", "zero bytes", "only blank lines", "column missing", "column renamed", "duplicate column", "NUL",
    "not in its encoding", "truncated in a character", "mark of another encoding", "quote never closed",
    "truncated gzip", "garbage after gzip",
)  # fmt: skip

_NOT_PLAIN = (
    "CR", "mixed line endings", "all quoted", "some quoted", "line break in a field", "doubled quotes",
    "delimiter in a field", "quote inside a field", "quote opened",
)  # fmt: skip
_LATIN = ["a", "Zoë", "naïf", "£ 5", "¿qué?", "Ünïcödé", "NULL", "null", "#x", "\\", "'x'", "''", "=1+1", "-", "2.7"]
_BEYOND = ["日本語", "🎬", "🏳️‍🌈", "Ω≈ç", "שלום", "e\u0301", "a\u0308\u0323", "\U00020000", "ﬁ", "\ufffd"]
_ODD = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\x7f", "\x01", "\xad"]
_WRONG = {
    "integer": ["2.7", "0x10", "1_000", "1e3", "nan", "inf", " 5", "5 ", "2147483648", "-2147483649", "+", "--1", "1,5",
                "1.", "true", "\xb2", "07/11/2026"],
    "bigint": ["9223372036854775808", "-9223372036854775809", "1e3", "x", "1.0", "9" * 40, "1 000"],
    "decimal(4,2)": ["1.234", "100", "-100", "1e1", "nan", "Infinity", "1,5", ".", "1.2.3", "0x1", " 1", "1_0"],
    "decimal(38,0)": ["0.5", "1" + "0" * 38, "-" + "9" * 39, "1e5", "x"],
    "date": ["2026-02-30", "2025-02-29", "0000-01-01", "2026-1-1", "07/11/2026", "2026-01-01 ", "infinity", "20260101",
             "2026-W01-1", "10000-01-01"],
    "boolean": ["t", "yes", "1", "0", "TrUe", "true ", "wahr"],
}  # fmt: skip


@dataclass
class File:
    """A generated file: its bytes and its features."""

    content: bytes
    features: set[str] = field(default_factory=set)


def random_dataset(chance: random.Random, name: str) -> Dataset:
    """A random contract; its first column numbers the records."""
    columns = [make_column("n", "integer", source_name=chance.choice(["", "No", "n°", "a b"]))]
    odd_names = chance.random() < 0.3
    for number in range(chance.choice([0, 1, 2, 3, 4, 6])):
        kind = chance.choice(KINDS)
        names = [f'the "{number}"', f"x;y,{number}", f"|{number}\t"] if odd_names else ["", f"Größe {number}"]
        source_name = chance.choice(names)
        rules = {"max_length": chance.choice([20, 200_000, LONGEST_RECORD])} if kind == "text" else {}
        rules = rules if chance.random() < 0.5 else {}
        columns.append(
            make_column(f"c{number}", kind, nullable=chance.random() < 0.5, source_name=source_name, **rules)
        )
    changes = {} if chance.random() < 0.7 else {"tolerance": Tolerance(rejected_rows=2, rejected_share=0.25)}
    delimiter = chance.choice([",", ",", ",", ";", "\t", "|"])
    changes |= {"dialect": {"delimiter": delimiter}, "encoding": chance.choice(ENCODINGS)}
    return make_dataset(*columns, name=name, **changes)


def random_file(chance: random.Random, dataset: Dataset, wanted: str) -> File:
    """A random file for this dataset, with the wanted feature if the dataset allows it."""
    return _Writer(chance, dataset, wanted).file()


class _Writer:
    def __init__(self, chance: random.Random, dataset: Dataset, wanted: str) -> None:
        self.chance = chance
        self.dataset = dataset
        self.wanted = wanted
        self.features: set[str] = set()
        # Files that validation passes on unchanged: no quotes, one style of line endings.
        self.is_plain = wanted not in _NOT_PLAIN and chance.random() < 0.4

    def has(self, feature: str, share: float) -> bool:
        """Whether the file gets a feature: because it is wanted, or by chance."""
        share = 0 if self.is_plain and feature in _NOT_PLAIN else share
        found = self.wanted == feature or self.chance.random() < share
        if found:
            self.features.add(feature)
        return found

    def file(self) -> File:
        content = self._encoded(self._broken_text(self._text()))
        return File(self._packed(content), self.features)

    # ---------------------------------------------------------------- text

    def _text(self) -> str:
        if self.has("zero bytes", 0):
            return ""
        if self.has("only blank lines", 0):
            return "".join(self.chance.choices(list(ENDS.values()), k=self.chance.randint(1, 4)))
        header = self._header()
        self.quoting = 1.0 if self.has("all quoted", 0.2) else 0.2 if self.has("some quoted", 0.3) else 0.0
        style = self._line_ends()
        count = 0 if self.has("header only", 0) else self._count()
        records = [[self._quoted(name) for name in header]]
        records += [self._record(number, header) for number in range(1, count + 1)]
        parts = []
        blank = self.has("blank lines", 0.2)
        long = self.chance.randint(1, count) if count and self.has("record too long", 0) else None
        for number, record in enumerate(records):
            if blank and self.chance.random() < 0.4:
                parts += [self.chance.choice(style) for _ in range(self.chance.randint(1, 3))]
            end = self.chance.choice(style)
            text = self.dataset.dialect.delimiter.join(record)
            parts += [self._filled(text, end) if number == long else text, end]
        if self.has("no final line ending", 0.2):
            parts.pop()
        return "".join(parts)

    def _line_ends(self) -> list[str]:
        if self.has("mixed line endings", 0.08):
            return list(ENDS.values())
        names = ["LF", "CRLF"] if self.is_plain else ["LF", "LF", "CRLF", "CR"]
        name = self.wanted if self.wanted in ENDS else self.chance.choice(names)
        self.features.add(name)
        return [ENDS[name]]

    def _count(self) -> int:
        return self.chance.randint(50, 400) if self.has("many records", 0.01) else self.chance.randint(1, 10)

    def _header(self) -> list[str]:
        names = [column.file_name for column in self.dataset.columns]
        if self.has("added columns", 0.1):
            for at in range(self.chance.randint(1, 2)):
                names.insert(self.chance.randint(0, len(names)), f"more {at}")
        if self.has("unnamed columns", 0.03):
            names += [""] * self.chance.randint(1, 3)
        if len(names) > 1 and self.has("header reordered", 0.2):
            self.chance.shuffle(names)
        own = names.index(self.chance.choice(self.dataset.columns).file_name)
        if self.has("column missing", 0) and len(names) > 1:
            del names[own]
        elif self.has("column renamed", 0):
            names[own] = names[own] + "X"
        elif self.has("duplicate column", 0):
            names.append(names[own])
        return names

    def _record(self, number: int, header: list[str]) -> list[str]:
        columns = {column.file_name: column for column in self.dataset.columns}
        fields = [
            self._quoted(str(number) if name == columns_first(self.dataset) else self._value(columns.get(name)))
            for name in header
        ]
        if self.has("ragged", 0.02):
            if self.chance.random() < 0.5 and len(fields) > 1:
                del fields[self.chance.randrange(len(fields))]
            else:
                at = self.chance.choice([len(fields), self.chance.randint(0, len(fields))])
                fields.insert(at, "" if self.is_plain else self.chance.choice(["", "x", '""']))
        if self.has("quote inside a field", 0.02):
            bad = ['a"b', '5"', '"a"b', '"a" ', '"a""b"c', ' "a"']
            fields[self.chance.randrange(len(fields))] = self.chance.choice(bad)
        if self.has("quote opened", 0.02):
            fields[self.chance.randrange(len(fields))] = self.chance.choice(['"a', '"', '5" a', '"a""b'])
        return fields

    def _filled(self, record: str, end: str) -> str:
        """The record padded to the maximum length with its line ending, or a byte or two shorter or longer."""
        return record + "x" * (LONGEST_RECORD - len((record + end).encode()) + self.chance.choice([-1, 0, 1, 2]))

    def _value(self, column: Column | None) -> str:
        if column is None or column.type == "text":
            return "" if self.has("empty value", 0.05) else self._any_text()
        if self.has("empty value", 0.04):
            return ""
        if self.has("wrong value", 0.03):
            return self.chance.choice(_WRONG[column.type])
        return self._right_value(column.type)

    def _right_value(self, kind: str) -> str:
        chance = self.chance
        if kind in ("integer", "bigint"):
            bound = 2 ** (31 if kind == "integer" else 63)
            number = chance.choice([chance.randint(-99, 99), chance.randrange(-bound, bound), bound - 1, -bound, 0])
            return chance.choice(["", "", "+", "00"]) + str(number) if number >= 0 else str(number)
        if kind == "date":
            return str(date.min + timedelta(days=chance.randrange((date.max - date.min).days)))
        if kind == "boolean":
            return chance.choice(["true", "True", "TRUE", "false", "False", "FALSE"])
        if kind == "decimal(38,0)":
            return chance.choice(["9" * 38, "-" + "9" * 38, "5.000", "0" * 50 + "7", str(chance.randrange(10**20))])
        return chance.choice(["1.5", "-99.99", "99.99", ".5", "7.", "1.500", "+0", "-0.00", str(chance.randrange(100))])

    def _any_text(self) -> str:
        chance = self.chance
        pieces = [chance.choice(_LATIN)]
        if self._can_encode("日") and self.has("beyond Latin-1", 0.2):
            pieces.append(chance.choice(_BEYOND))
        if self._can_encode("\u0301") and self.has("combining character", 0.05):
            pieces.append(chance.choice(["e\u0301", "a\u0308\u0323", "\u200d"]))
        for feature, texts in (
            ("NBSP", ["\xa0"]),
            ("odd line separators", _ODD + (["\u2028", "\u2029"] if self._can_encode("\u2028") else [])),
            ("line break in a field", ["\n", "\r\n", "\r", "\n\n"]),
            ("doubled quotes", ['"', '""', '","']),
            ("delimiter in a field", [self.dataset.dialect.delimiter]),
        ):
            if self.has(feature, 0.05):
                pieces.insert(chance.randint(0, len(pieces)), chance.choice(texts))
        if self.has("spaces around a value", 0.05):
            pieces = [" ", *pieces, "  "]
        if self.has("long field", 0.002):
            pieces.append(
                chance.choice(["x", "é"] if self.is_plain else ["x", "é", "\n", '"'])
                * chance.choice([5_000, 70_000, 140_000, 400_000])
            )
        if self.has("text too long", 0.005):
            pieces.append("é" * chance.choice([20, 65_536]))
        text = "".join(pieces)
        return text if self._can_encode(text) else chance.choice(_LATIN)

    def _can_encode(self, text: str) -> bool:
        try:
            text.encode(self.dataset.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def _quoted(self, text: str) -> str:
        needs = any(mark in text for mark in (self.dataset.dialect.delimiter, '"', "\r", "\n"))
        if needs or self.chance.random() < self.quoting:
            return '"' + text.replace('"', '""') + '"'
        return text

    # ---------------------------------------------------------------- faults of the whole file, bytes

    def _broken_text(self, text: str) -> str:
        if self.has("quote never closed", 0):
            text += '\n7,"never closed\n8,x\n'.replace(",", self.dataset.dialect.delimiter)
        if self.has("Ctrl-Z", 0.02):
            text += self.chance.choice(["\x1a", "\x1a\x1a", "\r\n\x1a", "\x1a\n"])
        if self.has("NUL", 0):
            at = self.chance.randint(0, len(text))
            text = text[:at] + "\0" + text[at:]
        return text

    def _encoded(self, text: str) -> bytes:
        encoding = self.dataset.encoding
        content = text.encode("utf-16-le" if encoding == "utf-16" else encoding)
        mark = {"utf-8": codecs.BOM_UTF8, "utf-16": codecs.BOM_UTF16_LE}.get(encoding, b"")
        content = self._broken_bytes(content)
        if self.wanted == "mark of another encoding":
            self.features.add(self.wanted)
            return (codecs.BOM_UTF16_BE if encoding == "utf-8" else codecs.BOM_UTF8) + content
        if encoding == "utf-16" and self.chance.random() < 0.3:
            mark, content = codecs.BOM_UTF16_BE, _swapped(content)
        return mark + content if encoding == "utf-16" or (mark and self.has("byte order mark", 0.2)) else content

    def _broken_bytes(self, content: bytes) -> bytes:
        wrong = {"utf-8": b"\xe9x", "utf-16": b"\x00\xdcx\x00", "windows-1252": b"\x81"}.get(self.dataset.encoding)
        half = {"utf-8": "🎬".encode()[:-1], "utf-16": b"x"}.get(self.dataset.encoding)
        if wrong and self.has("not in its encoding", 0):
            at = content.find(b"\n") + (2 if self.dataset.encoding == "utf-16" else 1) if b"\n" in content else 0
            return content[:at] + wrong + content[at:]
        if half and self.has("truncated in a character", 0):
            return content + half
        return content

    def _packed(self, content: bytes) -> bytes:
        kinds = ("gzip of several members", "gzip with zeros after it", "truncated gzip", "garbage after gzip")
        if self.wanted not in kinds and not self.has("gzip", 0.15):
            return content
        self.features.add("gzip")
        if self.has("gzip of several members", 0.1):
            at = self.chance.randint(0, len(content))
            return packed(content[:at]) + packed(content[at:])
        if self.has("gzip with zeros after it", 0.05):
            return packed(content) + bytes(self.chance.randint(1, 600))
        if self.has("truncated gzip", 0):
            whole = packed(content)
            return whole[: self.chance.randint(3, len(whole) - 1)]
        if self.has("garbage after gzip", 0):
            return gzip.compress(content, mtime=0) + b"garbage"
        return packed(content)


def columns_first(dataset: Dataset) -> str:
    """The file's name for the column that numbers the records."""
    return dataset.columns[0].file_name


def _swapped(content: bytes) -> bytes:
    """UTF-16 with the byte order swapped; an odd last byte stays."""
    whole = len(content) // 2 * 2
    swapped = bytearray(content)
    swapped[0:whole:2], swapped[1:whole:2] = content[1:whole:2], content[0:whole:2]
    return bytes(swapped)
