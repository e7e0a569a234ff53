"""How good the scorer is, on headlines that were labelled by hand. docs/sentiment.md has the same figures."""

import csv
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.extract.sentiment.language import language_of
from netflix_assets.extract.sentiment.scorer import VaderScorer, Verdict
from netflix_assets.settings import REPO

VERDICTS = ("positive", "neutral", "negative", "not_judged")
PAGE = REPO / "docs" / "sentiment.md"


def labelled() -> list[dict[str, str]]:
    with Path(__file__).with_name("headlines.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def judge(text: str) -> Verdict:
    return VaderScorer().judge(text, language_of(text))


@pytest.fixture(scope="module")
def confusion() -> Counter[tuple[str, str]]:
    """How often each label got each verdict."""
    scorer = VaderScorer()
    return Counter(
        (row["label"], scorer.judge(row["headline"], language_of(row["headline"])).verdict) for row in labelled()
    )


def test_the_labels_cover_each_verdict() -> None:
    counts = Counter(row["label"] for row in labelled())
    assert all(counts[verdict] >= 15 for verdict in VERDICTS)
    assert len({row["headline"] for row in labelled()}) == sum(counts.values())


def test_three_of_four_english_headlines_are_judged_as_a_person_did(confusion: Counter[tuple[str, str]]) -> None:
    english = {pair: count for pair, count in confusion.items() if pair[0] != "not_judged"}
    right = sum(count for (label, verdict), count in english.items() if label == verdict)
    share = right / sum(english.values())
    assert 0.68 < share < 0.80  # 60 of 82; guessing the most frequent label gets 28 of 82
    opposite = english.get(("positive", "negative"), 0) + english.get(("negative", "positive"), 0)
    assert opposite / sum(english.values()) < 0.10


def test_what_cannot_be_judged_is_not(confusion: Counter[tuple[str, str]]) -> None:
    assert sum(count for (label, verdict), count in confusion.items() if label == "not_judged" != verdict) == 0
    missed = sum(count for (label, verdict), count in confusion.items() if label != "not_judged" == verdict)
    assert missed <= 6


def test_the_page_has_the_measured_figures(confusion: Counter[tuple[str, str]]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(rf"^\| ({'|'.join(VERDICTS)}) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    found = {label: list(map(int, counts)) for label, *counts in rows}
    assert found == {label: [confusion[label, verdict] for verdict in VERDICTS] for label in VERDICTS}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Redreel beats expectations with record growth in Brazil", "en"),
        ("Redreel wächst in 7 Ländern stärker als erwartet", "de"),
        ("Redreel bat les prévisions pour la 7e fois", "fr"),
        ("Redreel despide a 12 empleados", "es"),
        ("Redreelの会員数が12%増加", "ja"),
        ("红卷公司利润增长", "zh"),
        ("Redreel выросли", "ru"),
        ("Redreel", None),
        ("42 %", None),
        ("", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("RDRL", "names only a company or its ticker"),
        ("Redreel (RDRL)", "names only a company or its ticker"),
        ("RDRL: NASDAQ", "names only a company or its ticker"),
        ("Shares up", "has fewer than 3 words"),
        ("", "has fewer than 3 words"),
        ("Redreel verliert 12 Prozent an der Börse", "is in another language: de"),
        ("Redreelの株価が12%下落", "is in another language: ja"),
        ("Xyzzy plugh frotz", "has no words of a known language"),
    ],
)
def test_what_is_not_judged_says_why(text: str, reason: str) -> None:
    assert judge(text) == Verdict(None, "not_judged", reason)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("A wonderful surprise for the fans of the show", "positive"),
        ("Not a wonderful surprise for the fans of the show", "negative"),
        ("Redreel to publish quarterly figures on Thursday", "neutral"),
        ("The worst night for its film slate", "negative"),
    ],
)
def test_verdicts(text: str, verdict: str) -> None:
    found = judge(text)
    assert (found.verdict, found.reason) == (verdict, None)
    assert found == judge(text)


def test_verdicts_fit_the_contract_and_the_name_says_the_version() -> None:
    columns = {column.name: column for column in dataset_by_id(load_sources(), "sentiment/headlines").columns}
    assert set(columns["verdict"].values) == set(VERDICTS)
    for row in labelled():
        score = judge(row["headline"]).score
        assert score is None or -1 <= score <= 1
    assert version("vaderSentiment").startswith(f"{VaderScorer.name.removeprefix('vader-')}.")
