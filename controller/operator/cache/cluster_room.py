"""Whether pods wait for room in the cluster: then nothing is made ahead, and what was made ahead is removed.

What lacks room are steps of runs, by their status, and pods of others that no node can take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from controller.run_types.keys import RunKey
from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import StepStatus

Json = dict[str, Any]

CALM_SECONDS = 30.0
"""How long nothing is made ahead after the last pod lacked room: what became free may be needed again at once."""


class ClusterRoom:
    """What lacks room in the cluster. Times are seconds on a monotonic clock."""

    def __init__(self) -> None:
        self._runs: dict[RunKey, bool] = {}
        """Runs with a step that lacks room; whether only in the quota of its namespace."""
        self._others: set[str] = set()
        """The uids of pods of others that no node can take."""
        self._lacked_at = float("-inf")

    def note_run(self, key: RunKey, steps: Iterable[StepStatus], monotonic: float) -> bool:
        """Take in the status of a run; returns whether it lacks room since now."""
        reasons = {step["reason"] for step in steps if step["phase"] == StepPhase.PENDING}
        before = self._runs.get(key)
        if StepReason.UNSCHEDULABLE in reasons:
            self._runs[key] = False
        elif StepReason.OVER_QUOTA in reasons:
            self._runs[key] = True
        else:
            self._runs.pop(key, None)
            return False
        self._lacked_at = monotonic
        return before != self._runs[key]

    def note_refusal(self, monotonic: float) -> None:
        """There was no room for a pod that was to be made ahead."""
        self._lacked_at = monotonic

    def note_other(self, pod: Mapping[str, Any], monotonic: float, *, deleted: bool) -> bool:
        """Take in a pending pod that is not ours, or its end; returns whether it lacks room since now."""
        uid = str(pod["metadata"]["uid"])
        if deleted or not _is_unschedulable(pod):
            self._others.discard(uid)
            return False
        is_new = uid not in self._others
        self._others.add(uid)
        self._lacked_at = monotonic
        return is_new

    def is_crowded(self, key: RunKey, monotonic: float) -> bool:
        """Whether pods wait for room that a pod of this run could take, or did so until a moment ago."""
        if self._others or monotonic < self._lacked_at + CALM_SECONDS:
            return True
        return any(not in_quota or other.namespace == key.namespace for other, in_quota in self._runs.items())

    def forget(self, key: RunKey) -> None:
        """The run has ended."""
        self._runs.pop(key, None)


def _is_unschedulable(pod: Mapping[str, Any]) -> bool:
    found = (pod.get("status") or {}).get("conditions") or []
    return any(
        each["type"] == "PodScheduled" and each["status"] == "False" and each.get("reason") == "Unschedulable"
        for each in found
    )
