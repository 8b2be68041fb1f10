"""The part of a log pane that searches and filters its log."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from workbench.logs.log_file import LogFile, LogFileError
from workbench.logs.search.context import FilterInput, parse_filter
from workbench.logs.search.matches import MatchIndex
from workbench.logs.search.query import LineMatcher, Query, QueryError
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import ErrorBoundary, is_going
from workbench.tui.keys import key_label
from workbench.tui.terminal import clipboard
from workbench.tui.widgets.log.prompt import LogPrompt
from workbench.tui.widgets.log.scrolling import LogBookmark
from workbench.tui.widgets.log.search import LogSearchController, next_match, scan
from workbench.tui.widgets.log.section_view import SectionLogView

_TYPING_PAUSE = 0.06
"""Seconds without a key after which the text typed so far is searched."""


class SearchableLog(ErrorBoundary, Vertical):
    """A widget with a `SectionLogView` and a `LogPrompt`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "ask('find')", "Find", id="log.find", tooltip="Find text in the whole log"),
        Binding("n", "next_hit(1)", "Next hit", show=False, id="log.next", tooltip="Go to the next match"),
        Binding("N", "next_hit(-1)", "Previous hit", show=False, id="log.previous", tooltip="Go to the previous match"),
        Binding("ampersand", "ask('keep')", "Keep", id="log.keep", tooltip="Show only matching lines"),
        Binding("i", "invert", "Invert", show=False, id="log.invert",
                tooltip="Invert the filter, or hide the matches of the search"),
        Binding("right_square_bracket", "next_error(1)", "Next error", show=False, id="log.next-error",
                tooltip="Go to the next line that looks like an error"),
        Binding("left_square_bracket", "next_error(-1)", "Previous error", show=False, id="log.previous-error",
                tooltip="Go to the previous line that looks like an error"),
        Binding("y", "copy", "Copy", show=False, id="log.copy",
                tooltip="Copy the selected or marked lines, or the current line"),
    ]  # fmt: skip

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.search = LogSearchController()
        self._found_from: LogBookmark | None = None
        """Where the view was when the prompt was opened; None while nothing is searched as it is typed."""

    @property
    def view(self) -> SectionLogView:
        return self.query_one(SectionLogView)

    def attach(self, log: LogFile | None) -> None:
        """Show another log, without a search or a filter."""
        self.search = LogSearchController(log)
        self.view.highlight(None)
        self.view.show_log(log)

    def update_status(self) -> None:
        """Update what is shown around the lines."""
        raise NotImplementedError

    def go_to_time(self, text: str) -> None:
        """Go to the first line at a time, as the user has typed it."""
        raise NotImplementedError

    def action_ask(self, purpose: str) -> None:
        field = self.query_one(LogPrompt)
        self._found_from = self.view.bookmark() if purpose == "find" else None
        if purpose == "keep":
            field.open("keep", blank=self.search.filter is not None)
        else:
            field.open("time" if purpose == "time" else "find")

    def close_prompt(self) -> bool:
        """Close the prompt or end marking; False if there was neither."""
        if self.query_one(LogPrompt).close():
            return True
        if self.view.mark is not None:
            self.view.mark = None
            return True
        return False

    @on(LogPrompt.Closed)
    def _prompt_closed(self, event: LogPrompt.Closed) -> None:
        if event.given_up and self._found_from is not None and event.typed:
            self._end_search()
        self._found_from = None
        self.view.focus()

    @on(LogPrompt.Typed)
    def _find_typed(self, event: LogPrompt.Typed) -> None:
        """Show the first match of what is typed so far, from where the prompt was opened."""
        event.stop()
        if self._found_from is None:
            return
        try:
            query = Query(event.text, event.regex) if event.text else None
        except QueryError:
            return  # Of a pattern that is not complete, what was found before stays.
        if query is None:
            self._end_search()
            return
        self.view.highlight(query)
        matches = self.search.search(query)
        if matches is not None:
            self._preview_match(matches, self._found_from)

    def _end_search(self) -> None:
        """Go back to where the prompt was opened, without a search."""
        self.workers.cancel_group(self, "find")
        self.search.search(None)
        self.view.highlight(None)
        if self._found_from is not None:
            self.view.return_to(self._found_from)
        self.update_status()

    @work(group="find", exclusive=True, description="find while typing")
    async def _preview_match(self, matches: MatchIndex, start: LogBookmark) -> None:
        log = self.view.log_file
        try:
            await asyncio.sleep(_TYPING_PAUSE)
            found = await next_match(matches, start.line, 1, inclusive=True)
            if self.view.log_file is not log or self.search.matches is not matches:
                return
            if found is not None and self.view.shows(found):
                self._go_to_hit(found, matches)
            else:
                self.view.return_to(start)
            self.update_status()
            await scan(matches, self._report_scan)
        except QueryError:
            self._end_search()
        except LogFileError as error:
            self.notify(str(error), severity="error", markup=False)

    def _report_scan(self) -> None:
        if not is_going(self):
            self.update_status()

    @on(LogPrompt.Submitted)
    def _prompt_submitted(self, event: LogPrompt.Submitted) -> None:
        event.stop()
        if event.purpose == "time":
            self.go_to_time(event.text)
            return
        typed = parse_filter(event.text) if event.purpose == "keep" else FilterInput(event.text)
        try:
            query = Query(typed.text, event.regex) if typed.text else None
        except QueryError as error:
            self.notify(str(error), severity="warning", markup=False)
            return
        if event.purpose == "keep":
            self._set_filter(query, inverted=typed.inverted, context=typed.context)
        else:
            self._set_search(query)

    def _set_search(self, query: Query | None) -> None:
        self.view.highlight(query)
        matches = self.search.search(query)
        if matches is not None:
            self._go_to_match(matches, 1, including=True)
        self.update_status()

    def _set_filter(self, matcher: LineMatcher | None, *, inverted: bool = False, context: int = 0) -> None:
        self.search.set_filter(matcher, inverted=inverted, context=context)
        if self.search.matches is None:
            self.view.highlight(matcher if isinstance(matcher, Query) and not inverted else None)
        self._apply_filter()

    def _apply_filter(self) -> None:
        """Show the lines of the filter as soon as it has scanned the log."""
        if self.search.filter is not None:
            self._scan_filter(self.search.filter, show=True)
        else:
            self.view.set_filter(None)
            self.update_status()

    def action_invert(self) -> None:
        if self.search.invert():
            self._apply_filter()
        else:
            self.action_ask("keep")

    @work(group="keep", exclusive=True, description="keep matching lines")
    async def _scan_filter(self, matches: MatchIndex, *, show: bool = False) -> None:
        try:
            await scan(matches, lambda: self.search.filter is not matches)
        except QueryError as error:
            if self.search.filter is matches:
                self._set_filter(None)
            self.notify(sanitize_label(str(error), 400), severity="warning", markup=False)
        except LogFileError as error:
            self.notify(str(error), severity="error", markup=False)
        if self.search.filter is matches:
            if show:
                self.view.set_filter(matches)
            self.view.log_grew()
            self.update_status()

    def action_next_hit(self, direction: int) -> None:
        if self.search.matches is None:
            self.action_ask("find")
        else:
            self._go_to_match(self.search.matches, direction)

    def action_next_error(self, direction: int) -> None:
        errors = self.search.errors()
        if errors is not None:
            self._go_to_match(errors, direction)

    @work(group="find", exclusive=True, description="find in the log")
    async def _go_to_match(self, matches: MatchIndex, direction: int, *, including: bool = False) -> None:
        log = self.view.log_file
        try:
            found = await next_match(matches, self.view.current_line, direction, inclusive=including)
            if self.view.log_file is log and found is not None:
                self._go_to_hit(found, matches)
            elif found is None:
                self.notify("Not found in this log.", severity="information")
            # The rest is scanned only to count the matches; the first one is already shown.
            self.update_status()
            await scan(matches, self.update_status)
        except QueryError as error:
            if self.search.matches is matches:
                self._set_search(None)
            self.notify(sanitize_label(str(error), 400), severity="warning", markup=False)
        except LogFileError as error:
            self.notify(str(error), severity="error", markup=False)

    def _go_to_hit(self, line: int, matches: MatchIndex) -> None:
        """Go to a matching line, and scroll sideways to the match."""
        self.show_line(line)
        spans = matches.matcher.find_spans(self.view.text_of([line])) if isinstance(matches.matcher, Query) else []
        if spans:
            self.view.reveal_columns(line, *spans[0])
        elif isinstance(matches.matcher, Query):
            save = key_label(self.app, "log.save", "ctrl+s")
            self.notify(f"The match is beyond what is shown of this long line; {save} saves the log.", markup=False)

    def show_line(self, line: int) -> None:
        """Go to a line, without the filter if that hides it."""
        if self.search.filter is not None and not self.view.shows(line):
            self._set_filter(None)
            self.notify("The filter hid this line; it was removed.", severity="information")
        self.view.go_to(line)

    @work(group="copy", exclusive=True, description="copy")
    async def action_copy(self) -> None:
        selected = self.screen.get_selected_text()
        text = selected if selected else self.view.text_of(self.view.selected_lines()) if self.view.row_count else ""
        if text:
            self.view.mark = None
            trouble = await clipboard.copy(text, self.app.copy_to_clipboard)
            lines = text.count("\n") + 1
            said = f"Copied {lines:,} line{'' if lines == 1 else 's'}." if trouble is None else trouble
            self.notify(said, severity="information" if trouble is None else "warning", timeout=2)
