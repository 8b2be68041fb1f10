"""The part of the workbench that opens screens which can be shown above any other."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.bundle.playback import Playback
from workbench.submit.worktree import PIPELINE_FILES
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.watching import WatchingApp
from workbench.tui.widgets.jump_targets import JumpTarget, jump_targets

if TYPE_CHECKING:
    from workbench.tui.screens.editor import EditorScreen


class OpeningApp(WatchingApp):
    """The base of the workbench."""

    def __init__(self, options: AppOptions = DEFAULT_OPTIONS) -> None:
        super().__init__(options)
        self.folder: Path | None = None
        """The folder of a new pipeline file; None: the current one."""
        self.editor: EditorScreen | None = None
        """The editor that was opened last; it is kept when it is left."""
        self._editor_numbers = count()

    def action_help(self) -> None:
        from workbench.tui.screens.help import HelpScreen

        if not self.screen.is_modal:
            self.push_screen(HelpScreen(self.screen))

    def open_replay(self, playback: Playback, step: str | None) -> None:
        """Play a run that has ended."""
        from workbench.tui.screens.run.replay import ReplayScreen

        self.push_screen(ReplayScreen(playback, step))

    def action_messages(self) -> None:
        from workbench.tui.screens.notifications import NotificationsScreen

        if not self.screen.is_modal and not isinstance(self.screen, NotificationsScreen):
            self.push_screen(NotificationsScreen())

    def action_cluster(self) -> None:
        from workbench.tui.screens.cluster import ClusterScreen

        if not self.screen.is_modal:
            self.push_screen(ClusterScreen())

    def action_secrets(self) -> None:
        """Show the secrets of the run that is shown, or of this folder's pipeline."""
        from workbench.tui.screens.base import WorkbenchScreen
        from workbench.tui.screens.secrets.screen import SecretsScreen

        screen = self.screen
        if screen.is_modal or isinstance(screen, SecretsScreen) or not isinstance(screen, WorkbenchScreen):
            return
        self.notice_pipeline()
        self.push_screen(SecretsScreen(run=screen.current_run if len(self.screen_stack) > 2 else None))

    def action_deliveries(self) -> None:
        """Show the pushes and pull requests that forges reported; one comes back to them where one left."""
        from workbench.tui.screens.deliveries import DeliveriesScreen

        if self.screen.is_modal:
            return
        if any(isinstance(screen, DeliveriesScreen) for screen in self.screen_stack):
            while not isinstance(self.screen, DeliveriesScreen):
                self.pop_screen()
        else:
            self.push_screen(DeliveriesScreen())

    def open_details(self, run: str, step: str | None, tab: str) -> None:
        """Show a tab of the details of a run, or of one of its steps."""
        from workbench.tui.screens.details import DetailsScreen

        if isinstance(self.screen, DetailsScreen):
            self.pop_screen()
        self.push_screen(DetailsScreen(run, step, tab))

    def action_edit(self) -> None:
        """Open the editor on this folder's pipeline, or on a new file."""
        from workbench.tui.screens.editor import EditorScreen

        if not self.screen.is_modal and not isinstance(self.screen, EditorScreen):
            path = self.launcher.path if self.launcher is not None else (self.folder or Path.cwd()) / PIPELINE_FILES[0]
            self.open_editor(path)

    def open_editor(self, path: Path) -> None:
        """Show the editor; one that was left comes back with its cursor, its selection and its undo history."""
        from workbench.tui.screens.editor import EditorScreen

        if self.read_only:
            self.refuse_to_write()
            return
        left = self.editor
        # In the stack only once: a screen that is below itself would be resized without end.
        while left is not None and left in self.screen_stack and self.screen is not left:
            self.pop_screen()
        if left is None or left.current_file != str(path.absolute()) or not left.is_open or not left.is_running:
            if left is not None:
                if left is self.screen:
                    self.pop_screen()
                self.uninstall_screen(left)
                if left.is_running:
                    left.remove()
            self.editor = EditorScreen(path)
            # An installed screen is not removed when it is popped.
            self.install_screen(self.editor, f"editor {next(self._editor_numbers)}")
        if self.editor is not None and self.screen is not self.editor:
            self.push_screen(self.editor)

    def edit_file(self, path: Path) -> None:
        from workbench.tui.screens.editor import EditorScreen

        if isinstance(self.screen, EditorScreen):
            self.pop_screen()
        self.open_editor(path)

    def action_jump(self) -> None:
        """Label what can be jumped to."""
        from workbench.tui.screens.jump import JumpScreen

        if self.screen.is_modal:
            return
        targets = jump_targets(self.screen)
        if targets:
            self.push_screen(JumpScreen(targets), _jump)


def _jump(target: JumpTarget | None) -> None:
    if target is not None:
        target.jump()
