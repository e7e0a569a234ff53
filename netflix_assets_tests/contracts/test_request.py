"""What a contract of an API may not say."""

import pytest

from netflix_assets.contracts.model import Source
from netflix_assets_tests.extract.api.server import source


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "jsonl", "records": None}, "a request requires format: json"),
        ({"mode": "overwrite", "request": {"paging": {"kind": "link"}}}, "paging does not fit mode: overwrite"),
        ({"extract": {"database": "shop", "table": "t", "mode": "snapshot"}}, "either an extract or a request"),
        ({"request": {"path": "/{start}"}}, r"\{start\} is not \{start:%Y-%m-%d\}"),
        ({"request": {"path": "/{start.__class__:%Y}"}}, "with a time format"),
        ({"request": {"parameters": {"q": "{"}}}, "expected '}' before end of string|Single '{'"),
        ({"request": {"history": False}}, "history: false needs ready_after_minutes within the period"),
        ({"request": {"paging": {"kind": "cursor", "parameter": "c"}}}, "kind: cursor needs next"),
        ({"api": {"url": "ftp://x"}}, "is not an address such as"),
        ({"api": {"url": "https://x/?key=1"}}, "the address has a user, a query or a fragment"),
        ({"api": {"authentication": {"kind": "bearer", "name": "x"}}}, "kind: bearer has no name"),
    ],
)
def test_contradictions(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        source(**changes)


def test_a_request_needs_an_api_and_an_api_a_request() -> None:
    whole = source().model_dump(exclude_unset=True)
    with pytest.raises(ValueError, match=r"datasets\.news has a request, so the source needs an api"):
        Source.model_validate({**whole, "api": None})
    whole["datasets"][0]["request"] = None
    with pytest.raises(ValueError, match="no dataset has a request for the api"):
        Source.model_validate(whole)
