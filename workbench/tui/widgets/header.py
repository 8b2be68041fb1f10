"""The header of every screen: breadcrumbs, the runtime, and a banner while something is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.boundary import ErrorBoundary, is_going
from workbench.tui.theme import palette

_START = " c8s"
_READ_ONLY = " read-only"
_NOTES_GAP = " · "


class HeaderBar(ErrorBoundary, Vertical):
    """Breadcrumbs on the left, notes about the cluster on the right."""

    breadcrumbs: reactive[tuple[str, ...]] = reactive((), repaint=False)
    """From the outermost to the innermost."""
    notes: reactive[tuple[str, ...]] = reactive((), repaint=False)
    """About the cluster, the most important last: where there is no room for all, the others are left out."""
    connection_error: reactive[str | None] = reactive(None, repaint=False)
    """The error of the connection; None while it works."""
    connection_hint: str = ""
    """What the lost connection means for the screen; set before `connection_error`."""
    read_only: reactive[bool] = reactive(False, repaint=False)
    """Whether the workbench changes nothing, which is said before the breadcrumbs."""
    disk_problem: reactive[str | None] = reactive(None, repaint=False)
    """Set while the disk of the sandbox is full."""

    _drawn: Text | None = None

    @dataclass
    class CrumbClicked(Message):
        """A breadcrumb other than the last was clicked. `index` counts from the outermost."""

        index: int

    def on_click(self, event: events.Click) -> None:
        """Go to where a breadcrumb leads."""
        if event.screen_offset.y != self.region.y:
            return
        at = cell_width(_START + (_READ_ONLY if self.read_only else ""))
        for index, crumb in enumerate(self.breadcrumbs[:-1]):
            at += cell_width(" › ")
            end = at + cell_width(sanitize_label(crumb, 40))
            if at <= event.screen_offset.x < end:
                self.post_message(self.CrumbClicked(index))
            at = end

    def compose(self) -> ComposeResult:
        yield Static(id="top-crumbs", markup=False)
        yield Static(id="top-trouble", markup=False)

    def on_mount(self) -> None:
        self._draw_banner()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw_breadcrumbs())

    def on_resize(self) -> None:
        self._draw_breadcrumbs()

    def watch_breadcrumbs(self) -> None:
        self._draw_breadcrumbs()

    def watch_read_only(self) -> None:
        self._draw_breadcrumbs()

    def watch_notes(self) -> None:
        self._draw_breadcrumbs()

    def watch_connection_error(self) -> None:
        self._draw_banner()

    def watch_disk_problem(self) -> None:
        self._draw_banner()

    def _draw_banner(self) -> None:
        if not self.is_mounted or is_going(self):
            return
        problems = []
        if self.disk_problem is not None:
            problems.append(f"The sandbox can't go on: {self.disk_problem}")
        if self.connection_error is not None:
            problems.append(f"Connection lost, trying again: {self.connection_error}")
            if self.connection_hint:
                problems.append(self.connection_hint)
        banner = self.query_one("#top-trouble", Static)
        banner.display = bool(problems)
        banner.update(Text("\n".join(f" ⚠ {sanitize_label(problem, 400)}" for problem in problems)))

    def _draw_breadcrumbs(self) -> None:
        if not self.is_mounted or is_going(self):
            return
        colours = palette(self.app)
        text = Text(_START, colours.highlight, no_wrap=True)
        if self.read_only:
            text.append(_READ_ONLY, colours.warning)
        for at, crumb in enumerate(self.breadcrumbs):
            text.append(" › ", colours.faint)
            text.append(sanitize_label(crumb, 40), colours.bold if at == len(self.breadcrumbs) - 1 else colours.muted)
        notes, room = [sanitize_label(each, 60) for each in self.notes], self.size.width - cell_width(text.plain) - 3
        while notes and cell_width(_NOTES_GAP.join(notes)) > room:
            notes.pop(0)
        note = _NOTES_GAP.join(notes)
        blank = self.size.width - cell_width(text.plain) - cell_width(note) - 1
        text.append(" " * max(blank, 0))
        text.append(note, colours.faint)
        if text != self._drawn:
            self._drawn = text
            # Its place depends on no text: a new layout of the whole screen is not needed.
            self.query_one("#top-crumbs", Static).update(text, layout=False)
