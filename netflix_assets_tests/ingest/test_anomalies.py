"""Anomalies: examples, and properties that hold for any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netflix_assets.ingest.anomalies import (
    MIN_HISTORY,
    Figure,
    LoadFigures,
    anomalies,
    anomaly,
    mean,
    null_share,
    row_count,
    usual_range,
)

numbers = st.floats(-1e12, 1e12)
histories = st.lists(numbers, min_size=MIN_HISTORY, max_size=40)


@given(value=numbers, history=st.lists(numbers, max_size=MIN_HISTORY - 1))
def test_a_short_history_gives_no_warning(value, history):
    assert anomaly(Figure("x", value, history, slack=0)) is None


@given(value=numbers, history=histories, slack=st.floats(0, 10), seed=st.randoms())
def test_the_order_of_the_history_does_not_matter(value, history, slack, seed):
    shuffled = seed.sample(history, len(history))
    assert anomaly(Figure("x", value, history, slack)) == anomaly(Figure("x", value, shuffled, slack))


@given(value=numbers, history=histories, slack=st.floats(0, 10))
def test_a_warning_shows_the_range_that_the_value_violates(value, history, slack):
    low, high = usual_range(Figure("x", value, history, slack))
    found = anomaly(Figure("x", value, history, slack))
    assert (found is None) == (low <= value <= high)
    assert found is None or (found.low, found.high) == (low, high)


@given(history=histories, slack=st.floats(0, 10))
def test_at_least_half_of_any_history_is_usual(history, slack):
    low, high = usual_range(Figure("x", 0, history, slack))
    assert 2 * sum(low <= value <= high for value in history) >= len(history)


@given(
    usual=st.lists(st.floats(100, 110), min_size=MIN_HISTORY, max_size=40),
    odd=st.lists(st.sampled_from([0.0, 1e9, -1e9]), max_size=3),
    value=st.floats(1_000, 1e9),
)
def test_a_few_outliers_neither_hide_nor_cause_warnings(usual, odd, value):
    history = [*usual, *odd]
    assert anomaly(Figure("x", value, history, slack=5)) is not None
    middle = sorted(usual)[len(usual) // 2]
    assert anomaly(Figure("x", middle, history, slack=10)) is None


@given(history=st.lists(st.floats(0, 1), min_size=MIN_HISTORY, max_size=40))
def test_the_range_of_a_share_is_between_0_and_1(history):
    low, high = usual_range(null_share("x", 0.5, history))
    assert 0 <= low <= high <= 1


@given(rows=st.integers(0, 10**10), count=st.integers(MIN_HISTORY, 30))
def test_a_load_like_all_earlier_ones_is_usual(rows, count):
    load = LoadFigures(rows, {"a": 0.25}, {"b": rows / 3})
    assert anomalies(load, [load] * count) == []


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (null_share("tmdb_id", 0.41, [0.0, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
         "null share of tmdb_id 0.41, usually 0.00 to 0.02"),
        (null_share("tmdb_id", 0.02, [0.0] * 8), None),
        (row_count(12, [1_000] * 8), "row count 12, usually 900 to 1,100"),
        (row_count(950, [1_000] * 8), None),
        (row_count(0, [1_000] * 7), None),
        (row_count(5_000, [900, 950, 1_000, 1_050, 1_100, 980, 1_020, 1_000]),
         "row count 5,000, usually 689 to 1,311"),
        (mean("rating", 7.2, [3.5, 3.6, 3.4, 3.5, 3.5, 3.6, 3.5, 3.4]), "mean of rating 7.20, usually 3.06 to 3.94"),
        (mean("share", 0.5, [0.001] * 9), "mean of share 0.50, usually 0.00095 to 0.00105"),
    ],
)  # fmt: skip
def test_examples(figure, text):
    found = anomaly(figure)
    assert (None if found is None else str(found)) == text


def test_new_columns_give_no_warning_and_every_anomaly_is_reported():
    history = [LoadFigures(100, {"a": 0.0}, {"a": 5.0})] * 8
    odd = LoadFigures(10, {"a": 1.0, "new": 1.0}, {"a": 50.0, "new": 9.0})
    assert [each.name for each in anomalies(odd, history)] == ["row count", "null share of a", "mean of a"]
