"""How S3 calls are retried, and the error that is raised when they fail for good.

obstore reports errors as text only. This is the one module that parses that text.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


class BucketError(RuntimeError):
    """The bucket cannot be used. The message names the bucket, the call, the tries, the cause and the fix.

    S3 repeats access keys and session tokens when it answers a wrong one. So the message uses only the parts of a
    response that hold no secret, and the error is raised without obstore's own as its cause.

    ``is_transient``: the same call may succeed later, because the server fails or is out of reach. Otherwise someone
    has to fix the configuration.
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class UnreadableObjectError(BucketError):
    """One object cannot be read, and the others can: the fault is the object's, not the bucket's.

    ``cause`` names it without the bucket, followed by what to do.
    """

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class S3ResponseError(Exception):
    """One try of a request failed. The text is the cause, without secrets."""

    @classmethod
    def of(cls, status: int, body: str) -> "S3ResponseError":
        """The error that a response with this status and body stands for."""
        return cls(_describe_response(status, body))


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call is retried and how long it waits; delays grow and are random.

    Each delay is drawn between ``first_delay_s`` and ``growth`` times the delay before. With a growth of 4 the delay
    doubles on average, and 6 retries wait 15 s in total (3 to 37 s in nine of ten cases).

    ``read_timeout_s`` is how long the server may send nothing. A download has no time limit while bytes keep coming.
    """

    max_retries: int = 6
    first_delay_s: float = 0.2
    growth: int = 4
    max_delay_s: float = 15.0
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0

    def retry_config(self) -> "RetryConfig":
        """obstore's retries: it repeats requests (5xx, no connection, timeout) and resumes a GET that broke off."""
        return {
            "max_retries": self.max_retries,
            "backoff": {
                "init_backoff": timedelta(seconds=self.first_delay_s),
                "max_backoff": timedelta(seconds=self.max_delay_s),
                "base": self.growth,
            },
            # obstore counts from the first request of a GET; a short timeout would end the retries of a long download.
            "retry_timeout": timedelta(days=1),
        }

    def client_config(self) -> "ClientConfig":
        """obstore's timeouts."""
        return {
            "connect_timeout": timedelta(seconds=self.connect_timeout_s),
            "read_timeout": timedelta(seconds=self.read_timeout_s),
            # Limits the whole body. The default of 30 s would abort every large object on a slow connection.
            "timeout": timedelta(days=1),
        }

    def retrying(self, should_retry: Callable[[BaseException], bool]) -> Retrying:
        """Retries of the failures that ``should_retry`` accepts."""
        return Retrying(
            retry=retry_if_exception(should_retry),
            stop=stop_after_attempt(self.max_retries + 1),
            wait=self._next_delay,
            reraise=True,
        )

    def _next_delay(self, state: RetryCallState) -> float:
        # Drawn like obstore's. ``upcoming_sleep`` still holds the delay before, 0 at first.
        longest = max(self.first_delay_s, state.upcoming_sleep * self.growth)
        return min(self.max_delay_s, random.uniform(self.first_delay_s, longest))  # noqa: S311


RETRIES = RetryPolicy()


def is_truncated_response(error: BaseException) -> bool:
    """Whether the server responded, but the body was truncated or garbled."""
    first_line = str(error).partition("\n")[0]
    return re.search("response body|invalid .* response", first_line) is not None and "status code" not in first_line


def count_tries(error: Exception) -> int:
    """How many tries obstore made."""
    found = re.search(r"after (\d+) retries", str(error))
    return int(found[1]) + 1 if found else 1


def describe_cause(error: BaseException) -> str:
    """The cause in the text of an error: S3's error code and message, or the operating system's."""
    text = str(error)
    if isinstance(error, S3ResponseError):
        return text
    if status := re.search(r"status code: (\d{3})", text):
        return _describe_response(int(status[1]), text)
    if system_error := re.search(r'(?:message|error): "([^"\\]+)"', text):
        return system_error[1]
    if "kind: Timeout" in text or "TimedOut" in text:
        return "the server timed out"
    if is_truncated_response(error):
        return "connection closed early"
    # A URL can hold a password.
    return re.sub(r"https?://\S+", "it", text.partition("\n")[0]).rpartition("error: ")[2][:300].rstrip(". ")


def _describe_response(status: int, body: str) -> str:
    """Status, error code and message. Other parts of the body can hold access keys."""
    details = [found[1] for name in ("Code", "Message") if (found := re.search(f"<{name}>([^<]*)</", body))]
    return " ".join([str(status), ": ".join(details)]).strip().rstrip(".")


_LATER = "try again later; nothing is lost"

# Cause -> advice, first match wins. Only the last two causes are transient.
_ADVICE = {
    "NoSuchBucket|InvalidBucketName": "Check NETFLIX_BUCKET",
    "RequestTimeTooSkewed": "Check this machine's clock",
    "redirect|AuthorizationHeaderMalformed|^301": "Check NETFLIX_S3_REGION: it must be the bucket's region",
    "^40[13]|ExpiredToken|InvalidToken|credential|SSO": (
        "Check that the credentials are valid, not expired and allowed to use the bucket. "
        "They come from NETFLIX_AWS_PROFILE, or from the AWS default chain (AWS_* variables and so on)"
    ),
    "^429|^5": f"The server is overloaded or failing: {_LATER}",
    "": f"Check NETFLIX_S3_ENDPOINT and that it is reachable. If it is right, {_LATER}",
}


def advice_for(cause: str) -> str:
    """What to do about a cause."""
    return next(advice for pattern, advice in _ADVICE.items() if re.search(pattern, cause))


def is_transient(cause: str) -> bool:
    """Whether the same call may succeed later. It cannot where credentials, names or the clock are wrong."""
    return advice_for(cause).endswith(_LATER)


def is_transient_error(error: BaseException) -> bool:
    """Whether a try that failed with this error is worth another."""
    return isinstance(error, S3ResponseError) and is_transient(describe_cause(error))


# Cause of a failed read -> advice, where the cause is the object's own and not the bucket's. First match wins.
_OBJECT_ADVICE = {
    "InvalidObjectState": "It is archived: restore it, or copy it to the storage class STANDARD",
    r"KMS\.(Disabled|NotFound|KMSInvalidState|InvalidKeyUsage)": "Enable its KMS key, or upload the file again",
    "^403 AccessDenied": (
        "Allow the credentials (NETFLIX_AWS_PROFILE) to read it: s3:GetObject, and kms:Decrypt if it is encrypted"
    ),
    "^400 InvalidRequest": "It may be encrypted with a key of the sender (SSE-C): upload the file again without one",
}


def advice_for_object(cause: str) -> str | None:
    """What to do about a cause that concerns only the object that was read; None when it concerns the bucket."""
    return next((advice for pattern, advice in _OBJECT_ADVICE.items() if re.search(pattern, cause)), None)
