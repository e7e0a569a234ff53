"""Snowflake's error numbers: the one list. Importing it does not import the connector.

Source: Snowflake's error reference and the connector's ``errorcode`` and ``network`` modules.
"""

# The session is over: token expired or invalid, session gone, connection closed.
SESSION_ENDED = frozenset({390_104, 390_111, 390_112, 390_114, 390_195, 250_002, 250_003, 251_012})

# The service, or the network to it, fails.
_CONNECTION_FAILED = frozenset({250_001, 250_005, 250_006, 250_011, 250_012})

# A lock was not released in time. 630 and 604 (statement timed out or cancelled) are left out: a retry takes as long.
_LOCK_TIMEOUT = frozenset({625, 626, 628})

TRANSIENT = SESSION_ENDED | _CONNECTION_FAILED | _LOCK_TIMEOUT

# A value or a file cannot be read; every other error is not the data's fault.
DATA_ERRORS = range(100_000, 101_000)

FILE_NOT_FOUND = 91_016  # COPY INTO names a file that is not on the stage

_WRONG_KEY = (
    "The private key (NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH or NETFLIX_SNOWFLAKE_PRIVATE_KEY) matches no public key of "
    "NETFLIX_SNOWFLAKE_USER; see `desc user`, and docs/running.md, 'Rotate keys'"
)
_ADVICE = {
    250_001: "Is NETFLIX_SNOWFLAKE_ACCOUNT right, and does the network allow the connection?",
    390_144: _WRONG_KEY,
    394_304: _WRONG_KEY,
    390_100: "The account does not know NETFLIX_SNOWFLAKE_USER or its key",
    390_189: "The role does not exist or is not granted to the user; deploy/snowflake grants it",
}


def advice_for(number: int | None) -> str:
    """What to do about an error that kept a session from opening."""
    return _ADVICE.get(number or 0, "See docs/snowflake.md, 'When it does not work'")


def transient_pattern() -> str:
    """A regular expression (verbose form) of these numbers as error texts show them: six digits, zero-padded."""
    return rf"\b(?:{'|'.join(f'{number:06d}' for number in sorted(TRANSIENT))})\b"
