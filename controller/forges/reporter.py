"""Reports runs to their forges: the last state wins, at most one request for a run at a time, through restarts.

What was said last is in an annotation of the run. A leader compares it with what is to be said, and sends the
difference. A forge that is away delays only its own reports.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller import labels
from controller.forge_secrets import withheld_reason
from controller.forges.client import ForgeClient, Sent
from controller.forges.report import FINAL, Report, has_full_commit, reports_of
from controller.forges.requests import ForgeAddressError, ForgeRequest, Repository, repository_of, status_request
from controller.kube import (
    PIPELINE_RUNS,
    REPOSITORY_CONNECTIONS,
    SECRETS,
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
_CONNECTION_SECONDS = 30.0
_MAX_TOKEN = 65_536
_log = logging.getLogger("c8s.forges")


@dataclass(frozen=True)
class _Target:
    """Where the reports of a connection go; `problem`: why they can't."""

    repository: Repository | None
    token: str
    policy: str
    problem: str = ""


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
        self._targets: dict[tuple[str, str, str], tuple[float, _Target]] = {}
        self._blocked: dict[str, float] = {}
        """Until when a host wants no requests, on the clock."""
        self._sent_at: dict[RunKey, float] = {}
        self._said: dict[str, dict[str, str]] = {}
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
            for _ in range(WORKERS):
                group.create_task(self._work(forge))

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        run = new or old or {}
        if not ((run.get("spec") or {}).get("trigger") or {}).get("connection"):
            return
        key = RunKey(run["metadata"]["namespace"], run["metadata"]["name"])
        if kind == "DELETED":
            self._sent_at.pop(key, None)
            self._said.pop(run["metadata"]["uid"], None)
        elif status_of_creator(run):
            self._queue.add(key)

    async def _work(self, forge: ForgeClient) -> None:
        while True:
            key = await self._queue.get()
            try:
                delay = await self._report(key, forge)
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

    async def _report(self, key: RunKey, forge: ForgeClient) -> float | None:
        """Report what the forge was not told yet. None if that is all; else seconds to wait, 0 for a back-off."""
        run = self._runs.get(*key)
        if run is None:
            return None
        said = self._known(run)
        target = await self._target(run)
        wanted = reports_of(run, target.policy, self._run_url(*key), was_reported=bool(said))
        due = [report for report in wanted if said.get(report.context) != report.digest]
        if target.repository is None:
            if target.problem and reported_problem(run) != target.problem:
                await self._record(key, run, said, target.problem)
            return None
        if not due:
            return None
        if (early := self._early(key, due, said)) is not None:
            return early
        for report in due:
            if not has_full_commit(report):
                # It is known once the repository is cloned.
                continue
            request = status_request(target.repository, report, target.token)
            if (left := self._blocked.get(request.host, 0.0) - self._clock()) > 0:
                return left
            sent = await self._send(forge, request)
            if sent.problem and sent.retry:
                self.counts["retried"] += 1
                if sent.wait is not None:
                    self._blocked[request.host] = self._clock() + sent.wait
                _log.info("run %s/%s: %s; it is tried again", *key, sent.problem)
                return sent.wait or 0.0
            self.counts["refused" if sent.problem else "sent"] += 1
            if sent.problem:
                _log.warning("run %s/%s: its status is not reported: %s", *key, sent.problem)
            said = {**said, report.context: report.digest}
            self._said[run["metadata"]["uid"]] = said
            await self._record(key, run, said, sent.problem)
        self._sent_at[key] = self._clock()
        if all(report.state in FINAL for report in wanted):
            self._sent_at.pop(key, None)
        return None

    async def _send(self, forge: ForgeClient, request: ForgeRequest) -> Sent:
        return await forge.send(request)

    def _early(self, key: RunKey, due: list[Report], said: dict[str, str]) -> float | None:
        """How long a report of progress alone has to wait; None if there is a new state, or it is time."""
        if any(said.get(report.context, "").partition(" ")[0] != report.state for report in due):
            return None
        left = self._sent_at.get(key, float("-inf")) + PROGRESS_SECONDS - self._clock()
        return left if left > 0 else None

    def _known(self, run: Json) -> dict[str, str]:
        """What the forge was told, by context: as this process knows, else as the run's annotation says."""
        if (own := self._said.get(run["metadata"]["uid"])) is not None:
            return own
        return reported(run)

    async def _record(self, key: RunKey, run: Json, said: dict[str, str], problem: str) -> None:
        value = json.dumps({"said": said, **({"problem": problem} if problem else {})}, separators=(",", ":"))
        patch = {"metadata": {"uid": run["metadata"]["uid"], "annotations": {labels.REPORTED: value}}}
        try:
            await self._client.patch(PIPELINE_RUNS, key.name, patch, namespace=key.namespace)
        except NotFoundError:
            return

    async def _target(self, run: Json) -> _Target:
        """Where the run's reports go, at most some seconds old."""
        trigger = run["spec"]["trigger"]
        key = (run["metadata"]["namespace"], str(trigger["connection"]), str(trigger.get("connectionUid") or ""))
        known = self._targets.get(key)
        if known is None or self._clock() - known[0] > _CONNECTION_SECONDS:
            known = (self._clock(), await self._read_target(*key))
            self._targets[key] = known
        return known[1]

    async def _read_target(self, namespace: str, name: str, uid: str) -> _Target:
        try:
            connection = await self._client.get(REPOSITORY_CONNECTIONS, name, namespace)
        except NotFoundError:
            return _Target(None, "", "off")
        spec = connection["spec"]
        policy = str(spec.get("statuses") or "run")
        secret_name = (spec.get("authSecretRef") or {}).get("name")
        if connection["metadata"]["uid"] != uid or policy == "off" or not secret_name:
            return _Target(None, "", "off")
        try:
            repository = repository_of(spec["provider"], spec["repository"], spec.get("apiUrl") or "")
            secret = await self._client.get(SECRETS, secret_name, namespace)
        except (NotFoundError, ForgeAddressError) as error:
            _log.warning("connection %s/%s reports nothing: %s", namespace, name, error)
            return _Target(None, "", "off")
        if reason := withheld_reason(secret_name, secret, repository.api):
            _log.warning("connection %s/%s reports nothing: %s", namespace, name, reason)
            return _Target(None, "", "off", reason)
        token = _token(secret.get("data") or {})
        return _Target(repository, token, policy) if token else _Target(None, "", "off")


def status_of_creator(run: Json) -> bool:
    """Whether the run was proven to be of the connection: otherwise anybody who may create runs could report."""
    return bool((run.get("status") or {}).get("createdBy"))


def reported(run: Json) -> dict[str, str]:
    """What the forge was told of a run, by context, as its annotation says; empty if that is damaged."""
    try:
        found = json.loads((run["metadata"].get("annotations") or {}).get(labels.REPORTED) or "{}")
        return {str(context): str(digest) for context, digest in (found.get("said") or {}).items()}
    except (ValueError, AttributeError):
        return {}


def reported_problem(run: Json) -> str:
    """Why the forge was not told, as the run's annotation says."""
    try:
        found = json.loads((run["metadata"].get("annotations") or {}).get(labels.REPORTED) or "{}")
        return str(found.get("problem") or "")
    except (ValueError, AttributeError):
        return ""


def _token(data: Json) -> str:
    """The token of a Secret: `token`, else `password`. Empty if there is none that a header can have."""
    for name in ("token", "password"):
        try:
            token = base64.b64decode(data.get(name) or "").decode().strip()
        except ValueError:
            continue
        if token and token.isascii() and token.isprintable() and len(token) <= _MAX_TOKEN:
            return token
    return ""
