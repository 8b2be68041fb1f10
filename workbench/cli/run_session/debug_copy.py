"""Debug runs of failed steps: created, waited for, and deleted in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from controller.pipeline.values import duration
from controller.run_types.phases import StepPhase
from workbench.cli.options import unwrap_group
from workbench.cli.output.console import CommandError, echo_error
from workbench.cli.run_session.signals import INTERRUPTED, handle_interrupts
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Attempt, Run, RunChanged, RunsListed, Step
from workbench.submit.submit import new_idempotency_key

if TYPE_CHECKING:
    from workbench.client import Client

T = TypeVar("T")

_REMOVAL = 15.0
"""Seconds that the deletion of a debug run may take; otherwise it ends with its lifetime."""
_QUIET = frozenset({None, "Created", "Starting", "Fetching", "Preparing", "WaitingForSteps"})
"""Reasons to wait that last only a moment, and are not reported."""


def find_attempt(run: Run, step: Step, number: int | None) -> Attempt:
    """The attempt to enter: the given one, or the last with a saved workspace.

    Raises:
        CommandError: there is none; the message says how to get one.
    """
    tried = [each for each in step.attempts if number in (None, each.number)]
    if not tried and number is not None:
        raise CommandError(f"step {step.name} of {run.name} has no attempt {number} (it has {len(step.attempts)})")
    for attempt in reversed(tried):
        if attempt.saved_workspace is not None and attempt.saved_workspace.problem is None:
            return attempt
    problem = next((each.saved_workspace.problem for each in reversed(tried) if each.saved_workspace is not None), None)
    if problem is not None:
        raise CommandError(f"the workspace of step {step.name} of {run.name} could not be saved: {problem}")
    if not run.ended:
        raise CommandError(
            f"the workspace of failed step {step.name} of {run.name} is not saved, or not yet: the run is in progress"
        )
    raise CommandError(
        f"the workspace of failed step {step.name} of {run.name} was not saved. "
        f"Run it again with `c8s rerun {run.name} --from-failed --keep-on-failure`, "
        "or set `keepOnFailure: true` in the pipeline"
    )


async def run_interruptible(work: Coroutine[None, None, int]) -> int:
    """The exit code of `work`; 130 if a signal, or the end of the terminal, interrupted it."""
    with handle_interrupts() as interrupts:
        interrupts.exit_message = "exiting; the copy of the step ends when its lifetime is over"
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work)
                guard = group.create_task(_stopped(interrupts.requested, task))
                task.add_done_callback(lambda _: guard.cancel())
        except BaseExceptionGroup as errors:
            raise unwrap_group(errors) from errors
        return INTERRUPTED if task.cancelled() else task.result()


async def _stopped(interrupts: asyncio.Event, task: asyncio.Task[int]) -> None:
    await interrupts.wait()
    task.cancel()


@asynccontextmanager
async def debug_copy(
    client: Client, run: Run, step: Step, attempt: int, seconds: int
) -> AsyncIterator[tuple[str, str]]:
    """Start a debug run and delete it afterwards. Yields its name and its step's slug, once it is running.

    Raises:
        CommandError: the debug run did not start.
    """
    echo_error(f"starting a copy of step {step.name} of {run.name} with the workspace of attempt {attempt}")
    # A cancelled request may have created the debug run: its answer is awaited in any case.
    creation = asyncio.create_task(
        client.copy_step(run.name, step.slug, idempotency_key=new_idempotency_key(), attempt=attempt, seconds=seconds)
    )
    try:
        debug_run = await asyncio.shield(creation)
        slug = await _started(client, debug_run)
        clock = asyncio.get_running_loop().time
        over = clock() + seconds
        yield debug_run.name, slug
        if clock() >= over:
            echo_error(f"the time of the copy ({duration.format_duration(seconds)}) is over; extend it with --for")
    finally:
        await _await_uncancelled(asyncio.create_task(_remove(client, creation)))


async def _started(client: Client, debug_run: Run) -> str:
    """The slug of the debug run's step, once it is running. A reason to wait is printed once."""
    reported: str | None = None
    async with aclosing(client.watch_runs(debug_run.name)) as changes:
        async for change in changes:
            current = change.run if isinstance(change, RunChanged) else None
            if isinstance(change, RunsListed) and change.runs:
                current = change.runs[0]
            if current is None:
                raise CommandError(f"debug run {debug_run.name} was deleted before it started")
            if current.ended:
                raise CommandError(f"debug run {debug_run.name} could not start: {current.message or current.phase}")
            step = current.steps[0] if current.steps else None
            if step is not None and step.phase == StepPhase.RUNNING:
                return step.slug
            if step is not None and step.reason not in _QUIET and step.message != reported:
                reported = step.message
                echo_error(f"waiting: {reported or step.reason} (Ctrl-C cancels)")
    raise CommandError(f"lost contact with debug run {debug_run.name}")


async def _await_uncancelled(task: asyncio.Task[None]) -> None:
    """Wait for a task even while being cancelled: closing a terminal may send several signals."""
    stopped = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            stopped = True
    if stopped:
        raise asyncio.CancelledError


async def _remove(client: Client, creation: asyncio.Task[Run]) -> None:
    try:
        async with asyncio.timeout(_REMOVAL):
            debug_run = await creation
    except (ClientError, TimeoutError, asyncio.CancelledError):
        # It was not created, or the controller does not answer; the waiting code reports that.
        return
    try:
        async with asyncio.timeout(_REMOVAL):
            await client.delete(debug_run.name)
    except NotFoundError:
        return
    except (ClientError, TimeoutError) as error:
        reason = str(error) or "no answer"
        echo_error(f"debug run {debug_run.name} could not be deleted ({reason}); it ends when its lifetime is over")
