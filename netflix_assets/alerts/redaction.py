"""Remove secrets, and values that a contract hides, from the text of an alert."""

import os
import re
from collections.abc import Callable, Iterable

from netflix_assets.contracts.model import Source
from netflix_assets.contracts.visibility import Showable, showable
from netflix_assets.settings import Settings, secrets_of

_HIDDEN = "(not shown)"
_MAX_CHARACTERS = 300

_SECRET_FORMS = re.compile(
    r"""
    xox[a-z]-[\w-]+ | xapp-[\w-]+ | hooks\.slack\.com/\S+                                # Slack
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}                                                      # AWS access key id
    | -----BEGIN[ ][^-]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][^-]*-----|$)
    | (?<=://)[^\s/@]+:[^\s/@]+(?=@)                                                    # user:password in a URL
    | (?i:(?<=password=)|(?<=passwd=)|(?<=token=)|(?<=secret=)|(?<=secret_key=)|(?<=secret_access_key=)
        |(?<=x-amz-signature=)|(?<=x-amz-security-token=)|(?<=authorization:[ ]))[^\s&"',;]+(?:(?<=Bearer)[ ]\S+)?
    """,
    re.VERBOSE | re.DOTALL,
)
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_MIN_SECRET_CHARACTERS = 6  # shorter secrets would remove ordinary words


def redactor(settings: Settings, sources: Iterable[Source]) -> Callable[[str], str]:
    """A function that turns any text into one line without secrets and hidden values."""
    shown = showable(sources)
    return lambda text: redact(text, _secrets(settings), shown)


def redact(text: str, secrets: Iterable[str], shown: Showable) -> str:
    """A text as one line of at most 300 characters, without these secrets, known secret formats and hidden values."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    line = " ".join(shown.message(_SECRET_FORMS.sub(_HIDDEN, text)).split())
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"


def _secrets(settings: Settings) -> list[str]:
    """Every secret of the settings that this process knows, and those in AWS' variables; the longest first."""
    found = {value for secret in secrets_of(settings) for value in secret.known_values()}
    found |= {os.environ[name] for name in _SECRET_VARIABLES if name in os.environ}
    return sorted((each for each in found if len(each) >= _MIN_SECRET_CHARACTERS), key=len, reverse=True)
