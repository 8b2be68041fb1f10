"""A window on a log of any length: only the lines that can be seen are read, parsed and drawn."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.core.logfile import LogFile
from workbench.core.text import segments
from workbench.core.width import cell_width
from workbench.tui.theme import Palette, palette, rich_style
from workbench.tui.widgets.painting import line

_CACHED = 2_000


class LogView(ScrollView, can_focus=True):
    """Follows the end until somebody scrolls up; then the place stays, whatever comes after it."""

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
        Binding("t", "toggle_times", "Times", show=False, id="log.times", tooltip="Show when each line was written"),
        Binding("number_sign", "toggle_numbers", "Numbers", show=False, id="log.numbers", tooltip="Show line numbers"),
    ]

    follow: reactive[bool] = reactive(True)
    """Whether new lines move the window."""
    unread: reactive[int] = reactive(0)
    """Lines that came below the window while it stayed."""
    times: reactive[bool] = reactive(False)
    numbers: reactive[bool] = reactive(True)

    class FollowChanged(Message):
        """Following began or ended, or lines came unseen."""

        def __init__(self, view: LogView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> LogView:
            return self.view

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView.FollowChanged)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._log: LogFile | None = None
        self._seen = 0
        self._widest = 0
        self._placing = False
        self._pattern: re.Pattern[str] | None = None
        self._hit: int | None = None
        self._cache: LRUCache[tuple[object, ...], Strip] = LRUCache(_CACHED)

    @property
    def count(self) -> int:
        return len(self._log) if self._log is not None else 0

    @property
    def file(self) -> LogFile | None:
        return self._log

    @property
    def place(self) -> int:
        """The line (from 0) that is marked, or else the first one that can be seen."""
        return self._hit if self._hit is not None else self.scroll_offset.y

    def show_log(self, log: LogFile | None, *, follow: bool = True) -> None:
        """Show another log, from its end or from its beginning."""
        self._log, self._seen, self._widest, self._hit = log, 0, 0, None
        self._cache.clear()
        self.set_reactive(LogView.follow, follow)
        self.unread = 0
        self._put_at(0)
        self._resize()
        self.grown()
        self.post_message(self.FollowChanged(self))

    def grown(self) -> None:
        """The log may have more lines than before."""
        if self.count == self._seen and self._seen:
            return
        self._resize()
        if self.follow:
            self._seen = self.count
            self._to_end()
        else:
            self.unread = self.count - self._seen
        self.refresh()

    def go_to(self, position: int) -> None:
        """Show this line (from 0), a third from the top, and mark it."""
        self.follow = False
        self._hit = position
        self._put_at(max(0, position - self.size.height // 3))
        self.refresh()

    def mark(self, pattern: re.Pattern[str] | None) -> None:
        """Show where this pattern is found in the lines."""
        self._pattern, self._hit = pattern, None
        self._cache.clear()
        self.refresh()

    def watch_follow(self, follow: bool) -> None:
        self._seen, self.unread = self.count, 0
        if follow:
            self._to_end()
        self.post_message(self.FollowChanged(self))

    def watch_unread(self) -> None:
        self.post_message(self.FollowChanged(self))

    def watch_times(self) -> None:
        self._redraw()

    def watch_numbers(self) -> None:
        self._redraw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._placing:
            return
        if new_value < old_value and self.follow and new_value < self.max_scroll_y:
            self.follow = False
        elif new_value > old_value and not self.follow and new_value >= self.max_scroll_y:
            self.follow = True

    def action_lines(self, count: int) -> None:
        self.scroll_to(y=self.scroll_y + count, animate=False)

    def action_columns(self, count: int) -> None:
        self.scroll_to(x=self.scroll_x + count, animate=False)

    def action_pages(self, count: float) -> None:
        self.action_lines(round(count * max(self.size.height - 1, 1)))

    def action_top(self) -> None:
        self.follow = False
        self.scroll_to(y=0, animate=False)

    def action_end(self) -> None:
        self.follow = True
        self._to_end()

    def action_toggle_follow(self) -> None:
        self.follow = not self.follow

    def action_toggle_times(self) -> None:
        self.times = not self.times

    def action_toggle_numbers(self) -> None:
        self.numbers = not self.numbers

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        at = y + self.scroll_offset.y
        if self._log is None or at >= self.count:
            return Strip.blank(width, base)
        key = (at, base, self.numbers, self.times)
        strip = self._cache.get(key)
        if strip is None:
            strip = self._draw(at, palette(self.app))
            self._cache[key] = strip
            if strip.cell_length > self._widest:
                self._widest = strip.cell_length
                self.call_after_refresh(self._resize)
        over = palette(self.app).cursor_blurred if at == self._hit else None
        strip = line(list(strip), max(strip.cell_length, width), base, over)
        left = self.scroll_offset.x
        return strip.crop_extend(left, left + width, base)

    def _draw(self, at: int, colours: Palette) -> Strip:
        assert self._log is not None
        head: list[Segment] = []
        if self.numbers:
            head.append(Segment(f"{at + 1:>{max(4, len(str(self.count)))}} ", colours.faint))
        if self.times:
            head.append(Segment(f"{_time_text(self._log.time(at))} ", colours.faint))
        (raw,) = self._log.read(at, 1)
        pieces = [Segment(text, rich_style(style)) for text, style in segments(raw)]
        if self._pattern is not None:
            pieces = _marked(pieces, self._pattern, colours.match)
        return Strip([*head, *pieces])

    def _put_at(self, line: int) -> None:
        """Move the window without taking that for a person's scrolling."""
        self._placing = True
        self.scroll_to(0, line, animate=False, force=True, immediate=True)
        self._placing = False

    def _resize(self) -> None:
        self.virtual_size = Size(self._widest, self.count)

    def _to_end(self) -> None:
        self.scroll_end(animate=False, force=True, x_axis=False, immediate=True)
        # The scrollbars learn of a new size only at the next layout.
        self.call_after_refresh(self._keep_at_end)

    def _keep_at_end(self) -> None:
        if self.follow:
            self.scroll_end(animate=False, force=True, x_axis=False, immediate=True)

    def _redraw(self) -> None:
        self._cache.clear()
        self._widest = 0
        self.refresh()


def _time_text(microseconds: int | None) -> str:
    if microseconds is None:
        return " " * 12
    moment = datetime.fromtimestamp(microseconds / 1_000_000, UTC).astimezone()
    return f"{moment:%H:%M:%S}.{microseconds // 1000 % 1000:03}"


def _marked(pieces: list[Segment], pattern: re.Pattern[str], style: Style) -> list[Segment]:
    """The pieces with every place where the pattern is found in the style of a hit."""
    text = "".join(piece.text for piece in pieces)
    hits = [match.span() for match in pattern.finditer(text) if match.end() > match.start()]
    if not hits:
        return pieces
    cuts = [cell_width(text[:at]) for hit in hits for at in hit]
    strips = Strip(pieces).divide([*cuts, cell_width(text)])
    marked: list[Segment] = []
    for number, strip in enumerate(strips):
        hit = number % 2 == 1
        marked += [Segment(part, (base or Style()) + style if hit else base) for part, base, _ in strip]
    return marked
