"""What a figure was measured on: printed above every table, because figures of shared machines mean little alone."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence


def describe() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}"


def spread(seconds: Sequence[float], unit: str = "ms") -> str:
    """`median (min to max)`."""
    factor = 1000.0 if unit == "ms" else 1.0
    low, middle, high = (f(seconds) * factor for f in (min, statistics.median, max))
    return f"{middle:.1f} {unit} ({low:.1f} to {high:.1f})"
