"""The language of a headline, by its script and by small lists of frequent words. A guess, made for short texts."""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
# Scripts that one language of the news uses, by the start of the characters' Unicode names. Kana decide before Han,
# which Japanese uses too.
_SCRIPTS = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "CYRILLIC": "ru", "ARABIC": "ar",
    "HEBREW": "he", "GREEK": "el", "THAI": "th", "DEVANAGARI": "hi",
}  # fmt: skip


@cache
def _words() -> Mapping[str, frozenset[str]]:
    text = files(__package__).joinpath("words.yaml").read_text(encoding="utf-8")
    return {language: frozenset(words.split()) for language, words in yaml.safe_load(text).items()}


def words_of(text: str) -> list[str]:
    """The words of a text: letters only, with apostrophes within."""
    return _WORD.findall(text)


def language_of(text: str) -> str | None:
    """The language of a text (ISO 639-1), None if no word or letter tells. Of two that fit, neither is chosen."""
    letters = [character for character in text if character.isalpha()]
    foreign = [script for script in map(_script, letters) if script]
    if len(foreign) * 3 > len(letters):  # names in Latin letters are common in all scripts
        return "ja" if "ja" in foreign else max(sorted(set(foreign)), key=foreign.count)
    words = [re.sub(r"['\u2019]s$", "", word.casefold()) for word in words_of(text)]
    counts = {language: sum(word in known for word in words) for language, known in _words().items()}
    best = max(counts.values())
    fitting = [language for language, count in counts.items() if count == best]
    return fitting[0] if best and len(fitting) == 1 else None


def _script(character: str) -> str | None:
    name = unicodedata.name(character, "").partition(" ")[0]
    return next((language for script, language in _SCRIPTS.items() if name.startswith(script)), None)
