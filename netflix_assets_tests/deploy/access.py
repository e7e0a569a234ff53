"""IAM in moto with resources and conditions.

moto checks keys, signatures and actions. It ignores most conditions, and does not know the resource of a request to
SQS, SNS or Secrets Manager. Both are evaluated here.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import boto3
import flask
import pytest
from moto.core.authorization import enable_iam_authentication
from moto.iam.access_control import IAMPolicyStatement, IAMRequestBase, PermissionResult

_SECURE = {"aws:SecureTransport": "true"}  # the server has no TLS; requests to AWS have
_original = IAMRequestBase.check_action_permitted


@contextlib.contextmanager
def policies_evaluated(**context: str) -> Iterator[None]:
    """Evaluate policies as AWS does, with more values for conditions, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IAMPolicyStatement, "is_action_permitted", lambda *each: _evaluate(*each, given=context))
        patch.setattr(IAMRequestBase, "check_action_permitted", lambda self, on: _original(self, _resource(self, on)))
        yield


def _evaluate(
    statement: IAMPolicyStatement,
    action: str,
    resource: str = "*",
    principal: str | None = None,
    incoming: Mapping[str, str] | None = None,
    *,
    given: Mapping[str, str],
) -> PermissionResult:
    """What one statement says about a request."""
    declared: dict[str, Any] = statement._statement
    if action.startswith("sqs:"):
        action = action.removesuffix("Batch")  # the permission of a batch is that of one message
    context = {**_SECURE, **given, **(incoming or {})}
    if flask.has_request_context() and "prefix" in flask.request.args:
        context["s3:prefix"] = flask.request.args["prefix"]
    applies = (
        _matches(declared["Action"], action)
        and _matches(declared.get("Resource", "*"), resource)
        and (principal is None or principal in _listed(declared["Principal"].get("AWS", [])))
        and all(_holds(operator, wanted, context) for operator, wanted in declared.get("Condition", {}).items())
    )
    if not applies:
        return PermissionResult.NEUTRAL
    return PermissionResult.PERMITTED if declared["Effect"] == "Allow" else PermissionResult.DENIED


def _holds(operator: str, wanted: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    is_exact = {"StringEquals": True, "Bool": True, "StringLike": False, "ArnLike": False, "ArnEquals": False}[operator]
    return all(
        key in context and (context[key] in _listed(values) if is_exact else _matches(values, context[key]))
        for key, values in wanted.items()
    )


def _matches(patterns: str | list[str], text: str) -> bool:
    return any(fnmatchcase(text, pattern.replace("[", "[[]")) for pattern in _listed(patterns))


def _listed(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


def _resource(request: IAMRequestBase, resource: str) -> str:
    """The ARN that a request names, where moto gives none or only the bucket."""
    if request._service == "s3" and "delete" in flask.request.args:  # S3 asks for each of the keys
        return f"{resource}/{re.findall('<Key>([^<]+)', flask.request.get_data(as_text=True))[0]}"
    if resource != "*":
        return resource
    given = flask.request.get_json(force=True, silent=True) or flask.request.form
    region, account = request._region, request.account_id
    if request._service == "sqs":
        name = urlsplit(given["QueueUrl"]).path.rpartition("/")[2]
        return f"arn:aws:sqs:{region}:{account}:{name}"
    return str(given.get("TopicArn") or given.get("SecretId") or "*")


def _assume(cloud: Any, role: str, **options: str) -> dict[str, str]:
    """Credentials of a role, as arguments of boto3's clients."""
    sts = cloud.client("sts")
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName="test", **options)
    found = keys["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


@contextlib.contextmanager
def signed_in(cloud: Any, role: str, patch: pytest.MonkeyPatch, **options: str) -> Iterator[dict[str, str]]:
    """A role's credentials, also in the environment, with policies enforced for the length of the block."""
    keys = _assume(cloud, role, **options)
    for name, value in {**keys, "AWS_ENDPOINT_URL": cloud.endpoint}.items():
        patch.setenv(name.upper(), value)
    patch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of its first use
    with enable_iam_authentication():
        yield keys
