"""A scrolling view of a log of any length; only visible lines are read, parsed and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.reactive import reactive
from textual.selection import Selection
from textual.strip import Strip

from workbench.client.models import LogLine
from workbench.logs import viewport
from workbench.logs.log_file import LogFile
from workbench.logs.search.matches import MatchIndex, nearest_match
from workbench.logs.search.query import Query
from workbench.logs.viewport import ViewportPosition
from workbench.text.width import cell_width
from workbench.tui.theme import palette
from workbench.tui.widgets.log.line_renderer import LineRenderer, LineStyle, RenderedLine, render_line
from workbench.tui.widgets.log.rows import MAX_COPIED_LINES, LineSelection, LogRows
from workbench.tui.widgets.log.scrolling import ScrollingLog
from workbench.tui.widgets.segments import window


@dataclass(frozen=True)
class Frame:
    """What the lines of one drawing share. `rows`: the row of each line, and the part of its wrapped text."""

    style: LineStyle
    rows: Sequence[tuple[int, int]]
    base: Style


class LogView(ScrollingLog):
    """Draws the rows of a log: times, numbers, the cursor, marked lines, matches; keys move in it."""

    HELP_TITLE: ClassVar[str] = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "lines(-1)", "Up", show=False, id="log.up", tooltip="Go up a line"),
        Binding("down,j", "lines(1)", "Down", show=False, id="log.down", tooltip="Go down a line"),
        Binding("left,h", "columns(-8)", "Left", show=False, id="log.left", tooltip="Scroll left"),
        Binding("right,l", "columns(8)", "Right", show=False, id="log.right", tooltip="Scroll right"),
        Binding("pageup,ctrl+b", "pages(-1)", "Page up", show=False, id="log.page-up", tooltip="Go up a page"),
        Binding("pagedown,ctrl+f,space", "pages(1)", "Down", show=False, id="log.page-down", tooltip="Go down a page"),
        Binding("ctrl+u", "pages(-0.5)", "Half up", show=False, id="log.half-up", tooltip="Go up half a page"),
        Binding("ctrl+d", "pages(0.5)", "Half down", show=False, id="log.half-down", tooltip="Go down half a page"),
        Binding("home,g", "top", "Top", show=False, id="log.top", tooltip="Go to the first line"),
        Binding("end,G", "end", "End", show=False, id="log.end", tooltip="Go to the last line and follow"),
        Binding("s", "toggle_follow", "Follow", id="log.follow", tooltip="Follow new lines, or stop following"),
        Binding("w", "toggle_wrap", "Wrap", show=False, id="log.wrap", tooltip="Wrap long lines, or truncate them"),
        Binding(
            "number_sign",
            "toggle_numbers",
            "Numbers",
            show=False,
            id="log.numbers",
            tooltip="Show line numbers",
        ),
        Binding("m", "toggle_mark", "Mark", show=False, id="log.mark", tooltip="Start or stop marking lines to copy"),
    ]

    times: reactive[bool] = reactive(False)
    numbers: reactive[bool] = reactive(True)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._query: Query | None = None
        self._renderer = LineRenderer()
        self._frame: Frame | None = None
        """Set while lines are drawn."""

    def shows(self, line: int) -> bool:
        """Whether the filter keeps this line."""
        return self._rows.line_at(self._rows.row_of(line)) == line

    def show_log(self, log: LogFile | None) -> None:
        """Show another log, from its end."""
        self._rows = LogRows(log)
        self._seen_rows = self._max_line_width = self._skipped_rows = 0
        self.loading_rest = False
        self.cursor = self.mark = None
        self._renderer.clear()
        self.set_reactive(LogView.follow, True)
        self.unread = 0
        self._scroll_to_position(ViewportPosition())
        self._update_virtual_size()
        self.log_grew()
        self.post_message(self.Changed(self))

    def set_partial(self, partial: LogLine | None) -> None:
        """Show the line that is being written, behind the others, in place of its earlier state."""
        if partial == self._rows.partial and (partial is None or self._rows.partial_at == self.line_count):
            return
        count = self.row_count
        self._rows = replace(self._rows, partial=partial, partial_at=self.line_count)
        if self.row_count != count or self.wrap:
            self._update_virtual_size()
            if self.follow:
                self._scroll_to_end()
        self.refresh()

    def set_filter(self, matches: MatchIndex | None) -> None:
        """Show only these lines (None: all). The cursor stays on its line, or goes to the next one that is kept."""
        here = self.current_line
        self._rows, self._seen_rows = replace(self._rows, filter=matches), 0
        self._update_virtual_size()
        self._seen_rows = self._rows.whole_row_count
        if self.follow and self.growing:
            self._scroll_to_end()
        elif self.row_count:
            # Without a filter it stays where it was: what is around a line is why a filter is removed.
            self.go_to(self._rows.line_at(self._rows.row_of(here)) if matches is None else nearest_match(matches, here))
        self.refresh()

    def go_to(self, line: int) -> None:
        """Show this line (from 0), a third from the top, and put the cursor there."""
        self.follow = False
        self.cursor = line
        self._scroll_to_position(ViewportPosition(max(0, self._rows.row_of(line) - self.visible_row_count // 3)))
        self.refresh()

    def reveal_columns(self, line: int, first: int, last: int) -> None:
        """Scroll sideways until these characters of a line are visible, if lines are not wrapped."""
        room = self.scrollable_content_region.width - self._line_style.margin
        text = self.text_of([line])
        begin, end = cell_width(text[:first]), cell_width(text[:last])
        if self.wrap or room <= 0 or (self.scroll_x <= begin and end <= self.scroll_x + room):
            return
        self._max_line_width = max(self._max_line_width, cell_width(text) + self._line_style.margin)
        self._update_virtual_size()
        left = max(begin - room // 3, 0) if end > room else 0
        self.scroll_to(x=left, animate=False, force=True)
        self.call_after_refresh(self.scroll_to, x=left, animate=False, force=True)

    def highlight(self, query: Query | None) -> None:
        """Highlight the matches of this query."""
        self._query = query
        self.refresh()

    @property
    def line_selection(self) -> LineSelection:
        return LineSelection(self.cursor, self.mark)

    def selected_lines(self) -> list[int]:
        """The lines to copy: those marked, or the one at the cursor."""
        return self.line_selection.lines(self._rows, self.current_line)

    def text_of(self, lines: list[int]) -> str:
        """The text of these lines as it is shown."""
        assert self._rows.log_file is not None
        return "\n".join(self._renderer.render(self._rows.log_file, at, self._line_style).text for at in lines)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text that is selected with the mouse."""
        if self._rows.log_file is None or not self.row_count:
            return None
        first = selection.start.y if selection.start is not None else 0
        end = min(selection.end.y if selection.end is not None else self.row_count - 1, self.row_count - 1)
        last = min(end, first + MAX_COPIED_LINES - 1)
        texts = [self._rendered(row).text for row in range(first, last + 1)]
        if selection.end is not None and selection.end.y == last:
            texts[-1] = texts[-1][: selection.end.x]
        if selection.start is not None:
            texts[0] = texts[0][selection.start.x :]
        return "\n".join(texts), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def watch_times(self) -> None:
        self.reset_layout()

    watch_numbers = watch_times

    def watch_wrap(self) -> None:
        self.show_horizontal_scrollbar = False
        self.reset_layout()

    def watch_cursor(self) -> None:
        self.post_message(self.Changed(self))
        self.refresh()

    watch_mark = watch_cursor

    def action_lines(self, count: int) -> None:
        if self.mark is not None or (self.filtered and (self.row_count and (count < 0 or not self.follow))):
            self._move_cursor(count)
        else:
            self._scroll_by_rows(count)

    def action_columns(self, count: int) -> None:
        self.scroll_to(x=self.scroll_x + count, animate=False)

    def action_pages(self, count: float) -> None:
        self.action_lines(round(count * max(self.visible_row_count - 1, 1)))

    def action_top(self) -> None:
        self.follow = False
        if self.mark is not None or self.filtered:
            self._move_cursor(-self.row_count)
        else:
            self._scroll_to_position(ViewportPosition())

    def action_end(self) -> None:
        if self.mark is not None or (self.filtered and not self.growing):
            self._move_cursor(self.row_count)
        else:
            self.follow = True
            self._scroll_to_end()

    def action_toggle_follow(self) -> None:
        self.follow = not self.follow

    def action_toggle_wrap(self) -> None:
        self.wrap = not self.wrap

    def action_toggle_numbers(self) -> None:
        self.numbers = not self.numbers

    def action_toggle_mark(self) -> None:
        if self.mark is not None:
            self.mark = None
        elif self.row_count:
            here = self.current_line if not self.follow else self._rows.line_at(self.row_count - 1)
            self.follow = False
            self.cursor = self.mark = here

    def on_click(self, event: events.Click) -> None:
        shown = self._visible_rows()
        if event.y < len(shown) and self.text_selection is None and not self.follow:
            self.cursor = self._rows.line_at(shown[event.y][0])

    @property
    def _line_style(self) -> LineStyle:
        if self._frame is not None:
            return self._frame.style
        digits = max(4, len(str(self.line_count))) if self.numbers else 0
        # As if there were a scrollbar: with the width of the moment, whether one is needed could depend on itself.
        width = max(self.size.width - self.styles.scrollbar_size_vertical, 1)
        return LineStyle(palette(self.app), digits, self.times, width if self.wrap else 0, self._query)

    def _rendered(self, row: int) -> RenderedLine:
        assert self._rows.log_file is not None
        if self._rows.partial is not None and self._rows.is_partial(row):
            return render_line(self._rows.partial, self.line_count, self._line_style)
        return self._renderer.render(self._rows.log_file, self._rows.line_at(row), self._line_style)

    def _rows_of(self, row: int) -> int:
        return len(self._rendered(row).rows) if self.wrap else 1

    def _visible_rows(self) -> Sequence[tuple[int, int]]:
        """The row and the part of its wrapped line for each row of the screen."""
        if self._frame is not None:
            return self._frame.rows
        place = ViewportPosition(self.scroll_offset.y, self._skipped_rows if self.wrap else 0)
        return viewport.visible_rows(place, self.visible_row_count, self.row_count, self._rows_of)

    def render_lines(self, crop: Region) -> list[Strip]:
        # What all lines share is computed once: each access to a style goes up all ancestors.
        try:
            self._frame = Frame(self._line_style, self._visible_rows(), self.rich_style)
            return super().render_lines(crop)
        finally:
            self._frame = None

    def render_line(self, y: int) -> Strip:
        """A row of the screen. Outside of a drawing it is Textual that asks, for what is under the mouse."""
        frame = self._frame
        base = frame.base if frame is not None else self.rich_style
        width, shown = self.size.width, self._visible_rows()
        if self._rows.log_file is None or y >= len(shown):
            return Strip.blank(width, base)
        row, part = shown[y]
        rendered = self._rendered(row)
        strip = (
            rendered.rows[part]
            if frame is not None and self.text_selection is None
            else (self._selectable_row(rendered, row, part))
        )
        if not self.wrap and strip.cell_length > self._max_line_width:
            self._max_line_width = strip.cell_length
            if strip.cell_length > width:
                self.call_after_refresh(self._update_virtual_size)
        left = 0 if self.wrap else self.scroll_offset.x
        return window(strip, left, width, base, self._row_overlay(row))

    def _row_overlay(self, row: int) -> Style | None:
        """The style over a whole row: at the cursor, of marked lines, of lines of context."""
        if self._rows.is_partial(row):
            return None
        shown_line = self._rows.line_at(row)
        if shown_line in self.line_selection:
            return palette(self.app).cursor_blurred
        return Style(dim=True) if self._rows.is_context(shown_line) else None

    def _selectable_row(self, rendered: RenderedLine, row: int, part: int) -> Strip:
        span = self.text_selection.get_span(row) if self.text_selection is not None else None
        style = self.screen.get_component_rich_style("screen--selection") if span is not None else None
        return rendered.selectable_row(row, part, self._line_style.margin, span, style)

    def _move_cursor(self, by: int) -> None:
        if not self.row_count:
            return
        start = self._rows.row_of(self.current_line) if not self.follow else self.row_count
        self.follow = False
        row = self._row_with_line(min(max(start + by, 0), self.row_count - 1), by)
        self.cursor = self._rows.line_at(row)
        shown = [shown for shown, _ in self._visible_rows()]
        if row not in shown:
            self._scroll_to_position(ViewportPosition(row if by < 0 else max(row - self.visible_row_count + 1, 0)))

    def _row_with_line(self, row: int, direction: int) -> int:
        """The row, or the next one in a direction that stands for a line of its own."""
        return row

    def reset_layout(self) -> None:
        """Draw all lines anew after a change of the margin or of wrapping."""
        self._max_line_width = 0
        self._renderer.clear()
        self._update_virtual_size()
        if self.follow:
            self._scroll_to_end()
        self.post_message(self.Changed(self))
        self.refresh()
