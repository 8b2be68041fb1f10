"""A log with its sections: headings for commands and groups, which fold their lines away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from workbench.logs.folding import Folding, SectionKey, innermost_section, section_key
from workbench.logs.log_file import LogFile
from workbench.logs.sections import Section
from workbench.logs.viewport import ViewportPosition
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.theme import ERROR_SIGN, Palette, palette
from workbench.tui.widgets.log.line_renderer import LineStyle, RenderedLine
from workbench.tui.widgets.log.view import LogView

_MAX_TITLE_LENGTH = 200


class SectionLogView(LogView):
    """A log view whose sections are set with `set_sections`. A filter shows lines only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z,enter", "fold", "Fold", show=False, id="log.fold",
                tooltip="Fold or unfold the command or group at the cursor"),
        Binding("Z", "fold_all", "Fold all", show=False, id="log.fold-all",
                tooltip="Fold all commands and groups, or unfold them"),
    ]  # fmt: skip

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sections: Sequence[Section] = ()
        self._folded: set[SectionKey] = set()
        self._known: set[SectionKey] = set()

    @property
    def sections(self) -> Sequence[Section]:
        return self._sections

    def show_log(self, log: LogFile | None) -> None:
        self._sections, self._folded, self._known = (), set(), set()
        super().show_log(log)

    def set_sections(self, sections: Sequence[Section]) -> None:
        """Show these sections (see `merge_sections`); a new one is folded if the program asked for that."""
        if sections == self._sections:
            return
        self._sections = sections
        self._folded |= {section_key(each) for each in sections if each.collapsed} - self._known
        self._known |= {section_key(each) for each in sections}
        self._fold()

    def go_to(self, line: int) -> None:
        """Show this line, and unfold the sections that it is in."""
        around = {section_key(each) for each in self._sections if _contains(each, line)}
        if around & self._folded:
            self._folded -= around
            self._fold()
        super().go_to(line)

    def action_fold(self) -> None:
        section = innermost_section(self._sections, self.current_line)
        if section is not None:
            self._toggle(section)

    def action_fold_all(self) -> None:
        everything = {section_key(each) for each in self._sections}
        self._folded = set() if self._folded else everything
        self._fold()

    def on_click(self, event: events.Click) -> None:
        """A click on a heading folds or unfolds its section."""
        shown = self._visible_rows()
        section = self._rows.section_at(shown[event.y][0]) if event.y < len(shown) else None
        if section is not None and self.text_selection is None:
            event.prevent_default()
            self._toggle(section)

    def _toggle(self, section: Section) -> None:
        self.follow = False
        self.cursor = section.first
        self._folded ^= {section_key(section)}
        self._fold()

    def _fold(self) -> None:
        """Make the rows anew. The first visible line, or the end while following, stays where it is."""
        top = self._rows.line_at(self.scroll_offset.y)
        unread = self.unread
        folding = Folding(self._sections, self._folded) if self._sections else None
        self._rows = replace(self._rows, folding=folding)
        self._update_virtual_size()
        self._seen_rows = max(self._rows.whole_row_count - unread, 0)
        if self.follow:
            self._scroll_to_end()
        elif not self.filtered:
            self._scroll_to_position(ViewportPosition(self._rows.row_of(top)))
        self.refresh()
        self.post_message(self.Changed(self))

    def _rendered(self, row: int) -> RenderedLine:
        section = self._rows.section_at(row)
        if section is None:
            return super()._rendered(row)
        is_folded = section_key(section) in self._folded
        return render_heading(section, self._line_style, palette(self.app), self._hidden_lines(section, is_folded))

    def _hidden_lines(self, section: Section, is_folded: bool) -> int | None:
        """How many lines a folded section hides; None if it is unfolded."""
        if not is_folded:
            return None
        end = self.line_count if section.end is None else section.end
        return max(end - section.first - (section.kind == "group") - section.has_end_marker, 0)

    def _row_overlay(self, row: int) -> Style | None:
        section = self._rows.section_at(row)
        if section is not None and not self._stands_for_line(section):
            return None
        return super()._row_overlay(row)

    def _stands_for_line(self, section: Section) -> bool:
        """Whether the first line of the section has no row but its heading."""
        return section.kind == "group" or section_key(section) in self._folded

    def _row_with_line(self, row: int, direction: int) -> int:
        step = 1 if direction > 0 else -1
        while (section := self._rows.section_at(row)) is not None and not self._stands_for_line(section):
            if not 0 <= row + step < self.row_count:
                break
            row += step
        return row


def _contains(section: Section, line: int) -> bool:
    return section.first <= line and (section.end is None or line < section.end)


def render_heading(section: Section, style: LineStyle, colours: Palette, hidden: int | None) -> RenderedLine:
    """The heading of a section: whether it is folded, its title, how it ended and how long it took.

    Args:
        hidden: how many lines are folded away; None if it is unfolded.
    """
    title = sanitize_label(section.title, _MAX_TITLE_LENGTH)
    sign = "▾ " if hidden is None else "▸ "
    prompt = "$ " if section.kind == "command" else ""
    details = _details(section, hidden)
    failed = section.exit_code not in (None, 0)
    pieces = [
        Segment(" " * (style.margin - 1)),
        Segment(ERROR_SIGN if failed else " ", colours.error),
        Segment(sign, colours.muted),
        Segment(prompt + title, colours.bold + colours.error if failed else colours.bold),
        Segment(details, colours.error if failed else colours.muted),
    ]
    text = f"{sign}{prompt}{title}{details}"
    if style.wrap_width:
        # A heading is one row: its title is shortened instead of wrapped.
        room = max(style.wrap_width - style.margin, 8)
        if cell_width(text) > room:
            pieces = list(Strip(pieces).crop(0, style.wrap_width))
    return RenderedLine(text, (Strip(pieces),), (0,))


def _details(section: Section, hidden: int | None) -> str:
    parts = []
    if section.exit_code not in (None, 0):
        parts.append(f"exit code {section.exit_code}")
    if section.start is not None and section.stop is not None:
        parts.append(format_duration((section.stop - section.start) / 1_000_000))
    if hidden is not None:
        parts.append("1 line" if hidden == 1 else f"{hidden:,} lines")
    return f"  {' · '.join(parts)}" if parts else ""
