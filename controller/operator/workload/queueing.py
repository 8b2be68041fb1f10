"""Which queue of the cluster the Jobs of a run wait in, by Kueue's label on them (https://kueue.sigs.k8s.io).

In this order: the run's annotation, the pipeline, the annotation of its namespace, the controller's setting. An empty
annotation means none, whatever follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.pipeline.model import Pipeline

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]


def named_queue(run: RunObject, pipeline: Pipeline) -> str | None:
    """The queue that a run names itself, or its pipeline; None if neither does."""
    own = run["metadata"].get("annotations") or {}
    return str(own[labels.QUEUE]) if labels.QUEUE in own else pipeline.queue


def choose_queue(namespace_annotations: Mapping[str, str], setting: str) -> str:
    """The queue of a run that names none."""
    return namespace_annotations.get(labels.QUEUE, setting)


def put_into_queue(job: Json, queue: str) -> None:
    """Let a Job wait for its admission to a queue; an empty name for none."""
    if queue:
        job["metadata"]["labels"][labels.QUEUE] = queue
        job["spec"]["suspend"] = True
