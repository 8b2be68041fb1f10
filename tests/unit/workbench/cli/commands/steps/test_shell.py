"""How `c8s shell` reads its command line, and which step it opens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.workbench.client.fake_api import run_json, step_json
from workbench.cli.commands.steps import shell as module
from workbench.cli.commands.steps.shell import ShellRequest, shell
from workbench.client import Client, Run, RunChanged, RunsListed
from workbench.client.decode import decode_run


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ([], ()),
        (["--"], ()),
        (["ls", "-la"], ("ls", "-la")),
        (["--", "ls", "-la"], ("ls", "-la")),
        (["git", "log", "--", "file"], ("git", "log", "--", "file")),
        (["--", "--", "ls"], ("--", "ls")),
    ],
)
def test_a_separator_before_the_command_is_dropped(given: list[str], command: tuple[str, ...]) -> None:
    context = shell.make_context("shell", ["run", "step", *given])
    assert (context.params["run"], context.params["step"], context.params["command"]) == ("run", "step", command)


def make_run(phase: str) -> Run:
    return decode_run(run_json(phase="Running", status={"steps": [step_json("test", phase)]}))


class FakeClient:
    """Answers with a pending step; its watch lists the same, then sends `changes`, and goes on without an end."""

    def __init__(self, *changes: str) -> None:
        self.changes = changes
        self.watched = False

    async def run(self, name: str) -> Run:
        return make_run("Pending")

    async def watch_runs(self, name: str) -> AsyncIterator[Any]:
        self.watched = True
        yield RunsListed((make_run("Pending"),))
        for phase in self.changes:
            yield RunChanged(make_run(phase))
        await asyncio.Event().wait()


REQUEST = ShellRequest("app-1", "test", (), "", None, 60)


@pytest.mark.parametrize("phase", ["Running", "Failed"])
async def test_the_status_of_a_step_that_has_just_started_is_waited_for(phase: str) -> None:
    run = await module._current_run(cast(Client, FakeClient("Pending", phase)), REQUEST)
    assert [step.phase for step in run.steps] == [phase]


async def test_a_step_that_stays_pending_is_returned_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STATUS_DELAY", 0.01)
    run = await module._current_run(cast(Client, FakeClient()), REQUEST)
    assert [step.phase for step in run.steps] == ["Pending"]


async def test_an_unknown_step_is_not_waited_for() -> None:
    client = FakeClient()
    await module._current_run(cast(Client, client), replace(REQUEST, step="tset"))
    assert not client.watched
