"""The last lines of the step that tells most about a run, for a look at it without opening it."""

from __future__ import annotations

from contextlib import aclosing

from workbench.client.errors import NotFoundError
from workbench.client.models import Run, Step
from workbench.text.sanitize import sanitize_line
from workbench.tui.services.interfaces import ControllerApi

PREVIEW_LINES = 6


def most_relevant_step(run: Run) -> Step | None:
    """The step whose log is worth a look: one that failed, else one that runs, else the last that ended."""
    begun = [step for step in run.steps if step.attempts]
    for phase in ("Failed", "Running"):
        if found := next((step for step in begun if step.phase == phase), None):
            return found
    return max(begun, key=lambda step: (step.completion_time is not None, str(step.completion_time)), default=None)


async def last_lines(controller: ControllerApi, run: Run, step: Step) -> list[str]:
    """What it printed last, made harmless. Raises ClientError."""
    attempt = step.attempts[-1].number
    try:
        async with aclosing(controller.logs(run.name, step.slug, attempt=attempt, tail=PREVIEW_LINES)) as lines:
            return [sanitize_line(line, colour=False) async for line in lines][-PREVIEW_LINES:]
    except NotFoundError:
        return []
