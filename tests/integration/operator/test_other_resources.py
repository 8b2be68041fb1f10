"""Jobs that a queue of the cluster has to admit, and secrets of others, on the embedded cluster.

The tests do what Kueue does; the definitions of resources are those of `tests/support/crds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.run_controller.stage import Json, Stage, stage
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
"""A machine with much other work takes several times as long."""
_TIMEOUT = 120.0
RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
WORKLOADS = "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/workloads"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        found.start_operator()
        yield found


def install(on: Stage, name: str) -> None:
    """Define the resources of a file of `tests/support/crds`, and wait until they are served."""
    for each in yaml.safe_load_all((ROOT / "tests" / "support" / "crds" / name).read_text()):
        on.call("POST", CRDS, each)

        def is_served(crd: str = each["metadata"]["name"]) -> bool:
            found = on.call("GET", f"{CRDS}/{crd}")
            return any(c["type"] == "Established" for c in (found.get("status") or {}).get("conditions") or [])

        wait_until(is_served, _TIMEOUT, what=each["metadata"]["name"])


def create(on: Stage, obj: Json) -> Json:
    """Create an object of a custom resource, all of whose fields its definition must have."""
    plural = obj["kind"].lower() + ("es" if obj["kind"].endswith("ss") else "s")
    within = f"/namespaces/{obj['metadata']['namespace']}" if "namespace" in obj["metadata"] else ""
    made = on.call("POST", f"/apis/{obj['apiVersion']}{within}/{plural}?fieldValidation=Strict", obj)
    assert made.get("spec") == obj.get("spec")
    return made


def start(on: Stage, name: str, **pipeline: Any) -> None:
    step = {"name": "build", "image": "none:1", "commands": ["echo ran"]}
    after = {"name": "after", "image": "none:1", "commands": ["echo too"], "dependsOn": ["build"]}
    fields = {"name": "queued", "steps": [step, after], "queue": "team-a", **pipeline}
    spec = {"pipeline": {name: value for name, value in fields.items() if value is not None}}
    on.call(
        "POST",
        RUNS,
        {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec},
    )


def build(on: Stage, run: str) -> Json:
    steps = (on.call("GET", f"{RUNS}/{run}").get("status") or {}).get("steps") or [{}]
    found: Json = steps[0]
    return found


def wait_for_message(on: Stage, run: str, text: str) -> Json:
    wait_until(lambda: text in build(on, run).get("message", ""), _TIMEOUT, what=f"a message with {text!r}")
    return build(on, run)


def jobs(on: Stage, run: str) -> list[Json]:
    return list(on.call("GET", f"{JOBS}?labelSelector=c8s.dev/run%3D{run}")["items"])


def admit(on: Stage, run: str) -> None:
    (job,) = jobs(on, run)
    on.change(f"{JOBS}/{job['metadata']['name']}", lambda found: found["spec"].update(suspend=False))


def test_a_step_says_that_there_is_no_kueue_and_is_cancelled(on: Stage) -> None:
    start(on, "none-1")
    status = wait_for_message(on, "none-1", "Kueue is not installed in this cluster")
    assert (status["phase"], status["reason"]) == ("Pending", "WaitingForAdmission")
    assert "to the queue team-a" in status["message"]
    (job,) = jobs(on, "none-1")
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    on.change(f"{RUNS}/none-1", lambda run: run["spec"].update(cancel=True))
    wait_until(lambda: build(on, "none-1").get("phase") == "Cancelled", _TIMEOUT, what="the cancellation")
    wait_until(lambda: jobs(on, "none-1") == [], _TIMEOUT, what="the removal of the Job")


def test_a_step_says_what_its_queue_lacks_and_runs_once_admitted(on: Stage) -> None:
    install(on, "kueue.yaml")
    start(on, "queued-1", prestart=2)
    wait_for_message(on, "queued-1", "Kueue has not taken it up yet")
    (job,) = jobs(on, "queued-1")
    metadata = {"name": "job-build", "labels": {"kueue.x-k8s.io/job-uid": job["metadata"]["uid"]}}
    kind = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload"}
    made = on.call("POST", WORKLOADS, {**kind, "metadata": metadata, "spec": {"queueName": "team-a"}})
    why = "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor any-node, 1 more needed"
    pending = {
        "type": "QuotaReserved", "status": "False", "reason": "Pending", "message": why,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    on.call("PUT", f"{WORKLOADS}/job-build/status", {**made, "status": {"conditions": [pending]}})
    wait_for_message(on, "queued-1", "waits for admission to the queue team-a: couldn't assign flavors")
    assert len(jobs(on, "queued-1")) == 1, "nothing is made ahead"
    on.kill_operator()
    admit(on, "queued-1")
    on.start_operator()
    wait_until(lambda: build(on, "queued-1").get("phase") == "Succeeded", _TIMEOUT, what="the first step")
    (attempt,) = build(on, "queued-1")["attempts"]
    assert attempt["times"]["created"] <= attempt["times"]["admitted"] <= attempt["times"]["running"]
    wait_until(lambda: len(jobs(on, "queued-1")) == 2, _TIMEOUT, what="the second Job")
    second = next(each for each in jobs(on, "queued-1") if each["metadata"]["labels"]["c8s.dev/step"] == "after")
    on.change(f"{JOBS}/{second['metadata']['name']}", lambda found: found["spec"].update(suspend=False))
    wait_until(lambda: on.call("GET", f"{RUNS}/queued-1")["status"]["phase"] == "Succeeded", _TIMEOUT, what="the end")


def test_the_sample_of_queues_is_accepted(on: Stage) -> None:
    install(on, "kueue.yaml")
    *queues, namespace = yaml.safe_load_all((ROOT / "docs" / "cluster" / "kueue.yaml").read_text())
    for each in queues:
        create(on, each)
    kept = namespace["metadata"]["annotations"]
    on.change("/api/v1/namespaces/default", lambda found: found["metadata"].update(annotations=kept))
    start(on, "of-namespace-1", queue=None)
    wait_for_message(on, "of-namespace-1", "waits for admission to the queue pipelines")


def test_the_samples_of_secrets_are_accepted_and_a_step_without_its_class_fails(on: Stage) -> None:
    install(on, "external-secrets.yaml")
    use = {"class": "deploy-keys", "secret": "deploy-keys"}
    steps = [{"name": "build", "image": "none:1", "commands": ["true"], "secretProviders": [use]}]
    start(on, "no-driver-1", queue=None, steps=steps)
    status = wait_for_message(on, "no-driver-1", "there is no SecretProviderClass deploy-keys")
    assert (status["phase"], status["reason"]) == ("Failed", "SecretMissing")
    install(on, "secrets-store.yaml")
    folder = ROOT / "docs" / "cluster"
    create(on, yaml.safe_load((folder / "external-secret.yaml").read_text()))
    sample = yaml.safe_load((folder / "secret-provider-class.yaml").read_text())
    unmasked = {**sample, "spec": {**sample["spec"], "secretObjects": []}}
    create(on, unmasked)
    start(on, "unmasked-1", queue=None, steps=steps)
    wait_for_message(on, "unmasked-1", "makes no Secret deploy-keys")
    create(on, {**sample, "metadata": {**sample["metadata"], "name": "whole"}})
