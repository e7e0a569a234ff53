"""Check container_context.yaml with the code of the agents that will read it. Prints what they would refuse.

``dagster-cloud ci check`` takes any mapping there; a mistyped key would only be noticed by the agent, at the deploy.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import yaml
from dagster._config import process_config
from dagster_cloud.workspace.config_schema.ecs import ECS_CONTAINER_CONTEXT_CONFIG
from dagster_cloud.workspace.config_schema.kubernetes import SHARED_K8S_CONFIG
from dagster_k8s.job import USER_DEFINED_K8S_JOB_CONFIG_SCHEMA
from dagster_k8s.models import k8s_model_from_dict

SECTIONS = {
    "ecs": ECS_CONTAINER_CONTEXT_CONFIG,
    "k8s": {
        **SHARED_K8S_CONFIG,
        "server_k8s_config": USER_DEFINED_K8S_JOB_CONFIG_SCHEMA,
        "run_k8s_config": USER_DEFINED_K8S_JOB_CONFIG_SCHEMA,
    },
}
# Each a part of the pods that the agent starts, in snake case, with what the agent adds.
PARTS = {
    "container_config": (kubernetes.client.V1Container, {"name": "dagster"}),
    "pod_spec_config": (kubernetes.client.V1PodSpec, {"containers": []}),
    "job_spec_config": (kubernetes.client.V1JobSpec, {"template": {}}),
}


def faults(text: str) -> Iterator[str]:
    """What an agent would refuse, as messages."""
    context = yaml.safe_load(text)
    for name in context.keys() - SECTIONS.keys():
        yield f"unknown section {name!r}; there are {', '.join(SECTIONS)}"
    for name in context.keys() & SECTIONS.keys():
        for error in process_config(SECTIONS[name], context[name]).errors or []:
            yield f"{name}: {error.message}"
    for section in ("server_k8s_config", "run_k8s_config"):
        for part, values in context.get("k8s", {}).get(section, {}).items():
            try:
                model, added = PARTS[part]
                k8s_model_from_dict(model, {**added, **values})
            except Exception as error:  # an unknown key is a bare Exception
                yield f"k8s.{section}.{part}: {error}"


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.exit("\n".join(found) if found else 0)
