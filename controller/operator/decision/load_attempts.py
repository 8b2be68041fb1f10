"""Counts the processes that began to prepare a run, so that a run that ends the operator is told apart.

The count is in an annotation that is written before the work begins, together with the finalizer. It is counted up by
processes only: one that tries again after a failed request counts once. From the first status on it means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller import labels
from controller.operator.decision import deletion
from controller.operator.run_object import status_of

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]

ISOLATED_LOAD_ATTEMPTS = 5
"""After so many processes that ended while they prepared a run, it is prepared in a process of its own.

Whoever stopped them need not be the run: all runs that have not started are being prepared when an operator ends. In a
process of its own, a run ends that process and no other, and gets that as its reason.
"""
MAX_LOAD_ATTEMPTS = 25
"""After so many, the run fails, in case what ends the operator comes after that."""


def _recorded(run: RunObject) -> tuple[int, str]:
    """The number of processes, and the identity of the last."""
    count, _, process = str((run["metadata"].get("annotations") or {}).get(labels.LOAD_ATTEMPTS, "")).partition(" ")
    return (int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 0), process


def needs_mark(run: RunObject, process: str) -> bool:
    """Whether this process has to be recorded before it prepares the run."""
    if deletion.is_deleted(run):
        return False
    is_started = bool(status_of(run).get("phase"))
    return not deletion.has_finalizer(run) or (not is_started and _recorded(run)[1] != process)


def needs_isolation(run: RunObject) -> bool:
    """Whether so many processes ended while they prepared the run that the next one must not do that itself."""
    return not status_of(run).get("phase") and _recorded(run)[0] > ISOLATED_LOAD_ATTEMPTS


def is_exhausted(run: RunObject, process: str) -> bool:
    """Whether too many processes ended while they prepared the run."""
    count, last = _recorded(run)
    return not status_of(run).get("phase") and count >= MAX_LOAD_ATTEMPTS and last != process


def mark_patch(run: RunObject, process: str) -> list[Json]:
    """A JSON patch that records this process and adds the finalizer."""
    mark = f"{_recorded(run)[0] + 1} {process}"
    if run["metadata"].get("annotations"):
        change: Json = {
            "op": "add",
            "path": f"/metadata/annotations/{labels.LOAD_ATTEMPTS.replace('/', '~1')}",
            "value": mark,
        }
    else:
        change = {"op": "add", "path": "/metadata/annotations", "value": {labels.LOAD_ATTEMPTS: mark}}
    return [*deletion.finalizers_patch(run, hold=True), change]
