"""A delivery in the status of its connection says why the pipeline of its commit did not run."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller.forges.delivery_outcomes import DeliveryOutcomes
from controller.kube import ConflictError
from tests.support.waiting import wait_until_async

Json = dict[str, Any]


class Informer:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Json] = {}
        self.handlers: list[Any] = []

    def on_change(self, handler: Any) -> None:
        self.handlers.append(handler)

    async def wait_for_sync(self) -> None:
        return None

    def list(self) -> list[Json]:
        return list(self.objects.values())

    def get(self, namespace: str, name: str) -> Json | None:
        return self.objects.get((namespace, name))

    def publish(self, obj: Json) -> None:
        key = ("team", obj["metadata"]["name"])
        old, self.objects[key] = self.objects.get(key), copy.deepcopy(obj)
        for handler in self.handlers:
            handler("MODIFIED" if old else "ADDED", old, self.objects[key])


class World:
    def __init__(self) -> None:
        self.runs, self.connections = Informer(), Informer()
        self.patches = 0
        self.conflicts = 0

    async def patch(self, resource: Any, name: str, patch: Json, *, namespace: str, subresource: str) -> None:
        self.patches += 1
        found = self.connections.objects[namespace, name]
        if self.conflicts or patch["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            self.conflicts -= 1
            raise ConflictError("changed", status=409)
        metadata = {**found["metadata"], "resourceVersion": found["metadata"]["resourceVersion"] + "1"}
        self.connections.publish({"metadata": metadata, "status": {**found["status"], **patch["status"]}})

    def connect(self, *deliveries: Json) -> None:
        metadata = {"name": "hello", "namespace": "team", "uid": "u1", "resourceVersion": "1"}
        self.connections.publish({"metadata": metadata, "status": {"deliveries": list(deliveries)}})

    def end(self, name: str, reason: str, message: str, *, uid: str = "u1", creator: str = "c8s-webhook") -> None:
        spec = {"trigger": {"connection": "hello", "connectionUid": uid}}
        status = {"phase": "Cancelled", "reason": reason, "message": message, "createdBy": creator}
        self.runs.publish({"metadata": {"name": name, "namespace": "team"}, "spec": spec, "status": status})

    @property
    def listed(self) -> list[Json]:
        found: list[Json] = self.connections.objects["team", "hello"]["status"]["deliveries"]
        return found

    @asynccontextmanager
    async def completing(self) -> AsyncIterator[None]:
        outcomes = DeliveryOutcomes(self, self.runs, self.connections)  # type: ignore[arg-type]
        task = asyncio.create_task(outcomes.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def delivery(*runs: str, **more: Any) -> Json:
    return {"id": "d1", "event": "push", "outcome": "Started", "runs": list(runs), **more}


@pytest.mark.parametrize(("reason", "outcome"), [("NotTriggered", "Ignored"), ("InvalidPipeline", "Refused")])
@pytest.mark.parametrize("order", ["run first", "delivery first", "before the start", "conflict"])
async def test_the_reason_of_the_run_becomes_that_of_the_delivery(reason: str, outcome: str, order: str) -> None:
    world = World()
    world.conflicts = 1 if order == "conflict" else 0
    if order == "before the start":
        world.end("a", reason, "because")
        world.connect(delivery("a"))
    async with world.completing():
        if order == "run first":
            world.end("a", reason, "because")
            world.connect(delivery("a"))
        elif order != "before the start":
            world.connect(delivery("a"))
            world.end("a", reason, "because")
        await wait_until_async(lambda: "reason" in world.listed[0], what="the reason")
    assert world.listed == [delivery("a", outcome=outcome, reason="because") | {"outcome": outcome}]


async def test_a_delivery_with_several_runs_names_the_reason_of_each() -> None:
    world = World()
    world.connect(delivery("a", "b", reason="pipeline x: branches is [main]"))
    async with world.completing():
        world.end("a", "NotTriggered", "one")
        world.end("b", "NotTriggered", "two")
        await wait_until_async(lambda: "two" in world.listed[0]["reason"], what="both reasons")
    assert world.listed[0]["outcome"] == "Started"
    assert world.listed[0]["reason"] == "pipeline x: branches is [main]; one; two"


async def test_long_reasons_are_cut_and_not_written_for_ever() -> None:
    world = World()
    world.connect(delivery("a", "b"))
    async with world.completing():
        world.end("a", "NotTriggered", "x" * 2000)
        world.end("b", "NotTriggered", "y" * 2000)
        await wait_until_async(lambda: len(world.listed[0].get("reason", "")) == 1000, what="the reason")
        done, world.patches = world.patches, 0
        world.end("b", "NotTriggered", "y" * 2000)
        for _ in range(20):
            await asyncio.sleep(0)
    assert done <= 2
    assert world.patches == 0


@pytest.mark.parametrize("forged", [{"uid": "u2"}, {"creator": ""}, {"name": "other"}])
async def test_runs_that_are_not_proven_to_be_of_the_connection_say_nothing(forged: dict[str, str]) -> None:
    world = World()
    world.connect(delivery("a"))
    async with world.completing():
        world.end(forged.pop("name", "a"), "NotTriggered", "because", **forged)
        for _ in range(20):
            await asyncio.sleep(0)
    assert world.patches == 0
