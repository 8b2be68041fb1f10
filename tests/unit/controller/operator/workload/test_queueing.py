"""The queue of a run's Jobs: of the run, the pipeline, the namespace or the setting, in this order."""

from __future__ import annotations

from typing import Any

import pytest

from controller.kube import NotFoundError
from controller.operator.effects.queue_finder import QueueFinder
from controller.operator.workload.queueing import put_into_queue
from controller.pipeline.model import Pipeline
from tests.unit.controller.operator.world import build_run, step

QUEUE = "kueue.x-k8s.io/queue-name"


class Namespaces:
    def __init__(self, annotations: dict[str, str] | None) -> None:
        self.annotations = annotations
        self.reads = 0

    async def get(self, _: Any, name: str) -> Any:
        self.reads += 1
        if self.annotations is None:
            raise NotFoundError(f"no namespace {name}", status=404)
        return {"metadata": {"annotations": self.annotations}}


async def find(namespaces: Namespaces, setting: str = "", run: dict[str, str] | None = None, **pipeline: Any) -> str:
    finder = QueueFinder(namespaces, setting, lambda: 0.0)  # type: ignore[arg-type]
    made: Any = build_run([step("a")], **pipeline)
    made["metadata"]["annotations"] = run
    return await finder.find(made, Pipeline.model_validate(made["spec"]["pipeline"]))


@pytest.mark.parametrize(
    ("run", "pipeline", "namespace", "setting", "expected"),
    [
        ({QUEUE: "of-run"}, {"queue": "of-pipeline"}, {QUEUE: "of-namespace"}, "set", "of-run"),
        (None, {"queue": "of-pipeline"}, {QUEUE: "of-namespace"}, "set", "of-pipeline"),
        ({}, {}, {QUEUE: "of-namespace"}, "set", "of-namespace"),
        ({}, {}, {}, "set", "set"),
        ({}, {}, None, "set", "set"),
        ({}, {}, {}, "", ""),
        ({QUEUE: ""}, {"queue": "of-pipeline"}, {}, "set", ""),
        ({}, {}, {QUEUE: ""}, "set", ""),
    ],
)
async def test_the_nearest_queue_counts(run: Any, pipeline: Any, namespace: Any, setting: str, expected: str) -> None:
    assert await find(Namespaces(namespace), setting, run, **pipeline) == expected


async def test_a_namespace_is_read_once_in_a_while() -> None:
    namespaces, now = Namespaces({QUEUE: "a"}), [0.0]
    finder = QueueFinder(namespaces, "", lambda: now[0])  # type: ignore[arg-type]
    run: Any = build_run([step("a")])
    pipeline = Pipeline.model_validate(run["spec"]["pipeline"])
    assert [await finder.find(run, pipeline) for _ in range(3)] == ["a"] * 3
    assert namespaces.reads == 1
    now[0] = 31.0
    namespaces.annotations = {}
    assert await finder.find(run, pipeline) == ""


def test_jobs_are_suspended_for_a_queue_only() -> None:
    job: Any = {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    put_into_queue(job, "")
    assert job == {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    put_into_queue(job, "team-a")
    assert job == {"metadata": {"labels": {"a": "b", QUEUE: "team-a"}}, "spec": {"suspend": True}}
