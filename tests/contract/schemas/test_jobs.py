"""What the operator makes for a step, against Kubernetes' schemas and the Pod Security profiles."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from controller.operator.settings import OperatorSettings
from controller.operator.workload.clone_step import add_clone_step
from controller.operator.workload.job import JobSpec, build_job
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext
from tests.contract.schemas.schemas import problems

Json = dict[str, Any]
BASELINE_CAPABILITIES = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"}
PEM = {"secretRef": "db", "key": "pem", "file": "db/key.pem"}
PIPELINE = {
    "version": "v1alpha1",
    "name": "demo",
    "env": {"A": "$(B)"},
    "steps": [
        {
            "name": "build",
            "image": "busybox:1.36",
            "commands": ["make"],
            "artifacts": ["dist/**"],
            "secrets": [
                {"secretRef": "db", "key": "password"},
                {"secretRef": "db", "key": "pem", "file": "db/key.pem"},
            ],
            "resources": {"cpu": "500m", "memory": "64Mi"},
            "workingDir": "sub",
        },
        {"name": "test", "image": "busybox:1.36", "commands": ["make test"], "dependsOn": ["build"]},
        {
            "name": "beside",
            "image": "busybox:1.36",
            "commands": ["make check"],
            "dependsOn": ["build"],
            "cache": [{"key": "deps-{{hash lock}}", "paths": [".cache"]}],
            "services": [
                {"name": "db", "image": "postgres:17", "env": {"POSTGRES_PASSWORD": "x"}, "ready": {"port": 5432}},
                {"name": "web", "image": "busybox:1.36", "commands": ["httpd -f"], "ready": {"exec": ["true", "$(A)"]}},
            ],
        },
    ],
}
GIT = {"url": "https://git.example.org/a.git", "revision": "main", "submodules": True, "secretRef": "deploy-key"}


def job(step: int, security: str, source: bool) -> Json:
    pipeline = Pipeline.model_validate(PIPELINE)
    run = {
        "metadata": {"name": "demo-1", "namespace": "default", "uid": "1"},
        "spec": {"pipeline": PIPELINE} | ({"source": {"archive": {"digest": "sha256:" + "0" * 64}}} if source else {}),
    }
    facts = RunContext("demo-1", "1", "", "main", {})
    plan = JobSpec(run, pipeline, expand_steps(pipeline)[step], 1, facts, ("build",) if step else ())
    settings = OperatorSettings(["/opt/c8s/python", "agent"], "http://api:8080", b"key", pod_security=security)
    return build_job(plan, settings)


def cloning_job(security: str) -> Json:
    """The first step of a run on a repository."""
    pipeline = Pipeline.model_validate(PIPELINE)
    run = {
        "metadata": {"name": "demo-1", "namespace": "default", "uid": "1"},
        "spec": {"pipeline": PIPELINE, "source": {"git": GIT}},
    }
    steps, name = add_clone_step(run, expand_steps(pipeline))
    assert steps[0].name == name
    plan = JobSpec(run, pipeline, steps[0], 1, RunContext("demo-1", "1", "", "main", {}), (), is_clone_step=True)
    settings = OperatorSettings(["/opt/c8s/python", "agent"], "http://api:8080", b"key", pod_security=security)
    return build_job(plan, settings)


CASES = list(itertools.product((0, 1, 2), ("baseline", "restricted"), (False, True)))


@pytest.mark.parametrize(("step", "security", "source"), CASES)
def test_jobs_match_the_schemas(step: int, security: str, source: bool) -> None:
    assert problems(job(step, security, source)) == []


@pytest.mark.parametrize(("step", "security", "source"), CASES)
def test_pods_meet_their_security_profile(step: int, security: str, source: bool) -> None:
    spec = job(step, security, source)["spec"]["template"]["spec"]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert not any("hostPath" in volume for volume in spec["volumes"])
    for container in containers:
        context = container["securityContext"]
        assert "privileged" not in context
        added = set(context.get("capabilities", {}).get("add", []))
        assert added <= (BASELINE_CAPABILITIES if security == "baseline" else set())
        if security == "restricted":
            assert context["capabilities"]["drop"] == ["ALL"]
            assert context["allowPrivilegeEscalation"] is False
            assert context.get("runAsUser") != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    if security == "restricted":
        assert spec["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(("step", "security", "source"), CASES)
def test_steps_have_no_token_and_no_store_credentials(step: int, security: str, source: bool) -> None:
    spec = job(step, security, source)["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    main = spec["containers"][0]
    assert "agent" not in [mount["name"] for mount in main["volumeMounts"]]
    assert not any("AWS" in each["name"] or "TOKEN" in each["name"] for each in main["env"])
    assert not any("limits" in each.get("resources", {}) for each in spec.get("initContainers", []))


@pytest.mark.parametrize("security", ["baseline", "restricted"])
def test_clone_pod_matches_schemas_and_profile(security: str) -> None:
    made = cloning_job(security)
    assert problems(made) == []
    spec = made["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    [container] = spec["containers"]
    added = set(container["securityContext"].get("capabilities", {}).get("add", []))
    assert added <= (BASELINE_CAPABILITIES if security == "baseline" else set())
    if security == "restricted":
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"].get("runAsUser") != 0
    words = [*container["command"], *(each["value"] for each in container["env"])]
    assert not any("deploy-key" in word for word in words)


def test_services_are_sidecars_with_a_startup_probe() -> None:
    spec = job(2, "baseline", source=True)["spec"]["template"]["spec"]
    sidecars = {each["name"]: each for each in spec["initContainers"] if each["name"].startswith("svc-")}
    assert set(sidecars) == {"svc-db", "svc-web"}
    assert all(each["restartPolicy"] == "Always" for each in sidecars.values())
    assert sidecars["svc-db"]["startupProbe"]["tcpSocket"] == {"port": 5432}
    assert sidecars["svc-web"]["startupProbe"]["exec"]["command"] == ["true", "$$(A)"]
