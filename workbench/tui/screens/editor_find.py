"""The part of the editor screen that finds a text, and goes to a line."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets.text_area import Selection

from workbench.pipeline_file.find import Match, find_all, nearest
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.widgets.editor.find_bar import FindBar
from workbench.tui.widgets.editor.yaml_editor import YamlEditor


class EditorFind(WorkbenchScreen):
    """A screen with a `YamlEditor` and a `FindBar`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "find", "Find", id="editor.find", tooltip="Find a text"),
        Binding("f3", "find_next(1)", "Find next", show=False, id="editor.find-next", tooltip="Go to the next match"),
        Binding("shift+f3", "find_next(-1)", "Find previous", show=False, id="editor.find-previous",
                tooltip="Go to the previous match"),
        Binding("ctrl+g", "go_to_line", "Go to line", show=False, id="editor.line", tooltip="Go to a line"),
    ]  # fmt: skip

    _found_text = ""
    """What was searched last."""
    _left_at: Selection | None = None
    """What was selected when the bar was opened."""

    @property
    def editor(self) -> YamlEditor:
        return self.query_one("#editor", YamlEditor)

    def action_find(self) -> None:
        selected = self.editor.selected_text
        text = selected if selected and "\n" not in selected else self._found_text
        self._open_bar().open("find", text)

    def action_go_to_line(self) -> None:
        self._open_bar().open("line")

    def _open_bar(self) -> FindBar:
        bar = self.query_one(FindBar)
        if not bar.display:
            self._left_at = self.editor.selection
        self.editor.close_completions()
        return bar

    def action_find_next(self, direction: int) -> None:
        if not self._found_text:
            self.action_find()
            return
        first, last = sorted(self.editor.selection)
        matches = find_all(self.editor.document.lines, self._found_text)
        self._select(matches, nearest(matches, last if direction > 0 else first, direction))
        if not matches:
            self.notify("Not found.", timeout=2)

    @on(FindBar.Typed)
    def _typed(self, event: FindBar.Typed) -> None:
        event.stop()
        start = min(self._left_at) if self._left_at is not None else (0, 0)
        if event.purpose == "line":
            self._show_line(event.text)
            return
        self._found_text = event.text
        matches = find_all(self.editor.document.lines, event.text)
        place = nearest(matches, start, 1)
        if place is None:
            self._go_back()
            self.query_one(FindBar).say("no match" if event.text else "")
        self._select(matches, place)

    def _select(self, matches: list[Match], place: int | None) -> None:
        if place is not None:
            self.editor.move_cursor(matches[place].start)
            self.editor.move_cursor(matches[place].end, select=True, center=True)
            self.query_one(FindBar).say(f"{place + 1:,} of {len(matches):,}")

    def _show_line(self, typed: str) -> None:
        count = self.editor.document.line_count
        number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
        if 1 <= number <= count:
            self.editor.move_cursor((number - 1, 0), center=True)
        else:
            self._go_back()
        self.query_one(FindBar).say("" if 1 <= number <= count else f"1 to {count:,}")

    def _go_back(self) -> None:
        """Go back to where the bar was opened."""
        if self._left_at is not None:
            self.editor.selection = self._left_at
            self.editor.scroll_cursor_visible(center=True)

    @on(FindBar.Closed)
    def _bar_closed(self, event: FindBar.Closed) -> None:
        event.stop()
        if event.given_up:
            self._go_back()
        self._left_at = None
        self.editor.focus()
