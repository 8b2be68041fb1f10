"""One run from the request to its end: sandbox, tree, run, lines, table, exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workbench.cli.options import DEFAULT_SANDBOX, Target, first_error, opened
from workbench.cli.output.console import DIM, Look, message
from workbench.cli.output.run_printer import Output, RunPrinter
from workbench.cli.output.summary import closing_lines
from workbench.cli.run_session.follow import Follower
from workbench.cli.run_session.signals import INTERRUPTED, Interrupts, interrupts
from workbench.client import Client, Cluster, Run
from workbench.logs.run_log import RunLog
from workbench.report.report import report
from workbench.submit.submit import Order, Rerun, Source, describe, packing, size_text, submit
from workbench.text.sanitize import clean

_EXIT = {"Succeeded": 0}
_FAILED = 1
_WORTH_A_WORD = 8 * 1024 * 1024
_SHOWN_WARNINGS = 10


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Session:
    """What `c8s run` does once the pipeline is known to be good."""

    order: Order | Rerun
    where: Target
    how: Look
    verbose: bool = False
    timestamps: bool = False
    now: Callable[[], datetime] = _now
    output: Output = field(default_factory=Output)
    _created: bool = False
    """From here on there is, or may be, a run that must not be left behind."""

    async def exit_code(self) -> int:
        """Run it; 0 when it succeeded, 1 when it did not, 130 when it was interrupted."""
        with interrupts() as asked:
            try:
                async with asyncio.TaskGroup() as group:
                    work = group.create_task(self._work(asked))
                    guard = group.create_task(self._stop_early(asked, work))
                    work.add_done_callback(lambda _: guard.cancel())
            except BaseExceptionGroup as errors:
                raise first_error(errors) from errors
            run = None if work.cancelled() else work.result()
            if run is None:
                message("interrupted before the run was created: nothing was started")
                return INTERRUPTED
            return INTERRUPTED if asked.asked.is_set() else _EXIT.get(run.phase, _FAILED)

    async def _stop_early(self, asked: Interrupts, work: asyncio.Task[Run | None]) -> None:
        """Before the run exists, a request to stop just stops; later it is the follower's business."""
        await asked.asked.wait()
        if not self._created:
            work.cancel()

    async def _work(self, asked: Interrupts) -> Run | None:
        """The run at its end; None when it was not to be created any more."""
        fresh = self.order if isinstance(self.order, Order) else None
        tree, file = (fresh.tree, fresh.file) if fresh is not None else (None, None)
        async with packing(tree, file) as source, opened(self.where, start=fresh is not None) as client:
            cluster = await client.cluster()
            ready = await source
            if asked.asked.is_set():
                return None
            asked.last_words = "left; the run may have been created: `c8s runs` tells"
            self._created = True
            if ready is not None:
                _announce(ready)
            run = await self._create(client, ready)
            asked.last_words = f"left; run {run.name} goes on unless its sandbox was started for it"
            await self._introduce(run, cluster, ready)
            final = await self._follow(client, run, asked)
            lines = closing_lines(report(final, self.now()), self.how, hint=self._hint())
            await self.output.write(lines)
            return final

    async def _create(self, client: Client, source: Source | None) -> Run:
        if isinstance(self.order, Rerun):
            order = self.order
            return await client.rerun(
                order.run, key=order.key, from_failed=order.from_failed, keep_on_failure=order.keep_on_failure
            )
        return await submit(client, self.order, source)

    async def _introduce(self, run: Run, cluster: Cluster, source: Source | None) -> None:
        what = f"again {self.order.run}" if isinstance(self.order, Rerun) else self._described(self.order, source)
        lines = [f"run {clean(run.name, colour=False)} ({clean(what, colour=False)})"]
        if cluster.ignores_images:
            runtime = clean(cluster.runtime, colour=False)
            lines.append(f"images are ignored: the steps run on this machine, as you ({runtime})")
        await self.output.write([self.how.paint(line, DIM) for line in lines])

    @staticmethod
    def _described(order: Order, source: Source | None) -> str:
        if order.git is None:
            return describe(source)
        return f"{order.git['url']} at {order.git['revision']}"

    async def _follow(self, client: Client, run: Run, asked: Interrupts) -> Run:
        printer = RunPrinter(self.how, timestamps=self.timestamps)
        follower = Follower(client, run, RunLog(everything=self.verbose), printer, self.output, asked)
        return await follower.finished()

    def _hint(self) -> str:
        """The options that lead later commands to the same controller."""
        if self.where.endpoint is None:
            named = "" if self.where.name == DEFAULT_SANDBOX else f" --name {self.where.name}"
        else:
            named = ""
        return named + (f" --namespace {self.where.namespace}" if self.where.namespace else "")


def _announce(source: Source) -> None:
    """What is left out of the tree, and that a large one takes a moment to send."""
    warnings = source.packed.warnings
    for warning in warnings[:_SHOWN_WARNINGS]:
        message(f"warning: {warning}")
    if len(warnings) > _SHOWN_WARNINGS:
        message(f"warning: {len(warnings) - _SHOWN_WARNINGS} more files left out")
    if source.packed.size > _WORTH_A_WORD:
        message(f"sending {size_text(source.packed.size)}")
