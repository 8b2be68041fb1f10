"""Steps that mount a SecretProviderClass: no log of the run is followed before its Secret is read and can be masked."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kube import SECRET_PROVIDER_CLASSES, SECRETS
from controller.operator import names
from controller.operator.workload.job import JobSpec, build_job
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext
from tests.unit.controller.operator.harness import KEY, ReconcilerHarness
from tests.unit.controller.operator.world import SETTINGS, build_run, step

Json = dict[str, Any]
CLASS: Json = yaml.safe_load((Path(__file__).parents[4] / "docs/cluster/secret-provider-class.yaml").read_text())
USE = {"class": "deploy-keys", "secret": "deploy-keys"}
STARTED = {"running": {"startedAt": "2026-01-01T00:00:01Z"}}


def synced(value: bytes = b"hush-hush", **labels: str) -> Json:
    """The Secret as the driver makes it."""
    own = labels or {"c8s.dev/secret": "true", "secrets-store.csi.k8s.io/managed": "true"}
    data = {"token": base64.b64encode(value).decode()}
    return {"metadata": {"name": "deploy-keys", "labels": own}, "type": "Opaque", "data": data}


def made(*steps: Json) -> ReconcilerHarness:
    harness = ReconcilerHarness(*(steps or (step("a", secretProviders=[USE]),)))
    harness.cluster.put(SECRET_PROVIDER_CLASSES, CLASS)
    return harness


async def test_the_log_is_followed_once_the_drivers_secret_is_read() -> None:
    harness = made()
    await harness.reconcile()
    harness.pod("a", STARTED)
    result = await harness.reconcile()
    assert harness.logs.followed == []
    assert result.requeue_after is not None
    assert result.requeue_after <= 1.0
    harness.cluster.put(SECRETS, synced())
    await harness.reconcile()
    await harness.reconcile()
    assert set(harness.logs.followed) == {("a", (b"hush-hush",))}


async def test_no_other_log_of_the_run_is_followed_meanwhile() -> None:
    harness = made(step("a", secretProviders=[USE]), step("b"))
    await harness.reconcile()
    harness.pod("a", STARTED)
    harness.pod("b", STARTED)
    await harness.reconcile()
    assert harness.logs.followed == []
    harness.cluster.put(SECRETS, synced())
    await harness.reconcile()
    await harness.reconcile()
    assert {slug for slug, _ in harness.logs.followed} == {"a", "b"}
    assert {secrets for _, secrets in harness.logs.followed} == {(b"hush-hush",)}


async def test_another_operator_masks_what_was_mounted_although_the_driver_has_removed_it() -> None:
    harness = made()
    await harness.reconcile()
    harness.pod("a", STARTED)
    harness.cluster.put(SECRETS, synced())
    await harness.reconcile()
    del harness.cluster.objects[SECRETS, "deploy-keys"]
    harness.logs.followed.clear()
    harness.restart()
    harness.pod("a", STARTED)
    await harness.reconcile()
    await harness.reconcile()
    assert set(harness.logs.followed) == {("a", (b"hush-hush",))}
    (copied,) = [name for resource, name in harness.cluster.objects if resource is SECRETS and "provided" in name]
    found = harness.cluster.objects[SECRETS, copied]
    assert found["immutable"] is True
    assert found["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


async def test_a_secret_without_the_label_is_not_read() -> None:
    harness = made()
    await harness.reconcile()
    harness.pod("a", STARTED)
    harness.cluster.put(SECRETS, synced(other="x"))
    await harness.reconcile()
    await harness.reconcile()
    assert harness.logs.followed == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({}, "makes no Secret"), (None, "there is no SecretProviderClass deploy-keys")],
)
async def test_a_step_whose_class_may_not_be_mounted_fails_before_it_starts(spec: Json | None, expected: str) -> None:
    harness = ReconcilerHarness(step("a", secretProviders=[USE]))
    if spec is not None:
        harness.cluster.put(SECRET_PROVIDER_CLASSES, {**CLASS, "spec": spec})
    await harness.reconcile()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    found = harness.step()
    assert (found["phase"], found["reason"]) == ("Failed", "SecretMissing")
    assert expected in found["message"]


def job_of(*uses: Json, **more: Any) -> Json:
    run: Any = build_run([step("a", secretProviders=list(uses), **more)])
    pipeline = Pipeline.model_validate(run["spec"]["pipeline"])
    (expanded,) = expand_steps(pipeline)
    return build_job(JobSpec(run, pipeline, expanded, 1, RunContext("ci-1", "1", "", "main", {}), ()), SETTINGS)


def test_files_are_mounted_into_the_step_alone() -> None:
    pod = job_of(USE, {"class": "more", "secret": "more"}, artifacts=["out"])["spec"]["template"]["spec"]
    (main,) = pod["containers"]
    mounts = {each["name"]: each for each in main["volumeMounts"] if each["name"].startswith("provider-")}
    assert {name: each["mountPath"] for name, each in mounts.items()} == {
        "provider-0": "/var/run/c8s-secret-providers/deploy-keys",
        "provider-1": "/var/run/c8s-secret-providers/more",
    }
    assert all(each["readOnly"] for each in mounts.values())
    (volume,) = [each for each in pod["volumes"] if each["name"] == "provider-0"]
    assert volume["csi"] == {
        "driver": "secrets-store.csi.k8s.io",
        "readOnly": True,
        "volumeAttributes": {"secretProviderClass": "deploy-keys"},
    }
    assert {"name": "C8S_SECRET_PROVIDERS", "value": "/var/run/c8s-secret-providers"} in main["env"]
    for sidecar in pod["initContainers"]:
        assert not any(each["name"].startswith("provider-") for each in sidecar["volumeMounts"])


def test_each_attempt_has_a_copy_of_its_own() -> None:
    first, second = (names.provided_secret_name("ci-1", "uid-1", "a", number) for number in (1, 2))
    assert first != second
