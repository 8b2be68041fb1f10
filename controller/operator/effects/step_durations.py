"""Durations of steps and runs, and the time of steps in queues, counted as they end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.metrics.duration_histogram import DurationHistogram
from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES, StepPhase

if TYPE_CHECKING:
    from controller.run_types.objects import RunStatus

Json = dict[str, Any]

_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_RUN_BUCKETS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0)


class StepDurations:
    """From the creation of a step's first Job to its end, in seconds, by phase."""

    def __init__(self) -> None:
        self.histogram = DurationHistogram(
            "c8s_step_duration_seconds",
            "From the creation of a step's first Job to the end of the step.",
            "phase",
            _BUCKETS,
        )
        self.queue = DurationHistogram(
            "c8s_step_queue_seconds",
            "From when only limits held a step's last attempt back to the begin of its commands.",
            "phase",
            _BUCKETS,
        )
        self.runs = DurationHistogram(
            "c8s_run_duration_seconds", "From the start of a run to the end of its last step.", "phase", _RUN_BUCKETS
        )

    def observe_transition(self, old: RunStatus, new: RunStatus) -> None:
        """Count what ended by a change of a run's status: steps, and the run."""
        if new["phase"] in FINAL_RUN_PHASES and old.get("phase") not in FINAL_RUN_PHASES and "startTime" in new:
            self.runs.observe(new["phase"], _seconds(new["startTime"], new["completionTime"]))
        before = {entry["name"]: entry["phase"] for entry in old.get("steps") or []}
        for entry in new.get("steps") or []:
            # What was running a moment ago: a step that was skipped, or taken from another run, took no time.
            if (
                entry["phase"] in FINAL_STEP_PHASES
                and before.get(entry["name"]) == StepPhase.RUNNING
                and entry.get("startTime")
            ):
                self.histogram.observe(entry["phase"], _seconds(entry["startTime"], entry["completionTime"]))
                times = entry["attempts"][-1]["times"] if entry.get("attempts") else None
                if times is not None and "queued" in times and "running" in times:
                    self.queue.observe(entry["phase"], _seconds(times["queued"], times["running"]))


def _seconds(began: str, ended: str) -> float:
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())
