"""What is shown of the CPU and memory of a step: bars over time, peaks, and what they explain. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.client.models import Attempt, ResourceUsage, Step
from workbench.report.details import Detail
from workbench.report.resources import requested_resources
from workbench.report.trends import AT_LIMIT, cores_text, sparkline
from workbench.text.format import format_duration, format_size

_MEBIBYTE = 1024 * 1024


def usage_details(definition: Mapping[str, Any] | None, step: Step, *, ascii_only: bool = False) -> tuple[Detail, ...]:
    """The usage of the step's last attempt; nothing for one that did not run."""
    attempt = step.last_attempt
    if attempt is None or attempt.times.running is None:
        return ()
    requested = requested_resources(definition or {})
    memory, cpu = requested.get(step.name) or requested.get(step.name.split(" (", 1)[0]) or (None, None)
    usage = attempt.usage
    if usage is None or not usage.samples:
        return (Detail("usage", _no_sample(attempt)), *_oom_detail(attempt, None, memory))
    every = f", each bar {format_duration(usage.interval)}" if usage.interval else ""
    memory_bars = _bars([value * _MEBIBYTE for value in usage.memory_over_time], memory, ascii_only)
    cpu_bars = _bars(usage.cpu_over_time, cpu, ascii_only)
    of_memory = f" of {format_size(memory)}" if memory is not None else ""
    of_cpu = f" of {cores_text(cpu)}" if cpu is not None else ""
    return (
        Detail("memory", f"{memory_bars} peak {format_size(usage.memory)}{of_memory}{every}".strip()),
        Detail("CPU", f"{cpu_bars} peak {cores_text(usage.cpu)}{of_cpu}{_throttling(usage, cpu)}".strip()),
        *_oom_detail(attempt, usage, memory),
    )


def _bars(values: Sequence[float], limit: int | None, ascii_only: bool) -> str:
    """Bars between 0 and the limit, or the highest value where there is none or it is exceeded."""
    top = max((*values, limit or 0), default=0)
    # The scale is that of the longest bar, which is left out again.
    return sparkline((*values, top), len(values) + 1, ascii_only=ascii_only)[:-1]


def _throttling(usage: ResourceUsage, cpu: int | None) -> str:
    if cpu is None:
        return ""
    at_limit = sum(value >= AT_LIMIT * cpu for value in usage.cpu_over_time)
    if not at_limit:
        return ""
    bars = f"{at_limit} of {len(usage.cpu_over_time)} bars"
    return f"; at its limit in {bars}: it was slowed down and may be faster with more"


def _no_sample(attempt: Attempt) -> str:
    if attempt.times.finished is None:
        return "no sample yet"
    seconds = (attempt.times.finished - attempt.times.running).total_seconds() if attempt.times.running else 0.0
    why = "it was too short" if seconds < 5 else "the cluster has no metrics of pods (metrics-server)"
    return f"no sample: {why}"


def _oom_detail(attempt: Attempt, usage: ResourceUsage | None, memory: int | None) -> tuple[Detail, ...]:
    if attempt.reason != "OOMKilled":
        return ()
    limit = f" of {format_size(memory)}" if memory is not None else ""
    last = usage.memory_over_time[-1] if usage is not None and usage.memory_over_time else None
    if last is None:
        return (Detail("out of memory", f"it reached its limit{limit} before it was measured"),)
    text = f"it reached its limit{limit}; it used {format_size(last * _MEBIBYTE)} when it was measured last"
    if memory is not None and last * _MEBIBYTE < 0.8 * memory:
        text += ", and took the rest at once"
    return (Detail("out of memory", text),)
