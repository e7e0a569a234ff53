"""Sentences as the pages show them."""

import re
from dataclasses import dataclass

from markupsafe import Markup

from netflix_assets.contracts import visibility


@dataclass(frozen=True)
class _Bold:
    value: object

    def __html_format__(self, spec: str) -> Markup:
        if re.fullmatch(r"\.\d%", spec) and isinstance(self.value, int | float):
            return Markup("<b>{}</b>").format(share(self.value, spec))
        return Markup("<b>{}</b>").format(format(self.value, spec))


def share(value: float, spec: str = ".0%") -> str:
    """Format a share without rounding some to none or nearly all to all: "<1%", ">99%", and ">-1%" for a small loss."""
    text = format(value, spec)
    step = 10.0 ** -(int(spec[1:-1]) + 2)
    if 0 < value < 1:
        if text == format(0.0, spec):
            return f"<{step:{spec}}"
        if text == format(1.0, spec):
            return f">{1 - step:{spec}}"
    if -1 < value < 0 and text == format(-0.0, spec):
        return f">{-step:{spec}}"
    return text


def sentence(template: str, /, **values: object) -> Markup:
    """Fill a template: values are escaped, formatted by their format spec and set in bold, except markup."""
    bold = {name: value if isinstance(value, Markup) else _Bold(value) for name, value in values.items()}
    return Markup(template).format(**bold)  # noqa: S704 - templates are constants


def plural(number: float, singular: str, plural_form: str = "") -> Markup:
    """The word that agrees with the number, as markup, which ``sentence`` does not set in bold."""
    return Markup(visibility.plural(number, singular, plural_form))  # noqa: S704 - words are constants
