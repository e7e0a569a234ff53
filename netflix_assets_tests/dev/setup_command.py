"""Calls ``python -m netflix_assets.dev.snowflake_setup`` in this process, with keys and ARNs to call it with."""

import contextlib
import io
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from netflix_assets.dev import snowflake_setup

ROLE_ARN = "arn:aws:iam::123456789012:role/netflix-snowflake"


def _pem(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def write_keys(folder: Path) -> None:
    """Write public keys as openssl does, and files that are not valid keys."""
    good = rsa.generate_private_key(65537, 2048)
    (folder / "good.pub").write_bytes(_pem(good))
    (folder / "short.pub").write_bytes(_pem(rsa.generate_private_key(65537, 1024)))  # noqa: S505 - to be refused
    (folder / "curve.pub").write_bytes(_pem(ec.generate_private_key(ec.SECP521R1())))
    (folder / "private.p8").write_bytes(
        good.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    text = (folder / "good.pub").read_text()
    (folder / "quote.pub").write_text(text.replace("\nMII", "\n'; drop database x; --\nMII"))
    (folder / "cut.pub").write_text(text.replace("\n-----END", "=\n-----END"))


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code and both outputs of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = snowflake_setup.main(arguments)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return code, out.getvalue(), err.getvalue()


def setup_options(keys: Path, **changes: str) -> list[str]:
    options = {
        "bucket": "my-bucket",
        "aws-role": ROLE_ARN,
        "runner-key": str(keys / "good.pub"),
        "bi-key": str(keys / "good.pub"),
        **changes,
    }
    return [f"--{name}={value}" for name, value in options.items()]


def printed(*arguments: str) -> str:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    return out
