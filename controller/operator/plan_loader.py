"""Loads the plans of runs: small ones at once, larger ones in a thread, the largest in a process with limits."""

from __future__ import annotations

import asyncio
import json
from enum import Enum, auto
from typing import Any

from controller.operator.cache.run_plan import InvalidRunError, RunPlan, load_run_plan
from controller.run_types.reasons import RunReason
from controller.worker import LimitedWorker, WorkLimitError

Json = dict[str, Any]

MAX_INLINE_BYTES = 8 * 1024
"""Size of a definition up to which its plan takes a few milliseconds."""
MAX_THREAD_BYTES = 64 * 1024
"""Size of a definition up to which its plan takes less than a second."""
_MAX_INLINE_MATCHES, _MAX_THREAD_MATCHES = 20_000, 500_000
"""Globs times characters of changed files, likewise."""


class PlanDeferredError(Exception):
    """All processes for large plans are in use: try again later."""


class Effort(Enum):
    """Where a plan is loaded."""

    INLINE = auto()
    THREAD = auto()
    PROCESS = auto()


def estimate_effort(run: Json) -> Effort:
    """How much work the plan of a run may be, from the sizes of what it is computed from."""
    spec = run["spec"]
    size = len(json.dumps([spec.get("pipeline"), spec.get("params")]))
    matches = _count_globs(spec.get("pipeline") or {}) * sum(map(len, spec.get("changedFiles") or ()))
    if size <= MAX_INLINE_BYTES and matches <= _MAX_INLINE_MATCHES:
        return Effort.INLINE
    return Effort.THREAD if size <= MAX_THREAD_BYTES and matches <= _MAX_THREAD_MATCHES else Effort.PROCESS


def _count_globs(definition: Json) -> int:
    steps = definition.get("steps")
    conditionals = [each.get("conditional") for each in steps or () if isinstance(each, dict)]
    paths = [each.get("paths") for each in conditionals if isinstance(each, dict)]
    return sum(len(each) for each in paths if isinstance(each, list))


class PlanLoader:
    """Loads plans, with a process for those that may be expensive."""

    def __init__(self, worker: LimitedWorker | None = None) -> None:
        self._worker = worker or LimitedWorker()

    async def load(self, run: Json) -> RunPlan:
        """The plan of a run whose spec has a pipeline.

        Raises:
            InvalidRunError: the run is invalid, or its plan exceeds a bound or takes too long.
            PlanDeferredError: too many large plans are being loaded.
        """
        effort = estimate_effort(run)
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
