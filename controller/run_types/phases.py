"""The phases of runs and steps, and which of them are final."""

from __future__ import annotations

from enum import StrEnum


class RunPhase(StrEnum):
    """The phase of a run."""

    PENDING = "Pending"
    """No step has started yet."""
    QUEUED = "Queued"
    """Waits for an earlier run of its concurrency group."""
    RUNNING = "Running"
    """At least one step has started, and not all have ended."""
    SUCCEEDED = "Succeeded"
    """All steps succeeded, were skipped, or were allowed to fail."""
    FAILED = "Failed"
    """A step failed, the run exceeded its timeout, or its pipeline is invalid."""
    CANCELLED = "Cancelled"
    """The run was cancelled before all its steps had ended."""

    @property
    def is_terminal(self) -> bool:
        """Whether a run in this phase never changes its phase again."""
        return self in FINAL_RUN_PHASES


class StepPhase(StrEnum):
    """The phase of a step or of one attempt. Attempts are never `Pending` or `Skipped`."""

    PENDING = "Pending"
    """Not started, or started while its container does not run yet; the reason says why."""
    RUNNING = "Running"
    """Its container is running, or its artifacts are being uploaded."""
    SUCCEEDED = "Succeeded"
    """All its commands exited with code 0 and its artifacts are stored."""
    FAILED = "Failed"
    """It failed, and is not retried any more."""
    SKIPPED = "Skipped"
    """It never runs, because of its conditions or of a dependency."""
    CANCELLED = "Cancelled"
    """It was stopped, or never started, because the run was cancelled or exceeded its timeout."""

    @property
    def is_terminal(self) -> bool:
        """Whether a step in this phase never changes its phase again."""
        return self in FINAL_STEP_PHASES


FINAL_RUN_PHASES = frozenset({RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.CANCELLED})
FINAL_STEP_PHASES = frozenset({StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED, StepPhase.CANCELLED})
