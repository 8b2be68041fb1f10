"""`c8s run --watch`: a run after each save, which reuses what is unchanged and replaces a run that is outdated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from controller.run_types.phases import RunPhase
from workbench.cli.interruption import INTERRUPTED
from workbench.cli.options import Target, open_client
from workbench.cli.output.console import BOLD, DIM, CommandError, ConsoleStyle, InputError, echo_error
from workbench.cli.output.diagnostics import format_diagnostics, summarize
from workbench.cli.output.run_printer import Output, RunPrinter
from workbench.cli.output.summary import summary_lines, totals_line
from workbench.cli.run_session.follow import RunFollower
from workbench.cli.run_session.require_secrets import require_secrets
from workbench.cli.run_session.signals import InterruptState, handle_interrupts
from workbench.client import Client, ConflictError, Run
from workbench.client.errors import ClientError, UnreachableError
from workbench.logs.run_log import RunLog
from workbench.pipeline_file.load import ParameterError, PipelineFile, display_path, resolve_params
from workbench.report.report import build_report
from workbench.runs.reuse_explanation import load_reuse_count
from workbench.session.source_manifests import SourceManifests, default_manifests
from workbench.submit.archive import SourceArchive
from workbench.submit.submit import PackedSource, RunSubmission, new_idempotency_key, submit
from workbench.submit.upload import SourceUploader
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_line
from workbench.watching.file_changes import FileChanges
from workbench.watching.folder_lock import watch_lock
from workbench.watching.preparation import Preparation, Prepared, UploadedSource, changed_names
from workbench.watching.settle import Settled, settled_changes

_MAX_NAMES = 3
"""Changed files that are named."""
_ANSWER = 3.0
"""Seconds to wait, after an interrupt, for the answer to the request that creates a run."""

Rounds = AsyncGenerator[Settled[Prepared], None]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class _FollowedRun:
    """The run that was started last, and the task that prints it."""

    run: Run
    task: asyncio.Task[None]
    ended: Run | None = None


@dataclass
class WatchSession:
    """Starts and follows runs of the pipeline `file` until it is interrupted.

    Args:
        submission: what each run has, apart from its pipeline, its files and its key.
    """

    submission: RunSubmission
    file: Path
    target: Target
    style: ConsoleStyle
    verbose: bool = False
    timestamps: bool = False
    allow_missing_secrets: bool = False
    hint: str = ""
    now: Callable[[], datetime] = _now
    output: Output = field(default_factory=Output)
    manifests: SourceManifests = field(default_factory=default_manifests)
    _client: Client | None = field(default=None, init=False)
    _uploader: SourceUploader = field(default_factory=lambda: SourceUploader(listed=True), init=False)
    _current: _FollowedRun | None = field(default=None, init=False)
    _last: str = field(default="", init=False)
    """The fingerprint of the run that was started last."""
    _archive: SourceArchive | None = field(default=None, init=False)
    """What that run has; the file itself is deleted."""
    _shown_problem: str = field(default="", init=False)
    _started: int = field(default=0, init=False)
    _is_idle: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Clear while a run is being created, which an interrupt has to cancel."""

    async def run(self) -> int:
        """Watch until an interrupt, and return the exit code, 130.

        Raises:
            AlreadyWatchedError: another process watches the same.
            WorktreeError: the files can't be watched.
            ClientError: the controller can't be reached at the start.
        """
        self._is_idle.set()
        what = f"{self.file}\n{self.submission.tree}\n{sorted((self.submission.request.params or {}).items())}"
        with watch_lock(f"{what}\n{self.target}"), handle_interrupts() as interrupts:
            interrupts.exit_message = "exiting; a run may continue, check with `c8s runs --watched`"
            loop = asyncio.create_task(self._loop(interrupts))
            interrupted = asyncio.create_task(interrupts.requested.wait())
            try:
                await asyncio.wait([loop, interrupted], return_when=asyncio.FIRST_COMPLETED)
                if not interrupts.requested.is_set():
                    await loop
                await self._end_run()
            finally:
                interrupts.leave()
                interrupted.cancel()
                loop.cancel()
                await asyncio.wait([loop])
            await self._say_goodbye()
        return INTERRUPTED

    async def _end_run(self) -> None:
        """Wait until the current run has been cancelled, after an interrupt; its follower requests that."""
        try:
            async with asyncio.timeout(_ANSWER):
                await self._is_idle.wait()
        except TimeoutError:
            echo_error(
                "the controller has not answered, so a run may have been created: look with `c8s runs --watched`"
            )
        if self._current is not None:
            await asyncio.wait([self._current.task])

    async def _say_goodbye(self) -> None:
        text = f"stopped watching after {plural(self._started, 'run')}"
        if self._current is not None:
            run = self._current.ended or self._current.run
            text += f"; the last one, {sanitize_line(run.name, colour=False)}, {_verdict(run)}"
        await self.output.write(["", text])

    async def _loop(self, interrupts: InterruptState) -> None:
        """Handle what has changed, over as many connections as it takes."""
        changes = FileChanges(self.submission.tree, self.file, report=echo_error)
        preparation = Preparation(self.file, self.submission.tree, self._upload)
        async with aclosing(settled_changes(changes.changes(), preparation)) as rounds:
            # The first run does not wait until the files are watched: that is reported as a change then.
            names: frozenset[str] | None = frozenset((".",))
            while names is not None:
                async with open_client(self.target, is_interrupted=interrupts.requested.is_set) as client:
                    # What was prepared without a connection is not uploaded.
                    self._client = client
                    first = Settled(names, await preparation(names))
                    lost = await self._handle_rounds(rounds, first, interrupts)
                    names, self._client = (lost.names if lost is not None else None), None

    async def _handle_rounds(
        self, rounds: Rounds, first: Settled[Prepared], interrupts: InterruptState
    ) -> Settled[Prepared] | None:
        """Handle rounds over one connection; the one to handle over the next connection, or None at the end."""
        current: Settled[Prepared] | None = first
        while current is not None:
            try:
                await self._handle(current, interrupts)
            except UnreachableError as error:
                if current is not first:
                    # It has worked before: a sandbox that has ended is started again.
                    return current
                echo_error(f"{sanitize_line(str(error), colour=False)} The next save tries again.")
                return await anext(rounds, None)
            except ClientError as error:
                echo_error(f"not started: {sanitize_line(str(error), colour=False)}")
            current = await anext(rounds, None)
        return None

    async def _upload(self, source: PackedSource) -> None:
        if self._client is not None:
            await self._uploader.upload(self._client, source.archive)

    async def _handle(self, settled: Settled[Prepared], interrupts: InterruptState) -> None:
        """Start a run for what has changed, unless it would be the same or can't start. Raises ClientError."""
        prepared = settled.prepared
        if prepared.is_disconnected:
            raise UnreachableError(prepared.problem)
        problem = prepared.problem if prepared.definition is None else await self._find_problem(prepared)
        if prepared.definition is None or problem:
            await self._show_problem(prepared, problem)
            return
        was_broken, self._shown_problem = bool(self._shown_problem), ""
        if prepared.fingerprint == self._last:
            if was_broken and self._current is not None:
                await self.output.write([f"as in run {sanitize_line(self._current.run.name, colour=False)} again"])
            return
        self._is_idle.clear()
        try:
            outdated = self._current if self._current is not None and not self._current.task.done() else None
            if outdated is not None:
                await self._abandon(outdated)
            run = await self._create(prepared)
            self._started += 1
            self._last = prepared.fingerprint
            archive = prepared.source.archive if prepared.source is not None else None
            named = changed_names(settled.names, self._archive, archive)
            self._archive = archive
            await self.output.write(["", self.style.paint(self._heading(run, named), BOLD)])
            self._follow(run, interrupts)
        finally:
            self._is_idle.set()
        if prepared.source is not None:
            await asyncio.to_thread(self._remember_files, run, prepared.source)

    async def _find_problem(self, prepared: Prepared) -> str:
        """Why a run of a valid pipeline can't start; empty if it can."""
        definition, client = prepared.definition, self._client
        assert definition is not None
        assert client is not None
        try:
            resolve_params(definition, self.submission.request.params or {})
            if not self.allow_missing_secrets:
                request = replace(self.submission.request, pipeline=definition)
                wanted = replace(self.submission, request=request)
                await require_secrets(client, wanted, prepared.source, self.target.options())
        except (ParameterError, InputError) as error:
            return str(error)
        return ""

    async def _show_problem(self, prepared: Prepared, problem: str) -> None:
        label = display_path(self.file, Path.cwd())
        lines = [sanitize_line(line, colour=False) for line in problem.splitlines()]
        if prepared.outcome is not None and prepared.outcome.has_errors:
            file = PipelineFile(self.file, label, prepared.data)
            errors = [each for each in prepared.outcome.problems if each.severity == "error"]
            lines = [*format_diagnostics(file, errors, self.style), f"{label}: {summarize(errors)}"]
        text = "\n".join(lines)
        if text == self._shown_problem:
            return
        self._shown_problem = text
        last = "" if self._current is None else f"; run {sanitize_line(self._current.run.name, colour=False)} stays"
        await self.output.write(["", *lines, f"nothing was started{last}"])

    async def _abandon(self, outdated: _FollowedRun) -> None:
        """Request the cancellation of a run that is outdated, and print no more of it."""
        outdated.task.cancel()
        await asyncio.wait([outdated.task])
        name = outdated.run.name
        assert self._client is not None
        try:
            await self._client.cancel(name)
        except ConflictError:
            return  # It has ended meanwhile.
        await self.output.write(["", self.style.paint(f"run {name} is outdated and was cancelled", DIM)])

    async def _create(self, prepared: Prepared) -> Run:
        definition = prepared.definition
        assert definition is not None
        assert self._client is not None
        request = replace(self.submission.request, pipeline=definition)
        submission = replace(self.submission, request=request, idempotency_key=new_idempotency_key())
        return await submit(UploadedSource(self._client), submission, prepared.source)

    def _heading(self, run: Run, named: Sequence[str]) -> str:
        shown = ", ".join(sanitize_line(name, colour=False) for name in named[:_MAX_NAMES])
        more = f" and {len(named) - _MAX_NAMES} more" if len(named) > _MAX_NAMES else ""
        why = f": {shown}{more} changed" if named else ""
        return f"{self.now().astimezone():%H:%M:%S} run {sanitize_line(run.name, colour=False)}{why}"

    def _follow(self, run: Run, interrupts: InterruptState) -> None:
        assert self._client is not None
        followed = _FollowedRun(run, asyncio.create_task(self._print_run(self._client, run, interrupts)))
        self._current = followed

    async def _print_run(self, client: Client, run: Run, interrupts: InterruptState) -> None:
        printer = RunPrinter(self.style, timestamps=self.timestamps)
        log = RunLog(show_all=self.verbose, show_reused=self.verbose)
        follower = RunFollower(client, run, log, printer, self.output, interrupts, self.hint)
        try:
            final = await follower.wait()
            if self._current is not None and self._current.run.uid == run.uid:
                self._current.ended = final
            report, lines = build_report(final, self.now()), []
            count = await load_reuse_count(client, final, self.now())
            if count is not None and count.reused:
                ran = sum(bool(step.attempts) for step in final.steps)
                lines.append(f"{count}, {ran} ran")
        except (ClientError, CommandError) as error:
            echo_error(f"run {run.name}: {sanitize_line(str(error), colour=False)}; the next save tries again")
            return
        failed = final.phase != RunPhase.SUCCEEDED
        lines += summary_lines(report, self.style, hint=self.hint) if failed else ["", totals_line(report, self.style)]
        await self.output.write(lines)

    def _remember_files(self, run: Run, source: PackedSource) -> None:
        """Save which files the run is made from, so that a later one can tell what has changed."""
        try:
            self.manifests.save(run.uid, source.archive.manifest)
        except OSError as error:
            echo_error(f"warning: the names of the files can't be saved for later comparisons: {error}")


def _verdict(run: Run) -> str:
    return "was cancelled" if run.phase == RunPhase.CANCELLED else run.phase.lower()
