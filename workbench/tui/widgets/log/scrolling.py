"""The position of a log view: what it follows, where it is scrolled to, and how large its content is.

It knows rows and their heights, and draws nothing; `LogView` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView

from workbench.logs import viewport
from workbench.logs.log_file import LogFile
from workbench.logs.viewport import ViewportPosition
from workbench.tui.boundary import PaneBoundary
from workbench.tui.widgets.log.rows import LogRows


@dataclass(frozen=True)
class LogBookmark:
    """A place in a log. `line` (from 0) is the current line there."""

    line: int
    cursor: int | None
    follow: bool
    position: ViewportPosition


class ScrollingLog(PaneBoundary, ScrollView, can_focus=True):
    """Follows the end of the log until the user scrolls up; then the position stays while lines arrive."""

    follow: reactive[bool] = reactive(True)
    """Whether the view scrolls to new lines."""
    unread: reactive[int] = reactive(0)
    """Rows that arrived below the view while it did not follow."""
    wrap: reactive[bool] = reactive(False)
    cursor: reactive[int | None] = reactive(None)
    """The line that the user went to, if any."""
    mark: reactive[int | None] = reactive(None)
    """The line where marking started, while lines are marked."""

    class Changed(Message):
        """Following, the number of unread lines, the cursor, or a display option has changed."""

        def __init__(self, view: ScrollingLog) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> ScrollingLog:
            return self.view

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, ScrollingLog.Changed) and message.view is self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = LogRows()
        self._seen_rows = 0
        self._max_line_width = 0
        self._skipped_rows = 0
        self._scrolling_by_code = False
        self.loading_rest = False
        """The rest of a stored log is being loaded; its lines do not count as unread."""
        self.growing = True
        """Whether lines may still be added."""

    def _rows_of(self, row: int) -> int:
        """The height of a row: more than 1 where its line is wrapped."""
        raise NotImplementedError

    @property
    def log_file(self) -> LogFile | None:
        return self._rows.log_file

    @property
    def line_count(self) -> int:
        return self._rows.line_count

    @property
    def row_count(self) -> int:
        return self._rows.row_count

    @property
    def current_line(self) -> int:
        """The line (from 0) at the cursor, or without a cursor the first visible one."""
        return self.cursor if self.cursor is not None else self._rows.line_at(self.scroll_offset.y)

    @property
    def filtered(self) -> bool:
        """Whether only some lines are shown. Then keys move the cursor, and not the view."""
        return self._rows.filter is not None

    @property
    def visible_row_count(self) -> int:
        """Rows of the view."""
        return max(self.scrollable_content_region.height, 1)

    @property
    def shows_end(self) -> bool:
        """Whether the last row can be seen."""
        return self.scroll_offset.y + self.visible_row_count >= self.row_count and not self.wrap

    def log_grew(self) -> None:
        """Update the view after lines were added to the log or its filter."""
        count = self._rows.whole_row_count
        if count == self._seen_rows and self._seen_rows:
            return
        self._update_virtual_size()
        if self.follow:
            self._seen_rows = count
            self._scroll_to_end()
        elif self.loading_rest:
            self._seen_rows = count
        else:
            self.unread = max(count - self._seen_rows, 0)
        self.refresh()

    def bookmark(self) -> LogBookmark:
        """Where the view is."""
        position = ViewportPosition(self.scroll_offset.y, self._skipped_rows)
        return LogBookmark(self.current_line, self.cursor, self.follow, position)

    def return_to(self, bookmark: LogBookmark) -> None:
        """Go back to where the view was."""
        self.follow, self.cursor = bookmark.follow, bookmark.cursor
        if not self.follow:
            self._scroll_to_position(bookmark.position)

    def watch_follow(self, follow: bool) -> None:
        self._seen_rows, self.unread = self._rows.whole_row_count, 0
        if follow:
            self.cursor = self.mark = None
            self._scroll_to_end()
        self.post_message(self.Changed(self))

    def watch_unread(self) -> None:
        self.post_message(self.Changed(self))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._scrolling_by_code:
            return
        self._skipped_rows = 0
        if new_value < old_value and self.follow and new_value < self.max_scroll_y:
            self.follow = False
        elif new_value > old_value and not self.follow and new_value >= self.max_scroll_y and self._may_follow:
            self.follow = True

    @property
    def _may_follow(self) -> bool:
        """Whether reaching the end starts following, which gives up the cursor."""
        return self.mark is None and (self.growing or not self.filtered)

    def on_resize(self) -> None:
        self._update_virtual_size()
        if self.follow:
            self._scroll_to_end()

    def _scroll_by_rows(self, by: int) -> None:
        place = ViewportPosition(self.scroll_offset.y, self._skipped_rows)
        room, count = self.visible_row_count, self.row_count
        target = viewport.scroll(place, by, room, count, self._rows_of)
        if by < 0 and target < place:
            self.follow = False
        self._scroll_to_position(target)
        if by > 0 and target == viewport.last_position(room, count, self._rows_of):
            self.follow = True

    def _scroll_to_position(self, position: ViewportPosition) -> None:
        """Scroll without treating it as scrolling by the user."""
        self._scrolling_by_code = True
        if position.skip != self._skipped_rows:
            self._skipped_rows = position.skip
            self.refresh()
        self.scroll_to(y=position.line, animate=False, force=True, immediate=True)
        self._scrolling_by_code = False

    def _update_virtual_size(self) -> None:
        """Set the size for the scrollbars so that the last scroll position shows the end of the log."""
        if self.wrap:
            room = self.visible_row_count
            last = viewport.last_position(room, self.row_count, self._rows_of) if self.size else ViewportPosition()
            size = Size(0, last.line + room if self.row_count else 0)
        else:
            size = Size(self._max_line_width, self.row_count)
        if size != self.virtual_size:
            # Not by assignment, which lays out the whole screen: the view has the height that its pane leaves.
            self.set_reactive(ScrollingLog.virtual_size, size)
            self._scroll_update(size)

    def _scroll_to_end(self) -> None:
        self._scroll_to_end_if_following()
        # The scrollbars take over the new size only at the next layout.
        self.call_after_refresh(self._scroll_to_end_if_following)

    def _scroll_to_end_if_following(self) -> None:
        if self.follow and self.size:
            self._scroll_to_position(viewport.last_position(self.visible_row_count, self.row_count, self._rows_of))
