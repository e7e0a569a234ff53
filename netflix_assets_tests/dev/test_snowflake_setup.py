"""The command that prints an environment's SQL: which values it accepts, and what it prints."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from netflix_assets.dev import snowflake_setup
from netflix_assets.settings import REPO
from netflix_assets_tests.dev.setup_command import (
    ROLE_ARN,
    printed,
    run,
    setup_options,
    write_keys,
)

DOCS = "".join((REPO / "docs" / name).read_text() for name in ("snowflake.md", "alerts.md", "running.md"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder)
    return folder


def test_the_command_prints_the_sql_and_nothing_else(keys: Path) -> None:
    program = [sys.executable, "-m", "netflix_assets.dev.snowflake_setup"]
    command = [*program, "setup", "--env", "dev", *setup_options(keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-- 1. Roles and service users of dev.")
    assert "arn:aws:iam::123456789012:role/netflix-snowflake" in done.stdout


BAD = [
    ("bucket", "my'bucket"),
    ("bucket", "my-bucket\n"),
    ("bucket", "my.bucket"),
    ("bucket", "My-Bucket"),
    ("bucket", "b\u00fccket"),
    ("bucket", ""),
    ("bucket", "x');drop-database"),
    ("bucket", "a" * 64),
    ("bucket", "*"),
    ("prefix", "production"),
    ("prefix", "/production/"),
    ("prefix", "../"),
    ("prefix", "a/../b/"),
    ("prefix", "a//"),
    ("prefix", "*/"),
    ("prefix", "${aws:username}/"),
    ("prefix", "a b/"),
    ("prefix", "a'/"),
    ("prefix", 'a"/'),
    ("prefix", "a/\n"),
    ("aws-role", "arn:aws:iam::123456789012:user/x"),
    ("aws-role", "arn:aws:iam::123:role/x"),
    ("aws-role", "arn:aws:iam::123456789012:role/x' enabled = true --"),
    ("aws-role", "arn:aws:iam::123456789012:role/*"),
    ("aws-role", "arn:aws:iam::\u0661\u0662\u0663456789012:role/x"),
    ("aws-role", f"{ROLE_ARN}\n"),
    ("runner-key", "private.p8"),
    ("runner-key", "short.pub"),
    ("runner-key", "curve.pub"),
    ("runner-key", "quote.pub"),
    ("bi-key", "cut.pub"),
    ("bi-key", "missing.pub"),
    ("credits", "0"),
    ("credits", "1e3"),
    ("credits", "-5"),
    ("credits", "\u0663"),
    ("credits", "10 triggers on 1 percent do suspend"),
    ("retention-days", "91"),
    ("statement-timeout", "0"),
]


@pytest.mark.parametrize(("option", "value"), BAD)
def test_an_invalid_value_is_refused(option: str, value: str, keys: Path) -> None:
    given = str(keys / value) if option.endswith("-key") else value
    code, out, err = run("setup", "--env", "production", *setup_options(keys, **{option: given}))
    assert (code, out) == (2, "")  # prints nothing, so `> setup.sql` never leaves half a file
    assert err.startswith(f"--{option}: ")
    assert "PRIVATE KEY" not in err


def test_unknown_environments_and_missing_values_are_named(keys: Path) -> None:
    code, out, err = run("setup", "--env", "local", *setup_options(keys))
    assert (code, out) == (2, "")
    assert "'local'" in err
    code, out, err = run("setup", "--env", "dev", "--bucket", "my-bucket")
    assert (code, out, err) == (2, "", "missing: --aws-role, --runner-key, --bi-key\n")


def test_the_key_has_the_form_that_snowflake_expects(keys: Path) -> None:
    lines = (keys / "good.pub").read_text().splitlines()
    sql = printed("setup", "--env", "dev", *setup_options(keys))
    (statement,) = re.findall(r"^alter user NETFLIX_DEV_RUNNER\b[^;]+;", sql, re.MULTILINE)
    assert f"rsa_public_key = '{''.join(lines[1:-1])}'" in statement


@pytest.mark.parametrize("confirm", [[], ["--confirm", "yes"], ["--confirm", "NETFLIX_DEV"]])
def test_teardown_needs_a_confirmation(confirm: list[str]) -> None:
    code, out, err = run("teardown", "--env", "production", *confirm)
    assert (code, out) == (2, "")
    assert "--confirm NETFLIX_PRODUCTION" in err


def test_the_commands_in_the_documentation_exist() -> None:
    commands = re.findall(r"python -m netflix_assets\.dev\.snowflake_setup ((?:\\\n|[^\\\n`|>])+)", DOCS)
    assert len(commands) >= 2
    parser = snowflake_setup._parser()
    seen = set()
    for command in commands:
        arguments = shlex.split(command.replace("\\\n", " ").replace("$NETFLIX_ENV", "dev"))
        parsed_arguments = parser.parse_args(arguments)  # exits with what is wrong
        seen.add(parsed_arguments.command)
    assert seen == {"setup", "teardown", "metrics"}
