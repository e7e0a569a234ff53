"""Files that contain a text, whatever their format."""

import json
from pathlib import Path

import pytest

from netflix_assets.operations import byte_search
from netflix_assets.operations.byte_search import files_with

TEXT = 'a "Zoë" & <tag>'


def found(folder: Path, *texts: str, skipped: tuple[Path, ...] = ()) -> list[str]:
    return [str(path.relative_to(folder)) for path in files_with(folder, texts, skipped)]


def test_texts_are_found_as_they_are_and_escaped(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "binary").write_bytes(b"\0\xff" + TEXT.encode() + b"\0")
    (tmp_path / "events.json").write_text(json.dumps({"tag": TEXT}))
    (tmp_path / "page.html").write_text("<p>a &quot;Zo\u00eb&quot; &amp; &lt;tag&gt;</p>", encoding="utf-8")
    (tmp_path / "other").write_text("a Zoe")
    (tmp_path / "link").symlink_to("events.json")
    assert found(tmp_path, TEXT, "unknown") == ["deep/er/binary", "events.json", "page.html"]
    assert found(tmp_path, TEXT, skipped=(tmp_path / "deep",)) == ["events.json", "page.html"]
    assert found(tmp_path) == []


@pytest.mark.parametrize("start", range(0, 12))
def test_texts_across_blocks_are_found(tmp_path: Path, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_search, "_CHUNK", 8)
    (tmp_path / "file").write_bytes(b"x" * start + b"canary" + b"y" * 9)
    assert found(tmp_path, "canary") == ["file"]
    assert found(tmp_path, "canaries") == []
