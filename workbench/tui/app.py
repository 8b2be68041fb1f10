"""The app: holds what all screens share (runs, connection, clock) and what can be done anywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

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
from workbench.submit.worktree import PIPELINE_FILES
from workbench.text.sanitize import sanitize_label
from workbench.tui.base_app import DEFAULT_OPTIONS, AppOptions, BaseApp, key_label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.services.interfaces import Connect, ControllerApi, RunLauncher, ShellCommand
from workbench.tui.services.launcher import FileLauncher
from workbench.tui.services.run_feed import RunFeed

_PUBLISH_DELAY = 0.05
"""Seconds within which changes of runs are shown together."""


def _now() -> datetime:
    return datetime.now(UTC)


class Workbench(BaseApp[int]):
    """`connect` opens the controller at `place`; `launcher` starts runs of this folder's pipeline, if it has one."""

    CSS_PATH = "app.tcss"
    TITLE = "c8s workbench"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "launch", "Run", id="app.run", tooltip="Run this folder's pipeline on the working tree"),
        Binding("e", "edit", "Edit", id="app.edit", tooltip="Edit this folder's pipeline"),
        Binding("ctrl+x", "cancel", "Cancel", id="app.cancel", tooltip="Cancel the run (asks first)"),
        Binding("C", "cluster", "Cluster", show=False, id="app.cluster",
                tooltip="How sandbox, controller, queue, quota and pods are"),
        Binding("H,f9", "messages", "Messages", show=False, id="app.messages",
                tooltip="What was said in passing, to be read again and copied"),
        Binding("question_mark,f1", "help", "Help", id="app.help", tooltip="What the keys do"),
        Binding("q", "quit", "Quit", id="app.quit", tooltip="Leave; what runs goes on"),
    ]  # fmt: skip

    def __init__(
        self,
        connect: Connect,
        *,
        endpoint_label: str,
        launcher: RunLauncher | None = None,
        make_launcher: Callable[[Path], RunLauncher] = FileLauncher,
        folder: Path | None = None,
        open_run: str | None = None,
        now: Callable[[], datetime] = _now,
        sandbox: Callable[[], Awaitable[SandboxHealth]] | None = None,
        options: AppOptions = DEFAULT_OPTIONS,
        shell: ShellCommand | None = None,
    ) -> None:
        super().__init__(options)
        self.sandbox, self.shell = sandbox, shell
        """How the sandbox is, where it is one of this machine; and what opens a shell in a step."""
        self.endpoint_label, self.launcher, self.now = endpoint_label, launcher, now
        self._make_launcher, self._folder = make_launcher, folder
        self._last_params: dict[str, str] = {}
        """What was given for parameters the last time."""
        self.feed = RunFeed(connect, self._schedule_publish, lambda: self.connection_changed.publish(None))
        self.runs_changed: Signal[None] = Signal(self, "runs changed")
        self.clock_ticked: Signal[None] = Signal(self, "ticked")
        self.connection_changed: Signal[None] = Signal(self, "place changed")
        self._open_run = open_run
        self._publish_pending = False
        self._restored_run: str | None = None
        """The run that was opened because it was open the last time, until it is known whether it is still there."""
        self._view, problem = options.view_state.load_view() if options.view_state is not None else (SavedView(), None)
        self._layouts = dict(self._view.layout)
        self._pending_notices += [problem] if problem is not None else []

    def on_mount(self) -> None:
        self._ticker = self.set_interval(1.0, self._publish_tick, pause=True)
        self.push_screen(RunsScreen())
        if self._open_run is not None:
            self.open_run(self._open_run)
        else:
            self._restore_view(self._view)
        self._follow_runs()

    # -- where one was

    def _restore_view(self, view: SavedView) -> None:
        """To the screen of the last time, as far as what it showed is still there."""
        if view.run is not None and view.place == self.endpoint_label and view.screen in ("run", "editor"):
            self._restored_run = view.run
            self.open_run(view.run)
        if view.screen == "editor" and view.file is not None:
            from workbench.tui.screens.editor import EditorScreen, can_be_edited

            if can_be_edited(Path(view.file)):
                self.push_screen(EditorScreen(Path(view.file)))

    def close_missing_run(self) -> None:
        """Leave the run of the last time as soon as one looks at it, if there is none of its name any more."""
        name = self._restored_run
        if name is None or not self.feed.runs.loaded:
            return
        if self.feed.runs.get(name) is not None:
            self._restored_run = None
        elif isinstance(self.screen, WorkbenchScreen) and self.screen.STATE_KEY == "run":
            self._restored_run = None
            self.pop_screen()

    def saved_layout(self, screen: WorkbenchScreen) -> Layout:
        """What a screen of this kind was like when it was left."""
        return self._layouts.get(screen.STATE_KEY, {})

    def save_view(self) -> None:
        """Keep where one is, for the next start."""
        memory = self.options.view_state
        if self.crash is not None:
            return
        screens = [screen for screen in self.screen_stack if isinstance(screen, WorkbenchScreen)]
        for screen in screens:
            if screen.STATE_KEY and screen.is_mounted:
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
            self.notify_problems(f"Where you are can't be kept for the next start: {error}")

    def pop_screen(self) -> AwaitComplete:
        self.save_view()
        return super().pop_screen()

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        self.save_view()
        super().exit(result, return_code, message)

    def save_unsaved(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, WorkbenchScreen):
                screen.save()
        if self.options.view_state is not None:
            # Not back to what ended it, or the next start would end like this one.
            self.options.view_state.save_view(SavedView(self.endpoint_label, file=self._view.file))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of the screen that the palette was called on, and what has no key."""
        from workbench.tui.command_palette import palette_commands

        yield SystemCommand("Theme", "Choose how it looks; kept for the next time", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save a picture of the screen (SVG)", lambda: self.deliver_screenshot())
        yield from palette_commands(self, screen)

    def open_run(self, name: str) -> None:
        """Show a run on a screen of its own, above the list."""
        from workbench.tui.screens.run import RunScreen

        while len(self.screen_stack) > 2:
            self.pop_screen()
        self.push_screen(RunScreen(name))

    @work(group="watch", exclusive=True, description="watch the runs")
    async def _follow_runs(self) -> None:
        await self.feed.follow()

    def _schedule_publish(self) -> None:
        if not self._publish_pending:
            self._publish_pending = True
            self.set_timer(_PUBLISH_DELAY, self._publish_changes)

    def _publish_changes(self) -> None:
        self._publish_pending = False
        self.close_missing_run()
        if self.feed.runs.active:
            self._ticker.resume()
        else:
            self._ticker.pause()
        self.runs_changed.publish(None)

    def _publish_tick(self) -> None:
        self.clock_ticked.publish(None)

    def action_help(self) -> None:
        from workbench.tui.screens.help import HelpScreen

        if not self.screen.is_modal:
            self.push_screen(HelpScreen(self.screen))

    def action_messages(self) -> None:
        from workbench.tui.screens.notifications import NotificationsScreen

        if not self.screen.is_modal and not isinstance(self.screen, NotificationsScreen):
            self.push_screen(NotificationsScreen())

    def action_cluster(self) -> None:
        from workbench.tui.screens.cluster import ClusterScreen

        if not self.screen.is_modal:
            self.push_screen(ClusterScreen())

    def action_edit(self) -> None:
        """Open the editor on this folder's pipeline; where there is none, on a new one."""
        from workbench.tui.screens.editor import EditorScreen

        if not self.screen.is_modal and not isinstance(self.screen, EditorScreen):
            path = self.launcher.path if self.launcher is not None else (self._folder or Path.cwd()) / PIPELINE_FILES[0]
            self.push_screen(EditorScreen(path))

    def pipeline_saved(self, path: Path) -> None:
        """The editor has written this file: from now on there is one to run."""
        if self.launcher is None:
            self.launcher = self._make_launcher(path)

    def action_launch(self) -> None:
        if self.launcher is None:
            writes = key_label(self, "app.edit", "e")
            told = f"There is no .c8s.yaml in this folder to run; {writes} writes one."
            self.notify(told, severity="warning", markup=False)
        elif not self.screen.is_modal:
            self._launch_if_connected(self.launcher, None)

    def launch_text(self, path: Path, text: str) -> None:
        """Run this text as the pipeline at `path`, saved or not, on the working tree around it."""
        self._launch_if_connected(self.launcher or self._make_launcher(path), text)

    def launch_with(self, launcher: RunLauncher, reuse_from: str | None = None) -> None:
        """Run what this launcher has; steps that succeeded in `reuse_from` and would be the same are not run again."""
        self._launch_if_connected(launcher, None, reuse_from)

    def _launch_if_connected(self, launcher: RunLauncher, text: str | None, reuse_from: str | None = None) -> None:
        if self.feed.controller is None or self.feed.connection_error is not None:
            self.notify("There is no connection to run it on.", severity="warning")
        else:
            self._launch(launcher, self.feed.controller, text, reuse_from)

    @work(group="launch", exclusive=True, description="start a run")
    async def _launch(
        self, launcher: RunLauncher, controller: ControllerApi, text: str | None, reuse_from: str | None
    ) -> None:
        from workbench.tui.services.interfaces import LaunchError

        try:
            definition = await launcher.definition(text=text)
            if definition is not None and definition.get("params"):
                from workbench.tui.screens.params import ParamsDialog

                given = await self.push_screen_wait(ParamsDialog(definition, self._last_params))
                if given is None:
                    return
                self._last_params = given
            self.notify(
                f"Packing the working tree around {sanitize_label(launcher.path.name, 60)}", markup=False, timeout=2
            )
            params = self._last_params if definition else None
            launched = await launcher.launch(controller, text=text, params=params, reuse_from=reuse_from)
        except (ClientError, LaunchError) as error:
            self.notify(
                sanitize_label(str(error), 400), title="Not started", severity="error", markup=False, timeout=15
            )
            return
        for warning in launched.warnings[:5]:
            self.notify(sanitize_label(warning, 300), severity="warning", markup=False)
        if launched.run is None:
            from workbench.tui.screens.dialogs import ProblemsDialog

            self.push_screen(ProblemsDialog(launcher.path.name, launched.problems))
        else:
            self.open_run(launched.run.name)

    def action_cancel(self) -> None:
        screen = self.screen
        run = self.feed.runs.get(screen.current_run or "") if isinstance(screen, WorkbenchScreen) else None
        if run is None:
            return
        if run.ended:
            self.notify(f"{sanitize_label(run.name, 60)} has ended already.", markup=False)
        elif self.feed.controller is not None:
            self._cancel(self.feed.controller, run.name)

    @work(group="cancel", exclusive=True, description="cancel a run")
    async def _cancel(self, controller: ControllerApi, name: str) -> None:
        from workbench.tui.screens.dialogs import ConfirmDialog

        detail = "Running steps are stopped, waiting ones never start. Logs are kept."
        if not await self.push_screen_wait(ConfirmDialog(f"Cancel {name}?", detail, "Cancel the run")):
            return
        try:
            await controller.cancel(name)
        except ClientError as error:
            self.notify(
                sanitize_label(str(error), 400), title="Not cancelled", severity="error", markup=False, timeout=15
            )
