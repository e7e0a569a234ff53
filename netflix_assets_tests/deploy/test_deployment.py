"""The files that deploy the project agree with the code, the docs, the locks and each other.

`make check-deploy` validates each by itself, with its own tool.
"""

import importlib
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster_dg_cli.cli.utils import create_temp_dagster_cloud_yaml_file
from dagster_dg_core.context import DgContext

from netflix_assets.defs.dbt import project as dbt
from netflix_assets.operations.instance import prepare_dagster_home
from netflix_assets.settings import REPO, DagsterPlusSettings, Settings, SnowflakeSettings, read_settings
from netflix_assets_tests.waiting import free_port, until

DEPLOY = REPO / "deploy"
WORKFLOWS = sorted((REPO / ".github" / "workflows").glob("*.yml"))
SCRIPTS = Path(sys.executable).parent


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def strings(value: Any) -> Iterator[str]:
    """Every key and text in a YAML value."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        yield from itertools.chain.from_iterable(map(strings, value))
    elif isinstance(value, str):
        yield value


COMPOSE = read_yaml(DEPLOY / "compose" / "compose.yaml")
HELM = read_yaml(DEPLOY / "helm" / "values.yaml")
CONTEXT = read_yaml(REPO / "container_context.yaml")
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
MODULE = PROJECT["code_location_target_module"]

# ---------------------------------------------------------------- variables

# Read by the files of deploy/dagster, by the live test and its workflow.
OTHERS = {
    "NETFLIX_CODE_SERVER_HOST",
    "NETFLIX_CODE_SERVER_PORT",
    "NETFLIX_LOGS_BUCKET",
    "NETFLIX_SMOKE",
    "NETFLIX_SMOKE_ADMIN_ROLE",
}


def test_every_variable_that_is_set_is_a_setting() -> None:
    known = OTHERS | {
        f"{model.model_config['env_prefix']}{name}".upper()
        for model in (Settings, SnowflakeSettings)
        for name in model.model_fields
    }
    texts = [
        *strings(COMPOSE),
        *strings(HELM),
        *strings(CONTEXT),
        *itertools.chain(*map(strings, map(read_yaml, WORKFLOWS))),
    ]
    others = ("Dockerfile", "Makefile", "deploy/image/build.env", "deploy/compose/snowflake.yaml")
    texts += [(REPO / name).read_text() for name in others]
    texts += [file.read_text() for file in (*(DEPLOY / "aws").iterdir(), *(DEPLOY / "terraform").glob("*/*.tf"))]
    found = {name for text in texts for name in re.findall(r"\bNETFLIX_[A-Z0-9_]*[A-Z0-9]\b", text)}
    assert found - known - {"NETFLIX_PRODUCTION_RUNNER"} == set()  # a user of Snowflake
    assert {"NETFLIX_HOME", "NETFLIX_SNOWFLAKE_ACCOUNT", "NETFLIX_S3_ENDPOINT"} <= found


def test_the_variables_of_dagster_plus_are_those_that_its_documentation_names() -> None:
    assert {f"DAGSTER_CLOUD_{name}".upper() for name in DagsterPlusSettings.model_fields} == {
        "DAGSTER_CLOUD_DEPLOYMENT_NAME",
        "DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT",
        "DAGSTER_CLOUD_PULL_REQUEST_ID",
    }


# ---------------------------------------------------------------- Dagster+


def test_dagster_plus_accepts_the_project(tmp_path: Path) -> None:
    context = DgContext.for_project_environment(REPO, {})
    file = create_temp_dagster_cloud_yaml_file(context, str(tmp_path))
    (location,) = read_yaml(Path(file))["locations"]
    assert location["location_name"] == PROJECT["code_location_name"]
    assert location["build"]["directory"] == str(REPO)
    assert location["container_context"] == CONTEXT
    importlib.import_module(location["code_source"]["module_name"])
    arguments = ["--project-dir", str(REPO), "--dagster-cloud-yaml-path", file, "--dagster-cloud-connect-check=skip"]
    done = subprocess.run(
        [SCRIPTS / "dagster-cloud", "ci", "check", "--organization", "example", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    Path(file).write_text(Path(file).read_text().replace("module_name", "modul_name"))
    assert load_fails(Path(file)), "the schema of the library is not strict any more"


def load_fails(file: Path) -> bool:
    from dagster_cloud_cli.config.models import load_dagster_cloud_yaml
    from pydantic import ValidationError

    try:
        load_dagster_cloud_yaml(file.read_text())
    except ValidationError:
        return True
    return False


def test_the_limits_are_the_same_everywhere() -> None:
    local = read_yaml(DEPLOY / "dagster" / "dagster.yaml")
    plus = read_yaml(DEPLOY / "dagster_plus" / "settings.yaml")
    assert plus["concurrency"] == local["concurrency"]
    monitoring = {name: value for name, value in plus["run_monitoring"].items() if name != "start_timeout_seconds"}
    assert monitoring.items() <= local["run_monitoring"].items()
    daemon = HELM["dagsterDaemon"]["runMonitoring"]
    assert {re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", name): value for name, value in daemon.items()} == {
        **local["run_monitoring"],
        "max_resume_run_attempts": 0,
    }
    assert HELM["concurrency"]["runs"]["maxConcurrentRuns"] == local["concurrency"]["runs"]["max_concurrent_runs"]
    for kind in ("sensor", "schedule"):
        assert HELM["retention"][kind]["purgeAfterDays"] == {
            **local["retention"][kind]["purge_after_days"],
            "started": -1,
        }


# Those that the project's own alerts report: docs/alerts.md. Twice the same message would teach people to look away.
OWN = ("JOB_", "ASSET_")


def test_alert_policies_name_events_of_the_library_and_none_of_the_projects_own() -> None:
    from dagster_rest_resources.__generated__.enums import AlertPolicyEventType

    policies = read_yaml(DEPLOY / "dagster_plus" / "alert_policies.yaml")["alert_policies"]
    events = [event for policy in policies for event in policy["event_types"]]
    assert len(events) == len(set(events)) == 4
    assert set(events) <= {event.value for event in AlertPolicyEventType}
    assert not [event for event in events if event.startswith(OWN)]
    locations = {
        name for policy in policies for target in policy["alert_targets"] for name in find(target, "location_names")
    }
    assert locations == {PROJECT["code_location_name"]}


def find(value: Any, key: str) -> Iterator[Any]:
    for name, each in value.items() if isinstance(value, dict) else ():
        yield from each if name == key else find(each, key)


# ---------------------------------------------------------------- containers


def test_compose_runs_the_commands_of_the_documentation() -> None:
    documented = [
        shlex.split(line, comments=True)
        for line in (REPO / "docs" / "running.md").read_text().splitlines()
        if line.startswith(("dagster api grpc", "dagster-daemon", "dagster-webserver"))
    ]
    # Within containers a server must listen on all addresses; nothing but the webserver has a published port.
    composed = [
        ["127.0.0.1" if word == "0.0.0.0" else word for word in COMPOSE["services"][name]["command"]]  # noqa: S104
        for name in ("code", "daemon", "webserver")
    ]
    assert composed == documented
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["webserver"]
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["webserver"]["ports"])
    assert "docker.sock" not in (DEPLOY / "compose" / "compose.yaml").read_text()


def test_a_run_by_hand_has_the_storage_of_the_ui(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (home,) = set(re.findall(r"^ENV .*\bNETFLIX_HOME=(\S+)|^ +NETFLIX_HOME=(\S+)", dockerfile_stage(), re.MULTILINE))
    folder = str(Settings(home=Path("".join(home))).dagster_home)
    for name in ("code", "daemon", "webserver"):
        service = COMPOSE["services"][name]
        assert service["environment"]["DAGSTER_HOME"] == folder
        assert f"dagster:{folder}" in service["volumes"]
        assert [each["target"] for each in service["configs"]] == [f"{folder}/dagster.yaml"]
    # netflix-assets leaves the mounted file alone: only a dagster.yaml that it wrote itself is replaced.
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = Settings(home=tmp_path)
    settings.dagster_home.mkdir(parents=True)
    mounted = settings.dagster_home / "dagster.yaml"
    mounted.write_bytes((DEPLOY / "dagster" / "dagster.yaml").read_bytes())
    prepare_dagster_home(settings)
    assert mounted.read_bytes() == (DEPLOY / "dagster" / "dagster.yaml").read_bytes()


def dockerfile_stage() -> str:
    """The last stage of the Dockerfile."""
    return (REPO / "Dockerfile").read_text().rpartition("\nFROM ")[2]


def test_passwords_of_the_containers_are_written_once_and_for_the_owner(tmp_path: Path) -> None:
    (tmp_path / "deploy" / "compose").mkdir(parents=True)
    make(tmp_path, "compose-env")
    file = tmp_path / "deploy" / "compose" / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    written = file.read_text()
    names = re.findall(r"^([A-Z0-9_]+)=[0-9a-f]{32}$", written, re.MULTILINE)
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", (DEPLOY / "compose" / "compose.yaml").read_text()))
    assert set(names) == required
    make(tmp_path, "compose-env")
    assert file.read_text() == written


def test_a_branch_is_built_for_its_schemas_and_pushed_to_the_registry_of_branches(tmp_path: Path) -> None:
    (tmp_path / "deploy" / "image").mkdir(parents=True)
    build = tmp_path / "build.yaml"
    build.write_bytes((REPO / "build.yaml").read_bytes())
    for _ in range(2):  # a job that is run again
        make(tmp_path, "branch-settings", "PR=7")
        assert read_yaml(build) == {
            **read_yaml(REPO / "build.yaml"),
            "registry": f"{read_yaml(REPO / 'build.yaml')['registry']}-branches",
        }
    assert set((tmp_path / "deploy" / "image" / "build.env").read_text().split()) == {"NETFLIX_SCHEMA_PREFIX=pr_7_"}


def make(folder: Path, *arguments: str) -> None:
    subprocess.run(["make", "-C", folder, "-f", REPO / "Makefile", *arguments], check=True, capture_output=True)


def test_the_image_and_the_chart_start_the_module_of_the_project() -> None:
    dockerfile = (REPO / "Dockerfile").read_text()
    (command,) = re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)
    assert json.loads(command) == COMPOSE["services"]["code"]["command"]
    assert json.loads(command)[-1] == MODULE
    (deployment,) = HELM["dagster-user-deployments"]["deployments"]
    # `dagster code-server` stays up when its definitions have died, so the pod would not be restarted.
    assert deployment["dagsterApiGrpcArgs"] == ["-m", MODULE]
    assert "codeServerArgs" not in deployment
    assert re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE) == ["10001"]
    assert deployment["podSecurityContext"]["runAsUser"] == 10001


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", path.read_text(), re.MULTILINE))


def test_the_image_has_the_versions_of_the_lock() -> None:
    lock, image = pins(REPO / "requirements.lock"), pins(DEPLOY / "image" / "requirements.txt")
    assert {name: version for name, version in image.items() if lock.get(name, version) != version} == {}
    assert image["dagster-cloud"] == lock["dagster"]  # they are released together
    assert {"pytest", "fakesnow", "moto", "playwright"} & image.keys() == set()
    checks = pins(DEPLOY / "checks" / "requirements.txt")
    assert {name for name, version in checks.items() if image.get(name, version) != version} == set()


def test_the_chart_has_the_version_of_dagster() -> None:
    version = pins(REPO / "requirements.lock")["dagster"]
    texts = [DEPLOY / "helm" / "values.yaml", REPO / "docs" / "deploy.md"]
    assert {each for text in texts for each in re.findall(r"--version (\S+)", text.read_text())} == {version}


def test_an_image_has_a_manifest_for_each_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netflix_assets.dev import manifests

    monkeypatch.setenv("NETFLIX_HOME", str(tmp_path))
    parsed: list[str] = []

    def parse(project: Any, settings: Settings, state: str) -> None:  # dbt itself takes 10 s for each
        parsed.append(settings.env)
        project.manifest_path.parent.mkdir(parents=True, exist_ok=True)
        project.manifest_path.write_text("{}")
        dbt._stamp(settings).write_text(state)

    monkeypatch.setattr(dbt, "_parse", parse)
    manifests.main()
    assert parsed == ["local", "dev", "staging", "production"]
    # A deployment of Dagster+ finds its manifest; one for other schemas parses again.
    monkeypatch.setenv("DAGSTER_CLOUD_DEPLOYMENT_NAME", "prod")
    dbt.dbt_project(read_settings())
    assert parsed[4:] == []
    monkeypatch.setenv("NETFLIX_SCHEMA_PREFIX", "pr_7_")
    dbt.dbt_project(read_settings())
    assert parsed[4:] == ["production"]


def test_the_s3_of_compose_serves_the_landing_bucket(tmp_path: Path) -> None:
    service = COMPOSE["services"]["s3"]
    port = free_port()
    shell, flag, script = service["command"]
    script = script.replace("/var/lib/netflix", str(tmp_path)).replace("0.0.0.0:9000", f"127.0.0.1:{port}")
    keys = service["environment"]["RCLONE_AUTH_KEY"].replace("${S3_SECRET_KEY:?see docs/deploy.md}", "a-secret-key")
    environment = {
        "NETFLIX_HOME": str(tmp_path / "home"),
        "NETFLIX_S3_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": COMPOSE["services"]["code"]["environment"]["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": "a-secret-key",
    }
    tags = tmp_path / "tags.csv"
    tags.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n")
    with subprocess.Popen(
        [shell, flag, script], env={"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "RCLONE_AUTH_KEY": keys}
    ) as s3:
        try:
            until(lambda: (tmp_path / "s3" / "landing").exists() and is_open(port), seconds=30)
            command = "from netflix_assets.cli.app import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", command, "land", str(tags)],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            s3.terminate()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s3" / "landing" / "movielens" / "tags.csv").read_bytes() == tags.read_bytes()


def is_open(port: int) -> bool:
    import socket

    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# ---------------------------------------------------------------- workflows


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read_yaml(path)["jobs"].items():
            yield from ((f"{path.name}: {name}", step) for step in job["steps"])


def test_actions_are_pinned_by_commit_with_their_version() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []
    pinned = {tuple(re.findall(r"uses: (\S+)@(\S+)", line)[0]) for line in lines}
    assert len({action for action, _ in pinned}) == len(pinned)  # the same commit of an action everywhere


def test_the_steps_are_make_targets() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    matrix = set(read_yaml(REPO / ".github" / "workflows" / "ci.yml")["jobs"]["suites"]["strategy"]["matrix"]["target"])
    assert matrix <= targets
    for job, step in steps():
        run = step.get("run")
        if run is None or step.get("name") == "Log in" or re.fullmatch(r'echo "::notice [^\n]*', run):
            continue
        called = re.findall(r"^make (.+)$", step["run"], re.MULTILINE)
        assert called, (job, step)
        words = {word for call in called for word in call.split() if "=" not in word and "$" not in word}
        assert words <= targets, (job, step)


RULESETS = {name: json.loads((DEPLOY / "github" / f"{name}.json").read_text()) for name in ("ruleset", "production")}


def required_checks(ruleset: dict[str, Any]) -> dict[str, Any]:
    (found,) = [rule["parameters"] for rule in ruleset["rules"] if rule["type"] == "required_status_checks"]
    return found


def test_the_rulesets_require_jobs_that_exist() -> None:
    ci = read_yaml(REPO / ".github" / "workflows" / "ci.yml")["jobs"]
    names = set()
    for job in ci.values():
        matrix = job.get("strategy", {}).get("matrix", {"": [""]})
        ((key, values),) = matrix.items()
        names |= {job["name"].replace(f"${{{{ matrix.{key} }}}}", value) for value in values}
    for ruleset in RULESETS.values():
        required = {check["context"] for check in required_checks(ruleset)["required_status_checks"]}
        assert required <= names
        # What may fail is not required: newer versions of Python.
        assert names - required == {"Tests on Python 3.12", "Tests on Python 3.13", "Tests on Python 3.14"}


def test_the_rulesets_differ_only_where_production_must() -> None:
    main, production = RULESETS["ruleset"], RULESETS["production"]
    assert main["conditions"]["ref_name"]["include"] == ["~DEFAULT_BRANCH"]
    assert production["conditions"]["ref_name"]["include"] == ["refs/heads/production"]
    # A merge commit on production is not on main, so main would never be up to date with it again.
    checks = [required_checks(each).pop("strict_required_status_checks_policy") for each in (main, production)]
    assert checks == [True, False]
    assert main["rules"] == production["rules"]
