"""How long the steps of a plan took on this machine, for an estimate of the next time.

One file per machine with the last times of each step. It holds no secrets; a damaged one is replaced by an empty one.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from controller.files import write_private

DURATIONS_FILE = "step-seconds.json"
_KEPT = 5
_LONGEST = 24 * 3600.0


class Durations:
    """The last times of steps, in seconds, by step."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds = _read(file)

    def estimate(self, step: str) -> float | None:
        """How long the step takes, in seconds; None if it has never ended here."""
        known = self._seconds.get(step)
        return median(known) if known else None

    def record(self, step: str, seconds: float) -> None:
        """Remember how long a step took that did something."""
        self._seconds[step] = [*self._seconds.get(step, []), round(seconds, 1)][-_KEPT:]

    def save(self) -> None:
        """Write the file; raises OSError."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._file, json.dumps(self._seconds, indent=1) + "\n")


def _read(file: Path) -> dict[str, list[float]]:
    try:
        raw = json.loads(file.read_text())
        found = {str(step): [float(each) for each in times][-_KEPT:] for step, times in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {step: times for step, times in found.items() if times and all(0 <= each < _LONGEST for each in times)}
