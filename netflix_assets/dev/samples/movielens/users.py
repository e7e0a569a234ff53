"""Users: taste, activity, stay and mood."""

from dataclasses import dataclass

import numpy as np

from netflix_assets.dev.samples.common import Dice, Floats, Ints, running_total
from netflix_assets.dev.samples.movielens.activity import day_weights
from netflix_assets.dev.samples.movielens.scenario import N_DAYS, TASTES, Part


@dataclass(frozen=True)
class Users:
    """All users; a user's id is the index plus one.

    taste: index into TASTES.
    ratings: how many ratings the user gives.
    joined, left: days since FIRST_DAY, both inclusive.
    mood: stars that the user adds to every rating.
    spread: standard deviation of the user's ratings of equally good films, in stars.
    """

    taste: Ints
    ratings: Ints
    joined: Ints
    left: Ints
    mood: Floats
    spread: Floats


def make_users(count: int, ratings: int, films: int, seed: int) -> Users:
    """Return ``count`` users who give ``ratings`` ratings in total, each for at most 45 % of ``films`` films."""
    dice = Dice(seed, Part.USERS)
    # Nobody joins in the last two weeks: such users would have to give all their ratings in the few days left.
    before = running_total(day_weights()[:-14])
    joined = np.searchsorted(before, dice.below(np.full(count, before[-1])), side="right") - 1
    activity = 1.0 / np.maximum(dice.uniform(count), 0.025)
    # Users who rate more stay longer, so that no single user dominates a season.
    stay = dice.uniform(count)
    position = np.arange(count)
    stay_days = 14.0 + 1_500.0 * np.where(position % 16 == 3, stay, stay * stay * stay) + 4.0 * activity
    # Some users join on the first day, and some of those stay to the end. User 1 does, so that every year has ratings.
    joined[(position % 40 == 0) | (position % 16 == 3)] = 0
    stay_days[position % 40 == 0] = N_DAYS
    left = joined + np.minimum(stay_days.astype(np.int64), N_DAYS - joined) - 1

    # The shares of the tastes move from those of the first year to those of the last.
    target = dice.uniform(count) * (100 * N_DAYS)
    taste, upto = np.zeros((2, count), dtype=np.int64)
    for one in TASTES[:-1]:
        upto += one.users_first * (N_DAYS - joined) + one.users_last * joined
        taste += target >= upto

    # Everybody gives at least 20 ratings, as in MovieLens. The rest is split by activity. Nobody rates more than 45 %
    # of the films; the excess goes to users below that limit.
    weight = (1_000.0 * activity * np.minimum(1.0, (N_DAYS - joined) / stay_days)).astype(np.int64)
    weight[0] = max(int(weight[0]), 2 * int(weight.sum()) // count)
    most = films * 45 // 100
    counts = np.full(count, 20, dtype=np.int64)
    while (missing := ratings - int(counts.sum())) > 0:
        open_weight = np.where(counts < most, weight, 0)
        if missing > count:
            counts = np.minimum(counts + open_weight * missing // open_weight.sum(), most)
        else:
            counts[np.flatnonzero(counts < most)[:missing]] += 1

    mood = 0.35 * dice.bell(count)
    spread = 0.35 + 0.7 * dice.uniform(count)
    return Users(taste, counts, joined, left, mood, spread)
