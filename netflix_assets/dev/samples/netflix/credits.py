"""Credits: the actors and directors of the titles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netflix_assets.dev.samples.common import NOUNS, Dice, Floats, Ints, invented_name
from netflix_assets.dev.samples.netflix.scenario import (
    CREDITS_PER_REGULAR,
    CREDITS_PER_STAR,
    FIRST_NAMES,
    INDUSTRIES,
    REGULAR_SHARE,
    STAR_SHARE,
    Part,
)
from netflix_assets.dev.samples.netflix.titles import Titles, random_words

_FAMILY_ENDS = ("", "", "", "", "s", "ek", "ova", "ides", "ez", "sen", "ini", "oglu", "wala", "å", "é", "ski")
_CHARACTER_FORMS = (
    "{f}", "{f}", "{f}", "{f} {n}", "{f} {n}", "Detective {n}", "Dr. {n}", "Young {f}", "{f}'s Mother", "Mrs. {n}",
    "The {a}", '{f} "{a}" {n}', "{f} / Narrator", "Nurse", "Police Officer", "{a}, the Elder", "Father {f}",
)  # fmt: skip
CREDIT_COLUMNS = ("person_id", "id", "name", "character", "role")


@dataclass(frozen=True)
class Cast:
    """The people of the titles: one entry per actor and title, and one per director and title.

    actors, directors: indices into ``person_ids`` and ``names``, in the order of the titles.
    actor_starts, director_starts: index of each title's first entry, followed by the number of entries.
    stars: number of stars among each title's actors.
    """

    actors: list[int]
    actor_starts: list[int]
    directors: list[int]
    director_starts: list[int]
    stars: Ints
    person_ids: list[int]
    names: list[str]


def make_cast(titles: Titles, seed: int) -> Cast:
    """Return the actors and directors of every title. Nobody has the same role twice in a title."""
    dice = Dice(seed, Part.SOURCE, Part.CAST)
    count = len(titles.ids)
    is_show = np.array(titles.is_show)
    # Half of the titles have more than eleven actors, a few have a hundred, some have no credits at all.
    u = dice.uniform(count)
    sizes = np.where(is_show, 3.0 + 8.0 * u, 3.0 + 16.0 * u) + np.minimum(0.55 / (1.0 - u), 100.0)
    nobody = dice.uniform(count) < np.where(is_show, 0.12, 0.03)
    n_actors = np.where(nobody, 0, sizes.astype(np.int64))
    u = dice.uniform(count)
    several = 1 + (u < 0.11).astype(np.int64) + (u < 0.02)
    n_directors = np.where(nobody | (u > np.where(is_show, 0.30, 0.97)), 0, several)

    slot_title = np.repeat(np.arange(count), n_actors)
    slot_industry = titles.industry[slot_title]
    # People are numbered: stars and regulars, both by industry, then directors, then people with a single title.
    n_slots = np.bincount(slot_industry, minlength=len(INDUSTRIES))
    n_stars = 1 + (n_slots * STAR_SHARE / CREDITS_PER_STAR).astype(np.int64)
    n_regulars = 1 + (n_slots * REGULAR_SHARE / CREDITS_PER_REGULAR).astype(np.int64)
    first_star = np.cumsum(n_stars) - n_stars
    first_regular = int(n_stars.sum()) + np.cumsum(n_regulars) - n_regulars
    first_director = int(n_stars.sum() + n_regulars.sum())
    pool = 1 + int(n_directors.sum()) * 6 // 10
    u, position = dice.uniform(len(slot_title)), _skewed(dice, len(slot_title))
    is_star, is_once = u < STAR_SHARE, u >= STAR_SHARE + REGULAR_SHARE
    person = np.where(
        is_star,
        first_star[slot_industry] + (position * n_stars[slot_industry]).astype(np.int64),
        first_regular[slot_industry] + (position * n_regulars[slot_industry]).astype(np.int64),
    )
    person[is_once] = first_director + pool + np.arange(int(is_once.sum()))
    actors, actor_starts = _without_repeats(slot_title, person, count)
    stars = np.bincount(slot_title[is_star], minlength=count)

    slot_title = np.repeat(np.arange(count), n_directors)
    person = first_director + (_skewed(dice, len(slot_title)) * pool).astype(np.int64)
    # One director in twenty-five also acts in the title.
    own = (dice.uniform(len(slot_title)) < 0.04) & (np.diff(actor_starts)[slot_title] > 0)
    person[own] = np.array(actors)[np.array(actor_starts)[slot_title[own]]]
    directors, director_starts = _without_repeats(slot_title, person, count)

    n_people = first_director + pool + int(is_once.sum())
    ids, names = _make_people(n_people, seed)
    return Cast(actors, actor_starts, directors, director_starts, stars, ids, names)


def _skewed(dice: Dice, size: int) -> Floats:
    """Return numbers in [0, 1), small ones more often, so that some choices become favourites."""
    skewed: Floats = 1.0 - np.sqrt(1.0 - dice.uniform(size))
    return skewed


def _without_repeats(title: Ints, person: Ints, count: int) -> tuple[list[int], list[int]]:
    """Return the people in the order of the titles, each once per title, and the index of each title's first one."""
    cast: list[dict[int, None]] = [{} for _ in range(count)]
    for each, who in zip(title.tolist(), person.tolist(), strict=True):
        cast[each][who] = None
    starts = np.cumsum([0, *map(len, cast)]).tolist()
    return [who for people in cast for who in people], starts


def _make_people(count: int, seed: int) -> tuple[list[int], list[str]]:
    """Return different ids in random order, and names, some of which are the same."""
    dice = Dice(seed, Part.SOURCE, Part.PEOPLE)
    ids = np.cumsum(1 + dice.below(np.full(count, 80)))[dice.shuffled(count)].tolist()
    family = [invented_name(dice) for _ in range(4_000)]
    u = dice.uniform(4 * count).reshape(4, count)
    picks = (u[:3].T * np.array([len(FIRST_NAMES), len(family), len(_FAMILY_ENDS)])).astype(np.int64).tolist()
    names = [f"{FIRST_NAMES[a]} {family[b]}{_FAMILY_ENDS[c]}" for a, b, c in picks]
    for index in np.flatnonzero(u[3] < 0.01).tolist():
        first, last = names[index].split(" ", 1)
        odd = (f"{last}, Jr.", f'"{NOUNS[index % len(NOUNS)]}" {last}', f"O'{last}", f"{last} ", last)
        names[index] = f"{first} {odd[index % len(odd)]}" if index % 5 < 4 else last
    return ids, names


def credit_rows(titles: Titles, cast: Cast, seed: int) -> Iterator[Sequence[object]]:
    """Yield the rows of credits.csv, by title: actors first, then directors."""
    dice = Dice(seed, Part.SOURCE, Part.CAST, 1)
    # A fixed stock of characters, because many have the same name in real files.
    stock = [dice.choose(_CHARACTER_FORMS).format(**random_words(dice)) for _ in range(4_000)]
    for index, title in enumerate(titles.ids):
        actors = cast.actors[cast.actor_starts[index] : cast.actor_starts[index + 1]]
        unscripted = bool({"documentation", "reality", "music"} & set(titles.genres[index]))
        voice = " (voice)" if "animation" in titles.genres[index] else ""
        u = dice.uniform(2 * len(actors)).tolist()
        for position, person in enumerate(actors):
            character = stock[int(u[2 * position] * len(stock))] + voice
            if unscripted and u[2 * position + 1] < 0.8:
                character = "Self"
            elif u[2 * position + 1] > 0.925:
                character = ""
            yield cast.person_ids[person], title, cast.names[person], character, "ACTOR"
            if 0.9 < u[2 * position + 1] < 0.9012 and character:
                yield cast.person_ids[person], title, cast.names[person], f"{character} II", "ACTOR"
        for person in cast.directors[cast.director_starts[index] : cast.director_starts[index + 1]]:
            yield cast.person_ids[person], title, cast.names[person], "", "DIRECTOR"
