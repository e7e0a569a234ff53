"""When people rate films: growth, months, weekdays, hours and unusual weeks."""

from datetime import date, timedelta
from functools import cache

import numpy as np

from netflix_assets.dev.samples.common import Ints
from netflix_assets.dev.samples.movielens.scenario import FIRST_DAY, N_DAYS, TASTES, UNUSUAL_WEEKS

# Volume relative to the average, by month (January first), weekday (Monday first) and hour (UTC).
_MONTHS = (1.30, 1.10, 1.00, 0.90, 0.80, 0.70, 0.70, 0.80, 0.95, 1.10, 1.20, 1.45)
_WEEKDAYS = (0.85, 0.80, 0.85, 0.90, 1.15, 1.35, 1.30)
_WORKDAY_HOURS = (30, 20, 12, 8, 6, 6, 8, 12, 15, 16, 18, 22, 28, 26, 24, 26, 32, 42, 56, 70, 78, 76, 62, 44)
_WEEKEND_HOURS = (46, 36, 24, 14, 8, 6, 6, 10, 18, 30, 40, 46, 50, 54, 58, 58, 56, 56, 60, 66, 70, 70, 64, 54)
_GROWTH = (0.7, 2.0)  # volume on the first and on the last day
EPOCH_DAY = (FIRST_DAY - date(1970, 1, 1)).days
DAY_S = 86_400
LAST_S = (EPOCH_DAY + N_DAYS) * DAY_S - 1


@cache
def day_weights() -> Ints:
    """Return a weight per day of the scenario: growth x month x weekday x unusual week."""
    weights = []
    for day in range(N_DAYS):
        today = FIRST_DAY + timedelta(days=day)
        weight = _GROWTH[0] + (_GROWTH[1] - _GROWTH[0]) * day / N_DAYS
        weight *= _MONTHS[today.month - 1] * _WEEKDAYS[today.weekday()]
        for week in UNUSUAL_WEEKS:
            if 0 <= (today - week.monday).days < 7:
                weight *= week.volume
        weights.append(int(weight * 10_000))
    return np.array(weights, dtype=np.int64)


def hour_totals() -> Ints:
    """Return the running totals of the hours' weights, by taste x (workday, weekend) x hour.

    Hours close to the taste's peak hour weigh more.
    """
    totals = np.zeros((len(TASTES), 2, 24), dtype=np.int64)
    for index, taste in enumerate(TASTES):
        for weekend, usual in enumerate((_WORKDAY_HOURS, _WEEKEND_HOURS)):
            distances = [min((hour - taste.peak_hour) % 24, (taste.peak_hour - hour) % 24) for hour in range(24)]
            totals[index, weekend] = np.cumsum(
                [weight + 16 * max(0, 4 - distance) for weight, distance in zip(usual, distances, strict=True)]
            )
    return totals
