"""Concurrency groups: which runs of a pipeline precede another run of their group.

Runs of a group are ordered by creation. A run that has started precedes all that have not, whatever the order. The
result is based on a cache that may be stale; the final decision is that of `ConcurrencyLock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.operator.run_object import status_of
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext, render, template_context
from controller.run_types.order import creation_order
from controller.run_types.phases import FINAL_RUN_PHASES

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, StepStatus

Json = dict[str, Any]


def concurrency_group(pipeline: Pipeline, facts: RunContext) -> str | None:
    """The concurrency group of a run, rendered; None for a run that waits for no other."""
    if pipeline.concurrency is None:
        return None
    return render(pipeline.concurrency.group, template_context(facts, {}))


def pipeline_name(run: RunObject) -> str:
    """The name of a run's pipeline."""
    run_labels, spec = run["metadata"].get("labels") or {}, run["spec"]
    named = (spec.get("pipeline") or {}).get("name") or (spec.get("pipelineConfigRef") or {}).get("name")
    return str(run_labels.get(labels.PIPELINE) or named or "")


def is_run_finished(run: RunObject) -> bool:
    """Whether a run has its final status."""
    return status_of(run).get("phase") in FINAL_RUN_PHASES


def predecessors(run: RunObject, group: str, others: Iterable[RunObject]) -> list[RunObject]:
    """The runs of the same namespace, pipeline and group that have to end before this one starts."""
    mine, pipeline, namespace = creation_order(run), pipeline_name(run), run["metadata"]["namespace"]
    found = []
    for other in others:
        metadata = other["metadata"]
        if metadata["uid"] == run["metadata"]["uid"] or metadata["namespace"] != namespace or is_run_finished(other):
            continue
        if pipeline_name(other) != pipeline or _recorded_group(other) not in (group, None):
            continue
        if _has_started(other) or creation_order(other) < mine:
            found.append(other)
    return sorted(found, key=creation_order)


def is_created_before(one: RunObject, other: RunObject) -> bool:
    """Whether a run was created before another one."""
    return creation_order(one) < creation_order(other)


def may_be_waiting(run: RunObject) -> bool:
    """Whether a run may be waiting for others of its group: it has neither started nor ended."""
    return "group" in status_of(run) and not is_run_finished(run) and not _has_started(run)


def _recorded_group(run: RunObject) -> str | None:
    """The group in the status of a run; None for a run without status, which may belong to any group."""
    status = status_of(run)
    return str(status.get("group") or "") if status.get("phase") else None


def _has_started(run: RunObject) -> bool:
    return has_started_steps(run, status_of(run).get("steps") or [])


def has_started_steps(run: RunObject, steps: Sequence[StepStatus]) -> bool:
    """Whether a run counts as started: any step has an attempt.

    Not the first step of a run that takes its pipeline from the repository: that one finds out what the group is.
    """
    counted = steps[1:] if run["spec"].get("pipelineFrom") else steps
    return any(step.get("attempts") for step in counted)
