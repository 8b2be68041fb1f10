"""What every full screen has: the top bar, the footer, and the app that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.screen import Screen

from workbench.tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from workbench.tui.app import Workbench


class WorkbenchScreen(Screen[None]):
    """A screen that is told when runs change, when the clock ticks and when the connection comes or goes."""

    @property
    def workbench(self) -> Workbench:
        return cast("Workbench", self.app)

    @property
    def run_in_hand(self) -> str | None:
        """The run that an action such as cancel is about."""
        return None

    def on_mount(self) -> None:
        self.workbench.runs_changed.subscribe(self, lambda _: self.runs_changed())
        self.workbench.ticked.subscribe(self, lambda _: self.ticked())
        self.workbench.place_changed.subscribe(self, lambda _: self._show_place())
        self._show_place()
        self.runs_changed()

    def on_screen_resume(self) -> None:
        self._show_place()
        self.runs_changed()

    def runs_changed(self) -> None:
        """The app's list of runs is another than before."""

    def ticked(self) -> None:
        """A second has gone by while something runs."""

    def show_crumbs(self, *crumbs: str) -> None:
        self.query_one(TopBar).crumbs = (self.workbench.place, *crumbs)

    def _show_place(self) -> None:
        bar = self.query_one(TopBar)
        bar.trouble = self.workbench.feed.trouble
        cluster = self.workbench.feed.cluster
        if cluster is not None:
            ignored = " · images ignored" if cluster.ignores_images else ""
            bar.note = f"{cluster.runtime}{ignored}"
