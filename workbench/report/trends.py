"""What is shown of statistics: sparklines, medians, and what has become slower. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.client.statistics import Slower, StepTrend, Trend
from workbench.text.format import format_duration, format_size, plural

_BARS = "▁▂▃▄▅▆▇█"
_LEVELS = "_.-=+*#@"
"""The same for terminals without Unicode."""
_GAP = "·"
SLOWER_SIGN = "↑"
_MEBIBYTE = 1024 * 1024
_MANY_RUNS = 5
"""Runs with measurements below which nothing is advised."""
AT_LIMIT = 0.9
"""The share of its limit from which CPU counts as used up: a measurement is a mean over seconds."""
_GENEROUS = 4
"""A request of so many times the peak is more than it needs."""


def sparkline(seconds: Sequence[float | None], count: int, *, ascii_only: bool = False) -> str:
    """The last `count` durations as bars between 0 and the longest; a dot for those that do not count."""
    shown = seconds[-count:]
    top = max((each for each in shown if each is not None), default=0.0)
    bars = _LEVELS if ascii_only else _BARS
    return "".join(
        _GAP if each is None else bars[round((each / top if top else 0.0) * (len(bars) - 1))] for each in shown
    )


def median_text(trend: Trend) -> str:
    """`median 12.3s`; empty without one."""
    return f"median {format_duration(trend.median)}" if trend.median is not None else ""


def slower_text(slower: Slower) -> str:
    """`45% slower than 12.3s since 1a2b3c4 (my-app-12)`."""
    percent = f"{slower.percent}% slower" if slower.percent is not None else "slower"
    commit = (slower.since_commit or "")[:10]
    since = f"{commit} ({slower.since_run})" if commit else slower.since_run
    return f"{percent} than {format_duration(slower.before_seconds)} since {since}"


def cores_text(thousandths: int) -> str:
    """`0.25 cores`."""
    return f"{thousandths / 1000:.2f} cores"


def resource_advice(step: StepTrend, memory: int | None, cpu: int | None) -> list[str]:
    """What the measurements say about a step's `resources`.

    Args:
        memory: bytes that it asks for; None for nothing.
        cpu: thousandths of a core.
    """
    advice = []
    peak = step.peak_memory if step.usage_samples else None
    if step.out_of_memory:
        # The measurements may be lower, or missing: it was killed between two of them.
        limit = f"asks for {format_size(memory)}" if memory is not None else "has no limit of its own"
        advice.append(f"ran out of memory in {plural(step.out_of_memory, 'run')} (OOMKilled): it {limit}")
    elif memory is not None and peak is not None and peak > 0.9 * memory:
        used = f"asks for {format_size(memory)} of memory and used up to {format_size(peak)}"
        advice.append(f"{used}: more than it asks for ends it (OOMKilled)")
    if step.runs_with_usage < _MANY_RUNS:
        return advice
    if (
        not step.out_of_memory
        and memory is not None
        and peak is not None
        and memory > _GENEROUS * max(peak, 16 * _MEBIBYTE)
    ):
        advice.append(f"asks for {format_size(memory)} of memory, never used more than {format_size(peak)}")
    if cpu is not None and step.peak_cpu is not None:
        if step.peak_cpu >= AT_LIMIT * cpu:
            advice.append(f"asks for {cores_text(cpu)} and used all of it: with more it may be faster")
        elif cpu > _GENEROUS * max(step.peak_cpu, 50):
            advice.append(f"asks for {cores_text(cpu)}, never used more than {cores_text(step.peak_cpu)}")
    return advice


def is_slow(seconds: float | None, median: float | None) -> bool:
    """Whether a duration is more than 30 %, and half a second, above the median."""
    return seconds is not None and median is not None and seconds > 1.3 * median and seconds - median >= 0.5


def trend_text(trend: Trend, count: int, *, ascii_only: bool = False) -> str:
    """`median 12.3s ▃▃▃▅▅ ↑ 45% slower than …`; empty where nothing counts yet."""
    if trend.median is None:
        return ""
    slower = f" {SLOWER_SIGN} {slower_text(trend.slower)}" if trend.slower is not None else ""
    return f"{median_text(trend)} {sparkline(trend.seconds, count, ascii_only=ascii_only)}{slower}"
