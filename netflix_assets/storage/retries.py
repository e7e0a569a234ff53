"""How S3 calls are tried again, and what is said when all tries have failed.

obstore tells what went wrong as text only, so this is the one place that reads it. Does not belong here: which calls
there are (``objects.py``).
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


class BucketError(RuntimeError):
    """The bucket cannot be used; the message says which, what was tried how often, why it failed and what to do.

    It is made from the parts of an answer that are known to hold no secret and is raised without the error that it
    stands for: S3 repeats access keys and session tokens in its answers to wrong ones. ``is_transient``: whether the
    same call may succeed later (the server fails or is out of reach), or nobody but a person can help.
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


@dataclass(frozen=True)
class Retries:
    """How often and how patiently a call is tried again, with delays that grow and are random.

    A delay is anywhere between the first one and ``growth`` times the one before, so with 4 it doubles on average: 6
    retries wait for 15 s together on average (3 to 37 s in nine of ten cases). ``silence_s`` is how long a server may
    send nothing; there is no limit to how long an object takes as long as its bytes keep coming.
    """

    count: int = 6
    first_delay_s: float = 0.2
    growth: int = 4
    max_delay_s: float = 15.0
    connect_s: float = 5.0
    silence_s: float = 30.0

    def of_requests(self) -> "RetryConfig":
        """For obstore: it repeats requests (5xx, no connection, silence) and goes on where the body of a GET ended."""
        return {
            "max_retries": self.count,
            "backoff": {
                "init_backoff": timedelta(seconds=self.first_delay_s),
                "max_backoff": timedelta(seconds=self.max_delay_s),
                "base": self.growth,
            },
            # Counted from the first request of a GET, so it would end the retries of whatever takes long to read.
            "retry_timeout": timedelta(days=1),
        }

    def of_client(self) -> "ClientConfig":
        """For obstore: its limits of time."""
        return {
            "connect_timeout": timedelta(seconds=self.connect_s),
            "read_timeout": timedelta(seconds=self.silence_s),
            # Over the whole body, so 30 s (the default) would break off every large object on a slow line.
            "timeout": timedelta(days=1),
        }

    def delays(self) -> Iterator[float]:
        """The delays before each retry, as obstore chooses them."""
        delay = self.first_delay_s
        for _ in range(self.count):
            yield delay
            delay = min(self.max_delay_s, random.uniform(self.first_delay_s, delay * self.growth))  # noqa: S311


RETRIES = Retries()


def is_broken_answer(error: Exception) -> bool:
    """Whether the server answered and the answer's body was cut off or garbled."""
    first_line = str(error).partition("\n")[0]
    return re.search("response body|invalid .* response", first_line) is not None and "status code" not in first_line


def tries_of(error: Exception) -> int:
    """How often obstore tried."""
    found = re.search(r"after (\d+) retries", str(error))
    return int(found[1]) + 1 if found else 1


def cause_of(error: Exception) -> str:
    """The cause in obstore's error, which has it only as text: S3's answer, or what the system said."""
    text = str(error)
    if status := re.search(r"status code: (\d{3})", text):
        answer = [found[1] for name in ("Code", "Message") if (found := re.search(f"<{name}>([^<]*)</", text))]
        return " ".join([status[1], ": ".join(answer)]).strip().rstrip(".")
    if said := re.search(r'(?:message|error): "([^"\\]+)"', text):
        return said[1]
    if "kind: Timeout" in text or "TimedOut" in text:
        return "the server was silent for too long"
    if is_broken_answer(error):
        return "the answer ended before its end"
    # Addresses may hold more than an address.
    return re.sub(r"https?://\S+", "it", text.partition("\n")[0]).rpartition("error: ")[2][:300].rstrip(". ")


_LATER = "try again later, nothing is lost"

# The last two are causes that may pass by themselves.
_ADVICE = {
    "NoSuchBucket|InvalidBucketName": "Is NETFLIX_BUCKET right?",
    "RequestTimeTooSkewed": "Is the clock of this machine right?",
    "redirect|AuthorizationHeaderMalformed|^301": "Is NETFLIX_S3_REGION the region of the bucket?",
    "^40[13]|ExpiredToken|InvalidToken|credential|SSO": (
        "Are the credentials right, not expired and allowed to use the bucket? "
        "They come from NETFLIX_AWS_PROFILE, or from AWS_* and the rest of AWS' default chain"
    ),
    "^429|^5": f"The server is overloaded or failing: {_LATER}",
    "": f"Is NETFLIX_S3_ENDPOINT right, and does it answer? If so, {_LATER}",
}


def advice_for(cause: str) -> str:
    """What to do about it."""
    return next(advice for pattern, advice in _ADVICE.items() if re.search(pattern, cause))


def is_transient(cause: str) -> bool:
    """Whether the same call may succeed later: neither credentials nor names nor the clock are at fault."""
    return advice_for(cause).endswith(_LATER)
