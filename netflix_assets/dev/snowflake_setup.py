"""Print the SQL that sets up an environment on Snowflake, from the templates in ``deploy/snowflake``.

    python -m netflix_assets.dev.snowflake_setup setup --env production --bucket my-bucket ... > setup.sql

The templates quote values as they are, so every value is validated first: none may contain a quote, a blank, a
backslash or a line end. Nothing here connects to Snowflake; a person runs the output.
What an environment has on AWS is in ``deploy/aws``.
"""

import argparse
import base64
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from netflix_assets.settings import ENVIRONMENTS, REPO

DEPLOY = REPO / "deploy"

_DEV_ONLY = frozenset({"06_branches.sql"})
_MIN_KEY_BITS = 2_048  # Snowflake's minimum


class SetupError(ValueError):
    """An invalid value. The message names it and says what is expected."""


Validator = Callable[[str], str]


def _matching(pattern: str, expected: str) -> Validator:
    def validate(value: str) -> str:
        if re.fullmatch(pattern, value, re.ASCII) is None:
            raise SetupError(f"{value!r} is not {expected}")
        return value

    return validate


def _integer(least: int, most: int) -> Validator:
    def validate(value: str) -> str:
        if re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) is None or not least <= int(value) <= most:
            raise SetupError(f"{value!r} is not a whole number from {least} to {most}")
        return str(int(value))

    return validate


def _public_key(path: str) -> str:
    """Return the public key in a PEM file as Snowflake expects it: base64 on one line, without header and footer.

    Raises:
        SetupError: The file is not an RSA public key of at least 2,048 bits, or it is a private key.
    """
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: {error}") from error
    if b"PRIVATE KEY" in pem:
        raise SetupError(f"{path} is a private key, which must not leave this machine; pass the .pub file")
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        expected = f"a public RSA key of at least {_MIN_KEY_BITS:,} bits in PEM form (-----BEGIN PUBLIC KEY-----)"
        raise SetupError(f"{path} is not {expected}")
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


# The options: how each is validated, and its help.
OPTIONS: Mapping[str, tuple[Validator, str]] = {
    "bucket": (
        _matching(
            r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
            "a bucket name: 3 to 63 of a-z, 0-9 and hyphens (S3's TLS certificate does not cover names with dots)",
        ),
        "the landing bucket",
    ),
    "prefix": (
        _matching(r"([A-Za-z0-9_-][A-Za-z0-9_.=-]*/)+", "a prefix like production/, with a slash at the end"),
        "prefix of the files in the bucket (default: the environment's; the same as NETFLIX_BUCKET_PREFIX)",
    ),
    "aws_role": (
        _matching(
            r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,500}", "a role ARN: arn:aws:iam::<account>:role/<name>"
        ),
        "ARN of the AWS role with which Snowflake reads the bucket; the role need not exist yet",
    ),
    "runner_key": (_public_key, "public key file of the user that loads and builds"),
    "bi_key": (_public_key, "public key file of the user with which dashboards connect"),
    "credits": (_integer(1, 1_000_000), "credits per month for all three warehouses (default: 20)"),
    "retention_days": (_integer(0, 90), "days of Time Travel (default: 1; more needs the Enterprise edition)"),
    "statement_timeout": (_integer(60, 604_800), "maximum seconds per statement (default: 3600)"),
}
DEFAULTS = {"credits": "20", "retention_days": "1", "statement_timeout": "3600"}


def validated(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return the option values and the defaults. Raises: SetupError, which names the option."""
    valid = dict(DEFAULTS)
    for name, value in values.items():
        if value is None:
            continue
        try:
            valid[name] = OPTIONS[name][0](value)
        except SetupError as error:
            raise SetupError(f"{_flag(name)}: {error}") from error
    return valid


def setup_files(env: str) -> list[Path]:
    """Return the SQL templates of an environment's setup, in the order in which they run."""
    files = sorted((DEPLOY / "snowflake").glob("[0-9][0-9]_*.sql"))
    return [file for file in files if env == "dev" or file.name not in _DEV_ONLY]


def render_setup(env: str, values: Mapping[str, str]) -> str:
    """Return the SQL that creates an environment, or updates it to these values when run again."""
    return _render(setup_files(env), env, values)


def render_teardown(env: str, confirm: str) -> str:
    """Return the SQL that drops an environment. Raises: SetupError unless ``confirm`` is the name of its database."""
    database = ENVIRONMENTS[env].database
    if confirm != database:
        raise SetupError(f"this drops the databases of {env} with all their data; to confirm: --confirm {database}")
    return _render([DEPLOY / "snowflake" / "teardown.sql"], env, {})


def render_metrics(env: str) -> str:
    """Return the SQL that creates or replaces an environment's semantic views."""
    return _render([DEPLOY / "snowflake" / "semantic_views.sql"], env, {})


def _render(files: Sequence[Path], env: str, values: Mapping[str, str]) -> str:
    known = {**_names(env), **values}
    template = Template("\n".join(file.read_text("utf-8") for file in files))
    missing = [name for name in OPTIONS if name in template.get_identifiers() and name not in known]
    if missing:
        raise SetupError(f"missing: {', '.join(_flag(name) for name in missing)}")
    return template.substitute(known)


def _names(env: str) -> dict[str, str]:
    """Return the names of an environment's objects, by the variables of the templates."""
    names = ENVIRONMENTS[env]
    return {
        **asdict(names),
        "env": env,
        "prefix": names.bucket_prefix,
        "runner_user": f"{names.database}_RUNNER",
        "bi_user": f"{names.database}_BI",
        "integration": f"{names.database}_S3",
        "monitor": f"{names.database}_MONITOR",
    }


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m netflix_assets.dev.snowflake_setup", description=summary)
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="the SQL that creates an environment on Snowflake")
    _add_options(setup, "bucket", "prefix", "aws_role", "runner_key", "bi_key", *DEFAULTS)
    teardown = commands.add_parser("teardown", help="the SQL that drops it")
    teardown.add_argument("--confirm", default="", help="the name of the database to drop")
    _add_options(teardown)
    _add_options(commands.add_parser("metrics", help="the SQL that creates or replaces its semantic views"))
    return parser


def _add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS)
    for name in names:
        parser.add_argument(_flag(name), help=OPTIONS[name][1])


def _output(arguments: argparse.Namespace) -> str:
    if arguments.command == "teardown":
        return render_teardown(arguments.env, arguments.confirm)
    if arguments.command == "metrics":
        return render_metrics(arguments.env)
    values = validated({name: value for name, value in vars(arguments).items() if name in OPTIONS})
    return render_setup(arguments.env, values)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the SQL; exit with 2 and print none of it if a value is invalid."""
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
