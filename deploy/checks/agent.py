"""Check the configuration of the agent in deploy/aws/compute.yaml with the agent's own schemas.

    python deploy/checks/agent.py

CloudFormation sees only a text there. Prints what the agent would refuse.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from cfnlint.decode.cfn_yaml import load as load_template
from dagster._config import process_config
from dagster_cloud.storage.client import dagster_cloud_api_config
from terraform import ATTRIBUTES, DEPLOY, PARAMETERS, PSEUDO, resolved

KNOWN = {"instance_class", "dagster_cloud_api", "user_code_launcher", "compute_logs"}


def agent_config() -> dict[str, Any]:
    """The dagster.yaml that the task writes."""
    task = load_template(str(DEPLOY / "aws" / "compute.yaml"))["Resources"]["AgentTask"]["Properties"]
    (container,) = resolved(task["ContainerDefinitions"], {**PARAMETERS, **PSEUDO, **ATTRIBUTES})
    (text,) = [each["Value"] for each in container["Environment"] if each["Name"] == "AGENT_CONFIG"]
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def faults(config: dict[str, Any]) -> Iterator[str]:
    """What does not exist, or has a wrong key or value."""
    os.environ["DAGSTER_CLOUD_AGENT_TOKEN"] = "agent:x"  # noqa: S105 - the schema reads it
    for error in process_config(dagster_cloud_api_config(), config["dagster_cloud_api"]).errors or []:
        yield f"dagster_cloud_api: {error.message}"
    for section in ("instance_class", "user_code_launcher", "compute_logs"):
        declared = config[section]
        found = getattr(importlib.import_module(declared["module"]), declared["class"])
        if "config" in declared:
            for error in process_config(found.config_type(), declared["config"]).errors or []:
                yield f"{section}: {error.message}"
    yield from (f"unknown section {name!r}" for name in config.keys() - KNOWN)


if __name__ == "__main__":
    found = list(faults(agent_config()))
    sys.exit("\n".join(found) if found else 0)
