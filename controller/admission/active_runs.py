"""The limit of active runs of a namespace: an annotation of the Namespace, which its users can't change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller import labels
from controller.run_types.phases import FINAL_RUN_PHASES

Json = Mapping[str, Any]

ADMITTED_SECONDS = 10.0
"""How long an admitted run counts that the cache does not show: longer, and it was refused elsewhere."""


def limit_of(namespace: Json) -> int | None:
    """How many runs may be active in a Namespace; None for any number, also where the annotation is no number."""
    text = str((namespace["metadata"].get("annotations") or {}).get(labels.MAX_ACTIVE_RUNS, "")).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@dataclass
class ActiveRuns:
    """Counts the active runs of namespaces, with those that were admitted a moment ago.

    Attributes:
        list_runs: returns the known runs of a namespace.
        clock: seconds on a monotonic clock.
    """

    list_runs: Callable[[str], Iterable[Json]]
    clock: Callable[[], float]
    _admitted: dict[tuple[str, str], float] = field(default_factory=dict)

    def admit(self, namespace: str, name: str, limit: int, *, is_dry_run: bool = False) -> str:
        """Why a run may not start, with the numbers; empty if it may, and then it counts."""
        now = self.clock()
        self._admitted = {key: at for key, at in self._admitted.items() if now - at < ADMITTED_SECONDS}
        known = {run["metadata"]["name"]: run for run in self.list_runs(namespace)}
        active = {each for each, run in known.items() if _is_active(run)}
        active |= {each for place, each in self._admitted if place == namespace and each not in known}
        active.discard(name)
        if len(active) >= limit:
            return (
                f"the namespace {namespace} has {len(active)} of at most {limit} active runs (its annotation "
                f"{labels.MAX_ACTIVE_RUNS}); wait for one to end, or cancel one"
            )
        if name and not is_dry_run:
            self._admitted[namespace, name] = now
        return ""


def _is_active(run: Json) -> bool:
    return (run.get("status") or {}).get("phase") not in FINAL_RUN_PHASES
