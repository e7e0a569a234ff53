"""Prints the SQL and the AWS policies that make an environment, from the templates in ``deploy/``.

    python -m netflix_assets.dev.snowflake_setup setup --env production --bucket my-bucket ... > setup.sql

Belongs here: which values the templates get, and that none of them can be anything but a value. They are checked by
form, so strictly (no quote, blank, backslash or line end passes) that the templates quote them as they are.
Does not belong here: what is made, which the templates say, and talking to Snowflake or AWS, which a person does.
"""

import argparse
import base64
import binascii
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template

from netflix_assets.environments import ENVIRONMENTS

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"

# What staging and production must not get.
_DEV_ONLY = frozenset({"06_branches.sql"})
AWS_FILES = {
    "snowflake-access": "snowflake_access.json",
    "snowflake-trust": "snowflake_trust.json",
    "runner-access": "runner_access.json",
    "lifecycle": "lifecycle.json",
    "alerts-access": "alerts_access.json",
    "queue": "queue.json",
    "notification": "notification.json",
    "queue-access": "queue_access.json",
}

_RSA = bytes.fromhex("2a864886f70d010101")  # the identifier of RSA keys in DER
_SMALLEST_KEY = 290  # bytes of the DER of 2,048 bits, which Snowflake asks for, are 294


class SetupError(ValueError):
    """A value that cannot be used; the message says which, and what it must look like."""


def _matching(pattern: str, wanted: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value, re.ASCII) is None:
            raise SetupError(f"{value!r} is not {wanted}")
        return value

    return check


bucket_name = _matching(
    r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "a bucket: 3 to 63 of a-z, 0-9 and hyphens (no dots: S3's TLS certificate does not cover such names)",
)
bucket_prefix = _matching(r"([A-Za-z0-9_-][A-Za-z0-9_.=-]*/)+", "a prefix such as production/, ending in a slash")
role_arn = _matching(
    r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,500}", "a role's ARN: arn:aws:iam::<account>:role/<name>"
)
user_arn = _matching(
    r"arn:aws:iam::[0-9]{12}:user/[A-Za-z0-9_+=,.@/-]{1,500}",
    "the STORAGE_AWS_IAM_USER_ARN that `desc storage integration` shows: arn:aws:iam::<account>:user/<name>",
)
queue_arn = _matching(
    r"arn:aws:sqs:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:[A-Za-z0-9_-]{1,75}",
    "a queue's ARN: arn:aws:sqs:<region>:<account>:<name>, not a FIFO one, which S3 sends nothing to",
)
external_id = _matching(
    r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "the STORAGE_AWS_EXTERNAL_ID that `desc storage integration` shows"
)


topic_arn = _matching(
    r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?",
    "the ARN of a topic: arn:aws:sns:<region>:<account>:<name>",
)


def whole_number(least: int, most: int) -> Callable[[str], str]:
    """A check that a value is a whole number within bounds, written with digits only."""

    def check(value: str) -> str:
        if re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) is None or not least <= int(value) <= most:
            raise SetupError(f"{value!r} is not a whole number from {least} to {most}")
        return str(int(value))

    return check


def public_key(path: str) -> str:
    """The public key in a PEM file as Snowflake takes it: base64, without the lines around it and on one line.

    Raises: SetupError when the file holds something else, a private key above all.
    """
    try:
        text = Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: {error}") from error
    if "PRIVATE KEY" in text:
        raise SetupError(f"{path} is a private key, which must not leave this machine; give the .pub file")
    found = re.fullmatch(r"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----", text, re.ASCII)
    key = re.sub(r"\s", "", found[1]) if found else ""
    try:
        der = base64.b64decode(key, validate=True)
    except binascii.Error:
        der = b""
    whole = base64.b64encode(der).decode() == key  # Python's reader passes over what comes after the end
    if not whole or _RSA not in der[:32] or len(der) < _SMALLEST_KEY:
        raise SetupError(
            f"{path} is not a public RSA key of at least 2,048 bits in PEM form (-----BEGIN PUBLIC KEY-----)"
        )
    return key


def names_of(env: str) -> dict[str, str]:
    """What everything of an environment is called, by the name that the templates use."""
    names = ENVIRONMENTS[env]
    of = names.database
    return {
        **asdict(names),
        "env": env,
        "prefix": names.bucket_prefix,
        "runner_user": f"{of}_RUNNER",
        "bi_user": f"{of}_BI",
        "integration": f"{of}_S3",
        "monitor": f"{of}_MONITOR",
    }


def setup_files(env: str) -> list[Path]:
    """The templates of the environment's setup, in the order in which they run."""
    files = sorted((DEPLOY / "snowflake").glob("[0-9][0-9]_*.sql"))
    return [file for file in files if env == "dev" or file.name not in _DEV_ONLY]


def render_setup(env: str, values: Mapping[str, str]) -> str:
    """The SQL that makes an environment; running it again changes only what is not as it says."""
    return _rendered(setup_files(env), env, values)


def render_teardown(env: str, confirm: str) -> str:
    """The SQL that drops an environment. Raises: SetupError unless ``confirm`` is the name of its database."""
    database = ENVIRONMENTS[env].database
    if confirm != database:
        raise SetupError(f"this drops the databases of {env} with all data: to mean it, say --confirm {database}")
    return _rendered([DEPLOY / "snowflake" / "teardown.sql"], env, {})


def render_aws(file: str, env: str, values: Mapping[str, str]) -> str:
    """One of the policies in ``deploy/aws``, by its name in AWS_FILES."""
    of_queue = {"queue_account": values["queue"].split(":")[4]} if "queue" in values else {}
    return _rendered([DEPLOY / "aws" / AWS_FILES[file]], env, {**values, **of_queue})


def _rendered(files: Sequence[Path], env: str, values: Mapping[str, str]) -> str:
    known = {**names_of(env), **values}
    template = Template("\n".join(file.read_text("utf-8") for file in files))
    missing = [name for name in OPTIONS if name in template.get_identifiers() and name not in known]
    if missing:
        raise SetupError(f"also needed: {', '.join(_option(name) for name in missing)}")
    return template.substitute(known)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


# How each option is checked, and what it is.
OPTIONS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "bucket": (bucket_name, "the landing bucket"),
    "prefix": (bucket_prefix, "where in the bucket the files lie (default: the environment's; NETFLIX_BUCKET_PREFIX)"),
    "aws_role": (role_arn, "ARN of the AWS role that Snowflake reads the bucket with; it need not exist yet"),
    "runner_key": (public_key, "file with the public key of the user that loads and builds"),
    "bi_key": (public_key, "file with the public key of the user that dashboards connect as"),
    "credits": (whole_number(1, 1_000_000), "credits a month, for all three warehouses (default: 20)"),
    "retention_days": (whole_number(0, 90), "days of Time Travel (default: 1; more needs the Enterprise edition)"),
    "statement_timeout": (whole_number(60, 604_800), "seconds that a statement may take (default: 3600)"),
    "snowflake_user": (user_arn, "STORAGE_AWS_IAM_USER_ARN of the storage integration"),
    "external_id": (external_id, "STORAGE_AWS_EXTERNAL_ID of the storage integration"),
    "topic": (topic_arn, "ARN of the SNS topic that alerts are published to"),
    "queue": (queue_arn, "ARN of the queue for the bucket's events, in the same region and account"),
}
DEFAULTS = {"credits": "20", "retention_days": "1", "statement_timeout": "3600"}


def checked(given: Mapping[str, str | None]) -> dict[str, str]:
    """Option values, each checked by its form, with the defaults. Raises: SetupError naming the option."""
    values = dict(DEFAULTS)
    for name, value in given.items():
        if value is None:
            continue
        try:
            values[name] = OPTIONS[name][0](value)
        except SetupError as error:
            raise SetupError(f"{_option(name)}: {error}") from error
    return values


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m netflix_assets.dev.snowflake_setup", description=summary)
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="the SQL that makes an environment on Snowflake")
    _add(setup, "bucket", "prefix", "aws_role", "runner_key", "bi_key", *DEFAULTS)
    teardown = commands.add_parser("teardown", help="the SQL that drops it again")
    teardown.add_argument("--confirm", default="", help="the name of the database that is to go")
    _add(teardown)
    aws = commands.add_parser("aws", help="a policy for AWS")
    aws.add_argument("file", choices=AWS_FILES)
    _add(aws, "bucket", "prefix", "snowflake_user", "external_id", "topic", "queue")
    return parser


def _add(parser: argparse.ArgumentParser, *options: str) -> None:
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS)
    for name in options:
        parser.add_argument(_option(name), help=OPTIONS[name][1])


def _output(arguments: argparse.Namespace) -> str:
    if arguments.command == "teardown":
        return render_teardown(arguments.env, arguments.confirm)
    values = checked({name: value for name, value in vars(arguments).items() if name in OPTIONS})
    if arguments.command == "aws":
        return render_aws(arguments.file, arguments.env, values)
    return render_setup(arguments.env, values)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was asked for; 2 and not a line of it when a value cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        output = _output(arguments)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    print(output, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
