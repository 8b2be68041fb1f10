"""The size that a run needs at least, computed before it starts: a run whose status could not be stored is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline, RetryPolicy
from controller.run_types.status_size import MAX_RUN_BYTES, least_run_bytes, least_step_bytes, too_large_message


def oversize_reason(spec: Mapping[str, Any], pipeline: Pipeline, steps: Sequence[ExpandedStep]) -> str | None:
    """Why a run of this spec is too large, as a sentence for users; None for one that is not."""
    needed = sum(_step_bytes(pipeline, step) for step in steps)
    size = least_run_bytes(spec, needed)
    return too_large_message(size, len(steps)) if size > MAX_RUN_BYTES else None


def _step_bytes(pipeline: Pipeline, step: ExpandedStep) -> int:
    policy = step.step.retry_policy or pipeline.retry_policy or RetryPolicy()
    matrix_of = step.group if step.group != step.name else ""
    return least_step_bytes(step.name, matrix_of, step.depends_on_groups, 1 + policy.max_retries)
