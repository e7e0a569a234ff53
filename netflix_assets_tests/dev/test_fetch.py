"""Fetching a release, from a real HTTP server on this machine."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from netflix_assets.dev.fetch import DownloadError, Release, _refuse_downgrade, fetch_movielens

FILES = {
    "movies.csv": b"movieId,title,genres\n1,Lantern of Velamora (1998),Drama\n",
    "ratings.csv": b"userId,movieId,rating,timestamp\n" + b"1,1,4.0,1420070400\n" * 40_000,
    "tags.csv": b"userId,movieId,tag,timestamp\n",
    "links.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n",
}
ADVICE = "Try again, or download the zip in a browser, unpack it and land its CSV files with: netflix-assets land"


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
    length: int | None = None  # what Content-Length says, when it is not the body's length
    has_length: bool = True
    location: str = ""


class Server:
    """Answers by path; everything else is a 404. ``requests`` lists the paths in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                answer = server.answers.get(self.path, Answer(b"no such file", 404))
                self.send_response(answer.status)
                if answer.has_length:
                    length = len(answer.body) if answer.length is None else answer.length
                    self.send_header("Content-Length", str(length))
                if answer.location:
                    self.send_header("Location", answer.location)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/movielens"

    def serve(self, body: bytes, release: str = "ml-25m", checksum: str | None = None) -> None:
        """Serve a zip and, next to it, its checksum in GroupLens' form, or the text given ('' for none)."""
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
    """Fetches, expects a DownloadError that leaves nothing, and returns its message."""

    def fetch(release: Release = "ml-25m", base_url: str = "") -> str:
        with pytest.raises(DownloadError) as caught:
            fetch_movielens(release, tmp_path / "new" / "folder", base_url or server.url)
        assert list(tmp_path.iterdir()) == []
        return str(caught.value)

    return fetch


def test_the_folder_gets_the_csv_files_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.serve(make_zip())
    folder = tmp_path / "new" / "folder"
    paths = fetch_movielens("ml-25m", folder, server.url)
    assert paths == [folder / name for name in sorted(FILES)]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert server.requests == ["/movielens/ml-25m.zip.md5", "/movielens/ml-25m.zip"]


@pytest.mark.parametrize("form", ["{md5} *ml-25m.zip", "{MD5}\n", "MD5 (ml-25m.zip) = {MD5}\r\n"])
def test_checksums_are_read_in_the_usual_forms(server: Server, tmp_path: Path, form: str) -> None:
    body = make_zip()
    server.serve(body, checksum=form.format(md5=md5(body), MD5=md5(body).upper()))
    assert len(fetch_movielens("ml-25m", tmp_path, f"{server.url}/")) == len(FILES)


def test_a_fetch_replaces_the_files_of_an_earlier_one_and_keeps_others(server: Server, tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("old")
    (tmp_path / "mine.csv").write_text("mine")
    server.serve(make_zip())
    fetch_movielens("ml-25m", tmp_path, server.url)
    assert (tmp_path / "movies.csv").read_bytes() == FILES["movies.csv"]
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_a_failed_fetch_keeps_the_files_of_an_earlier_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("old")
    server.serve(make_zip(), checksum=f"{'0' * 32}  ml-25m.zip")
    with pytest.raises(DownloadError):
        fetch_movielens("ml-25m", tmp_path, server.url)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("movies.csv", "old")]


def test_progress_grows_to_the_size_of_the_zip(server: Server, tmp_path: Path) -> None:
    body = make_zip(compress=False)
    server.serve(body)
    seen: list[tuple[int, int | None]] = []
    fetch_movielens("ml-25m", tmp_path, server.url, lambda done, total: seen.append((done, total)))
    assert len({done for done, _ in seen}) > 1
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == len(body)
    assert {total for _, total in seen} == {len(body)}


def test_progress_has_no_total_if_the_server_sends_none(server: Server, tmp_path: Path) -> None:
    server.serve(make_zip(compress=False))
    server.answers["/movielens/ml-25m.zip"].has_length = False
    seen: list[tuple[int, int | None]] = []
    fetch_movielens("ml-25m", tmp_path, server.url, lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {None}
    assert seen[-1][0] > 0


def test_an_error_in_the_callback_is_raised_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise BrokenPipeError("the terminal is gone")

    server.serve(make_zip())
    with pytest.raises(BrokenPipeError, match="the terminal is gone"):
        fetch_movielens("ml-25m", tmp_path / "folder", server.url, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_is_refused(server: Server, fails: Callable[..., str]) -> None:
    body, wrong = make_zip(), "0123456789abcdef" * 2
    server.serve(body, checksum=f"MD5 (ml-25m.zip) = {wrong}\n")
    url = f"{server.url}/ml-25m.zip"
    assert fails() == f"{url}: checksum mismatch: expected MD5 {wrong} ({url}.md5), got {md5(body)}. {ADVICE}"


@pytest.mark.parametrize("release", ["ml-25m", "ml-32m"])
def test_a_fixed_release_needs_its_checksum(server: Server, fails: Callable[..., str], release: Release) -> None:
    server.serve(make_zip(release), release, checksum="")
    problem = f"checksum not found (404), so {release}.zip cannot be verified"
    assert fails(release) == f"{server.url}/{release}.zip.md5: {problem}. {ADVICE}"
    assert server.requests == [f"/movielens/{release}.zip.md5"]  # the zip is not even requested


def test_the_changing_release_may_lack_a_checksum(server: Server, tmp_path: Path) -> None:
    server.serve(make_zip("ml-latest-small"), "ml-latest-small", checksum="")
    assert len(fetch_movielens("ml-latest-small", tmp_path, server.url)) == len(FILES)


def test_the_changing_release_must_match_a_published_checksum(server: Server, fails: Callable[..., str]) -> None:
    server.serve(make_zip("ml-latest-small"), "ml-latest-small", checksum=f"{'1' * 32}  ml-latest-small.zip")
    assert f"expected MD5 {'1' * 32} " in fails("ml-latest-small")


@pytest.mark.parametrize("text", ["<html>moved</html>", "a" * 10_000])
def test_text_without_a_checksum_is_refused(server: Server, fails: Callable[..., str], text: str) -> None:
    server.serve(make_zip(), checksum=text)
    assert fails() == f"{server.url}/ml-25m.zip.md5: not an MD5 checksum: {text[:40]!r}. {ADVICE}"


def test_without_a_checksum_the_crcs_find_damage(server: Server, fails: Callable[..., str]) -> None:
    body = make_zip("ml-latest-small", compress=False)
    server.serve(body.replace(b"1,1,4.0,1420070400", b"1,1,5.0,1420070400", 1), "ml-latest-small", checksum="")
    assert f"{server.url}/ml-latest-small.zip: cannot read the zip: Bad CRC-32" in fails("ml-latest-small")


def test_a_truncated_body_is_refused(server: Server, fails: Callable[..., str]) -> None:
    body = make_zip(compress=False)
    server.serve(body)
    server.answers["/movielens/ml-25m.zip"] = Answer(body[:300_000], length=len(body))
    problem = f"download failed: IncompleteRead(300000 bytes read, {len(body) - 300_000} more expected)"
    assert fails() == f"{server.url}/ml-25m.zip: {problem}. {ADVICE}"


def test_a_body_that_is_not_a_zip_is_refused(server: Server, fails: Callable[..., str]) -> None:
    server.serve(b"<html>please log in</html>")
    assert fails() == f"{server.url}/ml-25m.zip: cannot read the zip: File is not a zip file. {ADVICE}"


@pytest.mark.parametrize(
    "member", ["../evil.csv", "ml-25m/../../evil.csv", "/etc/evil.csv", "ml-25m\\..\\evil.csv", "ml-25m/a/evil.csv"]
)
def test_files_outside_the_folder_of_the_release_are_not_unpacked(server: Server, tmp_path: Path, member: str) -> None:
    server.serve(make_zip(more={member: b"a\n"}))
    paths = fetch_movielens("ml-25m", tmp_path / "folder", server.url)
    assert sorted(tmp_path.rglob("*.csv")) == paths == [tmp_path / "folder" / name for name in sorted(FILES)]


def test_a_zip_without_the_files_of_a_release_is_refused(server: Server, fails: Callable[..., str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("ml-25m/movies.csv", FILES["movies.csv"])
    server.serve(buffer.getvalue())
    assert f"{server.url}/ml-25m.zip: the zip lacks links.csv, ratings.csv, tags.csv. " in fails()


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (500, "Internal Server Error")])
def test_an_error_of_the_server_is_named(server: Server, fails: Callable[..., str], status: int, reason: str) -> None:
    server.serve(make_zip())
    server.answers["/movielens/ml-25m.zip"] = Answer(b"sorry", status)
    assert fails() == f"{server.url}/ml-25m.zip: the server answered {status} {reason}. {ADVICE}"


@pytest.mark.parametrize("release", ["ml-25m", "ml-latest-small"])
def test_a_server_error_does_not_count_as_a_missing_checksum(
    server: Server, fails: Callable[..., str], release: Release
) -> None:
    server.serve(make_zip(release), release)
    server.answers[f"/movielens/{release}.zip.md5"] = Answer(b"sorry", 500)
    assert f"{release}.zip.md5: the server answered 500 Internal Server Error. " in fails(release)


def test_a_server_that_is_down_is_named(server: Server, fails: Callable[..., str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        base_url = f"http://127.0.0.1:{closed.server_port}"
    message = fails(base_url=base_url)
    assert message == f"{base_url}/ml-25m.zip.md5: download failed: [Errno 111] Connection refused. {ADVICE}"


def test_redirects_are_followed_within_http(server: Server, tmp_path: Path, fails: Callable[..., str]) -> None:
    server.serve(make_zip())
    answers = server.answers
    zipped = answers["/movielens/ml-25m.zip"]
    for location in ("ftp://127.0.0.1/ml-25m.zip", "file:///etc/passwd"):
        answers["/movielens/ml-25m.zip"] = Answer(status=302, location=location)
        assert "download failed: No connection adapters were found" in fails()
    answers["/mirror.zip"] = zipped
    answers["/movielens/ml-25m.zip"] = Answer(status=302, location="/mirror.zip")
    assert len(fetch_movielens("ml-25m", tmp_path, server.url)) == len(FILES)


def test_a_redirect_from_https_to_http_is_refused() -> None:
    response = requests.Response()
    response.url = "https://example.org/ml-25m.zip"
    for location in ("", "/mirror.zip", "https://example.com/ml-25m.zip"):
        response.headers["Location"] = location
        _refuse_downgrade(response)
    response.headers["Location"] = "http://example.org/x.zip"
    with pytest.raises(requests.RequestException, match=r"redirected to http://example.org/x.zip, which is not https"):
        _refuse_downgrade(response)


@pytest.mark.parametrize("base_url", ["file:///tmp", "ftp://files.example.org", "files.example.org/movielens"])
def test_only_http_and_https(fails: Callable[..., str], base_url: str) -> None:
    advice = "Pass a base URL that starts with https://"
    assert fails(base_url=base_url) == f"{base_url}/ml-25m.zip: not an http or https URL. {advice}"


def test_an_unknown_release_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown release 'ml-1m'; choose from ml-latest-small, ml-25m, ml-32m"):
        fetch_movielens("ml-1m", tmp_path)  # type: ignore[arg-type]
