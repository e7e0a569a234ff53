"""Request the missing periods of a dataset, and land the pages of each together."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from os.path import commonprefix
from pathlib import Path

from netflix_assets.contracts.extract import STATE_FOLDER
from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.contracts.request import Paging, Records, fill
from netflix_assets.contracts.visibility import counted
from netflix_assets.extract.api.client import ApiClient, Response
from netflix_assets.extract.api.periods import Period, further_pages, response_key
from netflix_assets.extract.errors import SourceError, SourceUnavailableError
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.json_document import parse_document, take_records
from netflix_assets.ingest.members import WrongKindError, follow, tokens
from netflix_assets.settings import Settings
from netflix_assets.settings.named import variable_of
from netflix_assets.storage.objects import ObjectStore
from netflix_assets.storage.scratch import scratch_folder


@dataclass(frozen=True)
class Landed:
    """A period whose response is in the bucket. ``keys``: of its pages; ``records``: how many they have."""

    period: Period
    keys: tuple[str, ...]
    records: int


@dataclass(frozen=True)
class Gap:
    """A period for which the API has said that it has nothing. It is not requested again."""

    period: Period
    status: int


@dataclass(frozen=True)
class Refused:
    """A period without a usable response, and why. It is requested again."""

    period: Period
    reason: str


Outcome = Landed | Gap | Refused

# Then the key, the address or the server is at fault, not the period. The allowance of a key may be 25 requests a day.
_MAX_FAILURES_IN_A_ROW = 3


def missing_periods(dataset: Dataset, periods: Sequence[Period], store: ObjectStore) -> list[Period]:
    """Those of the periods that have neither a response nor a known gap in the bucket. Raises: BucketError."""
    if not periods:
        return []
    known = {
        listed.key.removeprefix(folder).partition(".")[0]
        for folder in (f"{dataset.key_prefix}/", _gaps_folder(dataset))
        for listed in store.list(folder + commonprefix([each.name for each in periods]))  # noqa: RUF071 (characters are meant)
    }
    return [each for each in periods if each.name not in known]


def request_periods(
    source: Source,
    dataset: Dataset,
    periods: Sequence[Period],
    settings: Settings,
    store: ObjectStore,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Request these missing periods (``missing_periods``). ``report`` is called with each outcome.

    The newest come first. A period without a usable response does not stop the others. After three of them in a row
    the API is at fault, and the rest are left for later.

    Raises: SourceError, SourceUnavailableError, BucketError; what has landed stays.
    """
    client = _client(source, settings)
    outcomes: list[Outcome] = []
    outcome: Outcome | None
    unavailable: SourceUnavailableError | None = None
    failures_in_a_row = 0
    try:
        for period in reversed(periods):
            failures_in_a_row += 1
            try:
                outcome = _request(client, dataset, period, settings, store)
                failures_in_a_row = 0
            except SourceError as error:
                outcome = Refused(period, f"{dataset.id} {period.name}: {error}")
            except SourceUnavailableError as error:
                unavailable = error
                outcome = None
            if outcome is not None:
                outcomes.append(outcome)
                report(outcome)
            if failures_in_a_row == _MAX_FAILURES_IN_A_ROW:
                break
    finally:
        client.close()
    if unavailable is not None:
        raise unavailable
    return outcomes


def why_unused(source: Source, settings: Settings) -> str:
    """Why an API is not requested; empty if it is."""
    api, own = source.api, settings.apis.get(source.source)
    variable = variable_of("apis", source.source)
    if api is None:
        return "the source has no api"
    if api.authentication is not None and (own is None or own.key is None):
        return f"the API has no key: {variable}_KEY is not set"
    return "" if own is not None else f"the API is not switched on: set {variable}={api.url}"


def try_request(source: Source, dataset: Dataset, period: Period, settings: Settings) -> int:
    """Request the first page of a period, land nothing, and return the number of its records; -1 for a gap.

    Raises: SourceError, SourceUnavailableError.
    """
    client = _client(source, settings)
    try:
        response, records = next(_pages(client, dataset, period))
    finally:
        client.close()
    return -1 if response.status in dataset.requested.gap_statuses else records


def _client(source: Source, settings: Settings) -> ApiClient:
    if source.api is None or (reason := why_unused(source, settings)):
        raise SourceError(f"api '{source.source}': {reason}")
    return ApiClient(source.source, source.api, settings.apis[source.source])


def _request(client: ApiClient, dataset: Dataset, period: Period, settings: Settings, store: ObjectStore) -> Outcome:
    if not period.is_ready(dataset.requested, datetime.now(UTC)):
        raise SourceError(
            "the period is over, and the API serves only current values; it stays a gap"
            if not dataset.requested.history
            else "the period is not complete yet"
        )
    with scratch_folder(settings.home / "tmp") as scratch:
        paths, records = [], 0
        for number, (response, found) in enumerate(_pages(client, dataset, period), start=1):
            if response.status in dataset.requested.gap_statuses:
                path = scratch / "gap.json"
                path.write_text(json.dumps({"status": response.status, "at": datetime.now(UTC).isoformat()}))
                store.put(f"{_gaps_folder(dataset)}{period.name}.json", path)
                return Gap(period, response.status)
            path = scratch / f"{number}.json"
            path.write_bytes(response.body)
            paths.append(path)
            records += found
        keys = [response_key(dataset, period, number) for number in range(1, len(paths) + 1)]
        _empty_stale_pages(dataset, period, keys, store, scratch)
        for key, path in reversed(list(zip(keys, paths, strict=True))):
            store.put(key, path)
    return Landed(period, tuple(keys), records)


def _empty_stale_pages(
    dataset: Dataset, period: Period, keys: Sequence[str], store: ObjectStore, scratch: Path
) -> None:
    """Overwrite further pages that an interrupted landing has left. Nothing here may delete objects."""
    if dataset.requested.paging is None:
        return
    path = scratch / "empty.json"
    path.write_text("[]\n")
    for listed in store.list(further_pages(dataset, period)):
        if listed.key not in keys:
            store.put(listed.key, path)


def _gaps_folder(dataset: Dataset) -> str:
    return f"{STATE_FOLDER}{dataset.id}/gaps/"


def _pages(client: ApiClient, dataset: Dataset, period: Period) -> Iterator[tuple[Response, int]]:
    """The pages of a response, each with the number of its records."""
    request = dataset.requested
    path = fill(request.path, period.start, period.end)
    parameters = {name: fill(text, period.start, period.end) for name, text in request.parameters.items()}
    seen: set[str] = set()
    follows, paging = _Following(request.paging), request.paging
    for number in count(1):
        link, more = follows.link, follows.parameters
        response = (
            client.follow(link, request.gap_statuses)
            if link
            else client.get(path, {**parameters, **more}, request.gap_statuses)
        )
        if response.status in request.gap_statuses:
            if number == 1:
                yield response, 0
            elif not follows.counts:
                raise SourceError(f"page {number} is named by the page before, but the API says {response.status}")
            return
        document, records = _read(client, dataset, response)
        if number > 1 and follows.counts and records == 0:  # a cursor or link may lead over a page without records
            return
        if paging and number > paging.max_pages:
            raise SourceError(f"the response has more than {counted(paging.max_pages, 'page')} (paging.max_pages)")
        if response.text in seen:
            raise SourceError(f"page {number} repeats an earlier one")
        seen.add(response.text)
        yield response, records
        if not follows.advance(document, response, records):
            return


def _read(client: ApiClient, dataset: Dataset, response: Response) -> tuple[object, int]:
    """A response's document, and how many records what lands of it has.

    An API may report an error with status 200. Kept as a response, it would never be requested again.
    """
    try:
        landing = parse_document(response.body.decode("utf-8-sig"))
        return parse_document(response.text), sum(1 for _ in take_records(landing, dataset.records or Records()))
    except UnicodeDecodeError as error:
        raise SourceError(f"unusable response: it is not UTF-8 (it begins: {client.quote(response.text)})") from error
    except RefusedError as error:
        raise SourceError(f"unusable response: {error.reason} (it begins: {client.quote(response.text)})") from error


class _Following:
    """Which page comes next. ``counts``: whether pages are counted, until one has no records."""

    def __init__(self, paging: Paging | None) -> None:
        self.link: str | None = None
        self.parameters: Mapping[str, str] = {}
        self._paging = paging
        self._position = 0
        self.counts = paging is not None and paging.kind in ("page", "offset")
        if paging is not None and self.counts:
            self._position = paging.first if paging.kind == "page" else 0
            self.parameters = {paging.parameter: str(self._position)}

    def advance(self, document: object, response: Response, records: int) -> bool:
        """Move on; whether there may be another page. Raises: SourceError."""
        paging = self._paging
        if paging is None:
            return False
        if self.counts:
            self._position += 1 if paging.kind == "page" else records
            self.parameters = {paging.parameter: str(self._position)}
            return records > 0
        found = _member(document, paging.next) if paging.next else response.next_link
        if not isinstance(found, str) or not found:
            return False
        if paging.kind == "link":
            self.link = found
        else:
            self.parameters = {paging.parameter: found}
        return True


def _member(document: object, pointer: str) -> object:
    try:
        return follow(document, tokens(pointer))
    except WrongKindError:
        return None
