"""What must not stand in an alert is taken out of it: secrets, and values that a contract hides. Knows no Dagster."""

import os
import re
from collections.abc import Callable, Iterable, Iterator

from pydantic import BaseModel, SecretStr

from netflix_assets.contracts.model import Source
from netflix_assets.contracts.visibility import Showable, showable
from netflix_assets.settings import Settings

_HIDDEN = "(not shown)"
_CAUSE_CHARACTERS = 300

# What looks like a secret, whoever's it is.
_SECRET_FORMS = re.compile(
    r"""
    xox[a-z]-[\w-]+ | xapp-[\w-]+ | hooks\.slack\.com/\S+                                # Slack
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}                                                      # AWS: the key's id
    | -----BEGIN[ ][^-]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][^-]*-----|$)
    | (?<=://)[^\s/@]+:[^\s/@]+(?=@)                                                    # user, password in an address
    | (?i:(?<=password=)|(?<=passwd=)|(?<=token=)|(?<=secret=)|(?<=secret_key=)|(?<=secret_access_key=)
        |(?<=x-amz-signature=)|(?<=x-amz-security-token=)|(?<=authorization:[ ]))[^\s&"',;]+(?:(?<=Bearer)[ ]\S+)?
    """,
    re.VERBOSE | re.DOTALL,
)
_SECRET_VARIABLES = re.compile(r"^AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN|ACCESS_KEY_ID)$")
_SHORTEST = 6  # characters: what is shorter would take ordinary words out


def cleaner(settings: Settings, sources: Iterable[Source]) -> Callable[[str], str]:
    """A function that makes of a text one line that may be shown."""
    secrets = sorted({each for each in _secrets(settings) if len(each) >= _SHORTEST}, key=len, reverse=True)
    shown = showable(sources)
    return lambda text: clean(text, secrets, shown)


def clean(text: str, secrets: Iterable[str], shown: Showable) -> str:
    """One line of a text, without these secrets, what looks like one, and values that are quoted and may be hidden."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    line = " ".join(shown.message(_SECRET_FORMS.sub(_HIDDEN, text)).split())
    return line if len(line) <= _CAUSE_CHARACTERS else f"{line[: _CAUSE_CHARACTERS - 1]}…"


def _secrets(model: BaseModel) -> Iterator[str]:
    """Every secret that this process has been given."""
    for _, value in model:
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets(value)
    yield from (value for name, value in os.environ.items() if _SECRET_VARIABLES.match(name))
