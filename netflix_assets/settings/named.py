"""Settings of databases and APIs, whose variables have their names in them: ``NETFLIX_POSTGRES_SHOP``."""

import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator

from netflix_assets.contracts.dialect import Strict
from netflix_assets.contracts.request import Address
from netflix_assets.settings.secret_store import Secret

# The setting, what its variables begin with, and the member that is a secret.
BY_NAME = {"databases": ("NETFLIX_POSTGRES_", "password"), "apis": ("NETFLIX_API_", "key")}


def _database_url(text: str) -> str:
    if not re.match(r"postgres(ql)?://", text):
        raise ValueError("not an address like postgresql://reader@db.example.com:5432/shop")
    if re.match(r"[a-z]+://[^@?]*:[^@?]*@", text) or re.search(r"[?&]password=", text):
        raise ValueError("the address contains a password; put it into the variable that ends with _PASSWORD")
    return text


class DatabaseSettings(Strict):
    """How to reach a PostgreSQL database, as the role that extracts read with. ``url`` may name a replica."""

    url: Annotated[str, AfterValidator(_database_url)]
    password: Secret | None = None


_MIN_KEY_LENGTH = 8


def _maskable(key: str) -> str:
    if len(key) < _MIN_KEY_LENGTH:
        raise ValueError(
            f"shorter than {_MIN_KEY_LENGTH} characters. Check that the whole key was copied; one this short cannot be "
            "masked in logs without masking other text"
        )
    return key


ApiKey = Annotated[Secret, AfterValidator(lambda secret: secret.checked_by(_maskable))]


class ApiSettings(Strict):
    """Whether and how an API is used. ``url`` replaces the contract's; ``key`` alone switches the API on, too."""

    url: Address | None = None
    key: ApiKey | None = None


def variable_of(setting: str, name: str) -> str:
    """The variable with the url of a database or an API. ``setting``: databases or apis."""
    return f"{BY_NAME[setting][0]}{name.upper()}"


def named(setting: str) -> Any:
    """What the variables say, by name: ``<prefix><NAME>`` is the url, ``<prefix><NAME>_<SECRET>`` the secret."""
    prefix, secret = BY_NAME[setting]
    found: dict[str, dict[str, str]] = {}
    for variable, value in os.environ.items():
        if value and (match := re.fullmatch(f"{prefix}([A-Z][A-Z0-9_]*?)(_{secret.upper()})?", variable)):
            found.setdefault(match[1].lower(), {})[secret if match[2] else "url"] = value
    return found
