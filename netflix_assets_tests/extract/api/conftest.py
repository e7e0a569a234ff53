"""An API and a bucket for each test; retries do not wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netflix_assets.extract.api import client
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.extract.api.server import Api, serve, settings_for


@pytest.fixture
def api(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(client, "_FIRST_DELAY_S", 0.001)
    with serve() as server:
        yield Api(server, bucket, settings_for(server, tmp_path / "home"))
