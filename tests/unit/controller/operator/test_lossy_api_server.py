"""The reconciler on an API server that loses requests and answers: every run ends, and each attempt has one Job."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.kube import JOBS, PIPELINE_RUNS, PODS, KubeError
from controller.operator.effects.status_writer import WriteResult
from controller.operator.gate import is_closed
from controller.run_types.phases import FINAL_RUN_PHASES
from tests.unit.controller.operator.harness import KEY, Loss, ReconcilerHarness
from tests.unit.controller.operator.world import step

Json = dict[str, Any]

_TURNS, _CALM_TURNS = 40, 120


class LossyCluster:
    """A run, and what happens to it and around it, as it is drawn."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.is_calm, self.mode = data, False, "there"
        retry = {"retryPolicy": {"maxRetries": 1, "backoffSeconds": 0}}
        more = data.draw(st.sampled_from([{}, {"artifacts": ["dist/*"]}]))
        steps = [step("a", **retry), step("b", "a", **more, **retry), step("c", "b", **more), step("d")]
        self.harness = ReconcilerHarness(*steps[: data.draw(st.integers(1, 4))])
        if limit := data.draw(st.sampled_from([0, 0, 1])):
            self.harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["pipeline"]["maxParallel"] = limit
            self.harness.run = self.harness.stored
        self.harness.cluster.lose = self.lose
        self.began: Counter[str] = Counter()
        """How often the commands of a Job of this name began."""
        self.shown: dict[str, Json] = {}
        """The pods that the informer shows, by name."""

    def lose(self, verb: str, resource: Any, name: str) -> Loss | None:
        if self.is_calm or self.mode == "there":
            return None
        if self.mode == "away":
            return "request"
        lost: Loss | None = self.data.draw(st.sampled_from([None, None, None, "request", "answer"]))
        return lost

    @property
    def jobs(self) -> dict[str, Json]:
        return {name: obj for (resource, name), obj in self.harness.cluster.objects.items() if resource is JOBS}

    @property
    def pods(self) -> dict[str, Json]:
        return {name: obj for (resource, name), obj in self.harness.cluster.objects.items() if resource is PODS}

    @property
    def is_over(self) -> bool:
        return (self.harness.stored.get("status") or {}).get("phase") in FINAL_RUN_PHASES

    async def turn(self) -> None:
        harness = self.harness
        if self.is_calm:
            self.happen()
            self.show()
            await self.reconcile()
            await self.write()
            self.pass_time(2)
            return
        self.mode = self.data.draw(st.sampled_from(["there", "there", "lossy", "lossy", "away"]))
        for what in self.data.draw(st.lists(st.sampled_from(["reconcile", "write", "happen", "show"]), max_size=4)):
            if what == "happen":
                self.happen()
            elif what == "show":
                self.show()
            else:
                await (self.reconcile() if what == "reconcile" else self.write())
        self.pass_time(self.data.draw(st.sampled_from([0, 1, 5, 25])))
        if self.data.draw(st.sampled_from([True] + [False] * 9)):
            harness.restart()
            self.shown = {}
            self.show()
        if self.data.draw(st.sampled_from([True] + [False] * 25)):
            harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["cancel"] = True

    def pass_time(self, seconds: float) -> None:
        self.harness.now += timedelta(seconds=seconds)
        self.harness.monotonic += seconds

    async def reconcile(self) -> None:
        before, self.harness.run = self.harness.run, self.harness.stored
        before_it: Any = before
        self.harness.reconciler.on_status_change(KEY, before_it, self.harness.run)  # type: ignore[arg-type]
        try:
            await self.harness.reconcile()
        except KubeError:
            return

    async def write(self) -> None:
        try:
            if await self.harness.reconciler.write(KEY) is WriteResult.DONE:
                self.harness.run = self.harness.stored
                self.harness.reconciler.forget(KEY)
        except KubeError:
            return

    def show(self) -> None:
        """The informers show what there is."""
        self.harness.catch_up()
        for name, pod in list(self.shown.items()):
            if name not in self.pods:
                self.harness.cache.on_pod(pod, deleted=True)
        self.shown = copy.deepcopy(self.pods)
        for pod in self.shown.values():
            self.harness.cache.on_pod(copy.deepcopy(pod), deleted=False)

    def happen(self) -> None:
        """Jobs get pods, and pods go on; those of deleted Jobs go."""
        jobs = self.jobs
        for name, pod in self.pods.items():
            owner = pod["metadata"]["ownerReferences"][0]
            if owner["name"] not in jobs or jobs[owner["name"]]["metadata"]["uid"] != owner["uid"]:
                del self.harness.cluster.objects[PODS, name]
        for name, job in sorted(jobs.items()):
            self.go_on(name, job)

    def go_on(self, name: str, job: Json) -> None:
        pod_name = f"{name}-{job['metadata']['uid']}"
        pod = self.pods.get(pod_name)
        if pod is None:
            owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
            kept = {each: job["metadata"][each] for each in ("labels", "annotations") if each in job["metadata"]}
            metadata = {"name": pod_name, "namespace": "team", "ownerReferences": [owner], **kept}
            spec = {"nodeName": "n", "activeDeadlineSeconds": 900}
            self.harness.cluster.put(PODS, {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})
            return
        status, is_stopped = pod["status"], pod["spec"]["activeDeadlineSeconds"] == 1
        if status["phase"] not in ("Pending", "Running"):
            return
        if is_stopped:
            self.end(pod, 143)
        elif is_closed(job):
            waiting = {"phase": "Running", "containerStatuses": [{"name": "step", "state": {"running": {}}}]}
            self.harness.cluster.put(PODS, {**pod, "status": waiting})
        elif not pod.get("began"):
            self.began[name] += 1
            running = {"phase": "Running", "containerStatuses": [{"name": "step", "state": {"running": {}}}]}
            self.harness.cluster.put(PODS, {**pod, "began": True, "status": running})
        else:
            self.end(pod, 0 if self.is_calm else self.data.draw(st.sampled_from([0, 0, 1])))

    def end(self, pod: Json, code: int) -> None:
        ended = [{"name": "step", "state": {"terminated": {"exitCode": code}}}]
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": ended}
        self.harness.cluster.put(PODS, {**pod, "status": status})


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_every_run_ends_and_each_attempt_has_run_once(data: st.DataObject) -> None:
    world = LossyCluster(data)
    asyncio.run(_play(world))
    status = world.harness.stored["status"]
    assert status["phase"] in FINAL_RUN_PHASES, status
    attempts = {each["jobName"]: each for entry in status["steps"] for each in entry.get("attempts", ())}
    for name, attempt in attempts.items():
        assert attempt.get("message") != "its Job was deleted", "nobody has deleted one"
        assert world.began[name] <= 1, name
        assert world.began[name] == 1 or attempt["phase"] == "Cancelled", attempt
    # A cancellation deletes a Job whose pod was not seen; the process may end before it has written its attempt.
    is_cancelled = world.harness.stored["spec"].get("cancel")
    assert is_cancelled or set(world.began) <= set(attempts), "what has run is in the status"
    assert not [name for name, job in world.jobs.items() if is_closed(job)]
    live = [name for name, pod in world.pods.items() if pod["status"]["phase"] in ("Pending", "Running")]
    assert not live, "nothing goes on after the end of the run"


async def _play(world: LossyCluster) -> None:
    for _ in range(_TURNS):
        await world.turn()
        if world.is_over:
            break
    world.is_calm = True
    for _ in range(_CALM_TURNS):
        await world.turn()
        if world.is_over:
            break
    for _ in range(3):
        await world.turn()
