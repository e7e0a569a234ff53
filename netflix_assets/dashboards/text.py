"""Sentences and counts as the pages show them."""

from dataclasses import dataclass

from markupsafe import Markup


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
    """Return the word that agrees with the number, as markup; the plural adds an "s" unless it is given."""
    return Markup(singular if number == 1 else plural_form or f"{singular}s")  # noqa: S704 - words are constants


def count(number: float, singular: str, plural_form: str = "") -> str:
    """Return the number with its noun: "1 film", "2,000 films"."""
    return f"{number:,.0f} {plural(number, singular, plural_form)}"
