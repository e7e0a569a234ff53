"""The object versions of test_shuffles.py, and the orders in which they may arrive in the bucket.

An order is a list of steps. Every order ends with the same bucket: versions of one object keep their sequence, and the
newest file of an overwrite dataset stays the newest. Everything else is random.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from random import Random

from netflix_assets.contracts.model import Dataset, Tolerance

_START = 1_690_000_000  # seconds since 1970; a few months from here keep the marts small
_DAY = 86_400


@dataclass(frozen=True)
class Put:
    """Upload of one version of an object."""

    key: str
    version: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"put {self.key} {self.version}"


@dataclass(frozen=True)
class Act:
    """An action: sync, build, build facts, full refresh, widen, replay, purge or rebuild (``of`` a dataset)."""

    name: str
    of: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.of}".strip()


Step = Put | Act

_HEADERS = {
    "ratings": "userId,movieId,rating,timestamp",
    "tags": "userId,movieId,tag,timestamp",
    "movies": "movieId,title,genres",
    "links": "movieId,imdbId,tmdbId",
    "genome-tags": "tagId,tag",
    "genome-scores": "movieId,tagId,relevance",
    "titles": (
        "id,title,type,description,release_year,age_certification,runtime,genres,production_countries,seasons,imdb_id,"
        "imdb_score,imdb_votes,tmdb_popularity,tmdb_score"
    ),
    "credits": "person_id,id,name,character,role",
}
_NETFLIX = ("titles", "credits")


def _versions(key: str, **contents: Sequence[object]) -> tuple[Put, ...]:
    """The versions of one object in sequence; ``contents``: version name -> its records or its bytes."""
    stem = next(name for name in _HEADERS if key.startswith(name))
    source = "netflix" if stem in _NETFLIX else "movielens"
    puts = []
    for version, records in contents.items():
        content = records if isinstance(records, bytes) else _csv(stem, records)
        puts.append(Put(f"{source}/{key}", version, gzip.compress(content, mtime=0) if key.endswith("gz") else content))
    return tuple(puts)


def _csv(stem: str, records: Sequence[object]) -> bytes:
    lines = (record if isinstance(record, str) else ",".join(map(str, record)) for record in records)
    return "".join(f"{line}\n" for line in (_HEADERS[stem], *lines)).encode()


def _rated(user: int, movie: int, stars: float, day: int) -> tuple[object, ...]:
    return user, movie, stars, _START + day * _DAY + 60 * user + movie


# ---------------------------------------------------------------- ratings

_BASE = [
    _rated(user, movie, (user * 3 + movie) % 10 / 2 + 0.5, user + movie)
    for user in (1, 2, 3, 4)
    for movie in (1, 2, 3, 4)
]
_BASE_CORRECTED = [(*row[:2], 5.5 - row[2], row[3]) for row in _BASE if row[0] != 2] + [_rated(9, 1, 5.0, 3)]
_SAME_SECOND = _rated(1, 5, 2.0, 20)

_RATINGS = (
    # A correction removes a user, changes ratings and adds a user; then the first content returns.
    _versions("ratings.csv", a=_BASE, b=_BASE_CORRECTED, a_again=_BASE),
    # Late ratings of the same films as in other files: older, newer and equal ones.
    _versions(
        "ratings-late.csv",
        a=[_rated(1, 1, 0.5, -5), _rated(2, 2, 1.5, 90), _rated(3, 3, 4.0, 1), (*_BASE[0][:2], 5.0, _BASE[0][3])],
    ),
    # Same user, film and second in two files and within one: the greater key wins, then the higher rating.
    _versions("ratings-m.csv", a=[_SAME_SECOND, (1, 5, 3.5, _SAME_SECOND[3]), _rated(5, 5, 5.0, 8)]),
    _versions("ratings-k.csv", a=[(1, 5, 5.0, _SAME_SECOND[3]), (5, 5, 1.0, _rated(5, 5, 1.0, 8)[3])]),
    # The same bytes under two other names, one sorting before and one after.
    _versions("ratings-copy.csv", a=_BASE[3:9]),
    _versions("ratings-0copy.csv", a=_BASE[3:9]),
    # Fewer rows with each version; a header alone in between changes nothing.
    _versions(
        "ratings-shrinks.csv",
        a=[_rated(6, movie, 4.0, 40) for movie in range(1, 7)],
        only_header=[],
        b=[_rated(6, movie, 3.0, 39) for movie in (1, 2, 3)],
        c=[_rated(6, 1, 2.0, 38)],
    ),
    # Records that only the strict contract rejects (5.0 stars), that both reject, and a version with fewer rejects.
    _versions(
        "ratings-mended.csv",
        a=[_rated(7, 1, 5.0, 50), _rated(7, 2, 5.0, 50), _rated(1, 1, 5.0, 60), "7,three,4.0,1690000000", "7,4,4.0"],
        b=[_rated(7, 1, 5.0, 50), _rated(7, 3, 4.0, 50), _rated(1, 1, 5.0, 60), "7,4,9.9,1690000000"],
    ),
    _versions("ratings/nested.csv.gz", a=[_rated(8, movie, 4.5, 70 + movie) for movie in (1, 2, 6)]),
    _versions("ratings-broken.csv", a=b"userId,movieId,rating,timestamp\n1,1,\xff,1690000000\n"),
)

# ---------------------------------------------------------------- the other datasets


def _tagged(user: int, movie: int, tag: str, day: int) -> tuple[object, ...]:
    return user, movie, tag, _START + day * _DAY


_TAGGED = [_tagged(1, 1, "funny", 1), _tagged(1, 1, "Funny ", 2), _tagged(2, 1, "slow", 3), _tagged(2, 3, "heist", 4)]

TAGS = (
    _versions("tags.csv", a=_TAGGED, b=[_tagged(1, 1, "funny", 5), *_TAGGED[3:]], a_again=_TAGGED),
    _versions("tags-copy.csv", a=_TAGGED),
    # Refused by the strict contract, which tolerates no rejects.
    _versions(
        "tags-mended.csv",
        a=[_tagged(3, 2, "noir", 6), "3,2,noir,yesterday"],
        b=[_tagged(3, 2, "noir", 7), _tagged(3, 3, "slow", 7), "3,,slow,1690000000"],
    ),
    _versions("tags-goes.csv", a=[_tagged(4, 4, "gone", 8), _tagged(4, 4, "stays", 8)], b=[_tagged(4, 4, "stays", 9)]),
)


def _film(number: int, title: str, genres: str = "Drama") -> tuple[object, ...]:
    return number, title, genres


_FILMS = [
    _film(1, "Toy Story (1995)", "Animation|Comedy"),
    _film(2, "Jumanji (1995)"),
    _film(3, "Heat (1995)", "Action|Crime"),
]

MOVIES = (
    _versions("movies-5.csv", a=[_film(1, "Toy Storey (1995)"), _film(1, "Toy Story"), _film(8, "Elsewhere")]),
    _versions("movies-1.csv", a=_FILMS[:2]),
    _versions(
        "movies-9.csv",
        a=_FILMS,
        empty=b"",
        b=[
            *_FILMS[1:],
            _film(1, "Toy Story (1995)", "Comedy"),
            *(_film(n, f"Film {n} (200{n})", "(no genres listed)") for n in (4, 5, 6)),
        ],
    ),
)
_LAST_MOVIES = MOVIES[-1][-1]

_LINKED = [(1, "0114709", 862), (2, "0113497", ""), (3, "0113277", 949)]

_LINKS = (_versions("links.csv", a=_LINKED, b=[(1, "0114709", ""), (4, "0114319", 11860)], a_again=_LINKED),)

_SCORES = [(movie, tag, (movie * tag) / 10) for movie in (1, 2, 3) for tag in (1, 2, 3)]

_GENOME = (
    _versions("genome-tags.csv", a=[(1, "funny"), (2, "old")], b=[(1, "Funny"), (2, "heist"), (3, "slow")]),
    _versions("genome-scores.csv", a=_SCORES, b=[(row[0], row[1], 1 - row[2]) for row in _SCORES[:5]], a_again=_SCORES),
    _versions("genome-scores-2.csv", a=[(1, 1, 0.75), (1, 2, 0.8), (2, 2, 0.9)], b=[(1, 2, 0.85), (1, 2, 0.65)]),
    _versions("genome-scores-copy.csv", a=_SCORES[4:7]),
)

# Lists with and without apostrophes, a two-line description, numbers with a decimal point, missing values.
_TITLED = [
    "tm1,Heat,MOVIE,Cops and robbers.,1995,R,170,\"['crime', 'drama']\",['US'],,tt0113277,8.3,700000.0,40.5,7.9",
    'tm2,Été,MOVIE,"Two\nlines, ""quoted"".",1995,,95,"[\'drama\', ""l\'été""]","[\'FR\', \'US\']",,,,,,',
    "ts3,Again,SHOW,,1997,TV-MA,0,['comedy'],[],3.0,tt9999991,6.1,,0.6,",
    "tm4,,MOVIE,,1997,,11,[],[],,,,5.0,0.00001,6.5",
    'ts5,More,SHOW,x,1997,TV-G,30,"[""kids\' quiz""]",[\'KR\'],1.0,tt0000005,7.0,10.0,1.0,10.0',
    "ts5,More,SHOW,x,1997,TV-G,30,['sport'],['KR'],1.0,tt0000005,7.0,11.0,1.0,10.0",
]
_CREDITED = [
    (1, "tm1", "Ann Lee", "Eady", "ACTOR"),
    (1, "tm2", "Ann Lee", "Zoé", "ACTOR"),
    (1, "tm2", "Ann Lee ", "Amy", "ACTOR"),
    (1, "ts3", "Ann Lee", "", "ACTOR"),
    (1, "ts5", "Ann Lee", "Self", "ACTOR"),
    (2, "tm1", "Ann Lee", "", "DIRECTOR"),
    '3,tm2,"Bo, Jr.","The ""Kid""",ACTOR',
    *((3, title, "Bo", "Self", "ACTOR") for title in ("tm1", "ts3", "tm4")),
    (4, "tm9", "Di", "Lost", "ACTOR"),
]

_CATALOGUE = (
    _versions("titles.csv", a=_TITLED[:3], b=[*_TITLED[1:4], _TITLED[0].replace("8.3", "8.2")], empty=b"", c=_TITLED),
    _versions("credits.csv", a=_CREDITED, b=_CREDITED[:4], only_header=[], a_again=[*_CREDITED, _CREDITED[0]]),
)

CHAINS = (*_RATINGS, *TAGS, *MOVIES, *_LINKS, *_GENOME, *_CATALOGUE)

# ---------------------------------------------------------------- orders


def final_bucket() -> list[Put]:
    """The final version of each object; the newest overwrite file comes last."""
    return sorted((versions[-1] for versions in CHAINS), key=lambda put: (put is _LAST_MOVIES, put.key))


def random(name: str) -> Random:
    """A random number generator seeded with the name."""
    return Random(name)  # noqa: S311 - no secret


def shuffled(chains: Sequence[Sequence[Put]], chance: Random) -> list[Put]:
    """All versions shuffled, with each object's versions in sequence."""
    turns = [number for number, versions in enumerate(chains) for _ in versions]
    chance.shuffle(turns)
    waiting = [iter(versions) for versions in chains]
    return [next(waiting[number]) for number in turns]


def order(chance: Random) -> list[Step]:
    """One order of arrival, interleaved with builds and other actions."""
    puts = shuffled(CHAINS, chance)
    last = max(number for number, put in enumerate(puts) if put.key.startswith("movielens/movies"))
    puts.insert(last, puts.pop(puts.index(_LAST_MOVIES)))
    places: dict[int, list[Step]] = {}
    for act in _acts(chance):
        places.setdefault(chance.randint(0, len(puts)), []).append(act)
    steps = chain.from_iterable([*places.get(number, []), put] for number, put in enumerate(puts))
    # Records that the strict contract kept out are loaded before the last build at the latest.
    return [*steps, *places.get(len(puts), []), Act("widen"), Act("replay"), Act("build")]


def _acts(chance: Random) -> Iterator[Act]:
    yield Act("widen")
    # The first build creates the incremental tables; two to four more add to them, the last build included.
    yield from (Act(chance.choice(["build", "build facts", "build facts"])) for _ in range(chance.randint(2, 4)))
    yield from [Act("sync")] * chance.randint(0, 3)
    yield from [Act("replay")] * chance.randint(0, 2)
    yield from [Act("purge")] * chance.randint(0, 3)
    if chance.random() < 0.3:
        yield Act("full refresh")
    if chance.random() < 0.3:
        yield Act("rebuild", chance.choice(["movielens/ratings", "movielens/tags", "movielens/genome_scores"]))


def strict(dataset: Dataset) -> Dataset:
    """The dataset before its contract was widened; this contract rejects or refuses some arrivals."""
    if dataset.id == "movielens/ratings":
        return _changed(dataset, "rating", max=Decimal("4.5"))
    if dataset.id == "movielens/links":
        return _changed(dataset, "tmdb_id", nullable=False)
    if dataset.id == "movielens/tags":
        return dataset.model_copy(update={"tolerance": Tolerance(rejected_rows=0, rejected_share=0)})
    return dataset


def _changed(dataset: Dataset, name: str, **rules: object) -> Dataset:
    columns = tuple(column.model_copy(update=rules) if column.name == name else column for column in dataset.columns)
    return dataset.model_copy(update={"columns": columns})
