"""A copy of a failed step for as long as somebody is in it: started, waited for, and removed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from controller.pipeline.values import duration
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
"""Seconds that the copy's removal may take; after that it ends by itself when its time is over."""
_QUIET = frozenset({None, "Created", "Starting", "Fetching", "Preparing", "WaitingForSteps"})
"""Reasons to wait that are over in a moment."""


def find_attempt(run: Run, step: Step, number: int | None) -> Attempt:
    """The attempt to enter: this one, or the last that was kept.

    Raises:
        CommandError: there is none; it says how to get one.
    """
    tried = [each for each in step.attempts if number in (None, each.number)]
    if not tried and number is not None:
        raise CommandError(f"step {step.name} of {run.name} has no attempt {number} (it has {len(step.attempts)})")
    for attempt in reversed(tried):
        if attempt.saved_workspace is not None and attempt.saved_workspace.problem is None:
            return attempt
    told = next((each.saved_workspace.problem for each in reversed(tried) if each.saved_workspace is not None), None)
    if told is not None:
        raise CommandError(f"the workspace of step {step.name} of {run.name} could not be kept: {told}")
    if not run.ended:
        raise CommandError(
            f"step {step.name} of {run.name} has failed; its workspace is not kept, or not yet: the run goes on"
        )
    raise CommandError(
        f"step {step.name} of {run.name} has failed, and its workspace was not kept. "
        f"`c8s rerun {run.name} --from-failed --keep-on-failure` runs it again and keeps it; "
        "`keepOnFailure: true` in the pipeline always does"
    )


async def run_interruptible(work: Coroutine[None, None, int]) -> int:
    """The exit code of the work; 130 when a signal, or the terminal's end, has stopped it before it was done."""
    with handle_interrupts() as asked:
        asked.exit_message = "left; the copy of the step ends by itself when its time is over"
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work)
                guard = group.create_task(_stopped(asked.requested, task))
                task.add_done_callback(lambda _: guard.cancel())
        except BaseExceptionGroup as errors:
            raise unwrap_group(errors) from errors
        return INTERRUPTED if task.cancelled() else task.result()


async def _stopped(asked: asyncio.Event, task: asyncio.Task[int]) -> None:
    await asked.wait()
    task.cancel()


@asynccontextmanager
async def debug_copy(
    client: Client, run: Run, step: Step, attempt: int, seconds: int
) -> AsyncIterator[tuple[str, str]]:
    """The copy's run and its step's slug, once it runs; afterwards it is removed.

    Raises:
        CommandError: it did not start.
    """
    echo_error(f"starting a copy of step {step.name} of {run.name} as attempt {attempt} left it")
    # A request that is stopped half-way may have made the copy all the same: its answer is waited for.
    making = asyncio.create_task(
        client.copy_step(run.name, step.slug, key=new_idempotency_key(), attempt=attempt, seconds=seconds)
    )
    try:
        made = await asyncio.shield(making)
        slug = await _started(client, made)
        clock = asyncio.get_running_loop().time
        over = clock() + seconds
        yield made.name, slug
        if clock() >= over:
            echo_error(f"the time of the copy ({duration.format_duration(seconds)}) is over; --for gives it more")
    finally:
        await _await_uncancelled(asyncio.create_task(_remove(client, making)))


async def _started(client: Client, made: Run) -> str:
    """The slug of the copy's step, once it runs. What it waits for is told once."""
    told: str | None = None
    async with aclosing(client.watch_runs(made.name)) as changes:
        async for change in changes:
            current = change.run if isinstance(change, RunChanged) else None
            if isinstance(change, RunsListed) and change.runs:
                current = change.runs[0]
            if current is None:
                raise CommandError(f"somebody deleted the copy {made.name} before it began")
            if current.ended:
                raise CommandError(f"the copy could not start: {current.message or current.phase}")
            step = current.steps[0] if current.steps else None
            if step is not None and step.phase == "Running":
                return step.slug
            if step is not None and step.reason not in _QUIET and step.message != told:
                told = step.message
                echo_error(f"it waits: {told or step.reason} (Ctrl-C gives up)")
    raise CommandError(f"nothing more is heard of the copy {made.name}")


async def _await_uncancelled(task: asyncio.Task[None]) -> None:
    """Wait for it, also when told to stop meanwhile: a terminal that is closed may say so more than once."""
    stopped = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            stopped = True
    if stopped:
        raise asyncio.CancelledError


async def _remove(client: Client, making: asyncio.Task[Run]) -> None:
    try:
        async with asyncio.timeout(_REMOVAL):
            made = await making
    except (ClientError, TimeoutError, asyncio.CancelledError):
        # It was never made, or nobody answers; who waits for its beginning is told that.
        return
    try:
        async with asyncio.timeout(_REMOVAL):
            await client.delete(made.name)
    except NotFoundError:
        return
    except (ClientError, TimeoutError) as error:
        why = str(error) or "nobody answers"
        echo_error(f"the copy {made.name} could not be removed ({why}); it ends by itself when its time is over")
