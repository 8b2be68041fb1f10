"""The first lines of every screen: where one is, what one is on, and a banner when the connection is gone."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive
from textual.widgets import Static

from workbench.text.sanitize import label
from workbench.text.width import cell_width
from workbench.tui.theme import palette


class TopBar(Vertical):
    """Breadcrumbs, and to their right a note about the place."""

    crumbs: reactive[tuple[str, ...]] = reactive(())
    """From the outermost to the innermost."""
    note: reactive[str] = reactive("")
    trouble: reactive[str | None] = reactive(None)
    """What is wrong with the connection; None when it is well."""

    def compose(self) -> ComposeResult:
        yield Static(id="top-crumbs", markup=False)
        yield Static(id="top-trouble", markup=False)

    def on_mount(self) -> None:
        self.watch_trouble(self.trouble)

    def on_resize(self) -> None:
        self._draw()

    def watch_crumbs(self) -> None:
        self._draw()

    def watch_note(self) -> None:
        self._draw()

    def watch_trouble(self, trouble: str | None) -> None:
        if self.is_mounted:
            banner = self.query_one("#top-trouble", Static)
            banner.display = trouble is not None
            banner.update(Text(f" ⚠ Connection lost, trying again: {label(trouble or '', 400)}"))

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        colours = palette(self.app)
        text = Text(" c8s", colours.lit, no_wrap=True)
        for at, crumb in enumerate(self.crumbs):
            text.append(" › ", colours.faint)
            text.append(label(crumb, 40), colours.bold if at == len(self.crumbs) - 1 else colours.muted)
        note = label(self.note, max(0, self.size.width - cell_width(text.plain) - 3))
        blank = self.size.width - cell_width(text.plain) - cell_width(note) - 1
        text.append(" " * max(blank, 0))
        text.append(note, colours.faint)
        self.query_one("#top-crumbs", Static).update(text)
