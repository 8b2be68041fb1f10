"""Samples what running steps use, while this process leads, and as long as any step runs.

Clusters have the API `metrics.k8s.io` if metrics-server (or the like) is installed. The embedded cluster measures when
it is asked. Where it is absent or forbidden, steps have no usage, and it is tried again after a while.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from controller import labels
from controller.kube import POD_METRICS, ForbiddenError, Informer, KubeError, NotFoundError, Resource
from controller.run_types.keys import AttemptKey, RunKey
from controller.run_types.phases import FINAL_RUN_PHASES, StepPhase
from controller.usage.series import add_sample, parse_metric

if TYPE_CHECKING:
    from controller.run_types.objects import ResourceUsage

Json = dict[str, Any]

INTERVAL = 2.0
"""Seconds between samples; the fastest sources measure each second, metrics-server every 15."""
SHOW_INTERVAL = 10.0
"""Seconds after which a running step is shown with new samples."""
_ABSENT_RETRY, _ERROR_RETRY = 300.0, 30.0
_MAX_ATTEMPTS = 10_000
_log = logging.getLogger("c8s.usage")


class MetricsClient(Protocol):
    """What is used of the Kubernetes client."""

    async def list(self, resource: Resource, namespace: str | None = None, *, label_selector: str = "") -> Json: ...


class UsageSampler:
    """Samples the attempts of running steps.

    Args:
        runs: an informer on PipelineRuns, which the caller runs.
        on_sample: called with the key of a run whose steps should be shown with what is known now.
        clock: seconds on a monotonic clock.
    """

    def __init__(
        self,
        client: MetricsClient,
        runs: Informer,
        on_sample: Callable[[RunKey], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._runs = runs
        self._on_sample = on_sample
        self._clock = clock
        self._usage: dict[str, dict[AttemptKey, ResourceUsage]] = {}
        """By the uid of the run."""
        self._last: dict[str, str] = {}
        """By the uid of the run, slug and attempt: the time of the last sample, as its source says."""
        self._shown_at: dict[str, float] = {}
        self._active: set[RunKey] = set()
        self._has_active = asyncio.Event()
        self._is_watching = False
        self._warned: set[str] = set()

    def of_run(self, uid: str) -> Mapping[AttemptKey, ResourceUsage]:
        """What the attempts of a run have used so far."""
        return self._usage.get(uid, {})

    async def run(self) -> None:
        """Run until cancelled."""
        if not self._is_watching:
            # Handlers can't be removed: a process that leads again has its handler already.
            self._runs.on_change(self._on_run)
            self._is_watching = True
        await self._runs.wait_for_sync()
        for run in self._runs.list():
            self._on_run("ADDED", None, run)
        while True:
            await self._has_active.wait()
            await asyncio.sleep(await self._sample())

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        run = new or old or {}
        key = RunKey(str(run["metadata"]["namespace"]), str(run["metadata"]["name"]))
        phase = (run.get("status") or {}).get("phase")
        if kind == "DELETED" or phase in FINAL_RUN_PHASES:
            self._active.discard(key)
            self._forget(str(run["metadata"]["uid"]))
        elif phase is not None:
            self._active.add(key)
        if self._active:
            self._has_active.set()
        else:
            self._has_active.clear()

    def _forget(self, uid: str) -> None:
        self._shown_at.pop(uid, None)
        for attempt in self._usage.pop(uid, {}):
            self._last.pop(f"{uid}/{attempt.slug}/{attempt.number}", None)

    async def _sample(self) -> float:
        """Sample all running steps; returns seconds until the next time."""
        pods = self._running_pods()
        for namespace in sorted({key.namespace for key, *_ in pods.values()}):
            try:
                found = await self._client.list(POD_METRICS, namespace, label_selector=labels.MANAGED_SELECTOR)
            except (NotFoundError, ForbiddenError) as error:
                self._warn(f"what steps use is not known, because the cluster has no metrics for it: {error}")
                return _ABSENT_RETRY
            except KubeError as error:
                self._warn(f"what steps use is not known for a while: {error}")
                return _ERROR_RETRY
            for item in found.get("items") or ():
                name = str((item.get("metadata") or {}).get("name"))
                if (pod := pods.get((namespace, name))) is not None:
                    self._take(item, *pod)
        return INTERVAL

    def _warn(self, text: str) -> None:
        if text not in self._warned and len(self._warned) < 100:
            self._warned.add(text)
            _log.warning(text)

    def _running_pods(self) -> dict[tuple[str, str], tuple[RunKey, str, AttemptKey, ResourceUsage | None]]:
        """The pods of attempts whose commands run, by namespace and name."""
        found: dict[tuple[str, str], tuple[RunKey, str, AttemptKey, ResourceUsage | None]] = {}
        for key in self._active:
            run = self._runs.get(*key)
            for step in ((run or {}).get("status") or {}).get("steps") or ():
                for attempt in (step.get("attempts") or ())[-1:]:
                    runs_now = attempt.get("phase") == StepPhase.RUNNING and "running" in attempt.get("times", {})
                    if run is not None and runs_now and attempt.get("podName"):
                        of = AttemptKey(str(step["slug"]), int(attempt["number"]))
                        pod = (key.namespace, str(attempt["podName"]))
                        found[pod] = (key, str(run["metadata"]["uid"]), of, attempt.get("usage"))
        return found

    def _take(self, item: Json, key: RunKey, uid: str, of: AttemptKey, known: ResourceUsage | None) -> None:
        container = next((each for each in item.get("containers") or () if each.get("name") == "step"), None)
        values = (container or {}).get("usage") or {}
        cores, memory = parse_metric(values.get("cpu")), parse_metric(values.get("memory"))
        moment, identity = str(item.get("timestamp") or ""), f"{uid}/{of.slug}/{of.number}"
        if cores is None or memory is None or self._last.get(identity) == moment:
            return
        if len(self._last) >= _MAX_ATTEMPTS and identity not in self._last:
            return
        self._last[identity] = moment
        usages = self._usage.setdefault(uid, {})
        # An earlier leader may have sampled it before: it goes on from what the status has.
        usages[of] = add_sample(usages.get(of, known), cores, memory, INTERVAL)
        if self._clock() - self._shown_at.get(uid, 0.0) >= SHOW_INTERVAL:
            self._shown_at[uid] = self._clock()
            self._on_sample(key)
