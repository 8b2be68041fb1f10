"""Reports runs to their forges: the last state wins, at most one request for a run at a time, through restarts.

What was said last is in an annotation of the run. A leader compares it with what is to be said, and sends the
difference. A forge that is away delays only its own reports.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from controller import labels
from controller.forges.client import ForgeClient
from controller.forges.github_app import InstallationTokens
from controller.forges.publisher import Publisher
from controller.forges.report import FINAL, Report, has_full_commit, reports_of
from controller.forges.reported import Reported
from controller.forges.targets import TargetReader
from controller.kube import (
    PIPELINE_RUNS,
    Informer,
    KubeClient,
    KubeError,
    NotFoundError,
    WorkQueue,
    WorkQueueDurations,
    WorkQueueMetrics,
)
from controller.run_types.keys import RunKey

Json = dict[str, Any]

WORKERS = 8
PROGRESS_SECONDS = 10.0
"""How often the progress of a running run is reported at most; a new state is reported at once."""
_log = logging.getLogger("c8s.forges")


class StatusReporter:
    """Runs in the leading operator.

    Args:
        runs: an informer on PipelineRuns, which the caller runs.
        run_url: returns the page of a run, by namespace and name.
        clock: seconds on a monotonic clock.
    """

    def __init__(
        self,
        client: KubeClient,
        runs: Informer,
        run_url: Callable[[str, str], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._runs = runs
        self._run_url = run_url
        self._clock = clock
        metrics: WorkQueueMetrics[RunKey] = WorkQueueMetrics("statuses", WorkQueueDurations(("statuses",)))
        self._queue: WorkQueue[RunKey] = WorkQueue(fairness_key=lambda key: key.namespace, metrics=metrics)
        self._targets = TargetReader(client, clock)
        self._blocked: dict[str, float] = {}
        """Until when a host wants no requests, on the clock."""
        self._sent_at: dict[RunKey, float] = {}
        self._known: dict[str, Reported] = {}
        """By uid: what was said by this process, which the informer may not show yet."""
        self._is_watching = False
        self.counts: Counter[str] = Counter()
        """Requests by outcome."""

    async def run(self) -> None:
        """Run until cancelled."""
        if not self._is_watching:
            # Handlers can't be removed: a process that leads again has its handler already.
            self._runs.on_change(self._on_run)
            self._is_watching = True
        await self._runs.wait_for_sync()
        for run in self._runs.list():
            self._on_run("ADDED", None, run)
        async with ForgeClient() as forge, asyncio.TaskGroup() as group:
            publisher = Publisher(forge, InstallationTokens(forge))
            for _ in range(WORKERS):
                group.create_task(self._work(publisher))

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        run = new or old or {}
        if not ((run.get("spec") or {}).get("trigger") or {}).get("connection"):
            return
        key = RunKey(run["metadata"]["namespace"], run["metadata"]["name"])
        if kind == "DELETED":
            self._sent_at.pop(key, None)
            self._known.pop(run["metadata"]["uid"], None)
        elif status_of_creator(run):
            self._queue.add(key)

    async def _work(self, publisher: Publisher) -> None:
        while True:
            key = await self._queue.get()
            try:
                delay = await self._report(key, publisher)
                if delay is None:
                    self._queue.forget(key)
                elif delay > 0:
                    self._queue.add_after(key, delay)
                else:
                    self._queue.add_rate_limited(key)
            except KubeError as error:
                _log.warning("the status of run %s/%s was not reported: %s", *key, error)
                self._queue.add_rate_limited(key)
            except Exception:
                # The boundary: one run's report must not stop the others.
                _log.exception("the status of run %s/%s was not reported", *key)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _report(self, key: RunKey, publisher: Publisher) -> float | None:
        """Report to the forge what is new. None if that is all; else seconds to wait, 0 for a back-off."""
        run = self._runs.get(*key)
        if run is None:
            return None
        # As this process knows, which the informer may not show yet; else as the run says.
        known = self._known.get(run["metadata"]["uid"]) or Reported.of(run)
        target = await self._targets.get(run)
        if target.repository is None:
            if target.problem and known.problem != target.problem:
                await self._record(key, run, replace(known, problem=target.problem))
            return None
        wanted = reports_of(run, target.policy, self._run_url(*key), was_reported=bool(known.said))
        due = [report for report in wanted if known.said.get(report.context) != report.digest]
        if not due:
            return None
        if (early := self._early(key, due, known.said)) is not None:
            return early
        # Of a commit that was shortened, all is known once the repository is cloned.
        for report in filter(has_full_commit, due):
            if (left := self._blocked.get(target.repository.host, 0.0) - self._clock()) > 0:
                return left
            found = await publisher.publish(target, report, known.checks.get(report.context))
            sent = found.sent
            if sent.problem and sent.retry:
                self.counts["retried"] += 1
                if sent.wait is not None:
                    self._blocked[target.repository.host] = self._clock() + sent.wait
                _log.info("run %s/%s: %s; it is tried again", *key, sent.problem)
                return sent.wait or 0.0
            self.counts["refused" if sent.problem else "sent"] += 1
            if sent.problem:
                _log.warning("run %s/%s: its status is not reported: %s", *key, sent.problem)
            known = known.after(report, found.check, sent.problem)
            await self._record(key, run, known)
        self._sent_at[key] = self._clock()
        if all(report.state in FINAL for report in wanted):
            self._sent_at.pop(key, None)
        return None

    def _early(self, key: RunKey, due: list[Report], said: Mapping[str, str]) -> float | None:
        """How long a report of progress alone has to wait; None if there is a new state, or it is time."""
        if any(said.get(report.context, "").partition(" ")[0] != report.state for report in due):
            return None
        left = self._sent_at.get(key, float("-inf")) + PROGRESS_SECONDS - self._clock()
        return left if left > 0 else None

    async def _record(self, key: RunKey, run: Json, known: Reported) -> None:
        self._known[run["metadata"]["uid"]] = known
        patch = {"metadata": {"uid": run["metadata"]["uid"], "annotations": {labels.REPORTED: known.to_json()}}}
        try:
            await self._client.patch(PIPELINE_RUNS, key.name, patch, namespace=key.namespace)
        except NotFoundError:
            return


def status_of_creator(run: Json) -> bool:
    """Whether the run was proven to be of the connection: otherwise a user who may create runs could report."""
    return bool((run.get("status") or {}).get("createdBy"))
