"""Concurrency groups: which runs of a pipeline come before another one of their group. Pure.

Runs of a group are in the order in which they were made. One that has begun goes before all that have not, whatever
the order. What this says stands on a picture of the cluster that may be old; `turns` settles it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.operator.names import PIPELINE
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunFacts, fill, template_values

Json = dict[str, Any]

_FINAL = ("Succeeded", "Failed", "Cancelled")


def group_of(pipeline: Pipeline, facts: RunFacts) -> str | None:
    """The group of a run, filled in; None for a run that waits for nobody."""
    if pipeline.concurrency is None:
        return None
    return fill(pipeline.concurrency.group, template_values(facts, {}))


def pipeline_of(run: Json) -> str:
    """The name of a run's pipeline."""
    labels, spec = run["metadata"].get("labels") or {}, run["spec"]
    named = (spec.get("pipeline") or {}).get("name") or (spec.get("pipelineConfigRef") or {}).get("name")
    return str(labels.get(PIPELINE) or named or "")


def is_over(run: Json) -> bool:
    """Whether a run has its last status."""
    return (run.get("status") or {}).get("phase") in _FINAL


def before(run: Json, group: str, others: Iterable[Json]) -> list[Json]:
    """The runs of the same pipeline and group, in the same namespace, that have to be over before this one begins."""
    mine, pipeline, namespace = _order(run), pipeline_of(run), run["metadata"]["namespace"]
    found = []
    for other in others:
        metadata = other["metadata"]
        if metadata["uid"] == run["metadata"]["uid"] or metadata["namespace"] != namespace or is_over(other):
            continue
        if pipeline_of(other) != pipeline or _group(other) not in (group, None):
            continue
        if _begun(other) or _order(other) < mine:
            found.append(other)
    return sorted(found, key=_order)


def is_earlier(one: Json, other: Json) -> bool:
    """Whether a run was made before another one."""
    return _order(one) < _order(other)


def waits(run: Json) -> bool:
    """Whether a run may be waiting for its turn: it has neither begun nor ended."""
    return "group" in (run.get("status") or {}) and not is_over(run) and not _begun(run)


def _group(run: Json) -> str | None:
    """What the operator has noted; None for a run that nobody has looked at yet, and which may be of any group."""
    status = run.get("status") or {}
    return str(status.get("group") or "") if status.get("phase") else None


def _begun(run: Json) -> bool:
    return any(step.get("attempts") for step in (run.get("status") or {}).get("steps") or [])


def _order(run: Json) -> tuple[str, int, str]:
    """Times are whole seconds; runs of one second are in the order of their numbers."""
    metadata = run["metadata"]
    head, _, number = str(metadata["name"]).rpartition("-")
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    return str(metadata.get("creationTimestamp") or ""), at, f"{head}-{number}"
