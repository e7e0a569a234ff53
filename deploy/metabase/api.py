"""Requests to Metabase's API with an API key. No message shows the key."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

_TIMEOUT_S = 60
_SNIPPET = 300  # characters of an answer that a message quotes


class MetabaseError(Exception):
    """Metabase cannot be reached or refuses a request. The text says what to do."""


class Metabase:
    """One Metabase, by the address of its start page and an API key."""

    def __init__(self, url: str, key: str) -> None:
        if not (key.isascii() and key.isprintable()):  # requests would show the key when it refuses it
            raise MetabaseError("METABASE_API_KEY has characters that no key has; copy it again")
        self._url, self._key, self._host = url.rstrip("/"), key, _host(url)
        self._session = requests.Session()
        self._session.headers["x-api-key"] = key
        # Without it requests would send what ~/.netrc has for the host.
        self._session.auth = lambda request: request

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is at a path below /api/. Raises: MetabaseError."""
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Create something, and return it. Raises: MetabaseError."""
        return self._request("POST", path, json=body)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """Change something, and return it. Raises: MetabaseError."""
        return self._request("PUT", path, json=body)

    def _request(self, method: str, path: str, **content: Any) -> Any:
        try:
            # A redirect could lead to another server, which would be sent the key.
            response = self._session.request(
                method, f"{self._url}/api/{path}", timeout=_TIMEOUT_S, allow_redirects=False, **content
            )
        except requests.RequestException as error:
            raise MetabaseError(
                f"cannot reach Metabase at {self._host} ({type(error).__name__}); check METABASE_URL"
            ) from None
        self._check(f"{method} /api/{path}", response)
        try:
            return response.json()
        except ValueError:
            raise MetabaseError(f"{method} /api/{path}: the answer is not JSON; check METABASE_URL") from None

    def _check(self, what: str, response: requests.Response) -> None:
        status = response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            raise MetabaseError(
                "Metabase does not accept the API key. Create one under Admin > Settings > Authentication > API keys, "
                "and set METABASE_API_KEY to it"
            )
        if status == HTTPStatus.FORBIDDEN:
            raise MetabaseError(f"{what}: the API key may not do this. Move it to the group Administrators")
        if response.is_redirect:
            to = urlsplit(response.headers["Location"])
            raise MetabaseError(
                f"{what}: redirected to {to.scheme}://{to.hostname}; set METABASE_URL to where it leads"
            )
        if not response.ok:
            answer = " ".join(response.text.replace(self._key, "***").split())[:_SNIPPET]
            raise MetabaseError(f"{what}: {status} {answer}")


def _host(url: str) -> str:
    """Return the part of an address that messages show; the address may have a password. Raises: MetabaseError."""
    try:
        address = urlsplit(url)
    except ValueError:
        address = None
    if address is None or address.scheme not in ("http", "https") or not address.hostname:
        raise MetabaseError("METABASE_URL is not an address such as https://metabase.example.com")
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
