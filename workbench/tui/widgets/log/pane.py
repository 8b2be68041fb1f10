"""A log with its heading, the reason of its step's phase, and search, filter, copy and save."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from workbench.client.models import Step, StreamKey
from workbench.logs.log_file import LogFileError
from workbench.logs.sections import GroupScanner, Section, merge_sections
from workbench.logs.step_logs import StepLogs
from workbench.logs.time_input import parse_moment
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import is_going
from workbench.tui.keys import key_label
from workbench.tui.ordered_input import keys_wait
from workbench.tui.theme import palette
from workbench.tui.widgets.log.heading import LogStatus, empty_message, heading, status_reason
from workbench.tui.widgets.log.prompt import LogPrompt
from workbench.tui.widgets.log.search import scan
from workbench.tui.widgets.log.searchable import SearchableLog
from workbench.tui.widgets.log.section_view import SectionLogView
from workbench.tui.widgets.log.streams import (
    first_failure,
    next_container,
    previous_attempt,
    select_stream,
    step_sections,
)
from workbench.tui.widgets.log.view import LogView

_REDRAW_DELAY = 0.05
"""Seconds between two updates of a growing log."""
_KEY_DELAY, _MAX_KEY_DELAYS = 0.01, 10
"""Seconds for which an update waits for a key that is being handled, and how often."""


class LogPane(SearchableLog):
    """Shows one stream of a step, whose lines are in the `StepLogs` passed to `show_step`."""

    HELP_TITLE: ClassVar[str] = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("E", "first_error", "Failure", id="log.failure",
                tooltip="Go to the first line that explains the failure"),
        Binding("t", "times", "Times", show=False, id="log.times", tooltip="Show the time of each line"),
        Binding("colon", "ask('time')", "Go to time", show=False, id="log.time", tooltip="Go to a time"),
        Binding("A", "other_attempt", "Attempt", show=False, id="log.attempt", tooltip="Show the previous attempt"),
        Binding("c", "other_container", "Container", show=False, id="log.container",
                tooltip="Show the log of the next container: agent, services"),
        Binding("Y", "copy_path", "Copy path", show=False, id="log.copy-path",
                tooltip="Save the log and copy the file's path"),
        Binding("ctrl+s", "save", "Save", show=False, id="log.save",
                tooltip="Save the whole log to a file in the downloads folder"),
    ]  # fmt: skip

    class StreamChanged(Message):
        """Another attempt or container was chosen."""

    @dataclass
    class TimestampsRequested(Message):
        """The user wants timestamps that are not loaded yet."""

        key: StreamKey

    @dataclass
    class SaveRequested(Message):
        """The user wants to save the log, and with `copy` to copy the path of the file."""

        pane: LogPane
        copy: bool

    key: reactive[StreamKey | None] = reactive(None, repaint=False)
    """Which stream is shown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._logs = StepLogs()
        self.step: Step | None = None
        self._groups: GroupScanner | None = None
        self._found_sections: tuple[int, list[Section]] = (0, [])
        """What the sections of the view were made from: the number of markers, and the commands."""
        self.is_update_scheduled = False
        """Whether lines that have come are to be drawn in a moment."""
        self._key_delays = 0
        """How often the update has waited for a key."""
        self._pending_line: int | None = None
        self._selection_of_step: tuple[str, int | None, str | None] = ("", None, None)
        self._said: dict[str, Text] = {}
        """The texts around the lines."""
        self.offline_since: str | None = None
        """The time at which the connection was lost; None while it works."""
        self.hold: str | None = None
        """Where the step will be held."""
        self.held_keys = ""
        """What one can do while the step is held."""

    def compose(self) -> ComposeResult:
        yield Static(classes="log-heading", markup=False)
        yield Static(classes="log-why", markup=False)
        yield Static(classes="log-empty", markup=False)
        yield SectionLogView()
        yield Static(classes="log-chip", markup=False)
        yield LogPrompt()

    @property
    def status(self) -> LogStatus:
        if self.key is None:
            return LogStatus(offline_since=self.offline_since, hold=self.hold)
        problem = self._logs.problem(self.key)
        return LogStatus(self._logs.state(self.key), problem, self.offline_since, self.hold)

    def show_step(self, step: Step | None, logs: StepLogs) -> None:
        """Show a step, or the same step in a newer state."""
        self.step, self._logs = step, logs
        slug, attempt, container = self._selection_of_step
        if step is None or slug != step.slug:
            self._selection_of_step = (step.slug if step is not None else "", None, None)
            attempt = container = None
        self.key = select_stream(step, attempt, container)
        self._update_sections()
        self.update_status()

    def show_failure(self, text: str) -> bool:
        """Show a failure of the pane in its log; False if that is not visible."""
        return not is_going(self) and self.view.show_failure(text)

    def lines_received(self) -> None:
        """Schedule an update for new lines; many calls within a short time cause one update."""
        if not self.is_update_scheduled:
            self.is_update_scheduled = True
            self.set_timer(_REDRAW_DELAY, self._refresh_lines)

    def _refresh_lines(self) -> None:
        if keys_wait(self.app) and self._key_delays < _MAX_KEY_DELAYS:
            # What a key changes is shown first.
            self._key_delays += 1
            self.set_timer(_KEY_DELAY, self._refresh_lines)
            return
        self.is_update_scheduled, self._key_delays = False, 0
        if self.search.filter is not None and not self.search.filter.complete:
            self._scan_filter(self.search.filter)
        self._update_sections()
        self._show_partial()
        self.view.log_grew()
        self._go_to_pending_line()
        self.update_status()

    def _show_partial(self) -> None:
        self.view.set_partial(self._logs.stream(self.key).partial if self.key is not None else None)

    def _update_sections(self) -> None:
        """Show the commands that have started, and the groups found so far."""
        if self._groups is None or self.key is None:
            return
        if not self._groups.complete:
            self._scan_groups(self._groups)
        commands = step_sections(self.step, self.key, self._logs.stream(self.key).commands)
        found = (self._groups.marker_count, commands)
        if found != self._found_sections:
            self._found_sections = found
            self.view.set_sections(merge_sections(commands, self._groups.groups()))

    @work(group="groups", exclusive=True, description="find the groups of the log")
    async def _scan_groups(self, groups: GroupScanner) -> None:
        try:
            await scan(groups, lambda: self._groups is not groups)
        except LogFileError as error:
            self.notify(str(error), severity="error", markup=False)
        if self._groups is groups:
            self._update_sections()

    def watch_key(self, key: StreamKey | None) -> None:
        log = self._logs.stream(key).log if key is not None else None
        self._groups = GroupScanner(log) if log is not None else None
        self._found_sections = (0, [])
        self.attach(log)
        self._show_partial()
        self._update_sections()
        first = first_failure(self.step, key)
        self._pending_line = first.line if first is not None else None
        self._go_to_pending_line()

    def _go_to_pending_line(self) -> None:
        """Go to the line that explains a failure as soon as it is loaded."""
        wanted, view = self._pending_line, self.view
        if wanted is None or self.key is None or not view.line_count >= wanted > 0:
            return
        # With the lines shown below it, so that it has the same position as in a complete log.
        if self._logs.is_complete(self.key) or view.line_count >= wanted + view.size.height:
            view.go_to(wanted - 1)
            view.loading_rest = True
            self._pending_line = None

    def on_resize(self) -> None:
        """Truncate the heading and the reason to the new width."""
        self.update_status()

    @on(LogView.Changed)
    def update_status(self) -> None:
        """Update the heading, the reason and the messages around the lines."""
        colours, step, view = palette(self.app), self.step, self.view
        view.growing = step is not None and not step.ended
        width = max(self.size.width - 2, 10)
        text = heading(step, self.key, view, self.status, self.search.matches, self.search.filter, colours, width)
        self._say(".log-heading", text)
        reason = status_reason(step, first_failure(self.step, self.key), colours, width, self.held_keys)
        why = self._say(".log-why", reason)
        why.display = step is not None and step.state not in ("Succeeded", "Running") and bool(step.message)
        message = sanitize_label(empty_message(step, self.key, self.status, self.search.filter), 400)
        empty = self._say(".log-empty", Text(message))
        empty.display = view.row_count == 0
        # Not hidden: it would lose the focus, and keys that are typed before there are lines.
        view.set_class(empty.display, "-empty")
        unread = f" ↓ {view.unread:,} new lines · {key_label(self.app, 'log.end', 'G')} follows "
        # What a step that has ended has printed is not new, and what can be seen needs no key.
        behind = not view.follow and view.unread > 0 and view.growing and not view.shows_end
        self._say(".log-chip", Text(unread if behind else "")).display = behind

    def _say(self, place: str, text: Text) -> Static:
        """Show a text, unless it is there already: many lines a second must not draw everything around them again."""
        shown = self.query_one(place, Static)
        before = self._said.get(place)
        if before != text:
            self._said[place] = text
            # Only what is as wide as its text needs a new layout when that gets longer.
            is_resized = place == ".log-chip" and (before is None or before.cell_len != text.cell_len)
            shown.update(text, layout=is_resized)
        return shown

    def action_first_error(self) -> None:
        first = first_failure(self.step, self.key)
        if first is None:
            self.notify("No line of this log explains a failure.", severity="information")
        elif first.line > self.view.line_count:
            self.notify(f"Line {first.line} is not loaded yet.", severity="information")
        else:
            self.view.go_to(first.line - 1)

    def action_other_attempt(self) -> None:
        if self.step is not None and self.key is not None:
            attempt = previous_attempt(self.step, self.key)
            if attempt is not None:
                self._select_stream(attempt, None)

    def action_other_container(self) -> None:
        if self.step is not None and self.key is not None:
            container = next_container(self.step, self.key)
            if container is not None:
                self._select_stream(self.key.attempt, container)

    def _select_stream(self, attempt: int, container: str | None) -> None:
        assert self.step is not None
        self._selection_of_step = (self.step.slug, attempt, container)
        self.show_step(self.step, self._logs)
        self.post_message(self.StreamChanged())

    def action_times(self) -> None:
        self.view.times = not self.view.times
        self._request_timestamps()

    def _request_timestamps(self) -> bool:
        """Whether the timestamps are loaded; requests them if not."""
        log = self.view.log_file
        if log is not None and self.key is not None and len(log) and not log.has_times:
            self.post_message(self.TimestampsRequested(self.key))
            return False
        return True

    def timestamps_loaded(self) -> None:
        self.view.reset_layout()

    def go_to_time(self, text: str) -> None:
        log = self.view.log_file
        if log is None or not self._request_timestamps():
            self.notify("The times of this log are loading; try again in a moment.", severity="information")
            return
        first = next((time for at in range(min(len(log), 1000)) if (time := log.time(at)) is not None), 0)
        wanted = (
            parse_moment(text, datetime.fromtimestamp(first / 1_000_000, UTC).astimezone()) if text.strip() else None
        )
        if wanted is None:
            if text.strip():
                self.notify(
                    f"{sanitize_label(text, 40)} is not a time; use 14:05:30 or +90s.", severity="warning", markup=False
                )
            return
        found = log.first_at(int(wanted.timestamp() * 1_000_000))
        self.show_line(found if found is not None else len(log) - 1)

    def action_save(self) -> None:
        self.post_message(self.SaveRequested(self, copy=False))

    def action_copy_path(self) -> None:
        self.post_message(self.SaveRequested(self, copy=True))
