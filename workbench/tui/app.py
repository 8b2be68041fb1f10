"""The workbench app: state that all screens share (runs, connection, clock) and global actions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import RenderableType
from textual import work
from textual.app import SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.signal import Signal

from workbench.client.errors import ClientError
from workbench.report.cluster_health import SandboxHealth
from workbench.session.view_state import Layout, SavedView
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import contained, is_going
from workbench.tui.opening import OpeningApp
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.services.ended_runs import EndedRuns
from workbench.tui.services.interfaces import (
    Connect,
    ControllerApi,
    LaunchError,
    RunLauncher,
    ShellCommand,
    WorkbenchContext,
)
from workbench.tui.services.launcher import FileLauncher
from workbench.tui.services.run_feed import RunFeed
from workbench.tui.user_work import user_work

_DISK_POLL = 2.0
"""Seconds between checks of the sandbox's disk."""
_FEED_RETRY = 3.0
"""Seconds after which a feed that has failed starts again."""
_PIPELINE_POLL = 1.0
"""Seconds between checks whether a pipeline file was written, while there is none."""
_PUBLISH_DELAY = 0.05
"""Seconds within which changes of runs are published together."""
_IDLE_TICK = 10.0
"""Seconds between two looks at the ages of runs while none is active."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class WorkbenchOptions:
    """What the workbench is opened on."""

    endpoint_label: str
    """The sandbox's name or the controller's URL, as breadcrumbs show it."""
    launcher: RunLauncher | None = None
    """Starts runs of this folder's pipeline, if it has one."""
    make_launcher: Callable[[Path], RunLauncher] = FileLauncher
    """Makes a launcher for a pipeline file that the editor has saved."""
    folder: Path | None = None
    """The folder of a new pipeline file; None: the current one."""
    open_run: str | None = None
    """The run to show first."""
    start_run: Callable[[], Awaitable[str]] | None = None
    """Creates the run to show first, and returns its name."""
    now: Callable[[], datetime] = _now
    as_of: datetime | None = None
    """The time at which the run of a file was as it is, if it had not ended: nothing changes any more."""
    sandbox: Callable[[], Awaitable[SandboxHealth]] | None = None
    """Reads the health of the sandbox, where the controller runs in one on this machine."""
    disk: Callable[[], str | None] | None = None
    """Returns a message while the disk of that sandbox is full, else None."""
    shell: ShellCommand | None = None
    command_options: str = ""
    """The options that select this controller in a command, such as ` --name other`."""
    start_sandbox: Callable[[], Awaitable[None]] | None = None
    """Starts the sandbox again; None where the controller does not run in one on this machine."""
    find_pipeline: Callable[[], Path | None] | None = None
    """Finds this folder's pipeline file, which may be written while the workbench is open."""


class Workbench(OpeningApp):
    """The workbench on one controller, which `connect` connects to."""

    CSS_PATH = "app.tcss"
    TITLE = "c8s workbench"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "launch", "Run", id="app.run", tooltip="Run this folder's pipeline on the working tree"),
        Binding("W", "watch", "Watch", show=False, id="app.watch",
                tooltip="Run after each save, only what has changed, or stop that"),
        Binding("e", "edit", "Edit", id="app.edit", tooltip="Edit this folder's pipeline"),
        Binding("ctrl+x", "cancel", "Cancel", id="app.cancel", tooltip="Cancel the run (asks first)"),
        Binding("U", "start_sandbox", "Start sandbox", show=False, id="app.start-sandbox",
                tooltip="Start the sandbox again after it was stopped"),
        Binding("C", "cluster", "Cluster", show=False, id="app.cluster",
                tooltip="Show the cluster status: sandbox, controller, queue, quota and pods"),
        Binding("ctrl+o", "jump", "Jump", show=False, id="app.jump",
                tooltip="Label what is on the screen, and go to the label that is typed"),
        Binding("K", "secrets", "Secrets", show=False, id="app.secrets",
                tooltip="Show the secrets of the pipeline, set or missing, and set them"),
        Binding("P", "deliveries", "Pushes", show=False, id="app.deliveries",
                tooltip="Show pushes and pull requests, and why each did or did not start a run"),
        Binding("H,f9", "messages", "Messages", show=False, id="app.messages",
                tooltip="Show the message history, to read and copy it"),
        Binding("question_mark,f1", "help", "Help", id="app.help", tooltip="Show the keyboard shortcuts"),
        Binding("q", "quit", "Quit", id="app.quit", tooltip="Quit (runs continue)"),
    ]  # fmt: skip

    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("launch", "watch", "edit", "cancel", "start_sandbox")

    def __init__(self, connect: Connect, options: WorkbenchOptions, app_options: AppOptions = DEFAULT_OPTIONS) -> None:
        super().__init__(app_options)
        self.endpoint_label = options.endpoint_label
        self.launcher = options.launcher
        self.make_launcher = options.make_launcher
        self.find_pipeline = options.find_pipeline
        self._clock = options.now
        self.as_of = options.as_of
        self.sandbox = options.sandbox
        self.disk_problem: str | None = None
        """Set while the disk of the sandbox is full."""
        self._disk = options.disk
        self.shell = options.shell
        self.command_options = options.command_options
        self.folder = options.folder
        self._open_run = options.open_run
        self._start_run = options.start_run
        self._ended_runs = EndedRuns(app_options.preferences.notify, lambda text: self.write_terminal(text))
        self._start_sandbox = options.start_sandbox
        self.feed = RunFeed(connect, self._schedule_publish, lambda: self.connection_changed.publish(None), options.now)
        self.runs_changed: Signal[None] = Signal(self, "runs changed")
        self.clock_ticked: Signal[None] = Signal(self, "clock ticked")
        self.connection_changed: Signal[None] = Signal(self, "connection changed")
        self._publish_pending = False
        self._restored_run: str | None = None
        """The run reopened from the saved view, until the list of runs shows whether it still exists."""
        state = app_options.view_state
        self._view, problem = state.load_view() if state is not None else (SavedView(), None)
        self._layouts = dict(self._view.layout)
        self._pending_notices += [problem] if problem is not None else []

    def on_mount(self) -> None:
        self._ticker = self.set_interval(1.0, self._publish_tick, pause=True)
        self._idle_ticker = self.set_interval(_IDLE_TICK, self._publish_tick)
        self.push_screen(RunsScreen())
        if self._open_run is not None:
            self.open_run(self._open_run)
        elif self._start_run is not None:
            self._start_first_run(self._start_run)
        else:
            self._restore_view(self._view)
        if self._disk is not None:
            self.set_interval(_DISK_POLL, self._check_disk)
        if self.launcher is None and self.find_pipeline is not None:
            self.set_interval(_PIPELINE_POLL, self.notice_pipeline)

    def on_ready(self) -> None:
        # After the first picture: the HTTP client that is loaded for this takes a fifth of the time until then.
        self._follow_runs()

    @work(group="first run", exclusive=True, description="start the first run")
    async def _start_first_run(self, start: Callable[[], Awaitable[str]]) -> None:
        try:
            name = await start()
        except (ClientError, LaunchError) as error:
            message = sanitize_label(str(error), 400)
            self.notify(message, title="Not started", severity="error", markup=False, timeout=15)
            return
        self.open_run(name)

    def now(self) -> datetime:
        return self.feed.lost_at or self._clock()

    # -- the saved view

    def _restore_view(self, view: SavedView) -> None:
        """Open the screen of the last session, if its run or file still exists."""
        if view.run is not None and view.place == self.endpoint_label and view.screen in ("run", "editor"):
            self._restored_run = view.run
            self.open_run(view.run)
        if view.screen == "editor" and view.file is not None:
            from workbench.tui.services.editor import can_be_edited

            if can_be_edited(Path(view.file)):
                self.open_editor(Path(view.file))

    def close_missing_run(self) -> None:
        """Close the restored run when it is on top and no longer exists."""
        name = self._restored_run
        if name is None or not self.feed.runs.loaded:
            return
        if self.feed.runs.get(name) is not None:
            self._restored_run = None
        elif isinstance(self.screen, WorkbenchScreen) and self.screen.STATE_KEY == "run":
            self._restored_run = None
            self.pop_screen()

    def saved_layout(self, state_key: str) -> Layout:
        """The layout that the screen with this key had when it was closed."""
        return self._layouts.get(state_key, {})

    def save_view(self) -> None:
        """Save the current view for the next start."""
        memory = self.options.view_state
        if self.crash is not None:
            return
        screens = [screen for screen in self.screen_stack if isinstance(screen, WorkbenchScreen)]
        for screen in screens:
            if screen.STATE_KEY and screen.is_mounted and not is_going(screen):
                with contained(screen):
                    self._layouts[screen.STATE_KEY] = screen.layout_state()
        named = [screen for screen in screens if screen.STATE_KEY]
        if memory is None or not named:
            return
        run = next((each.current_run for each in named if each.STATE_KEY == "run"), None)
        file = next((each.current_file for each in named if each.current_file), None) or self._view.file
        view = SavedView(self.endpoint_label, named[-1].STATE_KEY, run, file, dict(self._layouts))
        if view == self._view:
            return
        self._view = view
        try:
            memory.save_view(view)
        except OSError as error:
            self.notify_problems(f"The view can't be saved for the next start: {error}")

    def pop_screen(self) -> AwaitComplete:
        """Close the current screen; the list of runs, which is the first one, stays."""
        if len(self.screen_stack) <= 2:
            return AwaitComplete()
        self.save_view()
        left = self.screen
        popping = super().pop_screen()
        if isinstance(left, WorkbenchScreen) and left.STATE_KEY == "run" and isinstance(self.screen, WorkbenchScreen):
            self.screen.returned_from(left.current_run)
        return popping

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        self.save_view()
        self._ended_runs.restore_title()
        super().exit(result, return_code, message)

    def save_unsaved(self) -> None:
        for screen in (*self.screen_stack, self.editor):
            if isinstance(screen, WorkbenchScreen):
                screen.save()
        if self.options.view_state is not None:
            # Without the current screen, or the next start could crash in the same way.
            self.options.view_state.save_view(SavedView(self.endpoint_label, file=self._view.file))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """All actions of the screen below the palette, and commands that have no key."""
        from workbench.tui.command_palette import palette_commands

        yield SystemCommand("Theme", "Choose the theme; it is saved", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save a screenshot (SVG)", lambda: self.deliver_screenshot())
        yield from palette_commands(self, screen)

    def action_command_palette(self) -> None:
        from workbench.tui.command_palette import ActionPalette

        if self.use_command_palette and not ActionPalette.is_open(self):
            self.push_screen(ActionPalette(id="--command-palette"))

    def search_themes(self) -> None:
        from workbench.tui.command_palette import ThemePalette

        self.push_screen(ThemePalette())

    def watch_run(self, name: str) -> None:
        """Say it on the terminal when this run, which was started or opened here, has ended."""
        self._ended_runs.watch(name, self.feed.runs)

    def write_terminal(self, sequence: str) -> None:
        """Write control sequences that change nothing on the screen."""
        if self._driver is not None and sequence:
            self._driver.write(sequence)

    def close_to(self, crumb: str) -> None:
        screens = [screen for screen in self.screen_stack if isinstance(screen, WorkbenchScreen)]
        runs = [screen for screen in screens if screen.STATE_KEY == "run" and screen.current_run == crumb]
        target = runs[0] if runs else self.screen_stack[1]
        while self.screen is not target and len(self.screen_stack) > 2:
            self.pop_screen()

    def open_run(self, name: str, step: str | None = None, *, above: bool = False) -> None:
        """Show a run above the list of runs, with this step selected; `above`: above the current screen."""
        from workbench.tui.screens.run.screen import RunScreen

        if isinstance(self.screen, RunScreen) and self.screen.current_run == name and step is not None:
            self.screen.show_step(step)
            return
        while not above and len(self.screen_stack) > 2:
            self.pop_screen()
        self.push_screen(RunScreen(name, step))
        self.watch_run(name)

    @work(group="watch", exclusive=True, description="watch the runs")
    async def _follow_runs(self) -> None:
        while True:
            with contained(self):
                await self.feed.follow()
            self.feed.restart()
            await asyncio.sleep(_FEED_RETRY)

    def _check_disk(self) -> None:
        problem = self._disk() if self._disk is not None else None
        if problem != self.disk_problem:
            self.disk_problem = problem
            self.connection_changed.publish(None)

    def _schedule_publish(self) -> None:
        if not self._publish_pending:
            self._publish_pending = True
            self.set_timer(_PUBLISH_DELAY, self._publish_changes)

    def _publish_changes(self) -> None:
        self._publish_pending = False
        self.close_missing_run()
        self._ended_runs.report(self.feed.runs)
        is_active = self.feed.runs.active
        for ticker, is_wanted in ((self._ticker, is_active), (self._idle_ticker, not is_active)):
            if is_wanted:
                ticker.resume()
            else:
                ticker.pause()
        self.runs_changed.publish(None)

    def _publish_tick(self) -> None:
        self.clock_ticked.publish(None)

    @property
    def can_start_sandbox(self) -> bool:
        return self._start_sandbox is not None

    def action_start_sandbox(self) -> None:
        if self.feed.connection_error is None:
            self.notify("The controller is connected.")
        elif self._start_sandbox is None:
            self.notify("The controller does not run in a sandbox on this machine.", severity="warning")
        else:
            self._bring_up(self._start_sandbox)

    @user_work("start the sandbox")
    async def _bring_up(self, start: Callable[[], Awaitable[None]]) -> None:
        from workbench.client.endpoint import SandboxError

        with self.start_once("The sandbox") as is_first:
            if not is_first:
                return
            self.notify("Starting the sandbox …", timeout=3)
            try:
                await start()
            except SandboxError as error:
                message = sanitize_label(str(error), 400)
                self.notify(message, title="Not started", severity="error", markup=False, timeout=15)

    def action_cancel(self) -> None:
        screen = self.screen
        run = self.feed.runs.get(screen.current_run or "") if isinstance(screen, WorkbenchScreen) else None
        if run is None:
            self.notify("No run is selected.", severity="information")
        elif run.ended:
            self.notify(f"{sanitize_label(run.name, 60)} has already ended.", markup=False)
        elif self.feed.controller is not None:
            self._cancel(self.feed.controller, run.name)

    @user_work("cancel a run")
    async def _cancel(self, controller: ControllerApi, name: str) -> None:
        from workbench.tui.screens.dialogs import ConfirmDialog

        detail = "Running steps are stopped, waiting steps never start. Logs are kept."
        if not await self.push_screen_wait(ConfirmDialog(f"Cancel {name}?", detail, "Cancel the run")):
            return
        try:
            await controller.cancel(name)
        except ClientError as error:
            self.notify(
                sanitize_label(str(error), 400), title="Not cancelled", severity="error", markup=False, timeout=15
            )


if TYPE_CHECKING:

    def _as_context(app: Workbench) -> WorkbenchContext:
        """Lets mypy check that the app is what its screens expect."""
        return app
