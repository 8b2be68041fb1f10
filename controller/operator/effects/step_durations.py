"""Durations of steps, counted as they end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.metrics.duration_histogram import DurationHistogram
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase

if TYPE_CHECKING:
    from controller.run_types.objects import RunStatus

Json = dict[str, Any]

_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class StepDurations:
    """From the creation of a step's first Job to its end, in seconds, by phase."""

    def __init__(self) -> None:
        self.histogram = DurationHistogram(
            "c8s_step_duration_seconds",
            "From the creation of a step's first Job to the end of the step.",
            "phase",
            _BUCKETS,
        )

    def observe_transition(self, old: RunStatus, new: RunStatus) -> None:
        """Count the steps that ended by a change of a run's status."""
        before = {entry["name"]: entry["phase"] for entry in old.get("steps") or []}
        for entry in new.get("steps") or []:
            # What was running a moment ago: a step that was skipped, or taken from another run, took no time.
            if (
                entry["phase"] in FINAL_STEP_PHASES
                and before.get(entry["name"]) == StepPhase.RUNNING
                and entry.get("startTime")
            ):
                took = datetime.fromisoformat(entry["completionTime"]) - datetime.fromisoformat(entry["startTime"])
                self.histogram.observe(entry["phase"], took.total_seconds())
