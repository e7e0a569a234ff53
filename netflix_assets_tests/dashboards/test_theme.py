"""The palettes."""

import pytest

from netflix_assets.dashboards import theme


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_and_marks_have_enough_contrast(palette: theme.Palette) -> None:
    for name, minimum in (("ink", 7.0), ("soft", 4.5), ("link", 4.5), ("blue", 3.0), ("red", 3.0), ("green", 3.0),
                        ("amber", 3.0), ("violet", 3.0)):  # fmt: skip
        for ground in ("card", "page"):
            assert contrast(palette[name], palette[ground]) >= minimum, (name, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, by WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
