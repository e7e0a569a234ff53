"""The pages, in the order of the navigation."""

from collections.abc import Sequence

from netflix_assets.dashboards.page import Page
from netflix_assets.dashboards.pages import (
    audience,
    business,
    content,
    data_quality,
    overview,
    pipeline,
    recommendations,
)

PAGES: Sequence[Page] = (
    overview.PAGE,
    audience.PAGE,
    content.PAGE,
    recommendations.PAGE,
    business.PAGE,
    data_quality.PAGE,
    pipeline.PAGE,
)
