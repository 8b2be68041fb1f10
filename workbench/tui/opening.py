"""The part of the workbench that opens screens which can be shown above any other."""

from __future__ import annotations

from workbench.bundle.playback import Playback
from workbench.tui.watching import WatchingApp
from workbench.tui.widgets.jump_targets import JumpTarget, jump_targets


class OpeningApp(WatchingApp):
    """The base of the workbench."""

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
