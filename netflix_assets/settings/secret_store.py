"""Secrets in AWS Secrets Manager: a setting holds the reference, and its value is read when it is used.

    NETFLIX_SLACK_TOKEN=arn:aws:secretsmanager:eu-central-1:123456789012:secret:netflix/production-a1B2c3:slack_token::

The form is that of ECS' ``valueFrom``: the secret's ARN, then optionally a key of its JSON object, a stage and a
version. Credentials come from AWS' default chain. Loading settings reads nothing.
"""

import json
import re
import time
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

# A rotated secret is seen after this long. The alerts' sensor asks twice a minute, and 10,000 reads cost 5 cents.
CACHE_S = 300

_REFERENCE = re.compile(
    r"(?P<arn>arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)"
    r"(:(?P<key>[^:]*))?(:(?P<stage>[^:]*))?(:(?P<version>[^:]*))?"
)

_Request = tuple[str, str, tuple[tuple[str, str], ...]]  # region, ARN, and stage or version if given
_cache: dict[_Request, tuple[float, str]] = {}


class SecretError(RuntimeError):
    """A secret cannot be read. The message names the reference and what to check, and no value."""


class LateSecretStr(SecretStr):
    """A secret, or a reference to one in Secrets Manager, which is read at each use and kept for ``CACHE_S``."""

    _check: Callable[[str], str] | None = None

    def checked_by(self, check: Callable[[str], str]) -> "LateSecretStr":
        """The secret with a function that validates its value, now or, for a reference, when it is read.

        ``check`` returns the value to use. Raises: ValueError from the check.
        """
        checked = LateSecretStr(self.as_set() if self.is_reference else check(self.as_set()))
        checked._check = check
        return checked

    def as_set(self) -> str:
        """The text of the setting: the secret itself, or the reference."""
        return super().get_secret_value()

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference, whose value is in Secrets Manager."""
        return self.as_set().startswith("arn:aws") and ":secretsmanager:" in self.as_set()

    def known_values(self) -> list[str]:
        """The value of the secret, as far as this process knows it: for a reference, what it has read."""
        if not self.is_reference:
            return [self.as_set()]
        request, key = _parse(self.as_set())
        try:
            return [_value_of(_cache[request][1], key, self.as_set())]
        except (KeyError, SecretError):  # not read yet, or without this key
            return []

    def get_secret_value(self) -> str:
        """The value. Raises: SecretError if it is in Secrets Manager and cannot be read."""
        if not self.is_reference:
            return self.as_set()
        request, key = _parse(self.as_set())
        value = _value_of(_read(request), key, self.as_set())
        try:
            return self._check(value) if self._check else value
        except ValueError as error:
            raise SecretError(f"{self.as_set()}: {error}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LateSecretStr) and self.as_set() == other.as_set()

    def __hash__(self) -> int:
        return hash(self.as_set())


def checked(secret: LateSecretStr) -> LateSecretStr:
    """Refuse a reference of the wrong form. Raises: ValueError."""
    if secret.is_reference:
        _parse(secret.as_set())
    return secret


def _pem(text: str) -> str:
    # Variables that cannot hold line ends have them as the two characters \\n.
    text = text.replace("\\n", "\n").strip()
    if not (text.startswith("-----BEGIN ") and text.endswith(" PRIVATE KEY-----")):
        raise ValueError("not a private key in PEM form (-----BEGIN PRIVATE KEY----- …)")
    return text


def _web_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("not a URL (https://…)")
    return text


# Types of settings: in plain text, or as a reference.
Secret = Annotated[LateSecretStr, AfterValidator(checked)]
PemSecret = Annotated[Secret, AfterValidator(lambda secret: secret.checked_by(_pem))]
UrlSecret = Annotated[Secret, AfterValidator(lambda secret: secret.checked_by(_web_url))]


def _parse(reference: str) -> tuple[_Request, str]:
    """What to ask for, and the key in its JSON object."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise ValueError("not a valid reference (arn:aws:secretsmanager:<region>:<account>:secret:<name>:<key>::)")
    given = (("VersionStage", found["stage"]), ("VersionId", found["version"]))
    return (found["region"], found["arn"], tuple((name, value) for name, value in given if value)), found["key"] or ""


def _read(request: _Request) -> str:
    """The text of a secret."""
    expires, text = _cache.get(request, (0.0, ""))
    if time.monotonic() < expires:
        return text
    import boto3  # takes 0.3 s to import
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    region, arn, version = request
    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
    try:
        client = boto3.Session(region_name=region).client("secretsmanager", config=config)
        answer: dict[str, Any] = client.get_secret_value(SecretId=arn, **dict(version))
    except (BotoCoreError, ClientError) as error:
        raise SecretError(
            f"cannot read {arn}: {error}. Check the ARN, AWS' credentials and the permission "
            "secretsmanager:GetSecretValue"
        ) from None
    if "SecretString" not in answer:
        raise SecretError(f"{arn} is binary; store it as text")
    text = str(answer["SecretString"])
    _cache[request] = (time.monotonic() + CACHE_S, text)
    return text


def _value_of(text: str, key: str, reference: str) -> str:
    """The value of a key, or all of the text without one."""
    if not key:
        return text
    try:
        value = json.loads(text)[key]
    except (ValueError, TypeError, KeyError):  # their messages would show the text
        raise SecretError(f"{reference}: the secret has no key {key!r}; it must be a JSON object of strings") from None
    if not isinstance(value, str):
        raise SecretError(f"{reference}: the value of {key!r} is not a string")
    return value
