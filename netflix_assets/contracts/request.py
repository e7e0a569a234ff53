"""How a dataset is requested from an HTTP API: the parts ``api``, ``request`` and ``records`` of a contract."""

import string
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from netflix_assets.contracts.column import Pointer
from netflix_assets.contracts.dialect import Strict, TimeZone

# What paths and parameters can contain: when the period begins, when it ends, and its last second.
_PLACEHOLDERS = ("start", "end", "last")
_MIN_STATUS, _MAX_STATUS = 400, 499


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{text}' is not an address such as https://api.example.com/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the address has a user, a query or a fragment; use authentication and parameters instead")
    return text.rstrip("/")


def _template(text: str) -> str:
    try:
        parts = list(string.Formatter().parse(text))
        for _, name, spec, conversion in parts:
            if name is not None and (name not in _PLACEHOLDERS or not spec or conversion):
                raise ValueError(f"{{{name}}} is not {{start:%Y-%m-%d}}, {{end:…}} or {{last:…}} with a time format")
    except ValueError as error:
        raise ValueError(f"'{text}': {error}") from error
    return text


Address = Annotated[str, AfterValidator(_address)]
Template = Annotated[str, AfterValidator(_template)]


class Authentication(Strict):
    """How the key is sent. The key itself is the setting `NETFLIX_API_<SOURCE>_KEY`, never part of a contract."""

    kind: Literal["bearer", "header", "parameter"] = Field(
        description="`bearer`: Authorization header. `header` or `parameter`: the one with this `name`."
    )
    name: str = Field(default="", description="Name of the header or of the query parameter, such as apikey.")

    @model_validator(mode="after")
    def _name_fits(self) -> Self:
        if bool(self.name) == (self.kind == "bearer"):
            raise ValueError(f"kind: {self.kind} {'has no' if self.name else 'needs a'} name")
        return self


class Api(Strict):
    """The HTTP API that a source's datasets are requested from."""

    url: Address = Field(description="Where the API is. `NETFLIX_API_<SOURCE>` switches it on, and may replace this.")
    authentication: Authentication | None = Field(default=None, description="How the key is sent. Default: no key.")
    requests_per_minute: float = Field(default=60, gt=0, description="Requests are at least this far apart.")
    timeout_seconds: float = Field(default=30, gt=0, description="How long the server may send nothing.")


class Paging(Strict):
    """How a response that comes in pages is requested.

    ``page`` and ``offset`` go on until a page has no records; ``cursor`` and ``link`` until no next one is named.
    """

    kind: Literal["page", "offset", "cursor", "link"] = Field(
        description="`page`, `offset`: counted in a parameter. `cursor`: sent back in a parameter. `link`: an address."
    )
    parameter: str = Field(default="", description="The query parameter of the page, offset or cursor.")
    first: int = Field(default=1, ge=0, description="Number of the first page, for `page`.")
    next: Pointer = Field(
        default="",
        description="Where the next cursor or link is in the response. Default for `link`: the header Link, rel=next.",
    )
    max_pages: int = Field(default=1_000, gt=0, description="More pages than this are an error of the API.")

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if bool(self.parameter) == (self.kind == "link"):
            raise ValueError(f"kind: {self.kind} {'has no' if self.parameter else 'needs a'} parameter")
        if self.kind == "cursor" and not self.next:
            raise ValueError("kind: cursor needs next")
        return self


class Records(Strict):
    """Where the records are in a JSON document."""

    at: Pointer = Field(default="", description="Where they are, as a JSON Pointer. Default: the document itself.")
    name: str = Field(
        default="",
        description="For records that are the members of an object: the name under which a record has its member's.",
    )
    value: str = Field(default="value", description="The name under which a record has a value that is not an object.")
    keep: tuple[str, ...] = Field(default=(), description="Members of the document that every record gets.")


class Request(Strict):
    """One request per period: an hour or a day. Its response lands in the bucket unchanged, and only once."""

    path: Template = Field(
        description="Path of the request. `{start:%Y-%m-%d}`, `{end:…}` and `{last:…}` are the period's beginning, its "
        "end and its last second."
    )
    parameters: dict[str, Template] = Field(default={}, description="Query parameters, with the same placeholders.")
    per: Literal["hour", "day"] = Field(description="Length of a period.")
    time_zone: TimeZone = Field(default="UTC", description="Time zone of days, and of the times in a request.")
    start: date = Field(description="First day that can be requested.")
    ready_after_minutes: float = Field(
        ge=0, description="Minutes after a period's beginning when its response is complete and may be requested."
    )
    history: bool = Field(
        default=True,
        description="Whether past periods can be requested. `false`: the API serves only current values, so a period "
        "in which nothing was requested is a gap for good.",
    )
    look_back: int = Field(
        default=72,
        gt=0,
        description="How many of the latest periods are requested by themselves if they are missing. "
        "`netflix-assets sources backfill` requests older ones.",
    )
    paging: Paging | None = Field(default=None, description="How pages are requested. Default: there is one.")
    gap_statuses: tuple[Annotated[int, Field(ge=_MIN_STATUS, le=_MAX_STATUS)], ...] = Field(
        default=(), description="HTTP statuses that say that there is nothing for the period, such as 404."
    )

    @model_validator(mode="after")
    def _period_fits(self) -> Self:
        if not self.history and self.ready_after_minutes >= self.length / timedelta(minutes=1):
            raise ValueError("history: false needs ready_after_minutes within the period")
        return self

    @property
    def length(self) -> timedelta:
        """Length of a period; a day with a clock change is an hour longer or shorter."""
        return timedelta(hours=1) if self.per == "hour" else timedelta(days=1)

    def templates(self) -> Iterator[Template]:
        """The path and the values of the parameters."""
        yield self.path
        yield from self.parameters.values()


def fill(template: str, start: datetime, end: datetime) -> str:
    """A path or parameter for a period. Times are written in the time zone that they have."""
    last = (end.astimezone(UTC) - timedelta(seconds=1)).astimezone(end.tzinfo)  # clocks may change at the end
    return template.format(start=start, end=end, last=last)
