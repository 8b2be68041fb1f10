"""Reads the pipeline of a run from what its clone step has stored, and freezes it in the run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.kube import PIPELINE_RUNS, ApiError, KubeClient, TooLargeError
from controller.operator import names
from controller.operator.cache.run_plan import InvalidRunError, RunPlan
from controller.operator.decision.observation import PipelineVerdict
from controller.operator.effects.run_numbering import RunNumbering
from controller.operator.interfaces import ManifestReader
from controller.operator.plan_loader import PlanDeferredError, PlanLoader
from controller.operator.resolve import Resolution, invalid_verdict, resolve_definition
from controller.operator.run_object import as_run
from controller.pipeline.run_cost import MAX_THREAD_BYTES
from controller.run_types.phases import RunPhase
from controller.worker import LimitedWorker, WorkLimitError

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus

Json = dict[str, Any]


@dataclass(frozen=True)
class ResolvedRun:
    """The run with its pipeline, as the API server returned it, and its plan."""

    run: RunObject
    plan: RunPlan


class PipelineResolver:
    """Resolves runs whose pipeline is in the repository. Doing it twice has the same result."""

    def __init__(self, client: KubeClient, store: ManifestReader, plans: PlanLoader, numbering: RunNumbering) -> None:
        self._client = client
        self._numbering = numbering
        self._store = store
        self._plans = plans
        self._worker = LimitedWorker()

    async def resolve(self, run: RunObject, status: RunStatus) -> ResolvedRun | PipelineVerdict:
        """The run with the pipeline of its repository, or why it has none.

        Args:
            status: of the run, with the clone step that has succeeded.

        Raises:
            PlanDeferredError: too many large pipelines are being read.
            KubeError, StorageError: a request failed; call again.
        """
        found = await self._compute(await self._read_document(run, status), dict(run["spec"]))
        if found.verdict is not None:
            return found.verdict
        assert found.definition is not None
        run_labels = await self._numbering.labels_of(run, found.definition["name"])
        more: Json = {"pipeline": found.definition}
        if found.changed_files is not None and "changedFiles" not in run["spec"]:
            more["changedFiles"] = list(found.changed_files)
        metadata = {**run["metadata"], "labels": {**(run["metadata"].get("labels") or {}), **run_labels}}
        candidate = as_run({**run, "metadata": metadata, "spec": {**run["spec"], **more}})
        try:
            plan = await self._plans.load(candidate)
        except InvalidRunError as error:
            message = f"pipeline {found.definition['name']}: {error}"
            return PipelineVerdict(RunPhase.FAILED, error.reason, message)
        return await self._freeze(run, run_labels, more, plan)

    async def _freeze(
        self, run: RunObject, run_labels: dict[str, str], more: Json, plan: RunPlan
    ) -> ResolvedRun | PipelineVerdict:
        metadata, name = run["metadata"], more["pipeline"]["name"]
        patch = {"metadata": {"uid": metadata["uid"], "labels": run_labels}, "spec": more}
        try:
            patched = await self._client.patch(PIPELINE_RUNS, metadata["name"], patch, namespace=metadata["namespace"])
        except TooLargeError as error:
            return invalid_verdict(f"pipeline {name} is too large for a run: {error}")
        except ApiError as error:
            if error.status == 422:
                return invalid_verdict(f"pipeline {name} is refused by the cluster: {error}")
            raise
        return ResolvedRun(as_run(patched), plan)

    async def _read_document(self, run: RunObject, status: RunStatus) -> Json:
        """What the clone step has reported; empty if it is missing or damaged."""
        metadata, step = run["metadata"], status["steps"][0]
        key = names.definition_key(metadata["namespace"], metadata["uid"], step["slug"], step["attempts"][-1]["number"])
        if await self._store.head(key) is None:
            return {}
        try:
            found = json.loads(await self._store.get(key))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    async def _compute(self, document: Json, spec: Json) -> Resolution:
        size = len(str((document.get("definition") or {}).get("text") or ""))
        if size <= MAX_THREAD_BYTES:
            return await asyncio.to_thread(resolve_definition, document, spec)
        if self._worker.is_busy:
            raise PlanDeferredError
        try:
            return await self._worker.run(resolve_definition, document, spec)
        except WorkLimitError as error:
            return Resolution(verdict=invalid_verdict(f"checking the pipeline file was ended: {error}"))
