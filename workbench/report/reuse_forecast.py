"""What a run that is not started yet would reuse of an earlier one, and why its other steps would run again. Pure.

It follows the controller's rule: a step is reused if it succeeded with the same definition, parameters and source, and
if the same holds for the definitions, parameters and source of all steps upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controller.run_types.phases import StepPhase
from workbench.client.models import Run, Step
from workbench.report.details import matrix_values, step_definition
from workbench.report.report import step_spans
from workbench.report.reuse import FileChanges, own_changes, step_changes
from workbench.text.format import format_duration, plural

_MAX_REASONS = 3
"""Maximum number of reasons that are given for one step."""


@dataclass(frozen=True)
class ReuseForecast:
    """The names of the steps that would be reused, and the reasons for each other one.

    Attributes:
        saved: the time in seconds that the reused steps took when they ran.
        certain: False if the sources could not be compared, so that nothing is reused if they differ.
    """

    earlier: str
    reused: tuple[str, ...]
    again: Mapping[str, tuple[str, ...]]
    saved: float = 0.0
    certain: bool = True

    @property
    def total(self) -> int:
        return len(self.reused) + len(self.again)

    def __str__(self) -> str:
        """`9 of 12 steps are reused from shop-41, which saves 41.0s.`"""
        if not self.reused:
            return f"Nothing is reused from {self.earlier}."
        verb = "is" if len(self.reused) == 1 else "are"
        saved = f", which saves {format_duration(self.saved)}" if self.saved else ""
        unless = " If the files are the same," if not self.certain else ""
        counted = f"{len(self.reused)} of {plural(self.total, 'step')} {verb} reused from {self.earlier}{saved}."
        return f"{unless} {counted}".strip()

    def lines(self, limit: int) -> Iterator[str]:
        """At most `limit` lines with the steps that run again, and why."""
        for name, reasons in list(self.again.items())[:limit]:
            more = len(reasons) - _MAX_REASONS
            yield f"{name}: {'; '.join(reasons[:_MAX_REASONS])}{f' and {more} more' if more > 0 else ''}"
        if (more := len(self.again) - limit) > 0:
            yield f"and {plural(more, 'more step')}"


@dataclass(frozen=True)
class PlannedRun:
    """A run that may be started. `steps` are those of the definition, with its matrices expanded."""

    definition: Mapping[str, Any]
    steps: Sequence[Step]
    params: Mapping[str, str]
    branch: str | None = None
    commit: str | None = None


def forecast_reuse(
    planned: PlannedRun,
    earlier: Run,
    files: FileChanges | None,
    find: Callable[[str], Run | None],
    now: datetime,
) -> ReuseForecast:
    """The forecast for a run that may reuse steps of `earlier`.

    Args:
        earlier: with its definition.
        files: how the files differ from those of the earlier run; None if that is not known.
        find: returns a run by its name, if it is known, for the times of steps.
    """
    run = replace(
        earlier, definition=dict(planned.definition), params=dict(planned.params), branch=planned.branch,
        commit=planned.commit, steps=tuple(planned.steps),
    )  # fmt: skip
    changed: dict[str, tuple[str, ...]] = {}
    again: dict[str, tuple[str, ...]] = {}
    for step in _upstream_first(run.steps):
        before = earlier.step(step.name)
        if before is None:
            changed[step.name] = again[step.name] = (f"{earlier.name} has no such step",)
            continue
        upstream = tuple(f"upstream {needed} has changed" for needed in step.depends_on if needed in changed)
        read = step_changes(files, step_definition(run, step), matrix_values(step.name)) if files else None
        source = (f"source files: {read}",) if read else ()
        if reasons := (*own_changes(run, earlier, step), *source, *upstream):
            changed[step.name] = reasons
        failed = () if before.phase == StepPhase.SUCCEEDED else (f"{before.phase.lower()} in {earlier.name}",)
        if failed or reasons:
            again[step.name] = (*failed, *reasons)
        elif before.inputs is None:
            again[step.name] = (f"{earlier.name} does not say what it was made from",)
    reused = tuple(step.name for step in run.steps if step.name not in again)
    saved = sum(_seconds(earlier, name, find, now) for name in reused)
    ordered = {step.name: again[step.name] for step in run.steps if step.name in again}
    return ReuseForecast(earlier.name, reused, ordered, saved, certain=files is not None)


def _upstream_first(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps in an order in which each comes after those that it depends on."""
    waiting, done = {step.name: step for step in steps}, set[str]()
    while waiting:
        ready = [step for step in waiting.values() if all(n in done or n not in waiting for n in step.depends_on)]
        # A circle, which lint refuses, must not be an endless loop.
        for step in ready or list(waiting.values()):
            del waiting[step.name]
            done.add(step.name)
            yield step


def _seconds(earlier: Run, name: str, find: Callable[[str], Run | None], now: datetime) -> float:
    step = earlier.step(name)
    origin = earlier
    if step is not None and step.reused is not None:
        known = find(step.reused.run)
        origin, step = (known, known.step(step.reused.slug)) if known is not None else (earlier, None)
    if step is None:
        return 0.0
    return sum(span.seconds(now) for span in step_spans(origin, step) if span.part != "queued")
