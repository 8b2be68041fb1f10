"""The part of the workbench that starts a run after each save."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from textual import work
from textual.signal import Signal
from textual.worker import Worker

from workbench.client.errors import ClientError, ConflictError
from workbench.client.models import Run
from workbench.client.run_request import RunRequest
from workbench.session.source_manifests import default_manifests
from workbench.submit.repository import WorktreeError
from workbench.submit.submit import PackedSource, RunSubmission, new_idempotency_key, submit
from workbench.submit.upload import SourceUploader
from workbench.submit.worktree import tree_root
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.launching import LaunchingApp
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.services.interfaces import ControllerApi, LaunchError
from workbench.watching.file_changes import FileChanges
from workbench.watching.folder_lock import AlreadyWatchedError, watch_lock
from workbench.watching.preparation import Preparation, Prepared, UploadedSource
from workbench.watching.settle import Settled, settled_changes

Changes = Callable[[Path, Path, Callable[[str], None]], AsyncGenerator[frozenset[str], None]]


def _file_changes(tree: Path, file: Path, report: Callable[[str], None]) -> AsyncGenerator[frozenset[str], None]:
    return FileChanges(tree, file, report).changes()


class WatchingApp(LaunchingApp):
    """The base of the workbench, which sets `connection_changed`."""

    connection_changed: Signal[None]
    endpoint_label: str

    def __init__(self, options: AppOptions = DEFAULT_OPTIONS) -> None:
        super().__init__(options)
        self.file_changes: Changes = _file_changes
        self._watch_worker: Worker[None] | None = None
        self._watched_run: Run | None = None
        """The run that was started last because a file was saved."""
        self._watched_fingerprint = ""
        self._watch_problem = ""
        self._uploader = SourceUploader(listed=True)

    @property
    def is_watching(self) -> bool:
        """Whether a run starts after each save."""
        return self._watch_worker is not None

    def action_watch(self) -> None:
        """Start to watch this folder's pipeline, or stop."""
        if self._watch_worker is not None:
            self._watch_worker.cancel()
            return
        self.notice_pipeline()
        if self.screen.is_modal:
            return
        if self.launcher is None or not self.launcher.path.is_file():
            message = "There is no pipeline file in this folder to watch."
            self.notify(message, severity="warning", markup=False)
        elif self.feed.controller is None or self.feed.connection_error is not None:
            self.notify("There is no connection to the controller.", severity="warning")
        else:
            self._watch_worker = self._watch(self.launcher.path.absolute())
            self.connection_changed.publish(None)

    @work(group="runs after saves", exclusive=True, description="start a run after each save")
    async def _watch(self, file: Path) -> None:
        tree = tree_root(file, Path.cwd())
        self._watched_run, self._watched_fingerprint, self._watch_problem = None, "", ""
        try:
            params = await self._ask_once(file)
            if params is None:
                return
            with watch_lock(f"{file}\n{tree}\n{sorted(params.items())}\n{self.endpoint_label}"):
                await self._run_after_saves(file, tree, params)
        except (AlreadyWatchedError, WorktreeError, LaunchError, ClientError, OSError) as error:
            self._warn(str(error), "Not watching")
        finally:
            self._watch_worker = None
            self.connection_changed.publish(None)

    async def _ask_once(self, file: Path) -> Mapping[str, str] | None:
        """The parameters of all runs, and the user's consent where secrets are missing; None if the user gives up."""
        launcher, controller = self.launcher, self.feed.controller
        if launcher is None or controller is None:
            return None
        definition = (await launcher.load()).definition
        if definition is None:
            return {}  # What is wrong with the file is shown as after a save.
        with self.hold_keys():
            answer = self._ask_params(definition)
        params = await answer if answer is not None else {}
        if params is None or not await self._confirm_secrets(controller, definition):
            return None
        return params

    async def _run_after_saves(self, file: Path, tree: Path, params: Mapping[str, str]) -> None:
        preparation = Preparation(file, tree, self._upload_source)
        changes = self.file_changes(tree, file, lambda text: self._warn(text, "Watching"))
        key = key_label(self, "app.watch", "W")
        self.notify(f"A run starts after each save; {key} stops that.", markup=False, timeout=4)
        async with aclosing(settled_changes(changes, preparation)) as rounds:
            first = frozenset((".",))
            await self._handle_saves(Settled(first, await preparation(first)), params)
            async for settled in rounds:
                await self._handle_saves(settled, params)

    async def _upload_source(self, source: PackedSource) -> None:
        if self.feed.controller is not None:
            await self._uploader.upload(self.feed.controller, source.archive)

    async def _handle_saves(self, settled: Settled[Prepared], params: Mapping[str, str]) -> None:
        """Start a run for what has changed, unless it would be the same or can't start."""
        prepared, controller = settled.prepared, self.feed.controller
        if prepared.definition is None or controller is None:
            self._show_watch_problem(prepared)
            return
        self._watch_problem = ""
        if prepared.fingerprint == self._watched_fingerprint:
            return
        try:
            await self._cancel_outdated(controller)
            run = await self._create_watched(controller, prepared, prepared.definition, params)
        except ClientError as error:
            self._warn(str(error), "Not started")
            return
        earlier, self._watched_run = self._watched_run, run
        self._watched_fingerprint = prepared.fingerprint
        shown = self._shown_run()
        if earlier is None or shown == earlier.name:
            self.open_run(run.name)
        if prepared.source is not None:
            await asyncio.to_thread(_remember_files, run, prepared.source)

    async def _cancel_outdated(self, controller: ControllerApi) -> None:
        last = self._watched_run
        known = self.feed.runs.get(last.name) if last is not None else None
        if last is None or (known is not None and known.ended):
            return
        # It may have ended meanwhile.
        with suppress(ConflictError):
            await controller.cancel(last.name)

    async def _create_watched(
        self, controller: ControllerApi, prepared: Prepared, definition: Mapping[str, Any], params: Mapping[str, str]
    ) -> Run:
        request = RunRequest(definition, event="push", params=params, reuse=True, watch=True)
        submission = RunSubmission(request, new_idempotency_key())
        return await submit(UploadedSource(controller), submission, prepared.source)

    def _shown_run(self) -> str | None:
        from workbench.tui.screens.base import WorkbenchScreen

        return self.screen.current_run if isinstance(self.screen, WorkbenchScreen) else None

    def _show_watch_problem(self, prepared: Prepared) -> None:
        problem = prepared.problem
        if prepared.outcome is not None and prepared.outcome.has_errors:
            error = next(each for each in prepared.outcome.problems if each.severity == "error")
            problem = f"line {error.line}: {error.message}"
        if problem and problem != self._watch_problem:
            last = f" Run {self._watched_run.name} stays." if self._watched_run is not None else ""
            self._warn(f"{problem}.{last}", "Not started")
        self._watch_problem = problem

    def _warn(self, text: str, title: str) -> None:
        self.notify(sanitize_label(text, 400), title=title, severity="warning", markup=False, timeout=10)


def _remember_files(run: Run, source: PackedSource) -> None:
    """Save which files the run is made from; without them, later comparisons are less exact."""
    try:
        default_manifests().save(run.uid, source.archive.manifest)
    except OSError:
        return
