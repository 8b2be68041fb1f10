"""Plans: named steps with dependencies, and their concurrent execution.

A step checks first whether it has been done already. Progress is reported as events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kind.durations import Durations
from kind.errors import KindError

ProgressCallback = Callable[[str], None]
EventKind = Literal["started", "estimated", "said", "already", "done", "failed"]


async def always_run() -> str | None:
    """The check of a step that is cheaper to repeat than to check."""
    return None


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    `check` returns a sentence if the step has been done already, otherwise None; `action` does it and returns its
    result as a sentence. Both can be repeated after an interruption.
    """

    name: str
    title: str
    does: str
    """What it runs or creates, for `--dry-run`."""
    action: Callable[[ProgressCallback], Awaitable[str]]
    check: Callable[[], Awaitable[str | None]] = always_run
    needs: tuple[str, ...] = ()
    remedy: str = ""
    is_long: bool = False
    """Whether it takes long enough for an estimate."""


@dataclass(frozen=True)
class StepEvent:
    """Progress of a step; `seconds` counts from its start, `expected` is how long it took before on this machine."""

    step: str
    title: str
    kind: EventKind
    text: str
    seconds: float
    expected: float | None = None


class StepFailedError(KindError):
    """A step failed. Steps that depend on it were not started, and running ones were cancelled."""

    def __init__(self, step: Step, error: KindError) -> None:
        super().__init__(f"{step.title}: {error.message}", error.remedy or step.remedy)
        self.step = step.name


OnEvent = Callable[[StepEvent], None]


async def execute(
    steps: Sequence[Step],
    on_event: OnEvent,
    clock: Callable[[], float] = time.monotonic,
    durations: Durations | None = None,
) -> None:
    """Run the steps that have not been done yet.

    Args:
        durations: how long the steps took before; what they take now is recorded, and not saved.

    Raises:
        StepFailedError: the first step that failed; the others are cancelled.
    """
    finished = {step.name: asyncio.Event() for step in steps}
    unknown = {need for step in steps for need in step.needs} - set(finished)
    if unknown:
        raise ValueError(f"the plan has no step {sorted(unknown)[0]!r}")

    async def one(step: Step) -> None:
        for need in step.needs:
            await finished[need].wait()
        await _run_step(step, on_event, clock, durations)
        finished[step.name].set()

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step), name=step.name)
    except* StepFailedError as failed:
        raise failed.exceptions[0] from None


async def _run_step(
    step: Step, on_event: OnEvent, clock: Callable[[], float], durations: Durations | None = None
) -> None:
    started = clock()
    expected = durations.estimate(step.name) if durations is not None and step.is_long else None

    def emit(kind: EventKind, text: str) -> None:
        on_event(StepEvent(step.name, step.title, kind, text, clock() - started, expected))

    emit("started", step.does)
    try:
        known = await step.check()
        if known is not None:
            emit("already", known)
            return
        if durations is not None and step.is_long:
            emit("estimated", _describe_estimate(expected))
        outcome = await step.action(lambda text: emit("said", text))
    except KindError as error:
        failure = StepFailedError(step, error)
        emit("failed", str(failure))
        raise failure from error
    if durations is not None and step.is_long:
        durations.record(step.name, clock() - started)
    emit("done", outcome)


def _describe_estimate(expected: float | None) -> str:
    if expected is None:
        return "no estimate: it has not been done on this machine before"
    return f"about {expected:.0f} s, by earlier times on this machine"


def describe_plan(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The plan as JSON values, in the order of its steps."""
    return [{"step": each.name, "title": each.title, "does": each.does, "needs": list(each.needs)} for each in steps]
