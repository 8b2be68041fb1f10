"""One log on the screen: its heading, why its step is as it is, the lines, and what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from workbench.client.models import FirstFailure, Step, StreamKey
from workbench.logs.log_file import LogFileError
from workbench.logs.run_log import blamed
from workbench.logs.search.matches import Matches
from workbench.logs.search.query import Errors, Lookup, Query, QueryError
from workbench.logs.search.regex import lookup_of
from workbench.logs.step_logs import StepLogs
from workbench.logs.time_input import moment
from workbench.text.sanitize import label
from workbench.tui.base_app import key_of
from workbench.tui.terminal import clipboard
from workbench.tui.theme import palette
from workbench.tui.widgets.log.heading import emptiness, heading, reason
from workbench.tui.widgets.log.prompt import LogField
from workbench.tui.widgets.log.search import look_through, next_match
from workbench.tui.widgets.log.view import LogView

_REDRAW = 0.05
"""Seconds between two looks at a growing log."""


class LogPane(Vertical):
    """Shows one stream of a step at a time. Lines come from the `StepLogs` that it is given."""

    HELP_TITLE: ClassVar[str] = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "ask('find')", "Find", id="log.find", tooltip="Find a text in the whole log"),
        Binding("n", "next_hit(1)", "Next hit", show=False, id="log.next", tooltip="The next line that matches"),
        Binding("N", "next_hit(-1)", "Previous hit", show=False, id="log.previous", tooltip="The match before"),
        Binding("ampersand", "ask('keep')", "Keep", id="log.keep", tooltip="Show only the lines that match"),
        Binding("i", "invert", "Invert", show=False, id="log.invert", tooltip="Show only the lines that don't match"),
        Binding("right_square_bracket", "next_error(1)", "Next error", show=False, id="log.next-error",
                tooltip="The next line that looks like an error"),
        Binding("left_square_bracket", "next_error(-1)", "Previous error", show=False, id="log.previous-error",
                tooltip="The line before that looks like an error"),
        Binding("E", "first_error", "Failure", id="log.failure", tooltip="To the first line that tells of the failure"),
        Binding("t", "times", "Times", show=False, id="log.times", tooltip="Show when each line was written"),
        Binding("T", "ask('time')", "Go to time", show=False, id="log.time", tooltip="To the lines of a time"),
        Binding("p", "other_attempt", "Attempt", show=False, id="log.attempt", tooltip="The attempt before this one"),
        Binding("c", "other_container", "Container", show=False, id="log.container",
                tooltip="The log of another container: fetching, uploading, services"),
        Binding("y", "copy", "Copy", show=False, id="log.copy", tooltip="Copy what is selected or marked, or the line"),
        Binding("Y", "copy_path", "Copy path", show=False, id="log.copy-path",
                tooltip="Save the log and copy the path of the file"),
        Binding("ctrl+s", "save", "Save", show=False, id="log.save", tooltip="Save the whole log to a file here"),
    ]  # fmt: skip

    class Turned(Message):
        """Another attempt or container was chosen."""

    @dataclass
    class TimesWanted(Message):
        """Somebody wants to see the times of a log that came without them."""

        key: StreamKey

    @dataclass
    class SaveWanted(Message):
        """This log is to be written to a file; its path is to be copied if `copy`."""

        pane: LogPane
        copy: bool

    key: reactive[StreamKey | None] = reactive(None)
    """Which stream is shown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._logs = StepLogs()
        self.step: Step | None = None
        self._found: Matches | None = None
        self._kept: Matches | None = None
        self._errors: Matches | None = None
        self._looking = False
        self._wanted: int | None = None
        self._chosen: tuple[str, int | None, str | None] = ("", None, None)

    def compose(self) -> ComposeResult:
        yield Static(classes="log-heading", markup=False)
        yield Static(classes="log-why", markup=False)
        yield Static(classes="log-empty", markup=False)
        yield LogView()
        yield Static(classes="log-chip", markup=False)
        yield LogField()

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def show_step(self, step: Step | None, logs: StepLogs) -> None:
        """Show this step, which may be the one of before in a newer state."""
        self.step, self._logs = step, logs
        slug, attempt, container = self._chosen
        if step is None or slug != step.slug:
            self._chosen = (step.slug if step is not None else "", None, None)
            attempt = container = None
        self.key = stream_of(step, attempt, container)
        self.tell()

    def lines_came(self) -> None:
        """There may be more lines; looked at soon, so that a flood costs no more than a trickle."""
        if not self._looking:
            self._looking = True
            self.set_timer(_REDRAW, self._look)

    def _look(self) -> None:
        self._looking = False
        if self._kept is not None and not self._kept.complete:
            self._catch_up(self._kept)
        self.view.grown()
        self._go_to_wanted()
        self.tell()

    def watch_key(self, key: StreamKey | None) -> None:
        self._found = self._kept = self._errors = None
        self.view.highlight(None)
        self.view.show_log(self._logs.stream(key).log if key is not None else None)
        first = self._first_failure()
        self._wanted = first.line if first is not None else None
        self._go_to_wanted()

    def _go_to_wanted(self) -> None:
        """Open a failed step at the line that tells why, as soon as it is here."""
        wanted, view = self._wanted, self.view
        if wanted is None or self.key is None or not view.count >= wanted > 0:
            return
        # With what is shown below it, so that the line stands where it would in a log that is all here.
        if self._logs.complete(self.key) or view.count >= wanted + view.size.height:
            view.go_to(wanted - 1)
            view.opening = True
            self._wanted = None

    def on_resize(self) -> None:
        """What was cut for the old width is cut anew: the sentence that says why must not stay short."""
        self.tell()

    @on(LogView.Changed)
    def tell(self) -> None:
        """Bring all that is said around the lines up to date."""
        colours, step, view = palette(self.app), self.step, self.view
        width = max(self.size.width - 2, 10)
        self.query_one(".log-heading", Static).update(
            heading(step, self.key, view, self._found, self._kept, colours, width)
        )
        why = self.query_one(".log-why", Static)
        why.update(reason(step, self._first_failure(), colours, width))
        why.display = step is not None and step.phase not in ("Succeeded", "Running") and bool(step.message)
        empty = self.query_one(".log-empty", Static)
        empty.display = view.rows == 0
        view.display = not empty.display
        empty.update(Text(label(emptiness(step, self.key, filtered=self._kept is not None), 400)))
        chip = self.query_one(".log-chip", Static)
        chip.display = not view.follow and view.unread > 0
        chip.update(Text(f" ↓ {view.unread:,} new lines · {key_of(self.app, 'log.end', 'G')} follows "))

    def _first_failure(self) -> FirstFailure | None:
        attempt = self.step.last_attempt if self.step is not None else None
        if attempt is None or attempt.log is None or self.key is None or self.key.container != "step":
            return None
        return attempt.log.first_failure if self.key.attempt == attempt.number else None

    def action_first_error(self) -> None:
        first = self._first_failure()
        if first is None:
            self.notify("No line of this log tells of a failure.", severity="information")
        elif first.line > self.view.count:
            self.notify(f"Line {first.line} has not come yet.", severity="information")
        else:
            self.view.go_to(first.line - 1)

    def action_other_attempt(self) -> None:
        if self.step is not None and self.key is not None and len(self.step.attempts) > 1:
            numbers = [attempt.number for attempt in self.step.attempts]
            at = numbers.index(self.key.attempt) if self.key.attempt in numbers else 0
            self._choose(numbers[at - 1], None)

    def action_other_container(self) -> None:
        attempts = self.step.attempts if self.step is not None else ()
        attempt = next((one for one in attempts if self.key is not None and one.number == self.key.attempt), None)
        if attempt is not None and self.key is not None:
            names = list(attempt.containers) or ["step"]
            at = names.index(self.key.container) if self.key.container in names else -1
            self._choose(self.key.attempt, names[(at + 1) % len(names)])

    def _choose(self, attempt: int, container: str | None) -> None:
        assert self.step is not None
        self._chosen = (self.step.slug, attempt, container)
        self.show_step(self.step, self._logs)
        self.post_message(self.Turned())

    def action_ask(self, purpose: str) -> None:
        field = self.query_one(LogField)
        if purpose == "keep":
            field.open("keep", anew=self._kept is not None)
        else:
            field.open("time" if purpose == "time" else "find")

    def close_find(self) -> bool:
        """Put away what lies over the log; False when nothing did."""
        if self.query_one(LogField).close():
            return True
        if self.view.mark is not None:
            self.view.mark = None
            return True
        return False

    @on(LogField.Left)
    def _back_to_lines(self) -> None:
        self.view.focus()

    @on(LogField.Entered)
    def _entered(self, event: LogField.Entered) -> None:
        event.stop()
        if event.purpose == "time":
            self._go_to_time(event.text)
            return
        inverted = event.purpose == "keep" and event.text.startswith("!")
        text = event.text[1:] if inverted else event.text
        try:
            query = Query(text, event.regex) if text else None
        except QueryError as error:
            self.notify(str(error), severity="warning", markup=False)
            return
        if event.purpose == "keep":
            self._keep(lookup_of(query) if query is not None else None, inverted=inverted)
        else:
            self._find(query)

    def _find(self, query: Query | None) -> None:
        self.view.highlight(query)
        log = self.view.file
        self._found = Matches(log, lookup_of(query)) if log is not None and query is not None else None
        if self._found is not None:
            self._go_to_next(self._found, 1, including=True)
        self.tell()

    def _keep(self, lookup: Lookup | None, *, inverted: bool = False) -> None:
        log = self.view.file
        self._kept = Matches(log, lookup, inverted=inverted) if log is not None and lookup is not None else None
        if self._kept is None:
            self.view.keep(None)
            self.tell()
        else:
            self._catch_up(self._kept, show=True)

    def action_invert(self) -> None:
        if self._kept is not None:
            self._keep(self._kept.lookup, inverted=not self._kept.inverted)
        elif self._found is not None:
            self._keep(self._found.lookup, inverted=True)
        else:
            self.action_ask("keep")

    @work(group="keep", exclusive=True, description="keep matching lines")
    async def _catch_up(self, kept: Matches, *, show: bool = False) -> None:
        try:
            await look_through(kept, lambda: self._kept is not kept)
        except QueryError as error:
            if self._kept is kept:
                self._keep(None)
            self.notify(label(str(error), 400), severity="warning", markup=False)
        except LogFileError as error:
            self.notify(str(error), severity="error", markup=False)
        if self._kept is kept:
            if show:
                self.view.keep(kept)
            self.view.grown()
            self.tell()

    def action_next_hit(self, direction: int) -> None:
        if self._found is None:
            self.action_ask("find")
        else:
            self._go_to_next(self._found, direction)

    def action_next_error(self, direction: int) -> None:
        if self._errors is None and self.view.file is not None:
            self._errors = Matches(self.view.file, Errors())
        if self._errors is not None:
            self._go_to_next(self._errors, direction)

    @work(group="find", exclusive=True, description="find in the log")
    async def _go_to_next(self, matches: Matches, direction: int, *, including: bool = False) -> None:
        log = self.view.file
        try:
            found = await next_match(matches, self.view.place, direction, including=including)
            if self.view.file is log and found is not None:
                self._show_line(found)
            elif found is None:
                self.notify("Not found in this log.", severity="information")
            # The rest is looked through for its number only; the place is shown already.
            self.tell()
            await look_through(matches, self.tell)
        except QueryError as error:
            if self._found is matches:
                self._find(None)
            self.notify(label(str(error), 400), severity="warning", markup=False)
        except LogFileError as error:
            self.notify(str(error), severity="error", markup=False)

    def _show_line(self, line: int) -> None:
        if self._kept is not None and self.view.line_at(self.view.row_of(line)) != line:
            self._keep(None)
            self.notify("This line was not among those kept, so all are shown again.", severity="information")
        self.view.go_to(line)

    def action_times(self) -> None:
        self.view.times = not self.view.times
        self._need_times()

    def _need_times(self) -> bool:
        """Whether the times are here; if not, they are asked for."""
        log = self.view.file
        if log is not None and self.key is not None and len(log) and not log.has_times:
            self.post_message(self.TimesWanted(self.key))
            return False
        return True

    def times_came(self) -> None:
        self.view.redraw()

    def _go_to_time(self, text: str) -> None:
        log = self.view.file
        if log is None or not self._need_times():
            self.notify("The times of this log are being brought; try again in a moment.", severity="information")
            return
        first = next((time for at in range(min(len(log), 1000)) if (time := log.time(at)) is not None), 0)
        wanted = moment(text, datetime.fromtimestamp(first / 1_000_000, UTC).astimezone()) if text.strip() else None
        if wanted is None:
            if text.strip():
                self.notify(f"{label(text, 40)} is no time: 14:05:30 or +90s.", severity="warning", markup=False)
            return
        found = log.at_time(int(wanted.timestamp() * 1_000_000))
        self._show_line(found if found is not None else len(log) - 1)

    @work(group="copy", exclusive=True, description="copy")
    async def action_copy(self) -> None:
        selected = self.screen.get_selected_text()
        text = selected if selected else self.view.text_of(self.view.chosen()) if self.view.rows else ""
        if text:
            self.view.mark = None
            trouble = await clipboard.copy(text, self.app.copy_to_clipboard)
            lines = text.count("\n") + 1
            said = f"Copied {lines:,} line{'' if lines == 1 else 's'}." if trouble is None else trouble
            self.notify(said, severity="information" if trouble is None else "warning", timeout=2)

    def action_save(self) -> None:
        self.post_message(self.SaveWanted(self, copy=False))

    def action_copy_path(self) -> None:
        self.post_message(self.SaveWanted(self, copy=True))


def stream_of(step: Step | None, number: int | None = None, container: str | None = None) -> StreamKey | None:
    """The stream to show of a step: the last attempt's, of the container that tells most, unless told otherwise."""
    if step is None:
        return None
    if step.reused is not None:
        return StreamKey(step.slug, step.reused.attempt, "step")
    if not step.attempts:
        return None
    attempt = next((one for one in step.attempts if one.number == number), step.attempts[-1])
    telling = next(iter(blamed(attempt)), "step")
    return StreamKey(step.slug, attempt.number, container or telling)
