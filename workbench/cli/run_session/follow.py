"""Follows a run to its end: merges status and log lines, and cancels the run on Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from workbench.cli.options import unwrap_group
from workbench.cli.output.console import CommandError, echo_error
from workbench.cli.output.run_printer import Output, RunPrinter
from workbench.cli.run_session.signals import InterruptState
from workbench.client import Client, ConflictError, Run, RunChanged, RunDeleted, RunsListed
from workbench.client.errors import ClientError
from workbench.client.models import Frame, RunEnd
from workbench.logs.run_log import RunLog

_QUEUE = 200
_LAST_LINES = 15.0
"""Seconds to wait for the last lines after the end of a run."""
_CANCEL = 60.0
"""Seconds to wait for a cancelled run: its steps are killed 30 s after their termination was requested."""
_ANSWER = 3.0
"""Seconds that the controller may take for a request after Ctrl-C, and that an obstacle may last."""
_NO_ANSWER = f"the controller has not answered for {_ANSWER:.0f} s"
_PROBE = 0.5
"""Seconds between the checks that a run that is being cancelled can end."""


@dataclass
class RunFollower:
    """Follows `run` to its end; after a cancellation, for a limited time."""

    client: Client
    run: Run
    log: RunLog
    printer: RunPrinter
    output: Output
    interrupts: InterruptState
    hint: str = ""
    """The options that select the same controller in later commands."""
    obstacle: Callable[[], str | None] = lambda: None
    """Why runs can't end now, if the reason is known, such as a full disk."""
    _limit: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    _early: list[Frame] = field(default_factory=list)
    _complete: bool = False
    _ending: bool = False
    _surrender: str | None = None
    """Why the end of the cancelled run is not awaited."""

    async def wait(self) -> Run:
        """Print the run until it has ended and all its lines are printed.

        Raises:
            ClientError: the connection to the controller could not be restored.
            CommandError: the run was deleted.
        """
        queue: asyncio.Queue[Run | Frame] = asyncio.Queue(_QUEUE)
        self.printer.update_steps(self.run)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self._watch(queue)),
                    group.create_task(self._stream(queue)),
                    group.create_task(self._cancel_on_interrupt()),
                ]
                await self._print(queue)
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as errors:
            raise unwrap_group(errors) from errors
        return self.run

    async def _watch(self, queue: asyncio.Queue[Run | Frame]) -> None:
        async with aclosing(self.client.watch_runs(self.run.name)) as changes:
            async for change in changes:
                if isinstance(change, RunChanged):
                    await queue.put(change.run)
                elif isinstance(change, RunsListed) and change.runs:
                    await queue.put(change.runs[0])
                else:
                    assert isinstance(change, RunDeleted | RunsListed)
                    raise CommandError(f"run {self.run.name} was deleted while in progress")

    async def _stream(self, queue: asyncio.Queue[Run | Frame]) -> None:
        async with aclosing(
            self.client.stream_logs(self.run.name, partial_lines=self.printer.style.width is not None)
        ) as frames:
            async for frame in frames:
                await queue.put(frame)

    async def _cancel_on_interrupt(self) -> None:
        await self.interrupts.requested.wait()
        await self.output.write([])
        name = self.run.name
        echo_error(f"cancelling run {name}; press Ctrl-C again to exit without waiting")
        later = f"cancel it later with `c8s cancel {name}{self.hint}`"
        self.interrupts.exit_message = f"exiting; run {name} may not be cancelled yet; {later}"
        try:
            async with asyncio.timeout(_ANSWER):
                await self.client.cancel(name)
        except ConflictError:
            # The run has ended meanwhile.
            return
        except (ClientError, TimeoutError) as error:
            reason = self.obstacle() or str(error) or _NO_ANSWER
            self._give_up(f"run {name} could not be cancelled and may go on: {reason}. Please {later}")
            return
        self.interrupts.exit_message = f"exiting; run {name} is being cancelled"
        if not self._ending:
            self._wait_at_most(_CANCEL)
        await self._give_up_when_stuck()

    async def _give_up_when_stuck(self) -> None:
        """Stop waiting for the end of the cancelled run when nothing can report it for a while."""
        clock = asyncio.get_running_loop().time
        last_good = clock()
        while (reason := await self._find_obstacle()) is None or clock() - last_good < _ANSWER:
            if reason is None:
                last_good = clock()
            await asyncio.sleep(_PROBE)
        self._give_up(f"run {self.run.name} is being cancelled; its end is not awaited: {reason}")

    async def _find_obstacle(self) -> str | None:
        """Why the end of the run can't be reported now."""
        try:
            async with asyncio.timeout(_ANSWER):
                await self.client.run(self.run.name)
        except (ClientError, TimeoutError) as error:
            return self.obstacle() or str(error) or _NO_ANSWER
        return self.obstacle()

    def _give_up(self, message: str) -> None:
        self._surrender = message
        self._wait_at_most(0)

    async def _print(self, queue: asyncio.Queue[Run | Frame]) -> None:
        try:
            async with self._limit:
                self._watch_the_clock(self.run)
                while not (self._complete and self.run.ended):
                    await self._show(await queue.get(), is_last=queue.empty())
        except TimeoutError:
            if self._surrender is not None:
                echo_error(self._surrender)
            elif self.run.ended:
                echo_error(f"the last lines may be missing; `c8s logs {self.run.name}` prints all")
            else:
                echo_error(f"run {self.run.name} was cancelled {_CANCEL:.0f} s ago and has not ended yet")
        late = [line for frame in self._early for line in self.log.frame(frame)]
        await self.output.write(self.printer.lines(late + self.log.flush()))

    async def _show(self, item: Run | Frame, *, is_last: bool) -> None:
        """Print what an item brings; below it the unfinished line, if nothing waits that may change it at once."""
        if isinstance(item, Run):
            self._watch_the_clock(item)
            self.run = item
            self.printer.update_steps(item)
            shown = self.log.status(item)
            early, self._early = (self._early, []) if item.steps or item.ended else ([], self._early)
            shown += [line for frame in early for line in self.log.frame(frame)]
        elif not self.run.steps and not self.run.ended:
            # Lines can be labelled and aligned only after the names of the steps are known.
            self._early.append(item)
            shown = []
        else:
            shown = self.log.frame(item)
        self._complete = self._complete or isinstance(item, RunEnd)
        row = ""
        if is_last and self.run.steps and not self.interrupts.requested.is_set():
            row = self.printer.unfinished(self.log.unfinished)
        lines = self.printer.lines(shown)
        if lines or is_last:
            await self.output.write(lines, row)

    def _watch_the_clock(self, run: Run) -> None:
        if run.ended and not self._ending:
            self._ending = True
            self._wait_at_most(_LAST_LINES)

    def _wait_at_most(self, seconds: float) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + seconds)
