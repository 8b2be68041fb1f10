"""Where steps are held: in a run that goes on, and in the next run of a pipeline. Pure.

A breakpoint is the name of a step, which also stands for all its combinations, and `before`, `after` or `failed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.client.models import Run, Step

Breakpoints = tuple[tuple[str, str], ...]

WORDS = {"before": "before its commands", "after": "after its commands succeeded", "failed": "when its commands fail"}
"""When a breakpoint holds its step, to follow `is held`."""


class NextHolds:
    """The breakpoints that the user has set for the next run of each pipeline."""

    def __init__(self) -> None:
        self._by_pipeline: dict[str, dict[str, str]] = {}

    def of(self, pipeline: str) -> Mapping[str, str]:
        """When each step is held, by its name."""
        return self._by_pipeline.get(pipeline, {})

    def set(self, pipeline: str, step: str, at: str | None) -> None:
        """Hold a step, or with None do not."""
        holds = self._by_pipeline.setdefault(pipeline, {})
        holds.pop(step, None)
        if at is not None:
            holds[step] = at

    def take(self, pipeline: str, names: Iterable[str]) -> tuple[Breakpoints, list[str]]:
        """The breakpoints of steps that the pipeline still has, and the names of the others.

        Args:
            names: the names of the steps in the pipeline's file.
        """
        known = tuple(names)
        holds = self.of(pipeline)
        found = tuple((step, at) for step, at in holds.items() if any(_stands_for(name, step) for name in known))
        return found, [step for step in holds if (step, holds[step]) not in found]

    def started(self, pipeline: str) -> None:
        """Forget those of a pipeline: a run with them has been created."""
        self._by_pipeline.pop(pipeline, None)


def _stands_for(name: str, step: str) -> bool:
    """Whether a step is the one with this name in the file, or a combination of it."""
    return step == name or step.startswith(f"{name} (")


def step_names(definition: Mapping[str, Any] | None) -> list[str]:
    """The names of the steps in a definition."""
    steps = (definition or {}).get("steps") or ()
    return [str(step["name"]) for step in steps if isinstance(step, Mapping) and "name" in step]


def with_breakpoint(breakpoints: Breakpoints, step: str, at: str | None) -> Breakpoints:
    """The breakpoints with this one in place of those of the same step; with None, without these."""
    others = tuple(each for each in breakpoints if each[0] != step)
    return others if at is None else (*others, (step, at))


def holds_of(step: Step, breakpoints: Sequence[tuple[str, str]]) -> list[str]:
    """When the breakpoints hold a step."""
    return [at for name, at in breakpoints if _stands_for(name, step.name) or name == step.slug]


def holds_now(run: Run, step: Step) -> bool:
    """Whether a breakpoint that is set now holds the step in this run: its pod is made later."""
    return not run.ended and not run.cancel_requested and step.can_be_held


def describe_hold(run: Run, step: Step, following: Mapping[str, str]) -> str | None:
    """Where the step will be held, in this run or in the next one (`following`); None if it will not."""
    here = holds_of(step, run.breakpoints) if holds_now(run, step) else []
    if here:
        return f"is held {' and '.join(WORDS.get(at, at) for at in here)}"
    if step.name in following:
        return f"is held {WORDS[following[step.name]]} in the next run"
    return None
