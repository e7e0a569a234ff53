"""Pages built from frames, without a warehouse. browser/ tests them in Chromium."""

import json
import re
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import yaml

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.page import OVERVIEW, Built, Page, build, preview, spec, values
from netflix_assets.dashboards.pages import PAGES, recommendations
from netflix_assets.dashboards.pages.overview import months_by_year
from netflix_assets.dashboards.queries import Query, first_row, frame, read
from netflix_assets.dashboards.text import plural, sentence, share
from netflix_assets.settings import REPO
from netflix_assets.warehouse.publishing import Publication

AT = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>"
PUBLICATION = Publication("v1", "run-1", "i1", "i1", AT, AT, {"marts.mart_overview": 1}, {"movielens/ratings": 12})


def overview(**changes: object) -> pd.DataFrame:
    """Return mart_overview of an empty warehouse, with these changes."""
    row: dict[str, object] = dict.fromkeys(OVERVIEW.columns, 0)
    row |= dict.fromkeys(("avg_rating", "ratings_per_user", "first_rated_at", "last_rated_at"))
    row |= {"has_sample_movies": False, "has_sample_titles": False, **changes}
    return frame(list(row), [tuple(row.values())])


def frames(page: Page, **changes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    empty = {name: frame(list(query.columns), []) for name, query in page.queries.items()}
    return {**empty, "overview": overview(), **changes}


def page_of(name: str) -> Page:
    (page,) = (page for page in PAGES if page.name == name)
    return page


def built(name: str, **changes: pd.DataFrame) -> Built:
    page = page_of(name)
    return build(page, PAGES, frames(page, **changes), PUBLICATION)


def data(html: str) -> dict[str, Any]:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def pairs(title: str) -> pd.DataFrame:
    row = {
        "movie_id": 1, "title": title, "release_year": 1994, "rank_for_movie": 1, "liked_movie_id": 2,
        "liked_title": title, "liked_release_year": None, "liked_genres": "Drama", "n_co_likes": 4, "n_likes": 9,
        "score": 0.5, "lift": 2.0,
    }  # fmt: skip
    return frame(list(row), [tuple(row.values())])


def test_films_with_too_few_ratings_do_not_break_the_page() -> None:
    (query,) = (query for name, query in page_of("content").queries.items() if name == "films")
    film = dict.fromkeys(query.columns, 1) | {"title": "Heat", "genres": "Action", "avg_rating": 4.0}
    unranked = {"polarization_score": None, "polarization_rank": None, "is_polarized": False}
    row = {**film, **unranked, "is_high_engagement_low_rating": False}
    html = built("content", films=frame(list(row), [tuple(row.values())])).html
    assert "No film with enough ratings" in html


def test_queries_match_the_exposures() -> None:
    exposures = yaml.safe_load((REPO / "dbt/models/exposures.yml").read_text())["exposures"]
    entries = [entry for entry in exposures if entry["type"] == "dashboard"]
    expected: Mapping[str, set[str]] = {
        entry["config"]["meta"]["page"]: {ref.removeprefix("ref('").removesuffix("')") for ref in entry["depends_on"]}
        for entry in entries
    }
    assert {page.name: {query.mart for query in page.queries.values()} for page in PAGES} == expected
    assert {entry["url"] for entry in entries} == {f"dashboards/{page.file_name}" for page in PAGES}
    assert {entry["label"] for entry in entries} == {page.title for page in PAGES}


def test_a_page_queries_each_mart_once_and_selects_columns_only() -> None:
    for page in PAGES:
        marts = [query.mart for query in page.queries.values()]
        assert len(marts) == len(set(marts)), page.name
        for query in page.queries.values():
            assert re.fullmatch(r"select \w+(, \w+)* from marts\.mart_\w+( where \w+)?", query.sql), query.sql
        assert {panel.query for panel in page.panels} | {"overview"} == set(page.queries), page.name


def test_frames_are_the_same_for_both_warehouses() -> None:
    rows = [(1, Decimal("2.5"), "a", True, date(2020, 1, 2)), (None, None, None, None, None)]
    found = frame(["number", "decimal", "text", "flag", "day"], rows)
    assert found["decimal"].tolist()[0] == 2.5
    assert values(found) == [
        {"number": 1.0, "decimal": 2.5, "text": "a", "flag": True, "day": "2020-01-02"},
        dict.fromkeys(("number", "decimal", "text", "flag", "day")),
    ]
    assert first_row(frame(["n", "share"], [(3, 0.5)])) == {"n": 3, "share": 0.5}
    executed: list[str] = []
    read({"a": Query("mart_x", ("b", "c"), where="is_d")}, lambda sql: executed.append(sql) or (["b", "c"], []))
    assert executed == ["select b, c from marts.mart_x where is_d"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_without_data_every_panel_names_what_to_get(page: Page) -> None:
    html = built(page.name).html
    assert html.count("data-empty") >= len(page.panels)
    for panel in page.panels:
        assert f"No data yet: get <b>{panel.requires.what}</b> with <b>netflix-assets " in html
    assert html.count("No data yet: get <b>") == len(page.panels)
    assert "No ratings yet" in html
    assert built(page.name).preview is None
    for each in PAGES:
        assert f'href="{each.file_name}"' in html


def test_an_empty_panel_does_not_claim_that_there_is_no_data() -> None:
    html = built("content", overview=overview(n_ratings=100)).html
    assert "No film has a release date in seed_movie_release_dates." in html
    assert html.count("No data yet") == len(page_of("content").panels) - 1


def test_values_never_become_markup() -> None:
    html = built("recommendations", liked=pairs(HOSTILE)).html
    assert "onerror=alert" in html  # as text
    assert "<img src=x" not in html
    assert html.count("</script>") == html.count("<script")
    panel = data(html)["also-liked"]
    assert panel["values"][panel["names"].index("film")] == [f"{HOSTILE} (1994)"]


def test_chart_table_and_csv_have_the_same_rows() -> None:
    panel = data(built("recommendations", liked=pairs("Heat")).html)["also-liked"]
    assert {column["name"] for column in panel["columns"]} <= set(panel["names"])
    assert panel["spec"]["data"] == {"name": "rows"}
    assert "datasets" not in panel["spec"]


def test_the_page_shows_dates_run_objects_and_sample_data() -> None:
    dated = overview(first_rated_at=datetime(2015, 1, 1), last_rated_at=datetime(2024, 12, 31), has_sample_movies=True)
    html = built("overview", overview=dated).html
    assert "Ratings from 2015-01-01 to 2024-12-31" in html
    assert "SAMPLE DATA" in html
    assert "films and their ratings" in html
    assert "<code>run-1</code>" in html
    assert "movielens/ratings (12 objects)" in html
    assert "SAMPLE DATA" not in built("overview").html


def test_every_palette_has_the_colours_of_the_charts() -> None:
    assert set(theme.LIGHT) == set(theme.DARK)
    drawing = recommendations.also_liked(pairs("Heat"))
    text = json.dumps([spec(drawing), theme.CONFIG])
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(theme.LIGHT)
    assert "var(" not in json.dumps(theme.resolve_colours(spec(drawing)))
    jpeg = preview(spec(drawing), drawing.rows)
    frame = jpeg.index(b"\xff\xc0")
    height, width = struct.unpack(">HH", jpeg[frame + 5 : frame + 9])
    assert jpeg.startswith(b"\xff\xd8\xff")
    assert width == 480
    assert 100 < height < 500


def test_every_text_can_be_drawn() -> None:
    """A control character ended the process, and a title that looks like a colour's name was looked up as one."""
    for title in ("\x1b[31m", "a\x01b", "two\nlines", "\ufffe", "var(--film)", "🎬"):
        assert pairs(title)["title"][0].isprintable()
        drawing = recommendations.also_liked(pairs(title))
        assert preview(spec(drawing), drawing.rows).startswith(b"\xff\xd8\xff")


def test_counts_and_words_agree_and_values_are_bold() -> None:
    assert [counted(n, "category", "categories") for n in (0, 1, 1200)] == [
        "0 categories",
        "1 category",
        "1,200 categories",
    ]
    text = sentence("{films} {are} at {share:.0%}", films=counted(1, "film"), are=plural(1, "is", "are"), share=0.5)
    assert text == "<b>1 film</b> is at <b>50%</b>"
    assert sentence("{title}", title="<i>") == "<b>&lt;i&gt;</b>"


def spans(html: str) -> dict[str, int]:
    """Return the width of each panel in twelfths."""
    return {name: int(span) for span, name in re.findall(r'<section class="panel span(\d+)" id="([\w-]+)"', html)}


def rows_of(page: str, query: str, *changes: Mapping[str, object]) -> pd.DataFrame:
    """Return a frame of a page's query: one row per mapping, with null in the columns that it does not name."""
    columns = page_of(page).queries[query].columns
    return frame(list(columns), [tuple(change.get(column) for column in columns) for change in changes])


def run_of(day: int) -> dict[str, object]:
    started = datetime(2026, 5, day, 3, 2)
    counts = dict.fromkeys(
        ("n_nodes", "n_tests", "n_failed", "n_objects_loaded", "n_rows_loaded", "n_rows_rejected"), 1
    )
    return {"run_id": f"run-{day}", "started_at": started, "has_passed": True, "build_s": 7.0, **counts}


USUAL_DAY: Mapping[str, object] = {
    "date_day": date(2024, 1, 1), "n_ratings": 8, "n_users": 3, "baseline_median": 9.0, "usual_min": 2.0,
    "usual_max": 16.0, "robust_z": -0.5, "is_anomalous": False, "new_movies": 0,
}  # fmt: skip
UNUSUAL_DAY = {**USUAL_DAY, "date_day": date(2024, 1, 2), "n_ratings": 60, "robust_z": 25.5, "is_anomalous": True}


def test_unusual_days_are_drawn_among_usual_days_and_their_range() -> None:
    """Only unusual days were drawn, so nobody saw what they were compared with."""
    usual = built("overview", unusual=rows_of("overview", "unusual", USUAL_DAY)).html
    assert "No day stands out from the preceding 90 days." in usual
    html = built("overview", unusual=rows_of("overview", "unusual", USUAL_DAY, UNUSUAL_DAY)).html
    assert "Most extreme: <b>2 January 2024</b>, with <b>60 ratings</b> instead of the usual <b>9</b>." in html
    panel = data(html)["unusual-days"]
    assert panel["values"][panel["names"].index("kind")] == ["other day", "far more than usual"]
    band = panel["spec"]["layer"][0]
    assert (band["mark"]["type"], band["encoding"]["y2"]["field"]) == ("area", "usual_max")


def test_a_panel_without_rows_leaves_its_room_to_its_neighbour() -> None:
    season = {"n_ratings": 8, "n_years": 1, "seasonal_index": 1.0, "least_index": 1.0, "greatest_index": 1.0}
    seasons = rows_of("overview", "seasons", *({**season, "month_number": month} for month in range(1, 13)))
    empty = spans(built("overview", overview=overview(n_ratings=96), seasons=seasons).html)
    assert (empty["unusual-days"], empty["seasons"]) == (12, 12)
    day = {
        "date_day": date(2024, 1, 1),
        "n_ratings": 60,
        "baseline_median": 9,
        "robust_z": 8.0,
        "n_users": 7,
        "new_movies": 0,
    }
    full = spans(built("overview", seasons=seasons, unusual=rows_of("overview", "unusual", day)).html)
    assert (full["unusual-days"], full["seasons"]) == (7, 5)


def test_one_run_is_a_sentence_and_two_runs_are_a_chart() -> None:
    one = built("pipeline", runs=rows_of("pipeline", "runs", run_of(1))).html
    assert "One build so far, which took <b>7</b> s." in one
    assert data(one)["trend"] == {}
    two = data(built("pipeline", runs=rows_of("pipeline", "runs", run_of(1), run_of(2))).html)["trend"]
    assert two["spec"]["mark"]["type"] == "bar"
    assert len(two["values"][0]) == 2


def test_the_tables_that_cost_most_are_drawn_in_the_order_of_the_bars() -> None:
    """They were sorted by their total time, but the bars were medians."""
    often = {"asset": "core/often", "runtime_rank": 1, "n_runs": 9, "p50_s": 1.0, "total_s": 12.0, "tests_total_s": 3.0}
    slow = {"asset": "core/slow", "runtime_rank": 2, "n_runs": 1, "p50_s": 8.0, "total_s": 8.0, "tests_total_s": 0.0}
    rates = {"p95_s": 8.0, "share_of_total": 0.5, "n_rows": 1}
    html = built("pipeline", assets=rows_of("pipeline", "assets", slow | rates, often | rates)).html
    panel = data(html)["costs"]
    rows = [dict(zip(panel["names"], row, strict=True)) for row in zip(*panel["values"], strict=True)]
    assert [(row["asset"], row["build_total_s"] + row["tests_total_s"]) for row in rows] == [
        ("core/often", 12.0),
        ("core/slow", 8.0),
    ]
    assert panel["spec"]["encoding"]["y"]["sort"] == ["core/often", "core/slow"]
    assert panel["spec"]["encoding"]["x"]["field"] == "seconds"


def test_the_best_genre_of_a_decade_does_not_rest_on_a_few_films() -> None:
    cell = {"n_ratings": 40, "avg_rating": 4.1, "adjusted_avg_rating": 3.9, "adjusted_lift_vs_overall": 1.1}
    few = {**cell, "genre": "Western", "decade": 1940, "n_rated_movies": 5, "avg_rating": 4.4}
    many = {**cell, "genre": "War", "decade": 1960, "n_rated_movies": 30, "adjusted_lift_vs_overall": 1.2}
    html = built("audience", decades=rows_of("audience", "decades", few, many)).html
    assert "Best liked: <b>War</b> of the <b>1960</b>s, <b>4.10</b> stars across <b>30 films</b>." in html


def test_the_picker_shows_the_user_that_the_sentence_names() -> None:
    """The picker showed the user with most likes, and the sentence spoke of another one."""
    pair = {"similarity_rank": 1, "similar_user_id": 9, "segment_name": "Drama", "n_common_likes": 31}
    users = ({**pair, "user_id": 1, "similarity": 0.2}, {**pair, "user_id": 7, "similarity": 0.4})
    html = built("recommendations", neighbours=rows_of("recommendations", "neighbours", *users)).html
    assert "Most similar: users <b>7</b> and <b>9</b> in <b>Drama</b>" in html
    assert 'list="neighbours-choices" value="User 7"' in html
    assert html.index('<option value="User 7">') < html.index('<option value="User 1">')


def test_no_chart_draws_two_scales_on_one_axis() -> None:
    """Popularity was drawn as bars and liking as dots, each on its own scale on top of the other."""
    genre = {"segment_name": "all", "n_ratings": 10, "share": 0.5, "over_index": 1.0}
    rows = (
        {**genre, "genre": "Drama", "popularity_rank": 1, "avg_rating": 3.5},
        {**genre, "genre": "War", "popularity_rank": 2, "avg_rating": 4.0},
    )
    html = built("content", genres=rows_of("content", "genres", *rows)).html
    assert "independent" not in json.dumps([panel.get("spec") for panel in data(html).values()])
    assert "Best liked: <b>War</b>, <b>4.00</b> stars, number <b>2</b> in popularity." in html


def test_some_is_not_rounded_to_none_nor_nearly_all_to_all() -> None:
    assert [share(value) for value in (0, 0.001, 0.5, 0.996, 1)] == ["0%", "<1%", "50%", ">99%", "100%"]
    assert [share(value, ".1%") for value in (8 / 97_420, 0.9996)] == ["<0.1%", ">99.9%"]
    assert [share(value) for value in (-0.004, -0.01, -0.999, -2)] == [">-1%", "-1%", "-100%", "-200%"]
    assert sentence("{gaps:.0%}", gaps=8 / 9742) == "<b>&lt;1%</b>"
    layer = {"date_day": date(2026, 5, 4), "layer": "core", "n_tests": 4000, "n_passed": 3999, "n_failed": 1}
    assert "&gt;99.9%" in built("data-quality", quality=rows_of("data-quality", "quality", layer | REST)).html


REST = {"pass_rate": 0.99975, "n_warned": 0, "test_coverage": 1.0, "n_rows_rejected": 0, "n_objects_refused": 0}


def test_few_missing_values_are_named_beside_their_bar() -> None:
    column = {"dataset": "movielens/links", "column_name": "tmdb_id", "n_loads": 1, "n_rows": 9742, "n_missing": 8}
    rows = rows_of("data-quality", "columns", {**column, "missing_pct": 0.0821, "n_rejected": 0})
    panel = data(built("data-quality", columns=rows).html)["completeness"]
    assert panel["values"][panel["names"].index("label")] == ["8 of 9,742"]


MONTH: Mapping[str, object] = {
    "month_day": date(2024, 12, 1), "is_complete": True, "is_last_complete_month": True, "n_orders": 3,
    "n_lines_without_rate": 0, "n_lines_without_cost": 0, "revenue_usd": Decimal("1234.5"),
    "profit_usd": Decimal("-20"), "margin": -0.02, "refunded_usd": 0, "cancelled_usd": 0,
    "revenue_vs_month_before": 0.25, "profit_vs_month_before": -0.5,
}  # fmt: skip


def test_the_last_complete_month_is_the_answer_not_the_newest() -> None:
    newest = {**MONTH, "month_day": date(2025, 1, 1), "is_complete": False, "is_last_complete_month": False}
    rows = rows_of("business", "months", {**newest, "n_lines_without_rate": 2}, MONTH)
    html = built("business", months=rows).html
    assert (
        "<b>December 2024</b>: revenue <b>$1,234</b> (<b>+25.0%</b> from the month before, no comparison with" in html
    )
    assert "profit <b>-$20</b> (<b>-50.0%</b> from the month before, no comparison with the year before)" in html
    assert "<b>2 order lines</b> have no exchange rate and are left out." in html
    assert "revenue in December 2024" in html
    assert "No month is complete yet." in built("business", months=rows_of("business", "months", newest)).html


def state(code: str, row: int | None, rank: int, orders: int) -> dict[str, object]:
    name = None if row is None else f"State {code}"
    sums = {"n_orders": orders, "revenue_usd": Decimal(orders), "profit_usd": Decimal(0), "revenue_share": orders / 9}
    return {"state_code": code, "state_name": name, "tile_row": row, "tile_column": row, "revenue_rank": rank, **sums}


def test_the_map_has_a_tile_for_every_state_and_names_what_is_on_none() -> None:
    rows = rows_of("business", "states", state("CA", 5, 1, 6), state("unknown", None, 2, 3), state("AK", 1, 3, 0))
    html = built("business", states=rows).html
    assert "Most revenue: <b>State CA</b>, <b>$6</b> (<b>67%</b>). <b>1</b> of <b>2 tiles</b> have sales" in html
    assert "Orders worth <b>$3</b> have no known state." in html
    assert len(data(html)["states"]["values"][0]) == 3
    none = built("business", states=rows_of("business", "states", state("CA", 5, 1, 0), state("AK", 1, 2, 0))).html
    assert data(none)["states"] == {}


def test_products_with_the_same_name_have_a_bar_each() -> None:
    product = {"product_name": "Mug", "product_type": "add_on", "n_lines": 30, "profit_usd": 1, "revenue_usd": 2}
    ranked = [{**product, "product_id": 7 + rank, "margin": 1 / rank, "margin_rank": rank} for rank in (1, 2)]
    few = {**product, "product_id": 1, "product_name": None, "margin": 0.9}
    panel = data(built("business", margins=rows_of("business", "margins", few, *ranked)).html)["margins"]
    assert panel["values"][panel["names"].index("product")] == ["Mug (8)", "Mug (9)"]


def test_the_page_says_how_its_figures_are_defined() -> None:
    html = built("business").html
    for term in ("Revenue", "Profit", "Currency", "Time", "Complete month", "Sentiment"):
        assert f"<dt>{term}</dt>" in html
    assert 'id="definitions"' not in built("audience").html


SEASON: Mapping[str, object] = {"n_ratings": 8, "seasonal_index": 1.2, "least_index": 1.1, "greatest_index": 1.3}


def test_a_season_says_whether_the_years_agree() -> None:
    both = {**SEASON, "n_years": 2, "month_number": 1}, {**SEASON, "n_years": 2, "month_number": 2, "least_index": 0.4}
    html = built("overview", seasons=rows_of("overview", "seasons", *both)).html
    assert "<b>1</b> of <b>2 months</b> is on the same side of the usual in every year." in html
    one = built("overview", seasons=rows_of("overview", "seasons", {**SEASON, "n_years": 1, "month_number": 1})).html
    assert "This rests on a single year, which may not repeat itself." in one


def test_the_busiest_month_is_not_one_of_a_year_with_few_ratings() -> None:
    def drawn(*ratings_by_year: int) -> str:
        rows = [
            (datetime(2020 + year, month, 1), 2020 + year, month, n_ratings * month // 78, 12 * month / 78)
            for year, n_ratings in enumerate(ratings_by_year)
            for month in range(1, 13)
        ]
        months = pd.DataFrame(rows, columns=["month_day", "year_number", "month_number", "n_ratings", "index_in_year"])
        months.loc[months["year_number"] == 2020, "index_in_year"] *= 2
        return months_by_year(months).answer

    assert "December 2021" in drawn(900, 9_000)
    assert "December 2020" in drawn(2_000, 9_000)
    assert "No year has" in drawn(900)


def test_activity_levels_are_stacked_in_their_order() -> None:
    level = {"segment_name": "Drama", "lifecycle": "active", "n_users": 1, "n_ratings": 9, "segment_n_users": 3}
    rows = rows_of(
        "audience", "segments", *({**level, "activity_level": each} for each in ("heavy", "light", "regular"))
    )
    panel = data(built("audience", segments=rows).html)["segments"]
    levels, places = (panel["values"][panel["names"].index(name)] for name in ("activity_level", "level"))
    assert sorted(zip(places, levels, strict=True)) == [(0, "heavy"), (1, "regular"), (2, "light")]
    assert panel["spec"]["encoding"]["order"]["field"] == "level"


@pytest.mark.parametrize(("days", "text"), [(3.0, "3.0 days"), (0.5, "12.0 hours"), (0.01, "14.4 minutes")])
def test_ages_are_in_a_unit_that_does_not_round_them_to_zero(days: float, text: str) -> None:
    newest = datetime(2026, 5, 4, 3, 2)
    dataset = {"dataset": "a/b", "age_days": days, "newest_object_at": newest, "n_objects": 1, "n_rows": 1}
    assert f"<b>{text}</b> old" in built("pipeline", datasets=rows_of("pipeline", "datasets", dataset)).html
