"""One run from submission to summary: sandbox, working tree, log lines, table and exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from controller.run_types.phases import RunPhase
from workbench.cli.interruption import INTERRUPTED
from workbench.cli.options import DEFAULT_SANDBOX, Target, open_client, unwrap_group
from workbench.cli.output.console import DIM, ConsoleStyle, echo_error
from workbench.cli.output.reuse import reuse_lines
from workbench.cli.output.run_printer import Output, RunPrinter
from workbench.cli.output.summary import summary_lines
from workbench.cli.run_session.follow import RunFollower
from workbench.cli.run_session.require_secrets import require_secrets
from workbench.cli.run_session.signals import InterruptState, handle_interrupts
from workbench.client import Client, Cluster, Run
from workbench.client.errors import ClientError
from workbench.client.run_request import GitSource
from workbench.logs.run_log import RunLog
from workbench.report.report import build_report
from workbench.runs.reuse_explanation import explain_reuse
from workbench.session.source_manifests import SourceManifests, default_manifests
from workbench.session.view_state import workbench_folder
from workbench.submit.submit import (
    PackedSource,
    RerunSubmission,
    RunSubmission,
    describe_source,
    pack_worktree,
    submit,
)
from workbench.submit.upload import SourceUploader, upload_memory
from workbench.text.format import format_size
from workbench.text.sanitize import sanitize_line

_FAILED = 1
_LARGE_UPLOAD = 8 * 1024 * 1024
_MAX_WARNINGS = 10
_ANSWER = 3.0
"""Seconds to wait, after an interrupt, for the answer to the request that creates the run."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class RunSession:
    """Submits and follows a run of a valid pipeline."""

    submission: RunSubmission | RerunSubmission
    target: Target
    style: ConsoleStyle
    verbose: bool = False
    timestamps: bool = False
    allow_missing_secrets: bool = False
    is_kept: bool = True
    """Whether the run exists afterwards, for further commands."""
    now: Callable[[], datetime] = _now
    output: Output = field(default_factory=Output)
    manifests: SourceManifests = field(default_factory=default_manifests)
    _created: bool = False
    """Whether a run may exist, which an interrupt has to cancel."""
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the run is known, which can be cancelled then."""

    async def run(self) -> int:
        """Run and return the exit code: 0 if the run succeeded, 1 if not, 130 if interrupted."""
        with handle_interrupts() as interrupts:
            try:
                async with asyncio.TaskGroup() as group:
                    work = group.create_task(self._work(interrupts))
                    guard = group.create_task(self._stop_early(interrupts, work))
                    work.add_done_callback(lambda _: guard.cancel())
            except BaseExceptionGroup as errors:
                raise unwrap_group(errors) from errors
            run = None if work.cancelled() else work.result()
            if run is None:
                if not self._created:
                    echo_error("interrupted before the run was created: nothing was started")
                return INTERRUPTED
            return INTERRUPTED if interrupts.requested.is_set() else 0 if run.phase == RunPhase.SUCCEEDED else _FAILED

    async def _stop_early(self, interrupts: InterruptState, work: asyncio.Task[Run | None]) -> None:
        """Stop at an interrupt before the run exists; later, the follower cancels the run."""
        await interrupts.requested.wait()
        if self._created:
            try:
                async with asyncio.timeout(_ANSWER):
                    await self._answered.wait()
            except TimeoutError:
                echo_error(
                    f"the controller has not answered for {_ANSWER:.0f} s, so the run may have been created: look with "
                    f"`c8s runs{self._hint()}`, and cancel it with `c8s cancel`"
                )
            else:
                return
        interrupts.leave()
        work.cancel()

    async def _work(self, interrupts: InterruptState) -> Run | None:
        """The run at its end; None if an interrupt came before its creation."""
        fresh = self.submission if isinstance(self.submission, RunSubmission) else None
        tree, file = (fresh.tree, fresh.file) if fresh is not None else (None, None)
        packing = pack_worktree(tree, file, history=fresh is not None and fresh.has_history)
        opening = open_client(self.target, start=fresh is not None, is_interrupted=interrupts.requested.is_set)
        async with packing as source, opening as client:
            cluster = await client.cluster()
            ready = await source
            if interrupts.requested.is_set():
                return None
            if ready is not None:
                _print_source_warnings(ready)
            if not self.allow_missing_secrets:
                await require_secrets(client, self.submission, ready, self.target.options())

            def on_create() -> None:
                interrupts.exit_message = "exiting; the run may have been created, check with `c8s runs`"
                self._created = True

            run = await self._create(client, ready, on_create)
            self._answered.set()
            if ready is not None:
                await self._remember_files(run, ready)
            interrupts.exit_message = f"exiting; run {run.name} continues unless its sandbox was started for it"
            await self._print_header(run, cluster, ready)
            final = await self._follow(client, run, interrupts)
            if interrupts.requested.is_set():
                interrupts.leave()
            lines = summary_lines(
                build_report(final, self.now()), self.style, hint=self._hint() if self.is_kept else None
            )
            await self.output.write(await self._reuse_lines(client, final) + lines)
            return final

    async def _remember_files(self, run: Run, source: PackedSource) -> None:
        """Save which files the run is made from, so that a later one can tell what has changed."""
        try:
            await asyncio.to_thread(self.manifests.save, run.uid, source.archive.manifest)
        except OSError as error:
            echo_error(f"warning: the names of the files can't be saved for later comparisons: {error}")

    async def _reuse_lines(self, client: Client, run: Run) -> list[str]:
        if not run.may_reuse:
            return []
        try:
            # The watched run has no definition.
            explanation = await explain_reuse(client, await client.run(run.name), self.manifests, self.now())
        except ClientError as error:
            return [f"what was reused is not known: {sanitize_line(str(error), colour=False)}"]
        return reuse_lines(explanation, self.style) if explanation is not None else []

    async def _create(self, client: Client, source: PackedSource | None, on_create: Callable[[], None]) -> Run:
        """Create the run; `on_create` is called right before, after the upload."""
        if isinstance(self.submission, RerunSubmission):
            on_create()
            rerun = self.submission
            return await client.rerun(
                rerun.run,
                idempotency_key=rerun.idempotency_key,
                from_failed=rerun.from_failed,
                failed_tests=rerun.failed_tests,
                keep_on_failure=rerun.keep_on_failure,
            )
        tree = self.submission.tree
        memory = None if tree is None else upload_memory(workbench_folder() / "uploads", tree, repr(self.target))
        return await submit(client, self.submission, source, on_create, SourceUploader(memory))

    async def _print_header(self, run: Run, cluster: Cluster, source: PackedSource | None) -> None:
        description = sanitize_line(self._describe(source), colour=False)
        lines = [f"run {sanitize_line(run.name, colour=False)} ({description})"]
        if cluster.ignores_images:
            runtime = sanitize_line(cluster.runtime, colour=False)
            lines.append(f"images are ignored: steps run on this machine as your user ({runtime})")
        else:
            lines.append(f"steps run in their images ({sanitize_line(cluster.runtime, colour=False)})")
        await self.output.write([self.style.paint(line, DIM) for line in lines])

    def _describe(self, source: PackedSource | None) -> str:
        if isinstance(self.submission, RerunSubmission):
            return f"rerun of {self.submission.run}"
        git = self.submission.request.source
        return describe_source(git if isinstance(git, GitSource) else source)

    async def _follow(self, client: Client, run: Run, interrupts: InterruptState) -> Run:
        printer = RunPrinter(self.style, timestamps=self.timestamps)
        log = RunLog(show_all=self.verbose)
        follower = RunFollower(client, run, log, printer, self.output, interrupts, self._hint(), self._obstacle)
        return await follower.wait()

    def _obstacle(self) -> str | None:
        """Why no run can end now, if this machine can tell."""
        from workbench.sandbox.disk import full_disk_message

        return full_disk_message() if self.target.endpoint is None else None

    def _hint(self) -> str:
        """The options that select the same controller in later commands."""
        is_default = self.target.endpoint is not None or self.target.name == DEFAULT_SANDBOX
        name = "" if is_default else f" --name {self.target.name}"
        return name + (f" --namespace {self.target.namespace}" if self.target.namespace else "")


def _print_source_warnings(source: PackedSource) -> None:
    """Print which files were skipped, and the size of a large upload."""
    warnings = source.archive.warnings
    for warning in warnings[:_MAX_WARNINGS]:
        echo_error(f"warning: {warning}")
    if len(warnings) > _MAX_WARNINGS:
        echo_error(f"warning: {len(warnings) - _MAX_WARNINGS} more files skipped")
    if source.archive.size > _LARGE_UPLOAD:
        echo_error(f"uploading {format_size(source.archive.size)}")
