"""Steps are sampled while they run; clusters without metrics cost one request in minutes."""

import asyncio
from typing import Any

import pytest

from controller.kube import ForbiddenError, NotFoundError, UnreachableError
from controller.run_types.keys import AttemptKey, RunKey
from controller.usage import sampler as module
from controller.usage.sampler import UsageSampler


class Runs:
    """An informer that a test fills."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.handlers: list[Any] = []

    def on_change(self, handler: Any) -> None:
        self.handlers.append(handler)

    async def wait_for_sync(self) -> None:
        return

    def list(self) -> list[dict[str, Any]]:
        return list(self.objects.values())

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((namespace, name))

    def put(self, run: dict[str, Any]) -> None:
        self.objects["default", run["metadata"]["name"]] = run
        for handler in self.handlers:
            handler("MODIFIED", None, run)


class Metrics:
    """The API of metrics. `answers`: what it says next; the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls = 0

    async def list(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"items": answer}


def running(phase: str = "Running", **attempt: Any) -> dict[str, Any]:
    entry = {"number": 1, "phase": phase, "podName": "pod-1", "times": {"running": "x"}, **attempt}
    steps = [{"slug": "test", "attempts": [entry]}]
    return {
        "metadata": {"namespace": "default", "name": "shop-1", "uid": "u1"},
        "status": {"phase": phase, "steps": steps},
    }


def sample(time: str, cpu: str = "500m", memory: str = "1Mi") -> dict[str, Any]:
    containers = [{"name": "agent", "usage": {"cpu": "9", "memory": "9Gi"}}]
    containers.append({"name": "step", "usage": {"cpu": cpu, "memory": memory}})
    return {"metadata": {"name": "pod-1"}, "timestamp": time, "containers": containers}


async def sampled(metrics: Metrics, runs: Runs, shown: list[RunKey], until: Any, monkeypatch: Any) -> UsageSampler:
    monkeypatch.setattr(module, "INTERVAL", 0.001)
    found = UsageSampler(metrics, runs, shown.append)  # type: ignore[arg-type]
    task = asyncio.create_task(found.run())
    async with asyncio.timeout(60):
        while not until(found):
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


async def test_the_step_container_is_sampled_once_for_each_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, shown = Runs(), list[RunKey]()
    runs.put(running())
    metrics = Metrics([sample("t1")], [sample("t1")], [sample("t2", "250m", "3Mi"), {"metadata": {}}])
    usage = await sampled(metrics, runs, shown, lambda _: metrics.calls > 4, monkeypatch)
    found = usage.of_run("u1")[AttemptKey("test", 1)]
    assert (found["samples"], found["cpu"], found["memory"]) == (2, 500, 3 * 1024**2)
    assert shown == [RunKey("default", "shop-1")]


async def test_an_ended_run_is_forgotten_and_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, metrics = Runs(), Metrics([sample("t1")])
    runs.put(running())
    usage = await sampled(metrics, runs, [], lambda found: found.of_run("u1"), monkeypatch)
    runs.put(running("Succeeded"))
    assert usage.of_run("u1") == {}
    assert not usage._has_active.is_set()


async def test_a_step_whose_commands_have_not_begun_is_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, metrics = Runs(), Metrics([sample("t1")])
    runs.put(running(times={}))
    task_ran = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, task_ran.set)
    usage = await sampled(metrics, runs, [], lambda _: task_ran.is_set(), monkeypatch)
    assert (metrics.calls, usage.of_run("u1")) == (0, {})


@pytest.mark.parametrize(
    "error", [NotFoundError("no", status=404), ForbiddenError("no", status=403), UnreachableError("no")]
)
async def test_a_cluster_without_metrics_is_asked_seldom(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, metrics = Runs(), Metrics(error)
    runs.put(running())
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, over.set)
    usage = await sampled(metrics, runs, [], lambda _: over.is_set(), monkeypatch)
    assert (metrics.calls, usage.of_run("u1")) == (1, {})
