"""Loads the plans of runs: small ones at once, larger ones in a thread, the largest in a process with limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from controller.operator.cache.run_plan import InvalidRunError, RunPlan, load_run_plan
from controller.pipeline.run_cost import Effort, estimate_effort
from controller.run_types.reasons import RunReason
from controller.worker import LimitedWorker, WorkLimitError

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]


class PlanDeferredError(Exception):
    """All processes for large plans are in use: try again later."""


class PlanLoader:
    """Loads plans, with a process for those that may be expensive."""

    def __init__(self, worker: LimitedWorker | None = None) -> None:
        self._worker = worker or LimitedWorker()

    async def load(self, run: RunObject, *, isolated: bool = False) -> RunPlan:
        """The plan of a run whose spec has a pipeline.

        Args:
            isolated: load it in a process of its own, whatever its size is.

        Raises:
            InvalidRunError: the run is invalid, or its plan exceeds a bound or takes too long.
            PlanDeferredError: too many large plans are being loaded.
        """
        spec = run["spec"]
        effort = estimate_effort(spec.get("pipeline"), spec.get("params"), spec.get("changedFiles"))
        if isolated:
            effort = Effort.PROCESS
        if effort is Effort.INLINE:
            return load_run_plan(run)
        if effort is Effort.THREAD:
            return await asyncio.to_thread(load_run_plan, run)
        if self._worker.is_busy:
            raise PlanDeferredError
        try:
            return await self._worker.run(load_run_plan, run)
        except WorkLimitError as error:
            message = f"preparing the run was ended: {error}; use fewer steps, combinations or globs"
            raise InvalidRunError(message, RunReason.TOO_EXPENSIVE) from error
