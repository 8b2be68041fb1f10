"""Carrying decisions out against an API server that refuses, is overtaken by others, or has another run."""

from __future__ import annotations

import copy
import functools
import json
import operator
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    SECRETS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooLargeError,
    UnreachableError,
)
from controller.operator.cache.resource_cache import ResourceCache
from controller.operator.decision.load_attempts import MAX_LOAD_ATTEMPTS
from controller.operator.effects.event_recorder import EventRecorder
from controller.operator.effects.status_writer import WriteResult
from controller.operator.reconciler import Dependencies, Reconciler
from controller.provenance import sign_creator
from controller.run_types.keys import RunKey
from tests.unit.controller.operator.world import SETTINGS, T0, build_run, step

Json = dict[str, Any]
KEY = RunKey("team", "ci-1")


class Cluster:
    """Objects by resource and name, with versions; `refuse` answers the creation of Jobs instead."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Any, str], Json] = {}
        self.version = 10
        self.refuse: Exception | None = None
        self.lose_secrets = False
        self.created: list[str] = []

    def put(self, resource: Any, obj: Json) -> Json:
        self.version += 1
        metadata = {"uid": f"uid-{self.version}", **obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[resource, metadata["name"]] = {**obj, "metadata": metadata}
        return copy.deepcopy(self.objects[resource, metadata["name"]])

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> Json:
        if (resource, name) not in self.objects:
            raise NotFoundError(f"no {name}", status=404)
        return copy.deepcopy(self.objects[resource, name])

    async def create(self, resource: Any, obj: Json, namespace: str | None = None) -> Json:
        if resource is JOBS and self.refuse is not None:
            raise self.refuse
        if resource is SECRETS and self.lose_secrets:
            raise UnreachableError("the connection broke off")
        if (resource, obj["metadata"]["name"]) in self.objects:
            raise AlreadyExistsError("there", status=409, reason="AlreadyExists")
        self.created.append(obj["metadata"]["name"])
        return self.put(resource, obj)

    async def patch(self, resource: Any, name: str, patch: Any, **more: Any) -> Json:
        found = await self.get(resource, name)
        if resource is PIPELINE_RUNS:
            version, *changes = patch
            if version["value"] != found["metadata"]["resourceVersion"]:
                raise ConflictError("changed", status=409)
            for change in changes:
                *folders, last = [part.replace("~1", "/") for part in change["path"].split("/")[1:]]
                functools.reduce(operator.getitem, folders, found)[last] = change["value"]
        elif resource is JOBS:
            found["spec"] |= patch["spec"]
        return self.put(resource, found)

    async def delete(self, resource: Any, name: str, *, namespace: str, uid: str | None = None) -> None:
        found = await self.get(resource, name)
        if uid not in (None, found["metadata"]["uid"]):
            raise ConflictError("another", status=409)
        del self.objects[resource, name]


class Logs:
    def __init__(self) -> None:
        self.followed: list[tuple[str, tuple[bytes, ...]]] = []
        self.forgotten = 0

    def follow(self, *, slug: str, secrets: Iterable[bytes], **_: Any) -> None:
        self.followed.append((slug, tuple(secrets)))

    def result(self, **_: Any) -> Json | None:
        return {"lines": 0}

    def forget(self, *_: str) -> None:
        self.forgotten += 1


class NoStore:
    async def get(self, key: str) -> bytes:
        raise AssertionError(key)

    async def head(self, key: str) -> None:
        return None


class ReconcilerHarness:
    """A reconciler, the cluster it works on, and the run."""

    def __init__(self, *steps: Json) -> None:
        self.cluster, self.logs = Cluster(), Logs()
        self.run = self.cluster.put(PIPELINE_RUNS, build_run(steps or [step("a")]))
        self.asked: list[tuple[tuple[str, str], float]] = []
        self.restart()

    def restart(self) -> None:
        """Another process begins, with nothing but what the cluster has."""
        client: Any = self.cluster
        self.cache = ResourceCache(lambda: T0)
        self.reconciler = Reconciler(
            Dependencies(client, self.logs, NoStore(), SETTINGS, EventRecorder(client, lambda: T0), lambda: T0),
            self.cache,
            lambda key, seconds: self.asked.append((key, seconds)),
            lambda: [obj for (resource, _), obj in self.cluster.objects.items() if resource is PIPELINE_RUNS],
        )
        self.run = self.stored
        for (resource, _), obj in self.cluster.objects.items():
            if resource is JOBS:
                self.cache.on_job(obj, deleted=False)

    @property
    def stored(self) -> Json:
        return copy.deepcopy(self.cluster.objects[PIPELINE_RUNS, "ci-1"])

    def step(self, index: int = 0) -> Json:
        found: Json = self.stored["status"]["steps"][index]
        return found

    async def look(self) -> None:
        await self.reconciler.reconcile(self.run)

    def pod(self, name: str, state: Json, *, phase: str = "Running", gone: bool = False, **forged: Any) -> None:
        """A pod of the Job of attempt 1 has changed; `forged` replaces what its metadata has."""
        labels = {"c8s.dev/run": "ci-1", "c8s.dev/step": name, "c8s.dev/attempt": "1"}
        job_uid = self.cluster.objects[JOBS, f"ci-1--{name}-1"]["metadata"]["uid"]
        owner = {"kind": "Job", "name": f"ci-1--{name}-1", "uid": job_uid, "controller": True}
        metadata = {"name": name, "namespace": "team", "uid": f"pod-{name}", "labels": labels}
        metadata |= {"annotations": {"c8s.dev/run-uid": "uid-1"}, "ownerReferences": [owner], **forged}
        status = {"phase": phase, "containerStatuses": [{"name": "step", "state": state}]}
        self.cache.on_pod({"metadata": metadata, "spec": {}, "status": status}, deleted=gone)


async def test_a_run_goes_from_its_first_look_to_its_end() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    assert (harness.cluster.created, harness.step()["phase"]) == (["ci-1--a-1"], "Pending")
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.look()
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert harness.stored["status"]["phase"] == "Succeeded"


async def test_what_a_run_left_to_expire_expires_also_after_a_restart() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.look()
    # The Job is not in the cache of the first process, which dies after the last write.
    await harness.reconciler.write(KEY)
    harness.restart()
    await harness.look()
    assert harness.cluster.objects[JOBS, "ci-1--a-1"]["spec"]["ttlSecondsAfterFinished"] == 3600


async def test_ended_run_is_not_restarted_from_a_stale_cache() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.look()
    await harness.reconciler.write(KEY)
    before = harness.stored
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.stored == before


async def test_concurrent_cancel_does_not_lose_the_status_write() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "spec": {**harness.run["spec"], "cancel": True}})
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    assert "status" not in harness.stored
    assert harness.asked[-1] == (KEY, 0), "it is written again at once"
    await harness.reconciler.write(KEY)
    assert harness.step()["attempts"][0]["number"] == 1
    assert harness.stored["spec"]["cancel"]


async def test_status_of_another_writer_is_not_overwritten() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    await harness.reconciler.write(KEY)
    foreign = {**harness.stored["status"], "message": "by another"}
    harness.pod("a", {"running": {}})
    await harness.look()
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "status": foreign})
    assert await harness.reconciler.write(KEY) is WriteResult.STALE
    assert harness.stored["status"] == foreign


async def test_recreated_run_takes_nothing_from_the_earlier_one() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    await harness.reconciler.write(KEY)
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    earlier = harness.cluster.objects.pop((JOBS, "ci-1--a-1"))["metadata"]["uid"]
    again = build_run([step("a")])
    again["metadata"]["uid"] = "uid-2"
    harness.run = harness.cluster.put(PIPELINE_RUNS, again)
    await harness.look()
    assert harness.logs.forgotten == 1
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Pending"
    owner = {"kind": "Job", "name": "ci-1--a-1", "uid": earlier, "controller": True}
    harness.pod("a", {"running": {}}, uid="pod-a-again")
    harness.pod("a", {"running": {}}, gone=True, ownerReferences=[owner])
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Running"


async def test_forged_pod_ends_nothing_and_has_no_log() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    job = {"kind": "Job", "name": "ci-1--a-1", "uid": harness.cluster.objects[JOBS, "ci-1--a-1"]["metadata"]["uid"]}
    run = {"kind": "PipelineRun", "name": "ci-1", "uid": "uid-1", "controller": True}
    for owners in (
        [],
        [job],
        [{**job, "uid": "x", "controller": True}],
        [run],
        [{**job, "kind": "X", "controller": True}],
    ):
        harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded", uid="forged", ownerReferences=owners)
        await harness.look()
        await harness.reconciler.write(KEY)
        assert harness.step()["phase"] == "Pending", owners
    assert harness.logs.followed == []
    harness.pod("a", {"running": {}})
    harness.pod(
        "a", {"terminated": {"exitCode": 0}}, phase="Succeeded", uid="later", creationTimestamp="2030-01-01T00:00:00Z"
    )
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Running", "a Job has one pod: the first"


async def test_job_name_taken_by_another_run_is_retried() -> None:
    harness = ReconcilerHarness()
    owner = [{"uid": "somebody-else"}]
    harness.cluster.put(JOBS, {"metadata": {"name": "ci-1--a-1", "namespace": "team", "ownerReferences": owner}})
    await harness.look()
    await harness.reconciler.write(KEY)
    assert (harness.step()["phase"], harness.step()["reason"]) == ("Pending", "NameTaken")


@pytest.mark.parametrize(
    ("error", "phase", "reason"),
    [
        (ForbiddenError('jobs "x" is forbidden: exceeded quota: q', status=403), "Pending", "OverQuota"),
        (ApiError("spec.template: Invalid value", status=422), "Failed", "JobInvalid"),
        (ApiError("a webhook is down", status=500), "Pending", "NotCreated"),
    ],
)
async def test_a_refused_job_is_told_in_its_step(error: ApiError, phase: str, reason: str) -> None:
    harness = ReconcilerHarness()
    harness.cluster.refuse = error
    await harness.look()
    await harness.reconciler.write(KEY)
    assert (harness.step()["phase"], harness.step()["reason"]) == (phase, reason)
    assert str(error) in harness.step()["message"]
    assert "attempts" not in harness.step()


async def test_attempt_without_its_tokens_has_not_started() -> None:
    """A lost answer to the creation of its tokens must not leave an attempt whose Job nobody creates."""
    harness = ReconcilerHarness(step("a", artifacts=["dist/*"]))
    harness.cluster.lose_secrets = True
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.step()["reason"] == "NotCreated"
    assert not harness.step().get("attempts")
    assert all(resource is not JOBS for resource, _ in harness.cluster.objects)


async def test_a_job_made_by_a_process_that_died_is_not_made_twice() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    harness.restart()
    harness.run["spec"]["cancel"] = True
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.cluster.created.count("ci-1--a-1") == 1
    assert harness.step()["attempts"][0]["stopping"] == "Cancelled"
    assert (JOBS, "ci-1--a-1") not in harness.cluster.objects, "no node had taken its pod"


async def test_logs_are_followed_only_once_secrets_are_known() -> None:
    harness = ReconcilerHarness(step("a", secrets=[{"secretRef": "s", "key": "k"}]))
    harness.cluster.put(
        SECRETS, {"metadata": {"name": "s", "labels": {"c8s.dev/secret": "true"}}, "data": {"k": "aHVzaA=="}}
    )
    await harness.look()
    await harness.reconciler.write(KEY)
    for restarted in (False, True):
        if restarted:
            harness.restart()
        harness.pod("a", {"running": {}})
        await harness.look()
    assert harness.logs.followed
    assert set(harness.logs.followed) == {("a", (b"hush",))}


async def test_the_agents_token_of_another_run_is_no_secret_to_use() -> None:
    harness = ReconcilerHarness(step("a", secrets=[{"secretRef": "ci-7-agent", "key": "token"}]))
    metadata = {"name": "ci-7-agent", "labels": {"c8s.dev/run": "ci-7"}}
    harness.cluster.put(SECRETS, {"metadata": metadata, "data": {"token": "aHVzaA=="}})
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.step()["reason"] == "SecretMissing"


async def test_a_run_that_cannot_be_run_says_why_at_once() -> None:
    harness = ReconcilerHarness(step("a", "nobody"))
    await harness.look()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "InvalidPipeline")
    assert "nobody" in harness.stored["status"]["message"]


async def test_a_run_that_would_cost_too_much_fails_and_says_why() -> None:
    harness = ReconcilerHarness(step("a", conditional={"paths": [f"*a{n}" for n in range(100)]}))
    harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["changedFiles"] = ["a" * 1_000] * 3_000
    harness.run = harness.stored
    await harness.look()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "TooExpensive")
    assert "100 globs" in harness.stored["status"]["message"]


async def test_copy_of_a_failed_step_must_come_from_the_api() -> None:
    harness = ReconcilerHarness()
    harness.run["spec"]["source"] = {"kept": {"run": "ci-0", "step": "a", "attempt": 1}}
    harness.run["metadata"]["annotations"] = {"c8s.dev/created-by": "cfo"}
    harness.run = harness.cluster.put(PIPELINE_RUNS, harness.run)
    await harness.look()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "InvalidPipeline")
    assert "only the API creates runs with source.kept" in harness.stored["status"]["message"]
    assert "createdBy" not in harness.stored["status"]
    assert harness.cluster.created == []


async def test_proven_creator_is_in_the_status_and_stays_there() -> None:
    harness = ReconcilerHarness()
    run = harness.run
    run["spec"]["source"] = {"kept": {"run": "ci-0", "step": "a", "attempt": 1}}
    run["metadata"]["annotations"] = {"c8s.dev/created-by": "ann"}
    run["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    proof = sign_creator(SETTINGS.agent_key, run, datetime.fromisoformat("2026-01-01T00:00:02Z").timestamp())
    run["metadata"]["annotations"]["c8s.dev/creator-proof"] = proof
    harness.run = harness.cluster.put(PIPELINE_RUNS, run)
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.stored["status"]["createdBy"] == "ann"
    harness.restart()
    harness.run["metadata"]["annotations"] = {"c8s.dev/created-by": "cfo"}
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.look()
    await harness.reconciler.write(KEY)
    assert (harness.stored["status"]["phase"], harness.stored["status"]["createdBy"]) == ("Succeeded", "ann")


async def test_a_run_that_keeps_ending_the_operator_fails() -> None:
    harness = ReconcilerHarness(step("a"))
    for _ in range(MAX_LOAD_ATTEMPTS):
        with patch("controller.operator.plan_loader.load_run_plan", side_effect=SystemExit), pytest.raises(SystemExit):
            await harness.look()
        harness.restart()
    await harness.look()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "TooExpensive")
    assert "5 times the operator ended" in harness.stored["status"]["message"]


async def test_trying_again_in_one_process_is_no_sign_of_a_bad_run() -> None:
    harness = ReconcilerHarness(step("a"))
    for _ in range(2 * MAX_LOAD_ATTEMPTS):
        with (
            patch("controller.operator.plan_loader.load_run_plan", side_effect=RuntimeError),
            pytest.raises(RuntimeError),
        ):
            await harness.look()
        harness.run = harness.stored
    await harness.look()
    assert harness.stored["metadata"]["annotations"]["c8s.dev/load-attempts"].startswith("1 ")
    assert harness.cache.states[KEY].status.current["phase"] == "Running"


async def test_pull_of_the_step_image_is_a_milestone() -> None:
    harness = ReconcilerHarness()
    await harness.look()
    harness.pod("a", {"waiting": {"reason": "ContainerCreating"}}, phase="Pending")
    about = {"kind": "Pod", "namespace": "team", "name": "a", "uid": "pod-a"}

    def pulling(container: str) -> Json:
        return {"reason": "Pulling", "involvedObject": {**about, "fieldPath": f"spec.{container}"}}

    assert harness.cache.on_image_pull(pulling("initContainers{fetch}")) is None, "ours is not theirs"
    assert harness.cache.on_image_pull({"involvedObject": {**about, "uid": "another"}}) is None
    assert harness.cache.on_image_pull(pulling("containers{step}")) == KEY
    assert harness.cache.on_image_pull(pulling("containers{step}")) is None, "once is enough"
    harness.pod("a", {"running": {}})
    await harness.look()
    await harness.reconciler.write(KEY)
    assert list(harness.step()["attempts"][0]["times"]) == ["queued", "created", "pulling", "running"]


class SmallCluster(Cluster):
    """Refuses statuses above a size, as etcd does."""

    limit = 1500
    refused = 0

    async def patch(self, resource: Any, name: str, patch: Any, **more: Any) -> Json:
        if more.get("subresource") == "status" and len(json.dumps(patch)) > self.limit:
            self.refused += 1
            raise TooLargeError("etcdserver: request is too large", status=500)
        return await super().patch(resource, name, patch, **more)


async def test_a_status_that_is_refused_is_written_shortened() -> None:
    harness = ReconcilerHarness(*(step(f"step-{index}") for index in range(5)))
    cluster = SmallCluster()
    cluster.objects, cluster.limit = harness.cluster.objects, 2600
    harness.cluster = cluster
    harness.restart()
    await harness.look()
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    status = harness.stored["status"]
    assert [each["phase"] for each in status["steps"]] == ["Pending"] * 5
    assert status["conditions"][-1]["reason"] == "StatusTooLarge"
    assert cluster.refused > 0
    before = cluster.refused
    harness.pod("step-0", {"running": {}})
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Running"
    assert cluster.refused == before, "the length that was found is kept"


async def test_a_run_whose_status_never_fits_can_be_cancelled() -> None:
    harness = ReconcilerHarness(*(step(f"step-{index}") for index in range(5)))
    cluster = SmallCluster()
    cluster.objects = harness.cluster.objects
    harness.cluster = cluster
    harness.restart()
    await harness.look()
    await harness.reconciler.write(KEY)
    assert harness.stored["status"]["phase"] == "Running"
    harness.run = cluster.put(PIPELINE_RUNS, {**harness.stored, "spec": {**harness.stored["spec"], "cancel": True}})
    for index in range(5):
        harness.pod(f"step-{index}", {"terminated": {"exitCode": 143}}, phase="Failed")
    await harness.look()
    for _ in range(3):
        await harness.reconciler.write(KEY)
    assert harness.stored["status"]["phase"] in ("Cancelled", "Failed")


async def test_a_run_that_can_not_fit_is_refused_by_the_operator() -> None:
    matrix = {"dimensions": {"x": [f"{index:03}" + "v" * 240 for index in range(150)]}}
    more = {"matrix": matrix, "retryPolicy": {"maxRetries": 10}}
    harness = ReconcilerHarness(step("a", **more), step("b", "a", **more))
    await harness.look()
    status = harness.stored["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "TooExpensive")
    assert "too large" in status["message"]
    assert "1,048,576" in status["message"]
