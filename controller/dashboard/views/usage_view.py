"""What a step has used of CPU and memory: peaks, and bars over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.text_format import format_duration, format_size

HEIGHT = 40
"""Units of the height of the bars; the page scales them."""
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class UsageChart:
    """One resource: its peak as text, what the step asks for, if anything, and the height of the bar of each interval.

    `seconds` is how long a bar stands for.
    """

    name: str
    peak: str
    requested: str
    heights: tuple[int, ...]
    seconds: float

    @property
    def label(self) -> str:
        """The chart in words."""
        of = f" of {self.requested}" if self.requested else ""
        return f"{self.name}: at most {self.peak}{of}, each bar {format_duration(self.seconds)}"


def build_usage(attempt: Mapping[str, Any] | None, definition: Mapping[str, Any]) -> list[UsageChart]:
    """The charts of an attempt; none of one that was not measured. `definition` is the step's in the pipeline."""
    usage = (attempt or {}).get("usage") or {}
    if not usage.get("samples"):
        return []
    asked = definition.get("resources") or {}
    seconds = float(usage.get("interval") or 0)
    memory, cpu = int(usage.get("memory") or 0), int(usage.get("cpu") or 0)
    over_time = [int(value) * _MEBIBYTE for value in usage.get("memoryOverTime") or ()]
    heights = _heights(over_time, memory), _heights(usage.get("cpuOverTime") or (), cpu)
    return [
        UsageChart("memory", format_size(memory), str(asked.get("memory") or ""), heights[0], seconds),
        UsageChart("CPU", f"{cpu / 1000:.2f} cores", str(asked.get("cpu") or ""), heights[1], seconds),
    ]


def _heights(values: Sequence[int], peak: int) -> tuple[int, ...]:
    most = max([peak, *values], default=0)
    return tuple(round(value / most * HEIGHT) if most else 0 for value in values)
