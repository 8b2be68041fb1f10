"""Events that count, survive a shutdown and say who; lines of the log that say which look they belong to."""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

from controller.kube import AlreadyExistsError
from controller.operator.effects.event_recorder import EventRecorder, audit_fields, describe_trigger
from controller.operator.log_context import ReconcileLogFilter, reconcile_scope
from tests.unit.controller.operator.world import T0, build_run, step

Json = dict[str, Any]
RUN = build_run([step("a")], spec={"triggeredBy": "ann", "commit": "abc", "event": "push"})


class EventServer:
    """Keeps Events; answers only while `open`."""

    def __init__(self) -> None:
        self.events: dict[str, Json] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def create(self, resource: Any, event: Json, namespace: str) -> None:
        await self.open.wait()
        name = event["metadata"]["name"]
        if name in self.events:
            raise AlreadyExistsError("there", status=409)
        self.events[name] = copy.deepcopy(event)

    async def get(self, resource: Any, name: str, namespace: str) -> Json:
        return self.events[name]

    async def patch(self, resource: Any, name: str, patch: Json, *, namespace: str) -> None:
        self.events[name] |= patch


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=60)
    assert task.cancelled()


async def test_what_is_said_again_counts_also_from_another_process() -> None:
    server = EventServer()
    for _ in range(2):
        recorder = EventRecorder(server, lambda: T0)  # type: ignore[arg-type]
        recorder.record(RUN, "Warning", "OverQuota", "a: waits")
        recorder.record(RUN, "Warning", "OverQuota", "b: waits")
        task = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        await ended(task)
    assert sorted(event["count"] for event in server.events.values()) == [2, 2]


async def test_a_shutdown_sends_what_waits() -> None:
    server = EventServer()
    server.open.clear()
    recorder = EventRecorder(server, lambda: T0)  # type: ignore[arg-type]
    task = asyncio.create_task(recorder.run())
    for number in range(3):
        recorder.record(RUN, "Normal", "Started", str(number))
    await asyncio.sleep(0)
    task.cancel()
    server.open.set()
    await asyncio.wait([task], timeout=60)
    assert {event["message"] for event in server.events.values()} == {"0", "1", "2"}


def test_who_started_what_is_one_sentence_and_fields() -> None:
    assert describe_trigger(RUN, "ann") == "by ann, push on main, commit abc"
    assert describe_trigger(RUN, "bob") == "by bob, says ann, push on main, commit abc"
    assert describe_trigger(RUN, None) == "by unknown, says ann, push on main, commit abc"
    fields = audit_fields(RUN, "Succeeded", "bob")
    wanted = {"user": "bob", "triggeredBy": "ann", "commit": "abc", "outcome": "Succeeded", "run": "ci-1"}
    assert wanted.items() <= fields.items()


def test_records_inside_a_reconcile_have_its_run_and_id() -> None:
    def line() -> logging.LogRecord:
        record = logging.makeLogRecord({"msg": "x"})
        ReconcileLogFilter().filter(record)
        return record

    with reconcile_scope("team", "ci-1") as first:
        inside = line()
    with reconcile_scope("team", "ci-1") as second:
        pass
    assert (inside.__dict__["namespace"], inside.__dict__["run"]) == ("team", "ci-1")
    assert inside.__dict__["reconcile"] == first.reconcile != second.reconcile
    assert not hasattr(line(), "reconcile")
