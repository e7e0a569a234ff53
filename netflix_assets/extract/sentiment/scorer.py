"""What a scorer is, and the one that runs: VADER, a lexicon of English words with rules for negation and emphasis."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from netflix_assets.extract.sentiment.language import words_of

MIN_WORDS = 3
# VADER's own bounds of what is neutral.
_NEUTRAL = 0.05
_TICKER = re.compile(r"[A-Z]{2,6}")


@dataclass(frozen=True)
class Verdict:
    """What a scorer says of a text.

    Attributes:
        score: -1 (bad) to 1 (good); None if it cannot be judged.
        verdict: The score in a word.
        reason: Why it cannot be judged; None if it was.
    """

    score: float | None
    verdict: Literal["positive", "neutral", "negative", "not_judged"]
    reason: str | None = None


class Scorer(Protocol):
    """Judges texts. The same text always gets the same verdict.

    ``name``: with the version, such as ``vader-3.3``. A scorer that judges otherwise needs another name: everything is
    then judged again, and the verdicts of both stay.
    """

    name: str

    def judge(self, text: str, language: str | None) -> Verdict:
        """The verdict on a text in a language (ISO 639-1), None if the language is not known."""


class VaderScorer:
    """VADER 3.3 on texts in English. It was made for social media, so it misses words of the market."""

    name = "vader-3.3"

    @cached_property
    def _analyzer(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # with its lexicon 0.04 s

        return SentimentIntensityAnalyzer()

    def judge(self, text: str, language: str | None) -> Verdict:
        """The verdict on an English text; others are not judged."""
        if reason := _why_not(text, language):
            return Verdict(None, "not_judged", reason)
        score = float(self._analyzer.polarity_scores(text)["compound"])
        if score >= _NEUTRAL:
            return Verdict(score, "positive")
        return Verdict(score, "negative" if score <= -_NEUTRAL else "neutral")


def _why_not(text: str, language: str | None) -> str | None:
    words = words_of(text)
    others = [word for word in words if not _TICKER.fullmatch(word)]
    if words and len(others) < len(words) and len(others) <= 1:
        return "names only a company or its ticker"
    if len(words) < MIN_WORDS and language in ("en", None):
        return f"has fewer than {MIN_WORDS} words"
    if language is None:
        return "has no words of a known language"
    return None if language == "en" else f"is in another language: {language}"
