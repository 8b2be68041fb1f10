"""The log of the selected step: its heading, why the step is as it is, the lines, and find."""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Static

from workbench.client.views import FirstFailure, Step, StreamKey
from workbench.core.logfile import LogFile
from workbench.core.runlog import blamed
from workbench.core.step_log import StepLogs
from workbench.core.text import label
from workbench.tui.theme import palette, sign
from workbench.tui.widgets.log_view import LogView

_REDRAW = 0.05
"""Seconds between two looks at a growing log."""


class LogPane(Vertical):
    """Shows one stream of a step at a time. Lines come from the `StepLogs` that it is given."""

    HELP_TITLE: ClassVar[str] = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Find", id="log.find", tooltip="Find text (a regular expression) in the whole log"),
        Binding("n", "next_hit(1)", "Next hit", show=False, id="log.next", tooltip="The next line that matches"),
        Binding("N", "next_hit(-1)", "Previous hit", show=False, id="log.previous", tooltip="The match before"),
        Binding("e", "first_error", "Error", id="log.error", tooltip="To the first line that tells of the failure"),
        Binding("p", "other_attempt", "Attempt", show=False, id="log.attempt", tooltip="The attempt before this one"),
        Binding("c", "other_container", "Container", show=False, id="log.container",
                tooltip="The log of another container: fetching, uploading, services"),
    ]  # fmt: skip

    class Turned(Message):
        """Another attempt or container was chosen."""

    key: reactive[StreamKey | None] = reactive(None)
    """Which stream is shown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._logs = StepLogs()
        self._step: Step | None = None
        self._pattern: re.Pattern[bytes] | None = None
        self._pending = False
        self._wanted: int | None = None
        self._chosen: tuple[str, int | None, str | None] = ("", None, None)

    def compose(self) -> ComposeResult:
        yield Static(id="log-heading", markup=False)
        yield Static(id="log-why", markup=False)
        yield Static(id="log-empty", markup=False)
        yield LogView(id="log")
        yield Static(id="log-chip", markup=False)
        yield Input(id="log-find", placeholder="find (regular expression); Enter goes to the next, Esc leaves")

    @property
    def view(self) -> LogView:
        return self.query_one("#log", LogView)

    def show_step(self, step: Step | None, logs: StepLogs) -> None:
        """Show this step, which may be the one of before in a newer state."""
        self._step, self._logs = step, logs
        slug, attempt, container = self._chosen
        if step is None or slug != step.slug:
            self._chosen = (step.slug if step is not None else "", None, None)
            attempt = container = None
        self.key = _stream(step, attempt, container)
        self._tell()

    def lines_came(self) -> None:
        """There may be more lines; looked at soon, so that a flood costs no more than a trickle."""
        if not self._pending:
            self._pending = True
            self.set_timer(_REDRAW, self._look)

    def _look(self) -> None:
        self._pending = False
        self.view.grown()
        self._go_to_wanted()
        self._tell()

    def watch_key(self, key: StreamKey | None) -> None:
        self.view.show_log(self._logs.stream(key).log if key is not None else None)
        first = self._first_failure()
        self._wanted = first.line if first is not None else None
        self._go_to_wanted()

    def _go_to_wanted(self) -> None:
        """Open a failed step at the line that tells why, as soon as it is here."""
        if self._wanted is not None and self.view.count >= self._wanted:
            self.view.go_to(self._wanted - 1)
            self._wanted = None

    def on_resize(self) -> None:
        """What was cut for the old width is cut anew: the sentence that says why must not stay short."""
        self._tell()

    @on(LogView.FollowChanged)
    def _tell(self) -> None:
        """Bring all that is said around the lines up to date."""
        colours, step, view = palette(self.app), self._step, self.view
        width = max(self.size.width - 2, 10)
        heading, why = Text(" ", no_wrap=True), Text(" ", no_wrap=True)
        if step is not None:
            style = colours.phase(step.phase, allowed=step.allow_failure)
            heading.append(f"{sign(step.phase)} ", style)
            heading.append(label(step.name, width // 2), colours.bold)
            heading.append(self._stream_words(step), colours.muted)
            heading.append("  following" if view.follow and not step.ended else "", colours.success)
            why.append(label(self._why(step), width), style)
        self.query_one("#log-heading", Static).update(heading)
        self.query_one("#log-why", Static).update(why)
        self.query_one("#log-why").display = len(why) > 1
        self._tell_emptiness()
        chip = self.query_one("#log-chip", Static)
        chip.display = not view.follow and view.unread > 0
        chip.update(Text(f" ↓ {view.unread:,} new lines · G follows "))

    def _stream_words(self, step: Step) -> str:
        if self.key is None:
            return ""
        words = f"  {self.view.count:,} line{'' if self.view.count == 1 else 's'}"
        if len(step.attempts) > 1:
            words += f"  attempt {self.key.attempt} of {len(step.attempts)}"
        if self.key.container != "step":
            words += f"  container {label(self.key.container, 20)}"
        return words

    def _why(self, step: Step) -> str:
        if step.phase in ("Succeeded", "Running") or not step.message:
            return ""
        first = self._first_failure()
        found = f"   line {first.line}: {first.text.strip()}" if first is not None else ""
        return f"{step.message}{found}"

    def _tell_emptiness(self) -> None:
        empty = self.query_one("#log-empty", Static)
        step = self._step
        empty.display = self.view.count == 0
        self.view.display = not empty.display
        if step is None:
            said = "No step is selected."
        elif self.key is None:
            said = step.message or ("Waiting to start." if not step.ended else "It did not run, so it has no log.")
        elif step.ended:
            said = "It printed nothing."
        else:
            said = "Nothing printed yet."
        empty.update(Text(label(said, 400)))

    def _first_failure(self) -> FirstFailure | None:
        attempt = self._step.last_attempt if self._step is not None else None
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
        if self._step is not None and self.key is not None and len(self._step.attempts) > 1:
            numbers = [attempt.number for attempt in self._step.attempts]
            self._choose(numbers[numbers.index(self.key.attempt) - 1], None)

    def action_other_container(self) -> None:
        if self._step is None or self.key is None:
            return
        attempt = next(one for one in self._step.attempts if one.number == self.key.attempt)
        names = list(attempt.containers) or ["step"]
        at = names.index(self.key.container) if self.key.container in names else -1
        self._choose(self.key.attempt, names[(at + 1) % len(names)])

    def _choose(self, attempt: int, container: str | None) -> None:
        assert self._step is not None
        self._chosen = (self._step.slug, attempt, container)
        self.show_step(self._step, self._logs)
        self.post_message(self.Turned())

    def action_find(self) -> None:
        field = self.query_one("#log-find", Input)
        field.display = True
        field.focus()

    @on(Input.Submitted, "#log-find")
    def _search(self, event: Input.Submitted) -> None:
        event.stop()
        self.close_find()
        if not event.value:
            self._pattern = None
            self.view.mark(None)
            return
        try:
            pattern = re.compile(event.value, re.IGNORECASE)
            self._pattern = re.compile(event.value.encode(), re.IGNORECASE)
        except re.error as error:
            self.notify(f"This is no regular expression: {error}", severity="warning", markup=False)
            return
        self.view.mark(pattern)
        self.next_hit(1, including=True)

    def close_find(self) -> bool:
        """Put the search field away; False when there was none."""
        field = self.query_one("#log-find", Input)
        shown = bool(field.display)
        field.display = False
        if shown:
            self.view.focus()
        return shown

    def action_next_hit(self, direction: int) -> None:
        self.next_hit(direction)

    def next_hit(self, direction: int, *, including: bool = False) -> None:
        """Go to the next line that matches, around the end if need be."""
        if self._pattern is None:
            self.action_find()
            return
        here = self.view.place
        self._find(self._pattern, self.view.file, here, direction, including)

    @work(group="find", exclusive=True, exit_on_error=False, description="find in the log")
    async def _find(
        self, pattern: re.Pattern[bytes], log: LogFile | None, here: int, direction: int, including: bool
    ) -> None:
        if log is None:
            return
        found = await asyncio.to_thread(_hit, log, pattern, here, direction, including)
        if found is None:
            self.notify("Not found in this log.", severity="information")
        elif self.view.file is log:
            self.view.go_to(found)


def _hit(log: LogFile, pattern: re.Pattern[bytes], here: int, direction: int, including: bool) -> int | None:
    """The position of the next match from `here`, going round."""
    if direction > 0:
        begin = here if including else here + 1
        after = next(log.find(pattern, begin), None)
        return after if after is not None else next(log.find(pattern, 0, begin), None)
    last = None
    for last in log.find(pattern, 0, here):  # noqa: B007 - the last one is wanted
        pass
    if last is None:
        for last in log.find(pattern, here + 1):  # noqa: B007
            pass
    return last


def _stream(step: Step | None, number: int | None, container: str | None) -> StreamKey | None:
    """The stream to show of a step: the last attempt's, of the container that tells most, unless told otherwise."""
    if step is None or not step.attempts:
        return None
    attempt = next((one for one in step.attempts if one.number == number), step.attempts[-1])
    telling = next(iter(blamed(attempt)), "step")
    return StreamKey(step.slug, attempt.number, container or telling)
