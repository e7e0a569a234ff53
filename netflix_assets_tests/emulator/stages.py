"""Stages: named locations of files, external (S3, here a folder) or internal to Snowflake.

fakesnow keeps the URL of a stage but none of its options, and ignores paths below a stage. Both are kept here.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from netflix_assets_tests.emulator.errors import SQLError, compilation_error, missing, unsupported
from netflix_assets_tests.emulator.tokens import Tokens, text_of

_OPTIONS = {"url", "storage_integration", "encryption", "directory", "comment"}


@dataclass(frozen=True)
class StagedFile:
    """A file on a stage. ``name`` is its name in FILES= and metadata$filename."""

    path: Path
    name: str
    shown: str  # its name in the results of LIST and COPY
    is_internal: bool

    def content_key(self, content: bytes) -> str:
        """S3's ETag. The client encrypts files for internal stages: their key depends on more than the content."""
        return hashlib.md5(b"encrypted" * self.is_internal + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Stage:
    """The files of a stage: a folder, and the prefix in the bucket that metadata$filename includes."""

    name: str
    bucket_folder: Path
    url: str | None
    prefix: str

    def files(self, path: str) -> Iterator[StagedFile]:
        """The files with names that start with ``path``: a prefix, not a folder."""
        start = self.prefix + path
        for file in sorted(self.bucket_folder.rglob("*")):
            key = file.relative_to(self.bucket_folder).as_posix()
            if file.is_file() and key.startswith(start):
                yield self._staged(file, key)

    def file(self, name: str) -> StagedFile:
        """The file with exactly this name. Raises: SQLError if it does not exist."""
        key = self.prefix + name
        staged = self._staged(self.bucket_folder / key, key)
        if not staged.path.is_file():
            raise SQLError(f"Remote file '{staged.shown}' was not found.", 91016, "22000")
        return staged

    def _staged(self, path: Path, key: str) -> StagedFile:
        if self.url is None:
            return StagedFile(path, key, f"{self.name.lower()}/{key}", is_internal=True)
        return StagedFile(path, key, f"s3://{self.bucket_folder.name}/{key}", is_internal=False)


@dataclass(frozen=True)
class StageReference:
    """``@database.schema.name/path``, with the name parts in upper case."""

    parts: tuple[str, str, str]
    path: str


class Stages:
    """All stages of an account. ``s3_folder`` holds a folder per bucket, ``home`` one per internal stage."""

    def __init__(self, s3_folder: Path, home: Path) -> None:
        self._s3_folder = s3_folder
        self._home = home
        self._stages: dict[tuple[str, str, str], Stage] = {}
        self._count = 0

    def get(self, reference: StageReference) -> Stage:
        if reference.parts not in self._stages:
            raise missing(f"Stage '{'.'.join(reference.parts)}'")
        return self._stages[reference.parts]

    def create(self, tokens: Tokens, database: str | None, schema: str | None) -> str:
        """CREATE [OR REPLACE] STAGE [IF NOT EXISTS] name option = value …"""
        tokens.expect("create")
        replace = tokens.accept("or", "replace")
        tokens.expect("stage")
        if_not_exists = tokens.accept("if", "not", "exists")
        parts = parse_name(tokens.take(), database, schema)
        options = tokens.options()
        if unknown := set(options) - _OPTIONS:
            raise unsupported(f"CREATE STAGE with {', '.join(sorted(unknown))}")
        if parts in self._stages and not replace:
            if if_not_exists:
                return f"{parts[2]} already exists, statement succeeded."
            raise SQLError(f"SQL compilation error:\nObject '{'.'.join(parts)}' already exists.", 2002, "42710")
        self._stages[parts] = self._new_stage(parts, options)
        return f"Stage area {parts[2]} successfully created."

    def _new_stage(self, parts: tuple[str, str, str], options: dict) -> Stage:
        if "url" not in options:
            self._count += 1
            folder = self._home / f"stage-{self._count}"
            folder.mkdir(parents=True)
            return Stage(parts[2], folder, None, "")
        url = urlparse(text_of(options["url"]))
        if url.scheme != "s3" or not url.netloc:
            raise compilation_error(f"invalid URL prefix found in: {options['url']}")
        # A stage is a folder, whether or not its URL ends with a slash.
        prefix = url.path.strip("/")
        return Stage(parts[2], self._s3_folder / url.netloc, url.geturl(), f"{prefix}/" if prefix else "")

    def forget(self, database: str) -> None:
        """Drop the stages of a database."""
        self._stages = {parts: stage for parts, stage in self._stages.items() if parts[0] != database}

    def upload(self, tokens: Tokens, database: str | None, schema: str | None) -> dict:
        """PUT 'file://…' @stage/path option = value …: what the connector needs to write the file itself."""
        tokens.expect("put")
        source = urlparse(text_of(tokens.take()))
        reference = parse_reference(tokens.take(), database, schema)
        stage = self.get(reference)
        if stage.url is not None:
            raise compilation_error("PUT works on internal stages only")
        options = tokens.options()
        if unknown := set(options) - {"auto_compress", "overwrite", "parallel", "source_compression"}:
            raise unsupported(f"PUT with {', '.join(sorted(unknown))}")
        folder = stage.bucket_folder / reference.path
        folder.mkdir(parents=True, exist_ok=True)
        return {
            "stageInfo": {"locationType": "LOCAL_FS", "location": str(folder), "creds": {}},
            "src_locations": [unquote(source.netloc + source.path)],
            "parallel": 4,
            "autoCompress": text_of(options.get("auto_compress", "true")).lower() == "true",
            "sourceCompression": text_of(options.get("source_compression", "auto_detect")).lower(),
            "overwrite": text_of(options.get("overwrite", "false")).lower() == "true",
            "command": "UPLOAD",
        }

    def remove(self, tokens: Tokens, database: str | None, schema: str | None) -> list[tuple[str, str]]:
        """REMOVE @stage/path: the removed files."""
        if not tokens.accept("rm"):
            tokens.expect("remove")
        reference = parse_reference(tokens.take(), database, schema)
        tokens.end()
        stage = self.get(reference)
        if stage.url is not None:
            raise SQLError("emulator: nothing of the project may remove objects of the bucket", 3001, "42501")
        files = list(stage.files(reference.path))
        for file in files:
            file.path.unlink()
        return [(file.shown, "removed") for file in files]

    def list(self, tokens: Tokens, database: str | None, schema: str | None) -> list[tuple[str, int, str]]:
        """LIST @stage/path: name, size and content key of each file."""
        if not tokens.accept("ls"):
            tokens.expect("list")
        reference = parse_reference(tokens.take(), database, schema)
        tokens.end()
        listed = [(file, file.path.read_bytes()) for file in self.get(reference).files(reference.path)]
        return [(file.shown, len(content), file.content_key(content)) for file, content in listed]


def parse_name(text: str, database: str | None, schema: str | None) -> tuple[str, str, str]:
    parts = [part.strip('"') if part.startswith('"') else part.upper() for part in re.findall(r'"[^"]+"|[^."]+', text)]
    given = [database, schema][: 3 - len(parts)] + parts
    if len(given) != 3 or None in given:
        raise SQLError(
            f"Cannot find '{text}'. This session does not have a current database and schema.", 90105, "22000"
        )
    return tuple(given)


def parse_reference(text: str, database: str | None, schema: str | None) -> StageReference:
    text = text_of(text)
    if not text.startswith("@") or text.startswith(("@~", "@%")):
        raise unsupported(f"the place {text}")
    name, _, path = text[1:].partition("/")
    return StageReference(parse_name(name, database, schema), path)
