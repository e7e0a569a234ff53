"""Ratings: who rates which film, when, and with how many stars."""

from dataclasses import dataclass

import numpy as np

from netflix_assets.dev.samples.common import Dice, Ints, running_total
from netflix_assets.dev.samples.movielens.activity import DAY_S, EPOCH_DAY, LAST_S, day_weights, hour_totals
from netflix_assets.dev.samples.movielens.films import Films
from netflix_assets.dev.samples.movielens.scenario import (
    FIRST_DAY,
    LAST_DAY,
    N_DAYS,
    RE_RATED_SHARE,
    TASTES,
    UNUSUAL_WEEKS,
    Part,
)
from netflix_assets.dev.samples.movielens.users import Users

_RATINGS_PER_SESSION = 3
_STARS = [f"{half / 2:.1f}" for half in range(11)]


@dataclass(frozen=True)
class RatingBlock:
    """The ratings of some users, ordered by user, film and time.

    ``user`` and ``film`` are indices, ``half_stars`` is 1 to 10, ``time`` is in seconds since 1970-01-01 UTC.
    """

    user: Ints
    film: Ints
    half_stars: Ints
    time: Ints


def make_block(films: Films, users: Users, first: int, after: int, seed: int) -> RatingBlock:
    """Return the ratings of the users from index ``first`` up to, but not including, ``after``."""
    dice = Dice(seed, Part.RATINGS, first)
    counts = users.ratings[first:after]
    user = np.repeat(np.arange(first, after), counts)
    starts = np.repeat(running_total(counts)[:-1], counts)  # index of the user's first rating
    position = np.arange(len(user)) - starts  # 0 for the user's first rating
    day, time = _choose_times(users, user, position, counts[user - first], dice)
    film = _choose_films(films, users.taste[user], user, day, dice)
    half_stars = _choose_stars(films, users, user, film, day, dice)

    # Corrections: a later rating takes the film of an earlier one and moves its stars. Times grow with the position.
    again = np.flatnonzero((dice.uniform(len(user)) < RE_RATED_SHARE) & (position > 0))
    earlier = starts[again] + dice.below(position[again])
    again, earlier = again[time[earlier] < time[again]], earlier[time[earlier] < time[again]]
    film[again] = film[earlier]
    moved = half_stars[earlier] + np.array((-2, -1, 1, 2))[dice.below(np.full(len(again), 4))]
    half_stars[again] = np.clip(moved, 1, 10)

    order = np.lexsort((time, film, user))
    return RatingBlock(user[order], film[order], half_stars[order], time[order])


def _choose_times(users: Users, user: Ints, position: Ints, count: Ints, dice: Dice) -> tuple[Ints, Ints]:
    """Return the day (since FIRST_DAY) and time (seconds since 1970) of each rating, ascending within a user.

    A user rates in sessions of about three films. Sessions are spread over the user's stay by quantiles of the days'
    weights, which shows growth, season, weekdays and unusual weeks. The hour depends on taste and weekend.
    """
    sessions = (count + _RATINGS_PER_SESSION - 1) // _RATINGS_PER_SESSION
    session = position * sessions // count
    is_start = np.concatenate((np.ones(1, dtype=bool), (np.diff(user) != 0) | (np.diff(session) != 0)))
    row = np.cumsum(is_start) - 1  # of the session, among the block's sessions
    owner, number, of = user[is_start], session[is_start], sessions[is_start]

    before = running_total(day_weights())
    low, high = before[users.joined[owner]], before[users.left[owner] + 1]
    quantile = (number + dice.uniform(len(owner))) / of
    day = np.searchsorted(before, low + (quantile * (high - low)).astype(np.int64), side="right") - 1
    weekend = (day + FIRST_DAY.weekday()) % 7 >= 5
    hours = hour_totals()[users.taste[owner], weekend.astype(np.int64)]
    hour = (dice.below(hours[:, -1])[:, np.newaxis] >= hours).sum(axis=1)
    second = hour * 3_600 + dice.below(np.full(len(owner), 3_600))
    time = np.minimum((EPOCH_DAY + day) * DAY_S + second, LAST_S)

    # Ratings of a session are 20 seconds to 2 minutes apart. The sessions of a day stay in order.
    steps = 20 + dice.below(np.full(len(user), 100))
    since_start = np.cumsum(steps)
    since_start -= since_start[is_start][row]
    all_times = np.minimum(time[row] + since_start, LAST_S)
    all_times = all_times[np.lexsort((all_times, user))]
    return day[row], all_times


def _choose_films(films: Films, taste: Ints, user: Ints, day: Ints, dice: Dice) -> Ints:
    """Return the film of each rating: available on that day, chosen by taste, and never twice for a user.

    One choice in five is among the films of the last twelve months, because people watch new films more.
    """
    before = np.stack([running_total(weights) for weights in films.weights])
    upto = np.searchsorted(films.available, day, side="right")
    since = np.searchsorted(films.available, day - 365, side="right")
    film = np.full(len(user), -1, dtype=np.int64)
    open_rows = np.arange(len(user))
    attempt = 0
    while len(open_rows):
        if attempt < 8:
            for index in range(len(TASTES)):
                rows = open_rows[taste[open_rows] == index]
                totals = before[index]
                newer = (dice.uniform(len(rows)) < 0.2) & (since[rows] < upto[rows]) & (day[rows] >= 365)
                low = np.where(newer, totals[since[rows]], 0)
                target = low + dice.below(totals[upto[rows]] - low)
                film[rows] = np.searchsorted(totals, target, side="right") - 1
        else:  # users who have rated nearly everything of their taste take any film
            film[open_rows] = dice.below(upto[open_rows])
        pairs = user * films.ids.size + film
        order = np.argsort(pairs, kind="stable")
        open_rows = np.sort(order[1:][np.diff(pairs[order]) == 0])
        attempt += 1
    return film


def _choose_stars(films: Films, users: Users, user: Ints, film: Ints, day: Ints, dice: Dice) -> Ints:
    """Return the half stars of each rating, from the film's quality, the user's taste, mood and spread, and the week.

    Whole stars are more frequent than half stars, as in real ratings.
    """
    taste = users.taste[user]
    shift = np.zeros(N_DAYS)
    for week in UNUSUAL_WEEKS:
        monday = (week.monday - FIRST_DAY).days
        shift[monday : monday + 7] = week.stars
    noise = dice.bell(len(user))
    stars = films.quality[film] + 1.0 * (films.affinity[taste, film] - 0.4) + users.mood[user]
    stars = stars + users.spread[user] * noise + shift[day]
    # The tastes in the camp of a polarised film (even or odd) mostly love it, the others mostly hate it.
    camp = films.camp[film]
    loves = dice.uniform(len(user)) < np.where(taste % 2 == camp, 0.85, 0.15)
    stars = np.where(camp >= 0, np.where(loves, 4.7, 1.0) + 0.4 * noise, stars)
    whole = dice.uniform(len(user)) < 0.4
    half_stars = np.where(whole, 2.0 * np.floor(stars + 0.5), np.floor(2.0 * stars + 0.5)).astype(np.int64)
    return np.clip(half_stars, 1, 10)


def rating_lines(films: Films, block: RatingBlock) -> list[str]:
    """Return the CSV lines of a block."""
    columns = (block.user + 1, films.ids[block.film], block.half_stars, block.time)
    return [
        f"{user},{film},{_STARS[half]},{time}\n"
        for user, film, half, time in zip(*(column.tolist() for column in columns), strict=True)
    ]


def with_faulty_records(lines: list[str]) -> list[str]:
    """Return the lines with FAULTY_RECORDS faulty ones spread among them."""
    user, film, rating, time = lines[0].rstrip("\n").split(",")
    faulty = (
        f"{user},{film},four,{time}\n",  # a number as text
        f"{user},{film},{rating}\n",  # a field is missing
        f"{user},{film},7.5,{time}\n",  # above the range
        f",{film},{rating},{time}\n",  # the user is missing
        f"{user},{film},{rating},{LAST_DAY.year}-07-01 20:15:00\n",  # not in seconds since 1970
    )
    lines = list(lines)
    for index, line in reversed(list(enumerate(faulty, start=1))):
        lines.insert(index * len(lines) // (len(faulty) + 1), line)
    return lines
