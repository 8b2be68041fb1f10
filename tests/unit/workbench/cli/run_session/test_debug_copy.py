"""Debug runs of failed steps are created, entered, and deleted in any case."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.tui.fakes import run, step
from workbench.cli.interruption import INTERRUPTED
from workbench.cli.output.console import CommandError
from workbench.cli.run_session.debug_copy import debug_copy, find_attempt, run_interruptible
from workbench.cli.run_session.signals import InterruptState
from workbench.client import Change, NotFoundError, RunChanged, RunDeleted, RunsListed, UnreachableError
from workbench.client.models import Run, SavedWorkspace, Step

WAITING = run("shop-debug-1", "Running", [step("test", (), "Pending")])
RUNNING = run("shop-debug-1", "Running", [step("test", (), "Running")])


class Controller:
    """A fake controller that creates a debug run, yields its changes, and records deletions."""

    def __init__(self, *changes: Change) -> None:
        self.changes = changes
        self.asked: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.refusal: Exception | None = None
        self.asking = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()
        self.removing = asyncio.Event()
        self.removable = asyncio.Event()
        self.removable.set()

    async def copy_step(self, run: str, step: str, **options: Any) -> Run:
        self.asked.append({"run": run, "step": step, **options})
        self.asking.set()
        await self.answer.wait()
        if self.refusal is not None:
            raise self.refusal
        return WAITING

    async def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]:
        for change in self.changes:
            yield change
        await asyncio.Event().wait()

    async def delete(self, name: str) -> None:
        self.removing.set()
        await self.removable.wait()
        self.deleted.append(name)


def failed(*workspaces: SavedWorkspace | None) -> tuple[Run, Step]:
    """A run with a failed step, and the saved workspace of each attempt."""
    made = step("test", (), "Failed", attempts=len(workspaces))
    tried = tuple(replace(each, saved_workspace=saved) for each, saved in zip(made.attempts, workspaces, strict=True))
    made = replace(made, attempts=tried)
    return run("shop-3", "Failed", [made]), made


async def enter(controller: Controller, seconds: int = 600) -> str:
    whole, one = failed(SavedWorkspace(9, 1))
    async with debug_copy(controller, whole, one, 1, seconds) as (name, slug):  # type: ignore[arg-type]
        return f"{name} {slug}"


async def test_debug_run_is_entered_once_running_and_then_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    controller = Controller(RunsListed((WAITING,)), RunChanged(RUNNING))
    assert await enter(controller) == "shop-debug-1 test"
    [asked] = controller.asked
    assert asked["run"] == "shop-3"
    assert asked["step"] == "test"
    assert asked["attempt"] == 1
    assert asked["seconds"] == 600
    assert controller.deleted == ["shop-debug-1"]
    assert "starting a copy of step test of shop-3 with the workspace of attempt 1" in capsys.readouterr().err


async def test_pending_reason_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    held = replace(WAITING.steps[0], reason="OverQuota", message="the quota team has no cpu left")
    waiting = RunChanged(replace(WAITING, steps=(held,)))
    await enter(Controller(RunsListed((WAITING,)), waiting, waiting, RunChanged(RUNNING)))
    assert capsys.readouterr().err.count("waiting: the quota team has no cpu left") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            RunChanged(run("shop-debug-1", "Failed", [step("test", (), "Failed")], message="no such image")),
            "no such image",
        ),
        (RunDeleted(WAITING), "was deleted before it started"),
    ],
)
async def test_debug_run_that_fails_to_start_is_reported_and_deleted(change: Change, message: str) -> None:
    controller = Controller(RunsListed((WAITING,)), change)
    with pytest.raises(CommandError, match=message):
        await enter(controller)
    assert controller.deleted == ["shop-debug-1"]


async def test_rejected_debug_run_needs_no_deletion() -> None:
    controller = Controller()
    controller.refusal = NotFoundError("it is not stored any more")
    with pytest.raises(NotFoundError):
        await enter(controller)
    assert controller.deleted == []


async def test_debug_run_that_cannot_be_deleted_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    controller = Controller(RunsListed((RUNNING,)))

    async def away(_: str) -> None:
        raise UnreachableError("nobody answers")

    monkeypatch.setattr(controller, "delete", away)
    assert await enter(controller) == "shop-debug-1 test"
    assert "shop-debug-1 could not be deleted (nobody answers); it ends when" in capsys.readouterr().err


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal_while_waiting_deletes_the_debug_run(sign: signal.Signals) -> None:
    controller = Controller(RunsListed((WAITING,)))

    async def entering() -> int:
        await enter(controller)
        return 0

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        ended = group.create_task(run_interruptible(entering()))
        await controller.asking.wait()
        os.kill(os.getpid(), sign)
    assert ended.result() == INTERRUPTED
    assert controller.deleted == ["shop-debug-1"]


async def test_second_hangup_does_not_force_an_exit() -> None:
    left: list[int] = []
    asked = InterruptState(exit_process=left.append)
    asked.on_signal(signal.SIGHUP)
    asked.on_signal(signal.SIGHUP)
    assert (asked.requested.is_set(), left) == (True, [])
    asked.on_signal(signal.SIGINT)
    assert left == [INTERRUPTED]


async def test_signal_during_creation_deletes_the_debug_run() -> None:
    controller = Controller()
    controller.answer.clear()

    async def entering() -> int:
        await enter(controller)
        return 0

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        ended = group.create_task(run_interruptible(entering()))
        await controller.asking.wait()
        os.kill(os.getpid(), signal.SIGINT)
        asyncio.get_running_loop().call_later(0.05, controller.answer.set)
    assert ended.result() == INTERRUPTED
    assert controller.deleted == ["shop-debug-1"]


async def test_exit_code_of_the_command_is_returned() -> None:
    async def work() -> int:
        return 7

    assert await run_interruptible(work()) == 7


KEPT, LARGE = SavedWorkspace(9, 1), SavedWorkspace(problem="it has more than 512 MiB, packed")


@pytest.mark.parametrize(
    ("workspaces", "attempt", "number"),
    [((KEPT,), None, 1), ((KEPT, KEPT), None, 2), ((KEPT, KEPT), 1, 1), ((KEPT, LARGE), None, 1)],
)
def test_last_saved_or_requested_attempt_is_selected(
    workspaces: tuple[SavedWorkspace, ...], attempt: int | None, number: int
) -> None:
    assert find_attempt(*failed(*workspaces), attempt).number == number


@pytest.mark.parametrize(
    ("workspaces", "attempt", "message"),
    [
        ((None,), None, "--keep-on-failure"),
        ((LARGE,), None, "could not be saved: it has more than 512 MiB"),
        ((KEPT, LARGE), 2, "could not be saved"),
        ((KEPT,), 3, "has no attempt 3"),
    ],
)
def test_missing_workspace_error_gives_reason_and_remedy(
    workspaces: tuple[SavedWorkspace | None, ...], attempt: int | None, message: str
) -> None:
    with pytest.raises(CommandError) as refused:
        find_attempt(*failed(*workspaces), attempt)
    assert message in str(refused.value)


async def test_cancellation_does_not_interrupt_the_deletion() -> None:
    controller = Controller(RunsListed((RUNNING,)))
    controller.removable.clear()
    task = asyncio.create_task(enter(controller))
    await controller.removing.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    controller.removable.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert controller.deleted == ["shop-debug-1"]
