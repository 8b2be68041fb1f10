"""One run from the request to its end: sandbox, tree, run, lines, table, exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workbench.cli.options import DEFAULT_SANDBOX, Target, open_client, unwrap_group
from workbench.cli.output.console import DIM, ConsoleStyle, echo_error
from workbench.cli.output.run_printer import Output, RunPrinter
from workbench.cli.output.summary import summary_lines
from workbench.cli.run_session.follow import RunFollower
from workbench.cli.run_session.signals import INTERRUPTED, InterruptState, handle_interrupts
from workbench.client import Client, Cluster, Run
from workbench.logs.run_log import RunLog
from workbench.report.report import build_report
from workbench.submit.submit import (
    PackedSource,
    RerunSubmission,
    RunSubmission,
    describe_source,
    format_size,
    pack_worktree,
    submit,
)
from workbench.text.sanitize import sanitize_line

_EXIT = {"Succeeded": 0}
_FAILED = 1
_WORTH_A_WORD = 8 * 1024 * 1024
_SHOWN_WARNINGS = 10


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class RunSession:
    """What `c8s run` does once the pipeline is known to be good."""

    order: RunSubmission | RerunSubmission
    where: Target
    how: ConsoleStyle
    verbose: bool = False
    timestamps: bool = False
    now: Callable[[], datetime] = _now
    output: Output = field(default_factory=Output)
    _created: bool = False
    """From here on there is, or may be, a run that must not be left behind."""

    async def run(self) -> int:
        """Run it; 0 when it succeeded, 1 when it did not, 130 when it was interrupted."""
        with handle_interrupts() as asked:
            try:
                async with asyncio.TaskGroup() as group:
                    work = group.create_task(self._work(asked))
                    guard = group.create_task(self._stop_early(asked, work))
                    work.add_done_callback(lambda _: guard.cancel())
            except BaseExceptionGroup as errors:
                raise unwrap_group(errors) from errors
            run = None if work.cancelled() else work.result()
            if run is None:
                echo_error("interrupted before the run was created: nothing was started")
                return INTERRUPTED
            return INTERRUPTED if asked.requested.is_set() else _EXIT.get(run.phase, _FAILED)

    async def _stop_early(self, asked: InterruptState, work: asyncio.Task[Run | None]) -> None:
        """Before the run exists, a request to stop just stops; later it is the follower's business."""
        await asked.requested.wait()
        if not self._created:
            work.cancel()

    async def _work(self, asked: InterruptState) -> Run | None:
        """The run at its end; None when it was not to be created any more."""
        fresh = self.order if isinstance(self.order, RunSubmission) else None
        tree, file = (fresh.tree, fresh.file) if fresh is not None else (None, None)
        async with pack_worktree(tree, file) as source, open_client(self.where, start=fresh is not None) as client:
            cluster = await client.cluster()
            ready = await source
            if asked.requested.is_set():
                return None
            asked.exit_message = "left; the run may have been created: `c8s runs` tells"
            self._created = True
            if ready is not None:
                _print_source_warnings(ready)
            run = await self._create(client, ready)
            asked.exit_message = f"left; run {run.name} goes on unless its sandbox was started for it"
            await self._print_header(run, cluster, ready)
            final = await self._follow(client, run, asked)
            lines = summary_lines(build_report(final, self.now()), self.how, hint=self._hint())
            await self.output.write(lines)
            return final

    async def _create(self, client: Client, source: PackedSource | None) -> Run:
        if isinstance(self.order, RerunSubmission):
            order = self.order
            return await client.rerun(
                order.run,
                key=order.idempotency_key,
                from_failed=order.from_failed,
                keep_on_failure=order.keep_on_failure,
            )
        return await submit(client, self.order, source)

    async def _print_header(self, run: Run, cluster: Cluster, source: PackedSource | None) -> None:
        what = (
            f"again {self.order.run}"
            if isinstance(self.order, RerunSubmission)
            else self._described(self.order, source)
        )
        lines = [f"run {sanitize_line(run.name, colour=False)} ({sanitize_line(what, colour=False)})"]
        if cluster.ignores_images:
            runtime = sanitize_line(cluster.runtime, colour=False)
            lines.append(f"images are ignored: the steps run on this machine, as you ({runtime})")
        await self.output.write([self.how.paint(line, DIM) for line in lines])

    @staticmethod
    def _described(order: RunSubmission, source: PackedSource | None) -> str:
        if order.git is None:
            return describe_source(source)
        return f"{order.git['url']} at {order.git['revision']}"

    async def _follow(self, client: Client, run: Run, asked: InterruptState) -> Run:
        printer = RunPrinter(self.how, timestamps=self.timestamps)
        follower = RunFollower(client, run, RunLog(show_all=self.verbose), printer, self.output, asked)
        return await follower.wait()

    def _hint(self) -> str:
        """The options that lead later commands to the same controller."""
        if self.where.endpoint is None:
            named = "" if self.where.name == DEFAULT_SANDBOX else f" --name {self.where.name}"
        else:
            named = ""
        return named + (f" --namespace {self.where.namespace}" if self.where.namespace else "")


def _print_source_warnings(source: PackedSource) -> None:
    """What is left out of the tree, and that a large one takes a moment to send."""
    warnings = source.archive.warnings
    for warning in warnings[:_SHOWN_WARNINGS]:
        echo_error(f"warning: {warning}")
    if len(warnings) > _SHOWN_WARNINGS:
        echo_error(f"warning: {len(warnings) - _SHOWN_WARNINGS} more files left out")
    if source.archive.size > _WORTH_A_WORD:
        echo_error(f"sending {format_size(source.archive.size)}")
