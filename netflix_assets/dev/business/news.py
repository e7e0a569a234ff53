"""Headlines about an invented streaming company and its market, in the form of Alpha Vantage's news feed.

The headlines of a day are a function of the day and the seed alone. They have these traps on purpose: other languages,
headlines that only name the company, the same headline from two sources, quotes and emoji, and scores of the provider
that are only roughly those of the words.
"""

from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from netflix_assets.dev.business.rates import curve

TICKER = "RDRL"


class _Source(NamedTuple):
    name: str
    domain: str


_SOURCES = (
    _Source("Market Ledger", "marketledger.example"), _Source("Stream Weekly", "streamweekly.example"),
    _Source("The Daily Reel", "dailyreel.example"), _Source("Börsenpost", "boersenpost.example"),
    _Source("L'Écran", "lecran.example"), _Source("映像新聞", "eizo.example"),
)  # fmt: skip
_AUTHORS = ("Ada Quispe", "Jean-Luc Tremblay", "Noor O'Brien", "佐藤 結衣", "Søren Weiß")
_TOPICS = ("Earnings", "Technology", "Media & Entertainment", "Financial Markets", "Economy - Macro")
_NUMBERS = ("3", "7", "12", "18", "25", "40")
_THINGS = ("drama series", "price plan", "mobile app", "film slate", "merchandise store", "recommendation engine")
_COUNTRIES = ("Brazil", "Japan", "Germany", "India", "Canada", "Australia")
# Headlines by what they say of the company: 1 good, 0 neither, -1 bad. {n}: a number, {x}: a thing, {c}: a country.
_ENGLISH = {
    1: (
        "Redreel beats expectations with record growth in {c}", "Redreel shares surge {n}% after strong results",
        "Subscribers love the new {x} from Redreel", "Redreel wins {n} awards for its brilliant {x}",
        "Analysts are optimistic: Redreel's {x} is a great success", "Redreel profit improves as fans embrace its {x}",
        "“A wonderful surprise”: critics praise Redreel's {x} 🎉",
    ),
    0: (
        "Redreel to publish quarterly figures on Thursday", "Redreel opens an office in {c}",
        "Redreel changes the release date of its {x}", "What is in Redreel's {x}, in {n} charts",
        "Redreel names a new head of {c} operations", "How Redreel's {x} works",
    ),
    -1: (
        "Redreel misses forecasts as losses in {c} worsen", "Redreel shares plunge {n}% on weak outlook",
        "Angry subscribers cancel over Redreel's terrible {x}", "Redreel sued over failed {x} in {c}",
        "Redreel cuts {n}% of jobs amid crisis", "Outage hits Redreel: \"the worst night\" for its {x}",
        "Critics call Redreel's {x} a disappointing failure",
    ),
}  # fmt: skip
_OTHERS = {
    1: ("Redreel wächst in {n} Ländern stärker als erwartet", "Redreel bat les prévisions pour la {n}e fois",
        "Redreel supera las previsiones con {n} % más de clientes", "Redreelの会員数が{n}%増加"),
    0: ("Redreel legt am Donnerstag Zahlen vor", "Redreel ouvre un bureau à Paris", "Redreel estrena {n} series",
        "Redreel、新作{n}本を発表"),
    -1: ("Redreel verliert {n} Prozent an der Börse", "Redreel perd {n} % en Bourse",
         "Redreel despide a {n} empleados", "Redreelの株価が{n}%下落"),
}  # fmt: skip
_BARE = ("Redreel (RDRL)", "RDRL", "RDRL: NASDAQ")
_LABELS = (
    (-350, "Bearish"), (-150, "Somewhat-Bearish"), (149, "Neutral"), (349, "Somewhat-Bullish"), (1_000, "Bullish"),
)  # fmt: skip


class _Choice:
    """Whole numbers that depend on nothing but their names."""

    def __init__(self, day: date, seed: int) -> None:
        self._text = f"{seed}/{day.isoformat()}"

    def below(self, count: int, *names: object) -> int:
        """A number from 0 to ``count`` - 1."""
        text = "/".join([self._text, *map(str, names)])
        return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) % count


def headlines(day: date, seed: int = 1) -> list[dict[str, Any]]:
    """The headlines of a day in UTC, oldest first: items of Alpha Vantage's ``feed``. Some days have none."""
    choice = _Choice(day, seed)
    count = choice.below(3, "count") if day.weekday() >= 5 else 2 + choice.below(5, "count")
    found = []
    for number in range(count):
        item = _headline(choice, day, number, seed)
        found.append(item)
        if choice.below(20, number, "twice") == 0:
            found.append(item | _published(choice, day, number, _other_source(item["source"])))
    return sorted(found, key=lambda item: (item["time_published"], item["url"]))


def _headline(choice: _Choice, day: date, number: int, seed: int) -> dict[str, Any]:
    mood = int(curve("mood", day.toordinal(), 45, seed) * 250 + curve("week", day.toordinal(), 7, seed) * 150)
    draw = choice.below(1_000, number, "tone")
    tone = 1 if draw < 350 + mood else 0 if draw < 650 + mood else -1
    kind = choice.below(100, number, "kind")
    if kind < 5:
        tone, title = 0, _BARE[choice.below(len(_BARE), number, "title")]
    else:
        texts = _OTHERS[tone] if kind < 25 else _ENGLISH[tone]
        title = texts[choice.below(len(texts), number, "title")].format(
            n=_NUMBERS[choice.below(len(_NUMBERS), number, "n")],
            x=_THINGS[choice.below(len(_THINGS), number, "x")],
            c=_COUNTRIES[choice.below(len(_COUNTRIES), number, "c")],
        )
    score = max(-1_000, min(1_000, tone * 330 + choice.below(401, number, "score") - 200))
    source = _SOURCES[choice.below(len(_SOURCES), number, "source")]
    relevance = f"{choice.below(1_000_000, number, 'relevance') / 1e6:.6f}"
    return {
        "title": title,
        **_published(choice, day, number, source),
        "authors": [_AUTHORS[choice.below(len(_AUTHORS), number, "author")]] if choice.below(4, number, "by") else [],
        "summary": None if choice.below(15, number, "summary") == 0 else f"{title}. All about it in our report.",
        "topics": [{"topic": _TOPICS[choice.below(len(_TOPICS), number, "topic")], "relevance_score": relevance}],
        "overall_sentiment_score": score / 1_000,
        "overall_sentiment_label": label(score),
        "ticker_sentiment": [
            {
                "ticker": TICKER, "relevance_score": relevance, "ticker_sentiment_score": f"{score / 1_000:.6f}",
                "ticker_sentiment_label": label(score),
            }
        ],
    }  # fmt: skip


def _published(choice: _Choice, day: date, number: int, source: _Source) -> dict[str, str]:
    at = datetime.combine(day, time(), UTC) + timedelta(seconds=choice.below(86_400, number, source.name))
    return {
        "url": f"https://{source.domain}/{day:%Y/%m/%d}/{number + 1}",
        "time_published": f"{at:%Y%m%dT%H%M%S}",
        "source": source.name,
        "source_domain": source.domain,
    }


def _other_source(name: str) -> _Source:
    names = [source.name for source in _SOURCES]
    return _SOURCES[(names.index(name) + 1) % len(_SOURCES)]


def label(score: int) -> str:
    """The provider's word for a score in thousandths."""
    return next(text for most, text in _LABELS if score <= most)
