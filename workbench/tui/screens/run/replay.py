"""A run that has ended, as it was at a moment that plays or is chosen: graph, bars and logs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from workbench.bundle.playback import Playback
from workbench.client.models import Run, Step
from workbench.logs.replay import ReplayedLogs
from workbench.logs.step_logs import to_microseconds
from workbench.text.format import format_duration
from workbench.tui.keys import key_label
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.services.log_feed import LogFeed, LogRequest
from workbench.tui.theme import palette
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.step_list import StepList

_FRAME = 0.1
"""Seconds between two pictures."""


_ACTIONS = ("replay.play", "run.replay", "replay.forward", "run.back")
"""What the footer shows first."""


class ReplayScreen(RunScreen):
    """The screen of a run, at another time. It closes where the run screen does."""

    CSS_PATH = ["screen.tcss", "replay.tcss"]  # type: ignore[assignment] # noqa: RUF012 - Textual takes both
    STATE_KEY = ""
    HELP_TITLE: ClassVar[str] = "A run that is played"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_play", "Play/pause", priority=True, id="replay.play", tooltip="Play or pause"),
        Binding("greater_than_sign", "seek(1)", "Forward", id="replay.forward",
                tooltip="Go forward by a fiftieth of the run"),
        Binding("comma", "seek_change(-1)", "Previous change", show=False, id="replay.previous",
                tooltip="Go to the previous change of status"),
        Binding("full_stop", "seek_change(1)", "Next change", show=False, id="replay.next",
                tooltip="Go to the next change of status"),
        Binding("left_curly_bracket", "speed(-1)", "Slower", show=False, id="replay.slower",
                tooltip="Halve the speed"),
        Binding("right_curly_bracket", "speed(1)", "Faster", show=False, id="replay.faster",
                tooltip="Double the speed"),
    ]  # fmt: skip

    def __init__(self, playback: Playback, step: str | None = None) -> None:
        super().__init__(playback.run.name, step)
        self.playback = playback
        self._last_tick = 0.0
        self._shown_changes = -1
        self._replayed = ReplayedLogs()
        self._logs = self._replayed
        self._feed = LogFeed(playback.run.name, self._replayed.whole, self._lines_received, self._log_failed)

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            yield widget
            if widget.id == "run-heading":
                yield Static(id="replay-bar", markup=False)

    def on_mount(self) -> None:
        self.query_one(StepList).focus()
        self._last_tick = asyncio.get_running_loop().time()
        self.set_interval(_FRAME, self._tick)

    @property
    def run(self) -> Run | None:
        return self.playback.state()

    def now(self) -> datetime:
        return self.playback.moment

    def clock_ticked(self) -> None:
        """The time of day means nothing here."""

    def _log_requests(self) -> dict[LogPane, LogRequest]:
        """Whole logs with their times, whatever the step was at the moment."""
        steps = {step.slug: step for step in self.playback.run.steps}
        return {
            pane: LogRequest(pane.key, self._run_name, pane.key.step, stored=True)
            for pane in self.query_one(LogGrid).panes
            if pane.key is not None and pane.key.step in steps
        }

    def _lines_received(self) -> None:
        self._replayed.loaded()
        super()._lines_received()

    def _failed_step(self) -> tuple[Run, Step] | None:
        run = self.run
        step = run.step(self.step) if run is not None and self.step is not None else None
        return (run, step) if run is not None and step is not None and step.phase == "Failed" else None

    def fit_footer(self) -> None:
        self.query_one(KeyFooter).show_actions(_ACTIONS)

    @property
    def has_drawn(self) -> bool:
        """Whether the logs that are shown are there, and their lines are not to be drawn later."""
        requests = self._log_requests()
        return all(
            self._replayed.is_complete(request.key) and not pane.is_update_scheduled
            for pane, request in requests.items()
        )

    # -- time

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        elapsed, self._last_tick = now - self._last_tick, now
        if self.playback.playing and self.is_current:
            self.playback.advance(elapsed)
            self.show_moment()

    def show_moment(self) -> None:
        """Show the run at the moment: all of it after a change of status, else what goes on."""
        moment = None if self.playback.at_end else to_microseconds(self.playback.moment)
        shorter = self._replayed.go_to(moment)
        changes = self.playback.changes_so_far()
        if changes != self._shown_changes:
            self._shown_changes = changes
            self.runs_changed()
        else:
            self._show_heading()
            self.query_one(StepList).refresh()
        grid = self.query_one(LogGrid)
        for pane in grid.panes:
            if pane.key in shorter:
                pane.watch_key(pane.key)
        grid.lines_received()
        self._show_bar()

    def on_resize(self) -> None:
        super().on_resize()
        self._show_bar()

    def _show_bar(self) -> None:
        playback, colours = self.playback, palette(self.app)
        sign = "▶" if playback.playing else "‖"
        left = (
            f" {sign} {format_duration(playback.seconds)} of {format_duration(playback.duration)}  ×{playback.speed:g} "
        )
        space, back, on = (
            key_label(self.app, name, key)
            for name, key in (("replay.play", "space"), ("run.replay", "<"), ("replay.forward", ">"))
        )
        right = f" {space} plays, {back} {on} move "
        width = max(self.app.size.width - len(left) - len(right), 10)
        part = playback.seconds / playback.duration if playback.duration > 0 else 1.0
        done = min(round(part * width), width)
        text = Text(left, style=colours.bold, no_wrap=True, overflow="ellipsis")
        text.append("━" * done, colours.accent).append("─" * (width - done), colours.line).append(right, colours.muted)
        self.query_one("#replay-bar", Static).update(text, layout=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A blank that is typed into a field is a blank."""
        if action == "toggle_play" and isinstance(self.focused, Input):
            return False
        return super().check_action(action, parameters)

    def action_toggle_play(self) -> None:
        self.playback.toggle()
        self.show_moment()

    def action_replay(self) -> None:
        """The key that goes back to the start of a run goes back further here."""
        self.action_seek(-1)

    def action_seek(self, direction: int) -> None:
        self.playback.seek(direction)
        self.show_moment()

    def action_seek_change(self, direction: int) -> None:
        self.playback.seek_change(direction)
        self.show_moment()

    def action_speed(self, direction: int) -> None:
        self.playback.change_speed(direction)
        self._show_bar()
