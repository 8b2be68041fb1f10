"""The logs of a run: those of the panes are followed, loaded with their times, and saved to files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType

from workbench.logs.log_file import LogFileError
from workbench.logs.save import SaveError, save_log
from workbench.logs.step_logs import StepLogs
from workbench.session.downloads import downloads_folder
from workbench.submit.worktree import tree_root
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import is_going
from workbench.tui.screens.run.shell import ShellActions
from workbench.tui.services.log_feed import LogFeed, LogRequest
from workbench.tui.terminal import clipboard
from workbench.tui.terminal.external_programs import temporary_folder
from workbench.tui.terminal.served import give_file, is_served
from workbench.tui.user_work import user_work
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.pane import LogPane


class LogActions(ShellActions):
    """A screen with the logs of one run in a `LogGrid`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "container", "Container", show=False, id="run.container",
                tooltip="Show the log of the next container: agent, services"),
        Binding("s", "follow", "Follow", show=False, id="run.follow",
                tooltip="Follow new lines of the log, or stop following"),
    ]  # fmt: skip

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run_name = run
        self._logs = StepLogs()
        self._feed = LogFeed(run, self._logs, self._lines_received, self._log_failed)
        self._active_requests: frozenset[LogRequest] = frozenset()

    def on_unmount(self) -> None:
        self._logs.close()

    def _log_requests(self) -> dict[LogPane, LogRequest]:
        """The log request of each pane."""
        return {
            pane: LogRequest.of(self._run_name, pane.step, pane.key)
            for pane in self.query_one(LogGrid).panes
            if pane.step is not None and pane.key is not None
        }

    def _stream_if_needed(self) -> None:
        wanted = frozenset(each for each in self._log_requests().values() if not self._logs.is_complete(each.key))
        # A log that was streamed to its end is not loaded again once it is stored.
        same = {each.key for each in wanted} == {each.key for each in self._active_requests}
        if self.workbench.feed.controller is not None and not same:
            self._active_requests = wanted
            self._follow(wanted)

    @work(group="logs", exclusive=True, description="follow the logs that are shown")
    async def _follow(self, requests: frozenset[LogRequest]) -> None:
        controller = self.workbench.feed.controller
        if controller is not None:
            await self._feed.follow(controller, requests)

    def _lines_received(self) -> None:
        if self.is_mounted and not is_going(self):
            self.query_one(LogGrid).lines_received()

    def _log_failed(self, problem: str) -> None:
        self.notify(sanitize_label(problem, 300), title="Log", severity="warning", markup=False)

    @on(LogPane.TimestampsRequested)
    @work(group="times", exclusive=True, description="bring the times of a log")
    async def _load_timestamps(self, event: LogPane.TimestampsRequested) -> None:
        controller = self.workbench.feed.controller
        wanted = next((each for each in self._log_requests().values() if each.key == event.key), None)
        if controller is not None and wanted is not None and wanted.stored:
            await self._feed.load_timestamps(controller, wanted)
            for pane in self.query_one(LogGrid).panes:
                pane.timestamps_loaded()

    @on(LogPane.SaveRequested)
    @user_work("save a log")
    async def _save_log(self, event: LogPane.SaveRequested) -> None:
        pane, key = event.pane, event.pane.key
        log = pane.view.log_file
        if key is None or log is None:
            self.notify("There is no log to save.", severity="information")
            return
        name = f"{self._run_name}-{key.step}-{key.attempt}{'' if key.container == 'step' else f'-{key.container}'}.log"
        try:
            folder = temporary_folder() if is_served() else downloads_folder(tree_root(None, Path.cwd()))
            path = await asyncio.to_thread(save_log, log, folder, name)
            if is_served():
                give_file(self.app, path, name)
                return
        except (SaveError, LogFileError, OSError) as error:
            self.notify(str(error), title="Not saved", severity="error", markup=False)
            return
        trouble = await clipboard.copy(str(path), self.app.copy_to_clipboard) if event.copy else None
        copied = "; its path is copied" if event.copy and trouble is None else ""
        lines = f"{len(log):,} line{'' if len(log) == 1 else 's'}"
        self.notify(f"Saved {lines} to {sanitize_label(str(path), 200)}{copied}", markup=False)

    def action_container(self) -> None:
        """Works also when the log has no lines, so that its pane can't have the focus."""
        if self.is_mounted:
            self.query_one(LogGrid).active.action_other_container()

    def action_follow(self) -> None:
        """Works also while the log does not have the focus."""
        # A key can come before the screen has a log, as in `RunScreen.action_back`.
        if self.is_mounted:
            self.query_one(LogGrid).active.view.action_toggle_follow()
