"""The progress of starting a sandbox: the state of each step, and the last lines of output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

State = Literal["waiting", "running", "done", "already", "failed", "stopped"]
_MAX_OUTPUT = 200


class StepEvent(Protocol):
    """An event of a step; `kind.plan.Event` implements it."""

    @property
    def step(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class ProgressEvent:
    """An event of a start that has no plan of the package `kind`."""

    step: str
    kind: str
    text: str
    seconds: float


@dataclass(frozen=True)
class StepProgress:
    name: str
    title: str
    state: State = "waiting"
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class StartupProgress:
    """All steps in order, and the last lines of output."""

    steps: tuple[StepProgress, ...]
    output: tuple[str, ...] = ()

    @classmethod
    def planned(cls, steps: Sequence[tuple[str, str]]) -> StartupProgress:
        """All steps waiting, from names and titles."""
        return cls(tuple(StepProgress(name, title) for name, title in steps))

    def apply(self, event: StepEvent) -> StartupProgress:
        """The progress after an event."""
        if event.kind in ("said", "estimated"):
            title = next((step.title for step in self.steps if step.name == event.step), event.step)
            return replace(self, output=(*self.output, f"{title}: {event.text}")[-_MAX_OUTPUT:])
        states: dict[str, State] = {"started": "running", "done": "done", "already": "already", "failed": "failed"}
        seen = tuple(
            replace(step, state=states[event.kind], text=event.text, seconds=event.seconds)
            if step.name == event.step and event.kind in states
            else step
            for step in self.steps
        )
        return replace(self, steps=seen)

    def stopped(self) -> StartupProgress:
        """The progress after an abort: running steps are stopped."""
        return replace(
            self, steps=tuple(replace(one, state="stopped") if one.state == "running" else one for one in self.steps)
        )

    @property
    def done(self) -> int:
        return sum(step.state in ("done", "already") for step in self.steps)
