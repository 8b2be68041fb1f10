"""A window on a log of any length: only the lines that can be seen are read, parsed and drawn."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from workbench.logs import viewport
from workbench.logs.log_file import LogFile
from workbench.logs.search.matches import Matches
from workbench.logs.search.query import Query
from workbench.logs.viewport import Place
from workbench.tui.theme import palette
from workbench.tui.widgets.log.line_renderer import LogPainter, Look, Painted, styled
from workbench.tui.widgets.segments import line

_COPIED = 100_000
"""Lines that are copied at most."""


class LogView(ScrollView, can_focus=True):
    """Follows the end until somebody scrolls up; then the place stays, whatever comes after it.

    A *line* is a position in the log, a *row* one among the lines that are kept; without a filter they are the same.
    """

    HELP_TITLE: ClassVar[str] = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "lines(-1)", "Up", show=False, id="log.up", tooltip="A line up"),
        Binding("down,j", "lines(1)", "Down", show=False, id="log.down", tooltip="A line down"),
        Binding("left,h", "columns(-8)", "Left", show=False, id="log.left", tooltip="To the left"),
        Binding("right,l", "columns(8)", "Right", show=False, id="log.right", tooltip="To the right"),
        Binding("pageup,ctrl+b", "pages(-1)", "Page up", show=False, id="log.page-up", tooltip="One page up"),
        Binding("pagedown,ctrl+f,space", "pages(1)", "Down", show=False, id="log.page-down", tooltip="One page down"),
        Binding("ctrl+u", "pages(-0.5)", "Half up", show=False, id="log.half-up", tooltip="Half a page up"),
        Binding("ctrl+d", "pages(0.5)", "Half down", show=False, id="log.half-down", tooltip="Half a page down"),
        Binding("home,g", "top", "Top", show=False, id="log.top", tooltip="To the first line"),
        Binding("end,G", "end", "End", show=False, id="log.end", tooltip="To the last line, and follow"),
        Binding("s", "toggle_follow", "Follow", id="log.follow", tooltip="Follow new lines, or stay here"),
        Binding("w", "toggle_wrap", "Wrap", show=False, id="log.wrap", tooltip="Wrap long lines, or cut them"),
        Binding("number_sign", "toggle_numbers", "Numbers", show=False, id="log.numbers", tooltip="Show line numbers"),
        Binding("m", "toggle_mark", "Mark", show=False, id="log.mark", tooltip="Begin or end marking lines to copy"),
    ]

    follow: reactive[bool] = reactive(True)
    """Whether new lines move the window."""
    unread: reactive[int] = reactive(0)
    """Rows that came below the window while it stayed."""
    times: reactive[bool] = reactive(False)
    numbers: reactive[bool] = reactive(True)
    wrap: reactive[bool] = reactive(False)
    cursor: reactive[int | None] = reactive(None)
    """The line that somebody went to, if any."""
    mark: reactive[int | None] = reactive(None)
    """The line where marking began, while lines are marked."""

    class Changed(Message):
        """Following began or ended, lines came unseen, or another way of showing was chosen."""

        def __init__(self, view: LogView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> LogView:
            return self.view

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView.Changed) and message.view is self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._log: LogFile | None = None
        self._kept: Matches | None = None
        self._query: Query | None = None
        self._painter = LogPainter()
        self._seen = 0
        self._widest = 0
        self._skip = 0
        self._placing = False
        self.opening = False
        """The rest of a log that is over is being brought: its lines are no news."""
        self._layout: tuple[object, list[tuple[int, int]]] = (None, [])

    @property
    def file(self) -> LogFile | None:
        return self._log

    @property
    def count(self) -> int:
        """Lines of the log."""
        return len(self._log) if self._log is not None else 0

    @property
    def rows(self) -> int:
        """Lines that are kept."""
        return len(self._kept) if self._kept is not None else self.count

    @property
    def place(self) -> int:
        """The line (from 0) that somebody went to, or else the first one that can be seen."""
        return self.cursor if self.cursor is not None else self.line_at(self.scroll_offset.y)

    def line_at(self, row: int) -> int:
        """The line of a row; of one beyond the end, the last."""
        if self._kept is None:
            return max(min(row, self.count - 1), 0)
        return self._kept[min(row, len(self._kept) - 1)] if len(self._kept) else 0

    def row_of(self, line: int) -> int:
        """The row of a line, or of the next one that is kept."""
        return line if self._kept is None else self._kept.place(line)

    def show_log(self, log: LogFile | None) -> None:
        """Show another log, from its end."""
        self._log, self._kept, self._seen, self._widest, self._skip = log, None, 0, 0, 0
        self.opening = False
        self.cursor = self.mark = None
        self._painter.forget()
        self.set_reactive(LogView.follow, True)
        self.unread = 0
        self._put_at(Place())
        self._resize()
        self.grown()
        self.post_message(self.Changed(self))

    def keep(self, matches: Matches | None) -> None:
        """Show only these lines (None: all of them); what was in view stays in view as far as it is kept."""
        here = self.place
        self._kept, self._seen = matches, 0
        self._resize()
        self._seen = self.rows
        if self.follow:
            self._to_end()
        else:
            self._put_at(Place(max(self.row_of(here) - (self.row_room // 3 if self.cursor is not None else 0), 0)))
        self.refresh()

    def grown(self) -> None:
        """There may be more rows than before."""
        if self.rows == self._seen and self._seen:
            return
        self._resize()
        if self.follow:
            self._seen = self.rows
            self._to_end()
        elif self.opening:
            self._seen = self.rows
        else:
            self.unread = max(self.rows - self._seen, 0)
        self.refresh()

    def go_to(self, line: int) -> None:
        """Show this line (from 0), a third from the top, and put the cursor there."""
        self.follow = False
        self.cursor = line
        self._put_at(Place(max(0, self.row_of(line) - self.row_room // 3)))
        self.refresh()

    def highlight(self, query: Query | None) -> None:
        """Show where this query is found in the lines."""
        self._query = query
        self.refresh()

    def chosen(self) -> list[int]:
        """The lines that copying is about: those marked, or the one at the cursor."""
        if self.mark is None or self.cursor is None:
            return [self.place] if self.count else []
        first, last = sorted((self.row_of(self.mark), self.row_of(self.cursor)))
        return [self.line_at(row) for row in range(first, min(last + 1, first + _COPIED, self.rows))]

    def text_of(self, lines: list[int]) -> str:
        """What is shown of these lines."""
        assert self._log is not None
        return "\n".join(self._painter.paint(self._log, at, self._look).text for at in lines)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text that is selected with the mouse."""
        if self._log is None or not self.rows:
            return None
        first = selection.start.y if selection.start is not None else 0
        last = min(selection.end.y if selection.end is not None else self.rows - 1, first + _COPIED, self.rows - 1)
        texts = self.text_of([self.line_at(row) for row in range(first, last + 1)]).split("\n")
        if selection.end is not None and selection.end.y == last:
            texts[-1] = texts[-1][: selection.end.x]
        if selection.start is not None:
            texts[0] = texts[0][selection.start.x :]
        return "\n".join(texts), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def watch_follow(self, follow: bool) -> None:
        self._seen, self.unread = self.rows, 0
        if follow:
            self.cursor = self.mark = None
            self._to_end()
        self.post_message(self.Changed(self))

    def watch_unread(self) -> None:
        self.post_message(self.Changed(self))

    def watch_times(self) -> None:
        self.redraw()

    watch_numbers = watch_times

    def watch_wrap(self) -> None:
        self.show_horizontal_scrollbar = False
        self.redraw()

    def watch_cursor(self) -> None:
        self.post_message(self.Changed(self))
        self.refresh()

    watch_mark = watch_cursor

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._placing:
            return
        self._skip = 0
        if new_value < old_value and self.follow and new_value < self.max_scroll_y:
            self.follow = False
        elif new_value > old_value and not self.follow and new_value >= self.max_scroll_y and self.mark is None:
            self.follow = True

    def on_resize(self) -> None:
        self._resize()
        if self.follow:
            self._to_end()

    def action_lines(self, count: int) -> None:
        if self.mark is not None and self.cursor is not None:
            self._move_cursor(count)
        else:
            self._scroll_rows(count)

    def action_columns(self, count: int) -> None:
        self.scroll_to(x=self.scroll_x + count, animate=False)

    def action_pages(self, count: float) -> None:
        self.action_lines(round(count * max(self.row_room - 1, 1)))

    def action_top(self) -> None:
        self.follow = False
        if self.mark is not None:
            self._move_cursor(-self.rows)
        else:
            self._put_at(Place())

    def action_end(self) -> None:
        if self.mark is not None:
            self._move_cursor(self.rows)
        else:
            self.follow = True
            self._to_end()

    def action_toggle_follow(self) -> None:
        self.follow = not self.follow

    def action_toggle_wrap(self) -> None:
        self.wrap = not self.wrap

    def action_toggle_numbers(self) -> None:
        self.numbers = not self.numbers

    def action_toggle_mark(self) -> None:
        if self.mark is not None:
            self.mark = None
        elif self.rows:
            here = self.place if not self.follow else self.line_at(self.rows - 1)
            self.follow = False
            self.cursor = self.mark = here

    def on_click(self, event: events.Click) -> None:
        shown = self._shown_rows()
        if event.y < len(shown) and self.text_selection is None and not self.follow:
            self.cursor = self.line_at(shown[event.y][0])

    @property
    def row_room(self) -> int:
        """Rows of the window."""
        return max(self.scrollable_content_region.height, 1)

    @property
    def _look(self) -> Look:
        digits = max(4, len(str(self.count))) if self.numbers else 0
        width = self.scrollable_content_region.width
        return Look(palette(self.app), digits, self.times, width if self.wrap else 0, self._query)

    def _painted(self, row: int) -> Painted:
        assert self._log is not None
        return self._painter.paint(self._log, self.line_at(row), self._look)

    def _height(self, row: int) -> int:
        return len(self._painted(row).rows) if self.wrap else 1

    def _shown_rows(self) -> list[tuple[int, int]]:
        """The (row, part of its line) of each row of the window."""
        place = Place(self.scroll_offset.y, self._skip if self.wrap else 0)
        state = (place, self.row_room, self.rows, self._look)
        if self._layout[0] != state:
            self._layout = (state, viewport.rows(place, self.row_room, self.rows, self._height))
        return self._layout[1]

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        shown = self._shown_rows()
        if self._log is None or y >= len(shown):
            return Strip.blank(width, base)
        row, part = shown[y]
        painted = self._painted(row)
        strip = self._selected(painted, row, part)
        if not self.wrap and strip.cell_length > self._widest:
            self._widest = strip.cell_length
            self.call_after_refresh(self._resize)
        over = palette(self.app).cursor_blurred if self._is_chosen(self.line_at(row)) else None
        drawn = line(list(strip), max(strip.cell_length, width), base, over)
        left = 0 if self.wrap else self.scroll_offset.x
        return drawn.crop_extend(left, left + width, base)

    def _selected(self, painted: Painted, row: int, part: int) -> Strip:
        """A row of a line with what the mouse selects in it, and for the mouse to know where it is."""
        margin, begin = self._look.margin, painted.starts[part]
        head, text = painted.rows[part].divide([margin, max(painted.rows[part].cell_length, margin)])
        span = self.text_selection.get_span(row) if self.text_selection is not None else None
        if span is not None:
            start, end = span
            end = len(painted.text) if end == -1 else end
            style = self.screen.get_component_rich_style("screen--selection")
            spans = [(max(start - begin, 0), max(end - begin, 0))]
            text = Strip(styled(list(text), spans, style))
        return Strip([*head, *text.apply_offsets(begin, row)])

    def _is_chosen(self, line: int) -> bool:
        if self.mark is None or self.cursor is None:
            return line == self.cursor
        return min(self.mark, self.cursor) <= line <= max(self.mark, self.cursor)

    def _move_cursor(self, by: int) -> None:
        assert self.cursor is not None
        row = min(max(self.row_of(self.cursor) + by, 0), self.rows - 1)
        self.cursor = self.line_at(row)
        shown = [shown for shown, _ in self._shown_rows()]
        if row not in shown:
            self._put_at(Place(row if by < 0 else max(row - self.row_room + 1, 0)))

    def _scroll_rows(self, by: int) -> None:
        place = Place(self.scroll_offset.y, self._skip)
        room, count = self.row_room, self.rows
        target = viewport.moved(place, by, room, count, self._height)
        if by < 0 and target < place:
            self.follow = False
        self._put_at(target)
        if by > 0 and target == viewport.end(room, count, self._height):
            self.follow = True

    def _put_at(self, place: Place) -> None:
        """Move the window without taking that for a person's scrolling."""
        self._placing = True
        self._skip = place.skip
        self.scroll_to(y=place.line, animate=False, force=True, immediate=True)
        self._placing = False
        self.refresh()

    def _resize(self) -> None:
        """Tell the scrollbars how long this is: so that the window's last place is the one that shows the end."""
        last = viewport.end(self.row_room, self.rows, self._height) if self.size else Place()
        size = Size(0 if self.wrap else self._widest, last.line + self.row_room if self.rows else 0)
        if size != self.virtual_size:
            self.virtual_size = size

    def _to_end(self) -> None:
        self._keep_at_end()
        # The scrollbars learn of a new size only at the next layout.
        self.call_after_refresh(self._keep_at_end)

    def _keep_at_end(self) -> None:
        if self.follow and self.size:
            self._put_at(viewport.end(self.row_room, self.rows, self._height))

    def redraw(self) -> None:
        """What stands before the lines is another than before."""
        self._widest = 0
        self._painter.forget()
        self._resize()
        if self.follow:
            self._to_end()
        self.post_message(self.Changed(self))
        self.refresh()
