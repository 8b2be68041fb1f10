"""What every full screen has: the top bar, the footer, and the app that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.screen import Screen
from textual.widgets import Footer

from workbench.session.view_state import Layout
from workbench.tui.widgets.header import TopBar

if TYPE_CHECKING:
    from workbench.tui.app import Workbench


_NARROW = 100


class WorkbenchScreen(Screen[None]):
    """A screen that is told when runs change, when the clock ticks and when the connection comes or goes."""

    @property
    def workbench(self) -> Workbench:
        return cast("Workbench", self.app)

    REMEMBERED_AS: ClassVar[str] = ""
    """The name under which the next start finds what it was like; none where that is not kept."""

    def arrangement(self) -> Layout:
        """What it wants to find again, from `Workbench.layout_of`."""
        return {}

    def keep(self) -> None:
        """Keep what is not saved."""

    @property
    def file_in_hand(self) -> str | None:
        """The file that is edited here."""
        return None

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

    def on_resize(self) -> None:
        # In a narrow terminal all keys are only to be seen when they stand close together.
        for footer in self.query(Footer):
            footer.compact = self.size.width < _NARROW

    def on_screen_resume(self) -> None:
        self._show_place()
        self.runs_changed()
        self.workbench.leave_what_is_gone()
        # When what is on it has been composed, so that its layout can be told.
        self.call_after_refresh(self.workbench.remember)

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
