"""The base of all full screens: header, footer, and access to the app."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from functools import partial
from typing import ClassVar, cast

from textual import on
from textual.screen import Screen

from workbench.report.cluster_health import runtime_text
from workbench.runs.footer import other_screen_actions
from workbench.session.view_state import Layout
from workbench.tui.boundary import ErrorBoundary, is_going
from workbench.tui.keys import key_label
from workbench.tui.services.interfaces import WorkbenchContext
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter

_LIST_HOLD = 0.5
"""Seconds for which keys wait for the list that they are for."""


def clock_text(moment: datetime) -> str:
    """The local time of day, as `14:05:30`."""
    return f"{moment.astimezone():%H:%M:%S}"


def connection_hint(lost_at: datetime | None, start_key: str | None) -> str:
    """What a lost connection means for what is shown, and what to do."""
    stale = f"What is shown is as of {clock_text(lost_at)}. " if lost_at is not None else ""
    return stale + (f"{start_key} starts the sandbox if it was stopped." if start_key is not None else "")


class WorkbenchScreen(ErrorBoundary, Screen[None]):
    """A screen that is updated when runs change, the clock ticks or the connection changes."""

    @property
    def workbench(self) -> WorkbenchContext:
        """The app, as far as screens know it."""
        return cast("WorkbenchContext", self.app)

    STATE_KEY: ClassVar[str] = ""
    """The key of its saved layout; empty if the layout is not saved."""

    def layout_state(self) -> Layout:
        """The layout to save; the next start reads it with `saved_layout`."""
        return {}

    @property
    def current_step(self) -> str | None:
        """The name of the selected step, if any."""
        return None

    def save(self) -> None:
        """Save unsaved work."""

    @property
    def current_file(self) -> str | None:
        """The file that is edited."""
        return None

    @property
    def current_run(self) -> str | None:
        """The run that actions such as cancel apply to."""
        return None

    @property
    def listed_run(self) -> str | None:
        """The run under the cursor of a list of runs that has the focus; running something then is about it."""
        return None

    def get_selected_text(self) -> str | None:
        """The text that the mouse has selected; None if there is none.

        Textual fails at a selection that begins and ends right below the text of a widget.
        """
        with suppress(IndexError):
            return super().get_selected_text()
        return None

    def on_mount(self) -> None:
        # One that is covered is updated when it is uncovered: Textual would draw the screen above it anew as well.
        for signal, update in (
            (self.workbench.runs_changed, self._runs_changed),
            (self.workbench.clock_ticked, self.clock_ticked),
            (self.workbench.connection_changed, self._connection_changed),
        ):
            signal.subscribe(self, partial(self._update_if_shown, update))
        self.app.theme_changed_signal.subscribe(self, lambda _: self._update_if_shown(self.theme_changed, None))
        self._connection_changed()
        self._runs_changed()

    def _update_if_shown(self, update: Callable[[], None], _: None) -> None:
        if self.is_shown:
            update()

    @property
    def is_shown(self) -> bool:
        """Whether the screen can be seen: only dialogs are above it."""
        for screen in reversed(self.app.screen_stack):
            if screen is self or not screen.is_modal:
                return screen is self
        return False

    def on_screen_resume(self) -> None:
        self._connection_changed()
        self._runs_changed()
        self.workbench.close_missing_run()
        # After its widgets are composed, so that the layout can be read.
        self.call_after_refresh(self.workbench.save_view)

    def returned_from(self, run: str | None) -> None:
        """Called when a run above this screen was closed."""

    def connection_changed(self) -> None:
        """Called when the connection was lost or restored."""

    def _connection_changed(self) -> None:
        self._show_connection()
        self.connection_changed()

    def loading_text(self, what: str) -> str:
        """What is said in place of something that has not come yet, such as `The secrets`."""
        if self.workbench.feed.connection_error is not None:
            return f"{what} can't be loaded without a connection."
        return "Loading …"

    def keys_wait_for_list(self, *, loaded: bool) -> AbstractContextManager[None]:
        """While a list is loaded for the first time, keep for it what was typed after the key that opened it.

        On an empty list it would do something else than it was typed for. A list that takes long is not waited for.
        """
        return nullcontext() if loaded else self.workbench.hold_keys(_LIST_HOLD)

    def runs_changed(self) -> None:
        """Called when the list of runs has changed."""

    def theme_changed(self) -> None:
        """Called when another theme was chosen: texts made with the colours of the one before are outdated."""
        self.runs_changed()

    def _runs_changed(self) -> None:
        self.runs_changed()
        self.fit_footer()

    def fit_footer(self) -> None:
        """Show the keys that the state of the run asks for."""
        run = self.workbench.feed.runs.get(self.current_run or "")
        for footer in self.query(KeyFooter):
            footer.show_actions(other_screen_actions(run), first=False)

    def clock_ticked(self) -> None:
        """Called every second while a run is active, and now and then while none is."""

    @on(HeaderBar.CrumbClicked)
    def _crumb_clicked(self, event: HeaderBar.CrumbClicked) -> None:
        """Close screens down to the run or the list of runs that was clicked."""
        event.stop()
        self.workbench.close_to(self.query_one(HeaderBar).breadcrumbs[event.index])

    def show_breadcrumbs(self, *crumbs: str) -> None:
        self.query_one(HeaderBar).read_only = self.workbench.read_only
        self.query_one(HeaderBar).breadcrumbs = (self.workbench.endpoint_label, *crumbs)

    def _show_connection(self) -> None:
        if is_going(self):
            return
        bar = self.query_one(HeaderBar)
        feed = self.workbench.feed
        start = key_label(self.app, "app.start-sandbox", "U") if self.workbench.can_start_sandbox else None
        bar.connection_hint = connection_hint(feed.lost_at if feed.runs.loaded else None, start)
        bar.connection_error = feed.connection_error
        bar.disk_problem = self.workbench.disk_problem
        self.set_class(feed.connection_error is not None or self.workbench.disk_problem is not None, "-trouble")
        cluster = self.workbench.feed.cluster
        if cluster is not None:
            images = ("images ignored",) if cluster.ignores_images else ()
            watching = ("watching",) if self.workbench.is_watching else ()
            bar.notes = (runtime_text(cluster.runtime), *images, *watching)
