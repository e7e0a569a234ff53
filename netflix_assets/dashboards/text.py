"""Sentences as the pages show them."""

from dataclasses import dataclass

from markupsafe import Markup

from netflix_assets.contracts import visibility


@dataclass(frozen=True)
class _Bold:
    value: object

    def __html_format__(self, spec: str) -> Markup:
        return Markup("<b>{}</b>").format(format(self.value, spec))


def sentence(template: str, /, **values: object) -> Markup:
    """Fill a template: values are escaped, formatted by their format spec and set in bold, except markup."""
    bold = {name: value if isinstance(value, Markup) else _Bold(value) for name, value in values.items()}
    return Markup(template).format(**bold)  # noqa: S704 - templates are constants


def plural(number: float, singular: str, plural_form: str = "") -> Markup:
    """The word that agrees with the number, as markup, which ``sentence`` does not set in bold."""
    return Markup(visibility.plural(number, singular, plural_form))  # noqa: S704 - words are constants
