"""One API: requests with its key, at its pace, retried when that can help. No error shows the key."""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qs, quote, quote_plus, urljoin, urlsplit

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError
from urllib3.exceptions import TimeoutError as ServerTimeoutError

from netflix_assets.contracts.request import Api
from netflix_assets.contracts.visibility import printable
from netflix_assets.extract.errors import SourceError, SourceUnavailableError
from netflix_assets.ingest.json_document import MAX_DOCUMENT_BYTES
from netflix_assets.settings.named import ApiSettings, variable_of

TRIES = 5
_FIRST_DELAY_S, _MAX_WAIT_S = 1.0, 60.0
_MAX_RESPONSE_S = 600.0  # for a whole response; the contract's timeout is for each read
_BLOCK_BYTES = 65_536
_SNIPPET = 200  # characters of a response that a message quotes
_MASK = "***"
_LOGGERS = tuple(logging.getLogger(f"urllib3.{name}") for name in ("connection", "connectionpool"))


class _RetryLaterError(Exception):
    """A failed try that is worth repeating. ``wait_s``: how long the server asks to wait, if it does."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Response:
    """A response. ``status``: HTTP's. ``body``: as received, with the key masked. ``text``: the same, not masked."""

    status: int
    body: bytes
    text: str
    next_link: str | None = None


class ApiClient:
    """Requests to one API, one after the other."""

    def __init__(self, name: str, api: Api, settings: ApiSettings) -> None:
        self.name = name
        self._api = api
        self._url = (settings.url or api.url).rstrip("/")
        self._key = settings.key.get_secret_value() if settings.key else ""
        self._next_at = 0.0
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "netflix-assets"
        # Otherwise the library would send the password that ~/.netrc has for the host.
        self._session.auth = self._authenticate
        for logger in _LOGGERS:  # urllib3 logs addresses, and one may have the key
            logger.addFilter(self._mask_record)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        for logger in _LOGGERS:
            logger.removeFilter(self._mask_record)

    def _mask_record(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._mask(record.getMessage()), ()
        return True

    def get(self, path: str, parameters: Mapping[str, str], allowed: tuple[int, ...] = ()) -> Response:
        """The response to a request. ``allowed``: statuses above 299 that are responses too.

        Raises: SourceError when someone has to change something; SourceUnavailableError when trying later may help.
        """
        return self._request(f"{self._url}/{path.lstrip('/')}", parameters, allowed)

    def follow(self, link: str, allowed: tuple[int, ...] = ()) -> Response:
        """The response to a link in a response. Raises: as ``get``, and SourceError when it leads to another server."""
        url = urljoin(f"{self._url}/", link)
        here, there = urlsplit(self._url), urlsplit(url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise self._error(f"the next page is on another server ({there.hostname}); the key is not sent there")
        return self._request(url, {}, allowed)

    def quote(self, text: str) -> str:
        """The beginning of a response for a message: printable, and without the key."""
        short = " ".join(self._mask(text).split())[:_SNIPPET]
        return printable(short) or "an empty response"

    def _request(self, url: str, parameters: Mapping[str, str], allowed: tuple[int, ...]) -> Response:
        retrying = Retrying(
            retry=retry_if_exception_type(_RetryLaterError), stop=stop_after_attempt(TRIES), wait=_delay, reraise=True
        )
        try:
            return retrying(self._try, url, parameters, allowed)
        except _RetryLaterError as error:
            raise SourceUnavailableError(f"api '{self.name}': {error}; tried {TRIES} times") from None

    def _try(self, url: str, parameters: Mapping[str, str], allowed: tuple[int, ...]) -> Response:
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + 60 / self._api.requests_per_minute
        path = urlsplit(url).path
        try:
            # A redirect could lead to another server, which would be sent the key.
            with self._session.get(
                url, params=parameters, timeout=self._api.timeout_seconds, allow_redirects=False, stream=True
            ) as response:
                body = self._read(response, path)
                return self._response_of(response, body, path, allowed)
        except (requests.RequestException, HTTPError) as error:  # its text has the address, and that may have the key
            raise _RetryLaterError(f"GET {path}: {_describe(error)}") from None

    def _read(self, response: requests.Response, path: str) -> bytes:
        body, until = bytearray(), time.monotonic() + _MAX_RESPONSE_S
        # read1 returns what has arrived and does not wait for a whole block. So the time limit also holds for a server
        # that sends a byte a second.
        while block := response.raw.read1(_BLOCK_BYTES, decode_content=True):
            body += block
            if len(body) > MAX_DOCUMENT_BYTES:
                raise self._error(f"GET {path}: the response is larger than {MAX_DOCUMENT_BYTES:,} bytes; request less")
            if time.monotonic() > until:
                raise _RetryLaterError(f"GET {path}: the response was not complete after {_MAX_RESPONSE_S:.0f} s")
        return bytes(body)

    def _response_of(self, response: requests.Response, body: bytes, path: str, allowed: tuple[int, ...]) -> Response:
        status, text = response.status_code, body.decode("utf-8-sig", "replace")
        what = f"GET {path}: {status} {response.reason or ''}".rstrip()
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait_s = _retry_after(response.headers.get("Retry-After"))
            if wait_s is not None and wait_s > _MAX_WAIT_S:
                raise SourceUnavailableError(f"api '{self.name}': {what}; it asks to wait {wait_s:.0f} s")
            raise _RetryLaterError(what, wait_s)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and status not in allowed:
            raise self._error(f"{what}: {self.quote(text)}. Check {variable_of('apis', self.name)}_KEY")
        if response.is_redirect:
            host = urlsplit(response.headers.get("Location", "")).hostname or "itself"
            raise self._error(f"{what}: it redirects to {host}. Correct api.url in the contract")
        if not response.ok and status not in allowed:
            raise self._error(f"{what}: {self.quote(text)}")
        return Response(status, self._masked_body(body), text, response.links.get("next", {}).get("url"))

    def _authenticate(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        how = self._api.authentication
        if how is None:
            return request
        if how.kind == "bearer":
            request.headers["Authorization"] = f"Bearer {self._key}"
        elif how.kind == "header":
            request.headers[how.name] = self._key
        elif how.name not in parse_qs(urlsplit(str(request.url)).query):  # a link to the next page may have it
            request.prepare_url(str(request.url), {how.name: self._key})
        return request

    def _masked_body(self, body: bytes) -> bytes:
        # Latin-1 has a character for each byte, so what is not text stays as it is.
        return self._mask(body.decode("latin-1")).encode("latin-1") if self._key else body

    def _mask(self, text: str) -> str:
        return self._forms_of_key.sub(_MASK, text) if self._key else text

    @cached_property
    def _forms_of_key(self) -> re.Pattern[str]:
        """The key as it may appear in a response: by itself, in an address, and in JSON that escapes slashes."""
        forms = {self._key, quote(self._key, safe=""), quote_plus(self._key), self._key.replace("/", "\\/")}
        longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
        return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(longest_first)})(?![A-Za-z0-9])")

    def _error(self, reason: str) -> SourceError:
        return SourceError(f"api '{self.name}': {reason}")


def _delay(state: RetryCallState) -> float:
    """As long as the server asks to wait, or 1, 2, 4 and 8 seconds."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, _RetryLaterError) else None
    return _FIRST_DELAY_S * 2 ** (state.attempt_number - 1) if asked is None else asked


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a header with a number or a date (RFC 9110, 10.2.3)."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _describe(error: requests.RequestException | HTTPError) -> str:
    """What failed, without the address."""
    if isinstance(error, (requests.Timeout, ServerTimeoutError)):
        return "the server timed out"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"cannot be reached: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (ProtocolError, DecodeError)):
        return "connection closed early"
    return "cannot be reached"
