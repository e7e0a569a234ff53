"""Fetch a MovieLens release from GroupLens: download the zip, verify its checksum, unpack its CSV files.

The project does not ship the files: whoever fetches them accepts the licence in the release's README (research use, no
redistribution without permission).
"""

import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urljoin

import pooch
import requests

Release = Literal["ml-latest-small", "ml-25m", "ml-32m"]
Progress = Callable[[int, int | None], None]

# GroupLens replaces this release from time to time and may publish no checksum for it.
_MAY_LACK_CHECKSUM: Release = "ml-latest-small"
_REQUIRED = frozenset({"links.csv", "movies.csv", "ratings.csv", "tags.csv"})  # in every release

_TIMEOUT_S = 30.0  # to connect and for each read, not for the whole download
_CHUNK_BYTES = 1 << 18

_BY_HAND = "download the zip in a browser, unpack it and land its CSV files with: netflix-assets land"


class DownloadError(RuntimeError):
    """The release could not be fetched. The message names the URL, the cause and the fix."""

    status: int | None = None  # of the server's answer, if that was an error

    def __init__(self, url: str, problem: str, advice: str = f"Try again, or {_BY_HAND}") -> None:
        super().__init__(f"{url}: {problem}. {advice}")


def fetch_movielens(
    release: Release,
    folder: Path,
    base_url: str = "https://files.grouplens.org/datasets/movielens",
    progress: Progress | None = None,
) -> list[Path]:
    """Download a release, verify it and put its CSV files into ``folder``; return their paths by name.

    The zip must match the MD5 checksum that GroupLens publishes next to it (``<release>.zip.md5``), and each file its
    CRC in the zip. Only ml-latest-small may lack a checksum. The folder is created, and files in it are replaced, only
    after everything is verified, so a failed fetch leaves nothing.

    ``progress`` receives the bytes so far and the total after each chunk of the zip; the total is None if the server
    does not send a length. Proxies come from the environment (``https_proxy``, ``no_proxy``).

    Raises:
        DownloadError: The release cannot be downloaded or verified.
        ValueError: The release is unknown.
        OSError: The folder cannot be written.
    """
    if release not in get_args(Release):
        raise ValueError(f"unknown release '{release}'; choose from {', '.join(get_args(Release))}")
    url = f"{base_url.rstrip('/')}/{release}.zip"
    if not url.startswith(("http://", "https://")):
        raise DownloadError(url, "not an http or https URL", "Pass a base URL that starts with https://")
    expected = _published_checksum(f"{url}.md5", release)
    # Work next to the target, so that moving a file there is one rename on the same disk.
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    with tempfile.TemporaryDirectory(dir=nearest, prefix=f".{release}-", ignore_cleanup_errors=True) as work:
        archive = Path(work) / f"{release}.zip"
        with archive.open("wb") as file:
            _download(url, file, progress)
        found = pooch.file_hash(str(archive), alg="md5")
        if expected not in (None, found):
            raise DownloadError(url, f"checksum mismatch: expected MD5 {expected} ({url}.md5), got {found}")
        unpacked = _unpack(url, archive, release)
        folder.mkdir(parents=True, exist_ok=True)
        return [path.replace(folder / path.name) for path in unpacked]


def _published_checksum(url: str, release: Release) -> str | None:
    """Return the MD5 checksum next to the zip, or None if there is none and the release may lack it."""
    content = io.BytesIO()
    try:
        _download(url, content)
    except DownloadError as error:
        if error.status != 404:
            raise
        if release == _MAY_LACK_CHECKSUM:
            return None
        raise DownloadError(url, f"checksum not found (404), so {release}.zip cannot be verified") from error
    text = content.getvalue().decode("ascii", errors="replace")
    match = re.search(r"\b[0-9a-f]{32}\b", text, re.IGNORECASE)
    if match is None:
        raise DownloadError(url, f"not an MD5 checksum: {text[:40]!r}")
    return match[0].lower()


class _ProgressBar:
    """Passes pooch's progress on to a callback.

    Pooch counts whole chunks and ends with ``reset()`` and ``update(total)``; the cap at the total makes both correct.
    """

    def __init__(self, callback: Progress) -> None:
        self.callback = callback
        self.total = 0  # set by pooch; 0 if the server does not send a length
        self.done = 0

    def update(self, size: int) -> None:
        self.done = min(self.done + size, self.total or self.done + size)
        self.callback(self.done, self.total or None)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def _download(url: str, file: Any, progress: Progress | None = None) -> None:
    download = pooch.HTTPDownloader(
        progressbar=_ProgressBar(progress) if progress else False,
        chunk_size=_CHUNK_BYTES,
        timeout=_TIMEOUT_S,
        hooks={"response": _refuse_downgrade},
    )
    try:
        download(url, file, None)
    except requests.HTTPError as error:
        answer = cast(requests.Response, error.response)
        answer.close()
        failure = DownloadError(url, f"the server answered {answer.status_code} {answer.reason}")
        failure.status = answer.status_code
        raise failure from error
    except requests.RequestException as error:
        raise DownloadError(url, f"download failed: {_root_cause(error)}") from error


def _refuse_downgrade(response: requests.Response, **_: Any) -> None:
    """Refuse a redirect from https to http."""
    target = urljoin(response.url, response.headers.get("Location", ""))
    if response.url.startswith("https:") and not target.startswith("https:"):
        raise requests.exceptions.InvalidURL(f"redirected to {target}, which is not https")


def _root_cause(error: BaseException) -> BaseException:
    """Return the first error of the chain: requests wraps "connection refused" four times."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _unpack(url: str, archive: Path, release: Release) -> list[Path]:
    """Extract ``<release>/<name>.csv`` from the zip and check each CRC.

    A name without a further slash cannot leave the folder, and zipfile never creates links.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [name for name in zipped.namelist() if re.fullmatch(rf"{release}/[\w-]+\.csv", name)]
            zipped.extractall(archive.parent, members)
    # RuntimeError: encrypted or an unknown compression; ValueError: a name that is not text
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise DownloadError(url, f"cannot read the zip: {error}") from error
    unpacked = sorted((archive.parent / release).glob("*.csv"))
    if missing := sorted(_REQUIRED - {path.name for path in unpacked}):
        raise DownloadError(url, f"the zip lacks {', '.join(missing)}")
    return unpacked
