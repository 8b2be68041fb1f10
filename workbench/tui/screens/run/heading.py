"""The row above a run: its phase, duration, what was reused, its message and its origin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rich.text import Text
from textual.widgets import Static

from controller.run_query import run_duration
from workbench.client.models import Run
from workbench.report.reuse import count_reuse
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label
from workbench.tui.theme import palette, phase_sign


class RunHeading(Static):
    """One row of text, which is painted only when it has changed."""

    def __init__(self) -> None:
        super().__init__(id="run-heading", markup=False)
        self._shown: Text | None = None

    def show_missing(self, name: str, *, loaded: bool) -> None:
        """Say that there is no such run, or, before the runs are loaded, that it is not known yet."""
        message = f"The run {sanitize_label(name, 60)} no longer exists." if loaded else "Loading …"
        self._show(_row().append(message, palette(self.app).muted))

    def show_run(self, run: Run, now: datetime, find_run: Callable[[str], Run | None]) -> None:
        """Show a run as it is now. `find_run` returns the runs whose results it may have reused."""
        colours, text = palette(self.app), _row()
        asked = " (cancelling)" if run.cancel_requested and not run.ended else ""
        text.append(f"{phase_sign(run.phase)} {sanitize_label(run.phase, 20)}{asked}", colours.phase(run.phase))
        text.append(f"   {format_duration(run_duration(run, now))}", colours.plain)
        reuse = count_reuse(run, find_run, now)
        if reuse is not None:
            ran = sum(bool(step.attempts) for step in run.steps)
            text.append(f"   {reuse}, {ran} ran", colours.plain)
        if run.watch:
            text.append("   by watching", colours.muted)
        text.append(f"   {sanitize_label(run.message or '', 120)}", colours.muted)
        text.append(f"   {_origin_text(run)}", colours.faint)
        self._show(text)

    def _show(self, text: Text) -> None:
        if text != self._shown:
            self._shown = text
            # It is one row, whatever it says: a new layout of the whole screen is not needed.
            self.update(text, layout=False)


def _row() -> Text:
    return Text(" ", no_wrap=True, overflow="ellipsis")


def _origin_text(run: Run) -> str:
    commit = f" @ {run.commit[:7]}{'-dirty' if run.commit.endswith('-dirty') else ''}" if run.commit else ""
    # A run that the user starts has an event, too, for the conditions of steps: by default a push.
    happened = run.event if run.is_triggered or run.event != "push" else None
    return sanitize_label(f"{run.branch or ''}{commit}  {happened or ''}".strip(), 60)
