"""Events that count, survive a shutdown and say who; lines of the log that say which look they belong to."""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

from controller.kube import AlreadyExists
from controller.operator.effects.event_recorder import Recorder, audited, triggered
from controller.operator.log_context import LookFilter, looking_at
from tests.unit.controller.operator.world import T0, run_of, step

Json = dict[str, Any]
RUN = run_of([step("a")], spec={"triggeredBy": "ann", "commit": "abc", "event": "push"})


class Server:
    """Keeps Events; answers only while `open`."""

    def __init__(self) -> None:
        self.events: dict[str, Json] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def create(self, resource: Any, event: Json, namespace: str) -> None:
        await self.open.wait()
        name = event["metadata"]["name"]
        if name in self.events:
            raise AlreadyExists("there", status=409)
        self.events[name] = copy.deepcopy(event)

    async def get(self, resource: Any, name: str, namespace: str) -> Json:
        return self.events[name]

    async def patch(self, resource: Any, name: str, patch: Json, *, namespace: str) -> None:
        self.events[name] |= patch


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


async def test_what_is_said_again_counts_also_from_another_process() -> None:
    server = Server()
    for _ in range(2):
        recorder = Recorder(server, lambda: T0)  # type: ignore[arg-type]
        recorder.record(RUN, "Warning", "OverQuota", "a: waits")
        recorder.record(RUN, "Warning", "OverQuota", "b: waits")
        task = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        await ended(task)
    assert sorted(event["count"] for event in server.events.values()) == [2, 2]


async def test_a_shutdown_sends_what_waits() -> None:
    server = Server()
    server.open.clear()
    recorder = Recorder(server, lambda: T0)  # type: ignore[arg-type]
    task = asyncio.create_task(recorder.run())
    for number in range(3):
        recorder.record(RUN, "Normal", "Started", str(number))
    await asyncio.sleep(0)
    task.cancel()
    server.open.set()
    await asyncio.wait([task], timeout=5)
    assert {event["message"] for event in server.events.values()} == {"0", "1", "2"}


def test_who_started_what_is_one_sentence_and_fields() -> None:
    assert triggered(RUN) == "by ann, push on main, commit abc"
    fields = audited(RUN, "Succeeded")
    assert {"triggeredBy": "ann", "commit": "abc", "outcome": "Succeeded", "run": "ci-1"}.items() <= fields.items()


def test_lines_inside_a_look_carry_its_run_and_number_and_others_do_not() -> None:
    def line() -> logging.LogRecord:
        record = logging.makeLogRecord({"msg": "x"})
        LookFilter().filter(record)
        return record

    with looking_at("team", "ci-1") as first:
        inside = line()
    with looking_at("team", "ci-1") as second:
        pass
    assert (inside.__dict__["namespace"], inside.__dict__["run"]) == ("team", "ci-1")
    assert inside.__dict__["reconcile"] == first.reconcile != second.reconcile
    assert not hasattr(line(), "reconcile")
