"""What every full screen has: the top bar, the footer, and the app that it belongs to."""

from __future__ import annotations

from typing import ClassVar, cast

from textual.screen import Screen
from textual.widgets import Footer

from workbench.session.view_state import Layout
from workbench.tui.services.interfaces import WorkbenchContext
from workbench.tui.widgets.header import HeaderBar

_NARROW_COLUMNS = 100


class WorkbenchScreen(Screen[None]):
    """A screen that is told when runs change, when the clock ticks and when the connection comes or goes."""

    @property
    def workbench(self) -> WorkbenchContext:
        """The app, as far as screens know it."""
        return cast("WorkbenchContext", self.app)

    STATE_KEY: ClassVar[str] = ""
    """The name under which the next start finds what it was like; none where that is not kept."""

    def layout_state(self) -> Layout:
        """What it wants to find again, from `Workbench.layout_of`."""
        return {}

    def save(self) -> None:
        """Keep what is not saved."""

    @property
    def current_file(self) -> str | None:
        """The file that is edited here."""
        return None

    @property
    def current_run(self) -> str | None:
        """The run that an action such as cancel is about."""
        return None

    def on_mount(self) -> None:
        self.workbench.runs_changed.subscribe(self, lambda _: self.runs_changed())
        self.workbench.clock_ticked.subscribe(self, lambda _: self.clock_ticked())
        self.workbench.connection_changed.subscribe(self, lambda _: self._show_connection())
        self._show_connection()
        self.runs_changed()

    def on_resize(self) -> None:
        # In a narrow terminal all keys are only to be seen when they stand close together.
        for footer in self.query(Footer):
            footer.compact = self.size.width < _NARROW_COLUMNS

    def on_screen_resume(self) -> None:
        self._show_connection()
        self.runs_changed()
        self.workbench.close_missing_run()
        # When what is on it has been composed, so that its layout can be told.
        self.call_after_refresh(self.workbench.save_view)

    def runs_changed(self) -> None:
        """The app's list of runs is another than before."""

    def clock_ticked(self) -> None:
        """A second has gone by while something runs."""

    def show_breadcrumbs(self, *crumbs: str) -> None:
        self.query_one(HeaderBar).breadcrumbs = (self.workbench.endpoint_label, *crumbs)

    def _show_connection(self) -> None:
        bar = self.query_one(HeaderBar)
        bar.connection_error = self.workbench.feed.connection_error
        cluster = self.workbench.feed.cluster
        if cluster is not None:
            ignored = " · images ignored" if cluster.ignores_images else ""
            bar.note = f"{cluster.runtime}{ignored}"
