"""Fetching a release, against a real HTTP server on this machine."""

import hashlib
import io
import stat
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from netflix_assets.dev.fetch import DownloadError, Release, _NoDowngrade, fetch_movielens

FILES = {
    "movies.csv": b"movieId,title,genres\n1,Lantern of Velamora (1998),Drama\n",
    "ratings.csv": b"userId,movieId,rating,timestamp\n" + b"1,1,4.0,1420070400\n" * 40_000,
    "tags.csv": b"userId,movieId,tag,timestamp\n",
    "links.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n",
}
BY_HAND = "download the zip in a browser, unpack it and bring its CSV files in with `netflix-assets land`."


def make_zip(release: str = "ml-25m", more: dict[str, bytes] | None = None, compress: bool = True) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as zipped:
        zipped.mkdir(release)
        zipped.writestr(f"{release}/README.txt", "Read me.")
        for name, content in FILES.items():
            zipped.writestr(f"{release}/{name}", content)
        for name, content in (more or {}).items():
            zipped.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # what Content-Length says, when it is not the body's length
    says_length: bool = True


class Server:
    """Answers by path; everything else is a 404. ``asked`` lists the paths in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                answer = server.answers.get(self.path, Answer(b"no such file", 404))
                self.send_response(answer.status)
                if answer.says_length:
                    length = len(answer.body) if answer.length is None else answer.length
                    self.send_header("Content-Length", str(length))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/movielens"

    def serve(self, body: bytes, release: str = "ml-25m", checksum: str | None = None) -> None:
        """Serve a zip and, beside it, its checksum in GroupLens' form, or the text given ('' for none)."""
        self.answers[f"/movielens/{release}.zip"] = Answer(body)
        text = f"MD5 ({release}.zip) = {md5(body)}\n" if checksum is None else checksum
        if text:
            self.answers[f"/movielens/{release}.zip.md5"] = Answer(text.encode())


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def fails(server: Server, tmp_path: Path) -> Callable[..., str]:
    """Fetches, expects a DownloadError that leaves nothing behind, and returns its message."""

    def fetch(release: Release = "ml-25m", base_url: str = "") -> str:
        folder = tmp_path / "into"
        with pytest.raises(DownloadError) as caught:
            fetch_movielens(release, folder, base_url or server.url)
        assert not folder.exists()
        return str(caught.value)

    return fetch


def test_the_csv_files_arrive_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.serve(make_zip())
    folder = tmp_path / "new" / "folder"
    paths = fetch_movielens("ml-25m", folder, server.url)
    assert paths == [folder / name for name in sorted(FILES)]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert server.asked == ["/movielens/ml-25m.zip.md5", "/movielens/ml-25m.zip"]


@pytest.mark.parametrize(
    "form",
    [
        "{md5}  ml-25m.zip\n",
        "{md5} *ml-25m.zip",
        "{md5}  ./ml-25m.zip\n",
        "{MD5}\n",
        "MD5 (ml-25m.zip) = {MD5}\r\n",
    ],
)
def test_checksums_are_read_in_the_usual_forms(server: Server, tmp_path: Path, form: str) -> None:
    body = make_zip()
    server.serve(body, checksum=form.format(md5=md5(body), MD5=md5(body).upper()))
    assert len(fetch_movielens("ml-25m", tmp_path, f"{server.url}/")) == len(FILES)


def test_files_of_an_earlier_fetch_are_replaced_and_others_stay(server: Server, tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("old")
    (tmp_path / "mine.csv").write_text("mine")
    server.serve(make_zip())
    fetch_movielens("ml-25m", tmp_path, server.url)
    assert (tmp_path / "movies.csv").read_bytes() == FILES["movies.csv"]
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_a_failure_leaves_the_files_of_an_earlier_fetch(server: Server, tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("old")
    server.serve(make_zip(), checksum=f"{'0' * 32}  ml-25m.zip")
    with pytest.raises(DownloadError):
        fetch_movielens("ml-25m", tmp_path, server.url)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("movies.csv", "old")]


@pytest.mark.parametrize("says_length", [True, False])
def test_progress_grows_to_the_size_of_the_zip(server: Server, tmp_path: Path, says_length: bool) -> None:
    body = make_zip(compress=False)
    server.serve(body)
    server.answers["/movielens/ml-25m.zip"].says_length = says_length
    seen: list[tuple[int, int | None]] = []
    fetch_movielens("ml-25m", tmp_path, server.url, lambda done, total: seen.append((done, total)))
    assert len(seen) > 1
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == len(body)
    assert {total for _, total in seen} == {len(body) if says_length else None}


def test_a_failure_takes_away_the_folders_that_were_made_for_it_and_no_others(server: Server, tmp_path: Path) -> None:
    server.serve(make_zip(), checksum=f"{'0' * 32}  ml-25m.zip")
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "downloads" / "ml-25m", tmp_path / "mine"):
        with pytest.raises(DownloadError):
            fetch_movielens("ml-25m", folder, server.url)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_progress_raises_goes_through_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise BrokenPipeError("the terminal is gone")

    server.serve(make_zip())
    with pytest.raises(BrokenPipeError, match="the terminal is gone"):
        fetch_movielens("ml-25m", tmp_path, server.url, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_is_refused(server: Server, fails: Callable[..., str]) -> None:
    body, wrong = make_zip(), "0123456789abcdef" * 2
    server.serve(body, checksum=f"MD5 (ml-25m.zip) = {wrong}\n")
    url = f"{server.url}/ml-25m.zip"
    assert fails() == (
        f"{url}: the MD5 sum is {md5(body)}, but {url}.md5 says {wrong}. Nothing was kept: try again, or {BY_HAND}"
    )


@pytest.mark.parametrize("release", ["ml-25m", "ml-32m"])
def test_a_fixed_release_needs_its_checksum(server: Server, fails: Callable[..., str], release: Release) -> None:
    server.serve(make_zip(release), release, checksum="")
    assert fails(release) == (
        f"{server.url}/{release}.zip.md5: the server answered 404, so that {release}.zip cannot be verified. "
        f"Try again later, or {BY_HAND}"
    )
    assert server.asked == [f"/movielens/{release}.zip.md5"]  # the zip is not even asked for


def test_the_changing_release_does_without_a_checksum(server: Server, tmp_path: Path) -> None:
    server.serve(make_zip("ml-latest-small"), "ml-latest-small", checksum="")
    assert len(fetch_movielens("ml-latest-small", tmp_path, server.url)) == len(FILES)


def test_the_changing_release_is_held_to_a_checksum_that_is_there(server: Server, fails: Callable[..., str]) -> None:
    server.serve(make_zip("ml-latest-small"), "ml-latest-small", checksum=f"{'1' * 32}  ml-latest-small.zip")
    assert f"says {'1' * 32}." in fails("ml-latest-small")


def test_without_a_checksum_the_crcs_find_damage(server: Server, fails: Callable[..., str]) -> None:
    body = make_zip("ml-latest-small", compress=False)
    server.serve(body.replace(b"1,1,4.0,1420070400", b"1,1,5.0,1420070400", 1), "ml-latest-small", checksum="")
    message = fails("ml-latest-small")
    assert message.startswith(f"{server.url}/ml-latest-small.zip: ratings.csv in the zip is damaged (Bad CRC-32")
    assert message.endswith(BY_HAND)


def test_a_damaged_deflate_stream_is_found(server: Server, fails: Callable[..., str]) -> None:
    body = bytearray(make_zip("ml-latest-small"))
    start = body.index(b"ml-latest-small/ratings.csv") + len("ml-latest-small/ratings.csv")
    body[start : start + 40] = b"\xff" * 40
    server.serve(bytes(body), "ml-latest-small", checksum="")
    assert "ratings.csv in the zip is damaged (Error -3 while decompressing" in fails("ml-latest-small")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<html>moved</html>", "not an MD5 checksum but b'<html>moved</html>'"),
        (f"{'a' * 32}  ml-32m.zip", "the checksum is one of 'ml-32m.zip'"),
        ("a" * 10_000, f"not an MD5 checksum but {b'a' * 40!r}"),
    ],
)
def test_what_is_no_checksum_of_the_zip_is_refused(
    server: Server, fails: Callable[..., str], text: str, problem: str
) -> None:
    server.serve(make_zip(), checksum=text)
    assert fails() == f"{server.url}/ml-25m.zip.md5: {problem}. Try again later, or {BY_HAND}"


def test_a_truncated_body_is_found_by_its_length(server: Server, fails: Callable[..., str]) -> None:
    body = make_zip(compress=False)
    server.serve(body)
    server.answers["/movielens/ml-25m.zip"] = Answer(body[:300_000], length=len(body))
    message = fails()
    assert message.startswith(f"{server.url}/ml-25m.zip: the answer ")
    assert f"ended after 300,000 of {len(body):,} bytes" in message or "IncompleteRead" in message
    assert message.endswith(f"Nothing was kept: try again, or {BY_HAND}")


def test_a_truncated_body_without_a_length_is_found_too(server: Server, fails: Callable[..., str]) -> None:
    server.serve(make_zip("ml-latest-small"), "ml-latest-small", checksum="")
    answer = server.answers["/movielens/ml-latest-small.zip"]
    answer.body, answer.says_length = answer.body[:-30], False
    assert "not a zip that can be read (File is not a zip file)" in fails("ml-latest-small")


@pytest.mark.parametrize(
    "member",
    ["../evil.csv", "ml-25m/../../evil.csv", "/etc/evil.csv", "ml-25m\\..\\evil.csv", "C:/evil.csv", "ml-25m//x.csv"],
)
def test_members_that_point_elsewhere_are_refused(
    server: Server, fails: Callable[..., str], tmp_path: Path, member: str
) -> None:
    server.serve(make_zip(more={member: b"a\n"}))
    message = fails()
    assert message.startswith(f"{server.url}/ml-25m.zip: the zip holds the odd member ")
    assert "evil.csv" in message or "x.csv" in message
    assert not list(tmp_path.rglob("*.csv"))


def test_links_and_files_of_one_name_are_refused(server: Server, fails: Callable[..., str]) -> None:
    server.serve(make_zip(more={"other/movies.csv": b"a\n"}))
    assert "the zip holds the odd member 'other/movies.csv'" in fails()

    buffer = io.BytesIO(make_zip())
    with zipfile.ZipFile(buffer, "a") as zipped:
        link = zipfile.ZipInfo("ml-25m/passwd.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(link, "/etc/passwd")
    server.serve(buffer.getvalue())
    assert "the zip holds the odd member 'ml-25m/passwd.csv'" in fails()


def test_a_zip_without_the_files_of_a_release_is_refused(server: Server, fails: Callable[..., str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("ml-25m/movies.csv", FILES["movies.csv"])
    server.serve(buffer.getvalue())
    assert f"{server.url}/ml-25m.zip: the zip lacks links.csv, ratings.csv, tags.csv. " in fails()


def test_a_zip_that_is_none_is_refused(server: Server, fails: Callable[..., str]) -> None:
    server.serve(b"<html>please log in</html>")
    assert f"{server.url}/ml-25m.zip: not a zip that can be read (File is not a zip file). " in fails()


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (500, "Internal Server Error")])
def test_an_error_of_the_server_is_told(server: Server, fails: Callable[..., str], status: int, reason: str) -> None:
    server.serve(make_zip())
    server.answers["/movielens/ml-25m.zip"] = Answer(b"sorry", status)
    assert fails() == (f"{server.url}/ml-25m.zip: the server answered {status} {reason}. Try again later, or {BY_HAND}")


@pytest.mark.parametrize("release", ["ml-25m", "ml-latest-small"])
def test_an_error_at_the_checksum_is_never_taken_for_none(
    server: Server, fails: Callable[..., str], release: Release
) -> None:
    server.serve(make_zip(release), release)
    server.answers[f"/movielens/{release}.zip.md5"] = Answer(b"sorry", 500)
    assert f"{release}.zip.md5: the server answered 500 Internal Server Error. " in fails(release)


def test_no_server_at_all(server: Server, fails: Callable[..., str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        base_url = f"http://127.0.0.1:{closed.server_port}"
    message = fails(base_url=base_url)
    assert message.startswith(f"{base_url}/ml-25m.zip.md5: no connection (")
    assert message.endswith(f"). Try again later, or {BY_HAND}")


def test_redirects_are_followed_within_http_only(server: Server, tmp_path: Path, fails: Callable[..., str]) -> None:
    server.serve(make_zip())
    answers = server.answers
    answers["/mirror.zip"] = answers["/movielens/ml-25m.zip"]
    answers["/movielens/ml-25m.zip"] = Answer(status=302, headers={"Location": "/mirror.zip"})
    assert len(fetch_movielens("ml-25m", tmp_path / "good", server.url)) == len(FILES)
    answers["/movielens/ml-25m.zip"] = Answer(status=302, headers={"Location": "ftp://127.0.0.1/ml-25m.zip"})
    assert "no connection (unknown url type: ftp)" in fails()
    answers["/movielens/ml-25m.zip"] = Answer(status=302, headers={"Location": "file:///etc/passwd"})
    assert "the server answered 302 " in fails()


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    request = urllib.request.Request("https://example.org/ml-25m.zip")
    with pytest.raises(urllib.error.URLError, match=r"redirected to http://example.org/x.zip, which is not https"):
        _NoDowngrade().redirect_request(request, io.BytesIO(), 302, "Found", HTTPMessage(), "http://example.org/x.zip")


@pytest.mark.parametrize("base_url", ["file:///tmp", "ftp://files.example.org", "files.example.org/movielens"])
def test_only_http_and_https(fails: Callable[..., str], base_url: str) -> None:
    assert fails(base_url=base_url) == (
        f"{base_url}/ml-25m.zip: only http and https are supported. Give a base URL with https."
    )


def test_an_unknown_release_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown release 'ml-1m'; known are ml-latest-small, ml-25m, ml-32m"):
        fetch_movielens("ml-1m", tmp_path)  # type: ignore[arg-type]
