"""A plan: named steps that know whether they are done already, and the loop that walks them.

Steps that need nothing of each other run side by side. Whoever shows progress gets events; nothing here draws.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kind.errors import KindError

ProgressCallback = Callable[[str], None]
EventKind = Literal["started", "said", "already", "done", "failed"]


async def always_run() -> str | None:
    """The check of a step that is cheaper done again than looked for."""
    return None


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    `check` answers a sentence when there is nothing to do; `action` does it and answers what came of it. Both may be
    called again after any interruption.
    """

    name: str
    title: str
    does: str
    """What it runs or makes, for `--dry-run`."""
    action: Callable[[ProgressCallback], Awaitable[str]]
    check: Callable[[], Awaitable[str | None]] = always_run
    needs: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True)
class StepEvent:
    """Something that happened to a step. `seconds` counts from the step's own start."""

    step: str
    title: str
    kind: EventKind
    text: str
    seconds: float


class StepFailedError(KindError):
    """A step failed; those that needed it were not begun, and those under way were let go."""

    def __init__(self, step: Step, error: KindError) -> None:
        super().__init__(f"{step.title}: {error.message}", error.remedy or step.remedy)
        self.step = step.name


OnEvent = Callable[[StepEvent], None]


async def execute(steps: Sequence[Step], on_event: OnEvent, clock: Callable[[], float] = time.monotonic) -> None:
    """Do what is not done yet. Raises StepFailedError for the first step that fails; the others are cancelled."""
    finished = {step.name: asyncio.Event() for step in steps}
    unknown = {need for step in steps for need in step.needs} - set(finished)
    if unknown:
        raise ValueError(f"no step is called {sorted(unknown)[0]!r}")

    async def one(step: Step) -> None:
        for need in step.needs:
            await finished[need].wait()
        await _run_step(step, on_event, clock)
        finished[step.name].set()

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step), name=step.name)
    except* StepFailedError as failed:
        raise failed.exceptions[0] from None


async def _run_step(step: Step, on_event: OnEvent, clock: Callable[[], float]) -> None:
    began = clock()

    def tell(kind: EventKind, text: str) -> None:
        on_event(StepEvent(step.name, step.title, kind, text, clock() - began))

    tell("started", step.does)
    try:
        known = await step.check()
        if known is not None:
            tell("already", known)
            return
        said = await step.action(lambda text: tell("said", text))
    except KindError as error:
        failure = StepFailedError(step, error)
        tell("failed", str(failure))
        raise failure from error
    tell("done", said)


def describe_plan(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The plan as data, in the order in which it can be walked."""
    return [{"step": each.name, "title": each.title, "does": each.does, "needs": list(each.needs)} for each in steps]
