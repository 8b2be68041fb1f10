"""Debug runs of failed steps: created, waited for, and deleted in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from controller.pipeline.values import duration
from controller.run_types.phases import StepPhase
from workbench.cli.interruption import INTERRUPTED
from workbench.cli.options import unwrap_group
from workbench.cli.output.console import CommandError, echo_error
from workbench.cli.run_session.signals import InterruptState, handle_interrupts
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Attempt, Run, RunChanged, RunsListed, Step
from workbench.submit.submit import new_idempotency_key

if TYPE_CHECKING:
    from workbench.client import Client

T = TypeVar("T")

_REMOVAL = 15.0
"""Seconds that the deletion of a debug run may take; otherwise it ends with its lifetime."""
_INTERRUPTED_REMOVAL = 2.0
"""The same after Ctrl-C or SIGTERM."""
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
                guard = group.create_task(_stopped(interrupts, task))
                task.add_done_callback(lambda _: guard.cancel())
        except BaseExceptionGroup as errors:
            raise unwrap_group(errors) from errors
        return INTERRUPTED if task.cancelled() else task.result()


async def _stopped(interrupts: InterruptState, task: asyncio.Task[int]) -> None:
    await interrupts.requested.wait()
    interrupts.leave()
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
    removal = _Removal(client, creation)
    try:
        debug_run = await asyncio.shield(creation)
        slug = await _started(client, debug_run)
        clock = asyncio.get_running_loop().time
        over = clock() + seconds
        yield debug_run.name, slug
        if clock() >= over:
            echo_error(f"the time of the copy ({duration.format_duration(seconds)}) is over; extend it with --for")
    except asyncio.CancelledError:
        removal.hurry()
        raise
    finally:
        await removal.finish()


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


class _Removal:
    """Deletes a debug run, also while being cancelled: closing a terminal may send several signals."""

    def __init__(self, client: Client, creation: asyncio.Task[Run]) -> None:
        self._client, self._creation = client, creation
        self._limit = _REMOVAL

    def hurry(self) -> None:
        self._limit = _INTERRUPTED_REMOVAL

    async def finish(self) -> None:
        """Wait for the deletion, or until its time is over."""
        removal = asyncio.create_task(self._remove())
        stopped = False
        end = asyncio.get_running_loop().time() + self._limit
        while not removal.done() and (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait([removal], timeout=left)
            except asyncio.CancelledError:
                stopped = True
                end = min(end, asyncio.get_running_loop().time() + _INTERRUPTED_REMOVAL)
        if not removal.done():
            removal.cancel()
            self._report("no answer")
        if stopped:
            raise asyncio.CancelledError

    async def _remove(self) -> None:
        try:
            debug_run = await self._creation
        except (ClientError, asyncio.CancelledError):
            # It was not created; the waiting code reports that.
            return
        try:
            await self._client.delete(debug_run.name)
        except NotFoundError:
            return
        except ClientError as error:
            self._report(str(error))

    def _report(self, reason: str) -> None:
        done = self._creation.done() and not self._creation.cancelled() and self._creation.exception() is None
        name = f"debug run {self._creation.result().name}" if done else "the debug run"
        echo_error(f"{name} could not be deleted ({reason}); it ends when its lifetime is over")
