"""The last lines of a run, which the list of runs shows below it."""

from __future__ import annotations

from contextlib import aclosing

from workbench.client.errors import NotFoundError
from workbench.client.models import Run, Step
from workbench.text.sanitize import sanitize_line
from workbench.tui.services.interfaces import ControllerApi

PREVIEW_LINES = 6
_MAX_TICKS = 5
"""Ticks between two looks at a log that has not grown for a while."""


class Looks:
    """Decides at which ticks of the clock a log is looked at: the longer it has not grown, the fewer."""

    def __init__(self) -> None:
        self._every = self._left = 1
        self._seen: object = None

    def due(self) -> bool:
        """Whether to look at this tick."""
        self._left -= 1
        if self._left > 0:
            return False
        self._left = self._every
        return True

    def found(self, what: object) -> None:
        """Say what was seen."""
        self._every = min(self._every + 1, _MAX_TICKS) if what == self._seen else 1
        self._left, self._seen = self._every, what


def most_relevant_step(run: Run) -> Step | None:
    """The step to preview: the first that failed, else the first that is running, else the last that ended."""
    started = [step for step in run.steps if step.attempts]
    for phase in ("Failed", "Running"):
        if found := next((step for step in started if step.phase == phase), None):
            return found
    return max(started, key=lambda step: (step.completion_time is not None, str(step.completion_time)), default=None)


async def last_lines(controller: ControllerApi, run: Run, step: Step) -> list[str]:
    """The last lines of a step's log, sanitized. Raises ClientError."""
    attempt = step.attempts[-1].number
    try:
        async with aclosing(controller.logs(run.name, step.slug, attempt=attempt, tail=PREVIEW_LINES)) as lines:
            return [sanitize_line(line, colour=False) async for line in lines][-PREVIEW_LINES:]
    except NotFoundError:
        return []
