"""Fetch a MovieLens release from GroupLens: the zip, its checksum, the CSV files in it.

Belongs here: the one download the project offers, with the standard library alone. Does not belong here: where the
files go from there (``cli.py``).

MovieLens is GroupLens' own: whoever fetches it accepts the licence in the release's README (research use, no
redistribution without permission), which is why the files are fetched by the user and not shipped.
"""

import contextlib
import hashlib
import http.client
import re
import stat
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, get_args
from urllib.parse import urlsplit

Release = Literal["ml-latest-small", "ml-25m", "ml-32m"]
Progress = Callable[[int, int | None], None]

# The release without a fixed content: GroupLens replaces it from time to time and publishes no checksum for it.
_UNSUMMED: Release = "ml-latest-small"
_EXPECTED = frozenset({"links.csv", "movies.csv", "ratings.csv", "tags.csv"})  # every release has at least these

_TIMEOUT_S = 30.0  # for connecting and for each read, not for the whole download
_CHUNK = 1 << 18  # bytes
_CHECKSUM_BYTES = 4_096  # a checksum file is one line; more than this is something else
_CHECKSUM = re.compile(
    r"MD5 \((?P<bsd>[^)]+)\) = (?P<bsd_sum>[0-9a-f]{32})"
    r"|(?P<sum>[0-9a-f]{32})(?:\s+\*?(?P<name>\S+))?",
    re.IGNORECASE,
)
_CSV_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.csv")

_BY_HAND = "download the zip in a browser, unpack it and bring its CSV files in with `netflix-assets land`"
_LATER = f"Try again later, or {_BY_HAND}"
_AGAIN = f"Nothing was kept: try again, or {_BY_HAND}"


class DownloadError(RuntimeError):
    """A release that could not be fetched; the message names the URL, what happened and what to do."""

    def __init__(self, url: str, problem: str, remedy: str) -> None:
        super().__init__(f"{url}: {problem}. {remedy}.")


def fetch_movielens(
    release: Release,
    folder: Path,
    base_url: str = "https://files.grouplens.org/datasets/movielens",
    progress: Progress | None = None,
) -> list[Path]:
    """Download a release, verify it and put its CSV files into a folder (made if missing); returns their paths by name.

    Verified are the length, the MD5 sum that GroupLens publishes beside the zip (``<release>.zip.md5``) and the CRC of
    every file taken out. Only ml-latest-small may be without a published sum, because its content changes over time;
    then length and CRCs are what is checked. The download and what is unpacked live in a temporary folder inside
    ``folder``, which goes away in every case; only when everything is verified does each file appear, by one rename.
    Nothing is resumed, and a folder that was made for a release that fails goes away with it.

    ``progress`` is called after each chunk of the zip with the bytes so far and the total, None if the server does not
    tell. Proxies are taken from the environment (``https_proxy``, ``no_proxy``), as urllib does.

    Raises: DownloadError when the release cannot be had or is not what it should be; ValueError for an unknown release;
    OSError when the folder cannot be written.
    """
    if release not in get_args(Release):
        raise ValueError(f"unknown release '{release}'; known are {', '.join(get_args(Release))}")
    url = f"{base_url.rstrip('/')}/{release}.zip"
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(url, "only http and https are supported", "Give a base URL with https")
    checksum = _published_checksum(f"{url}.md5", release)
    with (
        _folder(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=f".{release}-", ignore_cleanup_errors=True) as work,
    ):
        archive = Path(work) / "release.zip"
        found = _save(url, archive, progress)
        if checksum is not None and found != checksum:
            raise DownloadError(url, f"the MD5 sum is {found}, but {url}.md5 says {checksum}", _AGAIN)
        unpacked = _unpack(url, archive, Path(work))
        return [path.replace(folder / path.name) for path in unpacked]


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """A folder, made if missing; what was made of it and its parents goes again after an error, as far as empty.

    Raises: OSError when it cannot be made.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:  # Ctrl-C too leaves no empty folder that looks like a release; it goes on its way
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """As the base class, or an error for a redirect that gives up encryption."""
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https only: no file:, ftp: or data:, not by redirect either."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoDowngrade(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "netflix-assets")]
    return opener


def _chunks(url: str, progress: Progress | None = None) -> Iterator[bytes]:
    """The body of a URL, whole or a DownloadError; urllib.error.HTTPError goes through to the caller."""
    with contextlib.ExitStack() as stack:
        with _connection_errors(url):
            response = stack.enter_context(_opener().open(url, timeout=_TIMEOUT_S))
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdigit() else None
        done = 0
        while True:
            with _connection_errors(url):
                chunk = response.read(_CHUNK)
            if not chunk:
                break
            done += len(chunk)
            yield chunk
            if progress is not None:
                progress(done, total)
    if total is not None and done != total:
        raise DownloadError(url, f"the answer ended after {done:,} of {total:,} bytes", _AGAIN)


@contextlib.contextmanager
def _connection_errors(url: str) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except urllib.error.URLError as error:
        raise DownloadError(url, f"no connection ({error.reason})", _LATER) from error
    except http.client.HTTPException as error:
        raise DownloadError(url, f"the answer is not whole or not HTTP ({error!r})", _AGAIN) from error
    except OSError as error:
        raise DownloadError(url, f"the connection failed ({error})", _AGAIN) from error


def _refused(url: str, error: urllib.error.HTTPError) -> DownloadError:
    return DownloadError(url, f"the server answered {error.code} {error.reason}", _LATER)


def _published_checksum(url: str, release: Release) -> str | None:
    """The MD5 sum that stands beside the zip, in lower case; None where none needs to be published and none is."""
    text = b""
    try:
        for chunk in _chunks(url):
            text += chunk
            if len(text) > _CHECKSUM_BYTES:
                break
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise _refused(url, error) from error
        if release == _UNSUMMED:
            return None
        problem = f"the server answered 404, so that {release}.zip cannot be verified"
        raise DownloadError(url, problem, _LATER) from error
    match = _CHECKSUM.fullmatch(text.decode("ascii", errors="replace").strip())
    if match is None:
        raise DownloadError(url, f"not an MD5 checksum but {text[:40]!r}", _LATER)
    name = match["bsd"] or match["name"] or f"{release}.zip"
    if name.rsplit("/", 1)[-1] != f"{release}.zip":
        raise DownloadError(url, f"the checksum is one of '{name}'", _LATER)
    return (match["bsd_sum"] or match["sum"]).lower()


def _save(url: str, path: Path, progress: Progress | None) -> str:
    """Write the body of a URL to a file and return its MD5 sum."""
    digest = hashlib.md5(usedforsecurity=False)  # what GroupLens publishes; it finds damage, not malice
    try:
        with path.open("wb") as file:
            for chunk in _chunks(url, progress):
                file.write(chunk)
                digest.update(chunk)
    except urllib.error.HTTPError as error:
        raise _refused(url, error) from error
    return digest.hexdigest()


def _unpack(url: str, archive: Path, folder: Path) -> list[Path]:
    """Extract the CSV files of the zip, by name; nothing of their paths in the zip is used but the last part.

    Other files (the README) stay in the zip. An archive with a member that points out of it, a link, an encrypted file
    or two files of one name is refused whole: GroupLens makes no such zip.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = {}
            for info in zipped.infolist():
                name = info.filename.rsplit("/", 1)[-1]
                if _is_odd(info) or name in members:
                    raise DownloadError(url, f"the zip holds the odd member {info.filename!r}", _AGAIN)
                if _CSV_NAME.fullmatch(name):
                    members[name] = info
            if missing := sorted(_EXPECTED - members.keys()):
                raise DownloadError(url, f"the zip lacks {', '.join(missing)}", _AGAIN)
            for name, info in members.items():
                with zipped.open(info) as source, (folder / name).open("xb") as target:
                    _copy(url, name, source, target)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise DownloadError(url, f"not a zip that can be read ({error})", _AGAIN) from error
    return [folder / name for name in sorted(members)]


def _is_odd(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.removesuffix("/").split("/")
    outside = any(part in ("", ".", "..") for part in parts)
    strange = any(character in info.orig_filename for character in ("\\", ":", "\0"))
    link = stat.S_ISLNK(info.external_attr >> 16)
    encrypted = bool(info.flag_bits & 1)
    return outside or strange or link or encrypted


def _copy(url: str, name: str, source: IO[bytes], target: IO[bytes]) -> None:
    """Copy one member; zipfile compares its CRC when the end is reached."""
    while True:
        try:
            chunk = source.read(_CHUNK)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DownloadError(url, f"{name} in the zip is damaged ({error})", _AGAIN) from error
        if not chunk:
            return
        target.write(chunk)
