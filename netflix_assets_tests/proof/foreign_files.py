"""Small files as other people's tools write them, and polluted copies of them, always the same ones."""

import codecs
import csv
import gzip
import io
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path

SEED = "2026-11-29"
ALL_STYLES = 180  # enough files for all styles and half as many polluted copies

HEADER = ["id", "title", "year", "note"]
ROWS = [
    ["1", "Amélie", "2001", "fine"],
    ["2", "Se7en", "1995", ""],
    ["3", "Léon", "1994", "seen twice"],
    ["4", "Up", "2009", "a b c"],
    ["5", "Heat", "1995", "-"],
    ["6", "Alien", "1979", "=1+1"],
]
TABLE = [HEADER, *ROWS]
PLAIN = ",".join(HEADER) + "\n1,Heat,1995,x\n2,Up,2009,y\n3,Alien,1979,z\n"


@dataclass(frozen=True)
class Made:
    """A generated file.

    ``rejects``: how many records it must have rejected; None where it must be refused. ``is_open``: whatever the oracle
    finds right may happen instead.
    """

    name: str
    content: bytes
    rejects: int | None = 0
    is_open: bool = False


def make_files(folder: Path, number_of_files: int) -> list[Made]:
    """Write so many files into a folder: each style once, then polluted copies; a few of both if they are few."""
    files = [*islice(chain(_styles(), _polluted()), max(number_of_files, ALL_STYLES))]
    random.Random(SEED).shuffle(files)  # noqa: S311
    for number, file in enumerate(files[:number_of_files]):
        path = folder / f"{number:03}" / file.name
        path.parent.mkdir(parents=True)
        path.write_bytes(file.content)
    return files[:number_of_files]


def written(rows: Iterable[list[str]], delimiter: str = ",", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    """Rows as Python's csv module writes them."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return text.getvalue()


# ---------------------------------------------------------------- styles


def _styles() -> Iterator[Made]:
    for kind in (_dialects, _encodings, _shapes, _quotes, _headers, _exports, _not_csv):
        for name, content, *rejects in kind():
            suffix = "" if "." in name else ".csv"
            yield Made(name + suffix, content.encode() if isinstance(content, str) else content, *rejects)


def _dialects() -> Iterator[tuple]:
    for name, delimiter in {"comma": ",", "semicolon": ";", "tab.tsv": "\t", "pipe": "|"}.items():
        yield name, written(TABLE, delimiter)
        yield f"all quoted {name}", written(TABLE, delimiter, "\r\n", csv.QUOTE_ALL)
    yield "CRLF", written(TABLE, end="\r\n")
    yield "CR", written(TABLE, end="\r")
    yield "mixed line endings", "a,b\n1,2\r\n3,4\r5,6\n\r7,8\r\n"
    yield "no final line ending", PLAIN.rstrip()
    yield "blank lines", "\n\n" + PLAIN.replace("\n", "\n\r\n\n")
    yield "lines of spaces", "a,b\n1,2\n   \n3,4\n", 1
    yield "UPPER CASE.CSV", PLAIN
    yield "Üm läut & (1).csv", PLAIN
    yield "packed.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)
    yield "PACKED.CSV.GZ", gzip.compress(PLAIN.encode(), mtime=0) * 1
    yield "gzip under a plain name", gzip.compress(PLAIN.encode(), mtime=0)


def _encodings() -> Iterator[tuple]:
    text = written(TABLE)
    yield "UTF-8 with a mark", codecs.BOM_UTF8 + text.encode()
    yield "UTF-16 little endian", codecs.BOM_UTF16_LE + text.encode("utf-16-le")
    yield "UTF-16 big endian", codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    yield "UTF-16 without a mark", text.encode("utf-16-le"), None
    yield "UTF-32", text.encode("utf-32"), None
    yield "Windows-1252", text.encode("windows-1252")
    yield "Euro sign in Windows-1252", "price\n5 €\n".encode("windows-1252")
    yield "Shift JIS", "名前,点\n山田,5\nソ,6\n".encode("shift_jis")
    yield "mixed encodings", b"a,b\n1,Am\xc3\xa9lie\n2,Am\xe9lie\n"
    yield "two marks", codecs.BOM_UTF8 * 2 + PLAIN.encode()
    yield "mark inside", PLAIN.replace("Up", "\ufeffUp")
    yield "mark before a quote", codecs.BOM_UTF8 + b'"a","b"\n"1","2"\n'
    yield "emoji", "n,what\n1,🎬🏳️‍🌈\n2,👩‍👩‍👧\n"
    yield "right to left", "n,כותרת,عنوان\n1,שלום,مرحبا\n2,\u202eabc\u202c,\u200f\n"
    yield "zero-width characters", "n,what\n1,a\u200bb\n2,\u200d\n3,\u2060\n"
    yield "combining characters", "n,what\n1,e\u0301\n2,é\n"
    yield "control characters", "n,what\n1,\x01\x02\n2,\x1b[31mred\x1b[0m\n3,\x7f\n4,\x0b\x0c\n"
    yield "unusual line separators", "n,what\n1,a\u2028b\n2,a\u2029b\n3,a\x85b\n4,a\x1cb\x1e\n"
    yield "NUL byte", "a,b\n1,x\0y\n", None
    yield "NULs at the end", PLAIN + "\0" * 512, None
    yield "Ctrl-Z at the end", PLAIN + "\x1a", 0, True
    yield "Ctrl-Z after the last value", PLAIN.rstrip() + "\x1a\r\n\x1a", 0, True


def _shapes() -> Iterator[tuple]:
    yield "ragged", "a,b,c\n1,2,3\n1,2\n1,2,3,4\n1\n1,2,3\n", 3
    yield "trailing delimiters everywhere", "a,b,\n1,2,\n3,4,\n"
    yield "trailing delimiters in the records", "a,b\n1,2,\n3,4,\n5,6\n", 2
    yield "many trailing delimiters", "a,b,,,,\n1,2,,,,\n,,,,,\n"
    yield "short last record", PLAIN + "4,Ran", 1
    yield "one column", "name\nx\ny y\n\nz\n"
    yield "one column of quoted empty values", 'name\n""\nx\n""\n'
    yield "one column of quoted texts", 'name\n"a,b"\n"c\nd"\n'
    yield "1,000 columns", written([[f"column {n}" for n in range(1000)], *[[str(n) for n in range(1000)]] * 3])
    yield "1,000 empty columns", written([[f"x{n}" for n in range(1000)], [""] * 1000, ["a", *[""] * 999]])
    yield "only empty values", "a,b,c\n,,\n,,\n,,\n"
    yield "spaces around values", "a , b\n 1 , 2 \n\t3\t,  \n"
    yield "long values", "a,b\n" + "x" * 8000 + ",1\n2," + "é" * 4000 + "\n"
    yield "many records", "n,square\n" + "".join(f"{n},{n * n}\n" for n in range(3000))
    yield "identical records", "a,b\n" + "1,2\n" * 500
    yield "record too long", "a,b\n1," + "x" * 2_000_001 + "\n2,y\n", 1
    yield "European numbers", "Betrag;Datum\n1.234,56;31.12.2025\n-0,5;01.01.2026\n"
    yield "odd numbers", "v\n1e5\n0x10\n1_000\nnan\n-inf\n007\n+1\n1.\n.5\n\u0661\u0662\n"
    yield "words that mean nothing", "v,w\nNULL,null\nNA,N/A\n\\N,None\n-,?\ntrue,#N/A\n"
    yield "formulas", "v,w\n=1+1,@SUM(A1)\n+1,-1\n=cmd|' /C calc'!A0,x\n"
    yield "header only", "a,b,c\n", None
    yield "zero bytes", "", None
    yield "only blank lines", "\n\r\n\n", None


def _quotes() -> Iterator[tuple]:
    yield "line breaks in values", 'a,b\n1,"x\ny"\n2,"x\r\ny\r\n"\n3,"\n"\n4,"x\r"\n'
    yield "doubled quotes", 'a,b\n1,"say ""hi"""\n2,""""\n3,""""""\n4,""\n'
    yield "delimiters in values", 'a,b\n1,"x,y"\n2,","\n3,";|\t"\n'
    yield "quote inside an unquoted value", 'a,b\n1,5" disk\n2,x"y"z\n3,ok\n', 2
    yield "text after a closing quote", 'a,b\n1,"x"y\n2,"x" \n3,ok\n', 2
    yield "space before a quote", 'a,b\n1, "x"\n2,ok\n', 1
    yield "backslash escapes", 'a,b\n1,"say \\"hi\\""\n2,C:\\dir\\\n3,x\\,y\n4,ok\n', 2
    yield "single quotes", "a,b\n1,'x'\n2,'it''s'\n'3','y'\n"
    yield "single quotes around delimiters", "a,b\n1,'x,y'\n2,z\n", 1
    yield "typographic quotes", "a,b\n1,“x”\n2,«y»\n"
    yield "a quote alone at the end", PLAIN + '"', 0, True
    yield "a quote that is never closed", PLAIN + '4,"Ran,1985,\n5,Jaws,1975,\n', 0, True
    yield "a quote that is closed too late", 'a,b\n1,"x\n' + "2,y\n" * 20 + '3,"z"\n4,w\n', 0, True
    yield "a header over two lines", '"a\nb",c\n1,2\n3,4\n'


def _headers() -> Iterator[tuple]:
    yield "duplicate names", "a,b,a\n1,2,3\n", None
    yield "names that differ in case", "name,Name,NAME\n1,2,3\n"
    yield "names that differ in spaces", "a, a,a ,\ta\n1,2,3,4\n"
    yield "empty names", "a,,b,\n1,2,3,4\n5,6,7,8\n"
    yield "no names at all", ",,\n1,2,3\n", None
    yield "quoted empty name", '"",b\n1,2\n'
    yield "reserved words", "select,from,order,t0,t1,_load_id,rowid\n1,2,3,4,5,6,7\n"
    yield "odd names", "%,#,a b,a-b,a.b,1,ä,日本,'x',$y\n1,2,3,4,5,6,7,8,9,10\n"
    yield "quotes and delimiters in names", '"a,b","c ""d""","e\nf"\n1,2,3\n'
    yield "long names", f"{'x' * 300},{'x' * 299}y\n1,2\n"
    yield "numbers as names", "1,2,3\n4,5,6\n7,8,9\n"
    yield "names in emoji", "🎬,🏳️‍🌈\n1,2\n"
    yield "repeated header", PLAIN * 3
    yield "comment lines above", "# made by hand\n# on Monday\na,b\n1,2\n3,4\n", 3
    yield "comment lines below", "a,b\n#1,2\n# a note\n3,4\n", 1
    yield "title above the header", "Sales of 2025\n\na,b,c\n1,2,3\n4,5,6\n", 3
    yield "units below the header", "a,b\n[m],[kg]\n1,2\n"
    yield "footer", PLAIN + "Total: 3 rows\n", 1
    yield "totals", "a;b\n1;2\n3;4\n\n;6\nΣ;6\n"


def _exports() -> Iterator[tuple]:
    yield "Excel's sep line", "sep=;\r\na;b\r\n1;2\r\n"
    yield "Excel in Germany", written(TABLE, ";", "\r\n").encode("windows-1252")
    yield "Excel as Unicode text.tsv", codecs.BOM_UTF16_LE + written(TABLE, "\t", "\r\n").encode("utf-16-le")
    yield "Excel CSV UTF-8", codecs.BOM_UTF8 + written(TABLE, ";", "\r\n").encode()
    yield "Excel with empty cells", "a,b,c,,\r\n1,2,3,,\r\n,,,,\r\n4,,,,note\r\n"
    yield "pandas with its index", ",a,b\n0,1,x\n1,2,y\n"
    yield "pandas with two header rows", ",a,a\n,x,y\ni,,\n0,1,2\n", None
    yield "R with row names", '"","mpg","cyl"\n"Mazda RX4",21,6\n"Datsun 710",22.8,4\n'
    yield "R without a name for row names", '"mpg","cyl"\n"Mazda RX4",21,6\n"Datsun 710",22.8,4\n', 2
    yield "PostgreSQL", 'id,name,at\n1,"",2026-01-01 00:00:00+00\n2,\\.,\n3,t,\n'
    yield "MySQL.tsv", "id\tname\n1\t\\N\n2\ta\\\tb\n3\tc\n", 1
    yield "SQL*Plus", "ID|NAME\n----------|----------\n         1|x         \n\n2 rows selected.\n", 1
    yield "JSON in a value", 'id,doc\n1,"{""a"": [1, ""x,y""]}"\n2,{}\n'
    yield "HTML in a value", 'id,doc\n1,"<a href=""x"">y</a>\n<br/>"\n2,<b>\n'
    yield "e-mail log", 'to,subject\n"Ann <a@b.c>, Bob <b@b.c>","Re: ""hi"""\n'


def _not_csv() -> Iterator[tuple]:
    yield "web page", "<!DOCTYPE html>\n<html><body>404, not found</body></html>\n", 1
    yield "JSON", '{"a": 1, "b": [1, 2]}\n', None
    yield "random bytes", random.Random(SEED).randbytes(5000), None  # noqa: S311
    yield "truncated gzip.csv.gz", gzip.compress(PLAIN.encode() * 50, mtime=0)[:-20], None
    yield "damaged gzip.csv.gz", gzip.compress(PLAIN.encode() * 50, mtime=0) + b"rubbish", None
    yield "Excel workbook", b"PK\x03\x04" + bytes(40) + b"[Content_Types].xml", None
    yield "PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" + bytes(30), None


# ---------------------------------------------------------------- pollution

Pollution = Callable[[random.Random, bytes], bytes]


def _at(chance: random.Random, content: bytes) -> int:
    return chance.randrange(len(content) + 1)


def _insert(piece: bytes) -> Pollution:
    def insert(chance: random.Random, content: bytes) -> bytes:
        at = _at(chance, content)
        return content[:at] + piece + content[at:]

    return insert


def _flip_a_bit(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _drop_a_byte(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + content[at + 1 :]


def _change_lines(change: Callable[[random.Random, list[bytes], int], list[bytes]]) -> Pollution:
    def change_lines(chance: random.Random, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        return b"".join(change(chance, lines, chance.randrange(len(lines))))

    return change_lines


POLLUTIONS: dict[str, Pollution] = {
    "a bit flipped": _flip_a_bit,
    "a byte dropped": _drop_a_byte,
    "a quote inserted": _insert(b'"'),
    "two quotes inserted": lambda chance, content: _insert(b'"')(chance, _insert(b'"')(chance, content)),
    "a delimiter inserted": _insert(b","),
    "a line break inserted": _insert(b"\n"),
    "a CR inserted": _insert(b"\r"),
    "a backslash inserted": _insert(b"\\"),
    "a NUL inserted": _insert(b"\0"),
    "a byte of Latin-1 inserted": _insert(b"\xe9"),
    "cut off": lambda chance, content: content[: max(1, _at(chance, content))],
    "a line cut": _change_lines(
        lambda chance, lines, at: [*lines[:at], lines[at][: _at(chance, lines[at])] + b"\n", *lines[at + 1 :]]
    ),
    "a line doubled": _change_lines(lambda _, lines, at: [*lines[: at + 1], *lines[at:]]),
    "a line removed": _change_lines(lambda _, lines, at: [*lines[:at], *lines[at + 1 :]] or [b"x"]),
    "two lines joined": _change_lines(lambda _, lines, at: [*lines[:at], lines[at].rstrip(b"\r\n"), *lines[at + 1 :]]),
}


def _polluted() -> Iterator[Made]:
    """Polluted copies of styles without end: every pollution in turn, each of a random style."""
    styles = [style for style in _styles() if style.rejects is not None and len(style.content) < 10_000]
    for number in count():
        chance = random.Random(f"{SEED} {number}")  # noqa: S311
        names = [list(POLLUTIONS)[number % len(POLLUTIONS)], *chance.choices(list(POLLUTIONS), k=chance.randrange(3))]
        style = chance.choice(styles)
        content = style.content
        for name in names:
            content = POLLUTIONS[name](chance, content) if content else content
        stem, _, suffix = style.name.partition(".")
        yield Made(f"{stem}, {', '.join(names)}.{suffix}", content, is_open=True)
