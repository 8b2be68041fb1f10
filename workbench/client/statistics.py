"""The statistics of pipelines as the API sends them, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Durations = tuple[float | None, ...]
"""In seconds, oldest first; None for what does not count."""


@dataclass(frozen=True)
class Slower:
    """Since when something takes longer than before: the first such run, and its commit."""

    before_seconds: float
    percent: int | None
    since_run: str
    since_commit: str | None


@dataclass(frozen=True)
class Trend:
    """The last runs of a pipeline or a step, named `name`."""

    name: str
    succeeded: int
    failed: int
    seconds: Durations
    median: float | None
    last: float | None
    slower: Slower | None


@dataclass(frozen=True)
class StepTrend(Trend):
    """A step, with what it waited for, stored and used."""

    reused: int = 0
    median_queue: float | None = None
    artifact_bytes: int | None = None
    log_bytes: int | None = None
    tests: tuple[int, int, int] | None = None
    """Total, failed and skipped, of the last reports."""
    peak_memory: int | None = None
    peak_cpu: int | None = None
    usage_samples: int = 0
    runs_with_usage: int = 0
    out_of_memory: int = 0
    """Runs in which an attempt was killed for its memory limit."""


@dataclass(frozen=True)
class PipelineTrend(Trend):
    """A pipeline with its steps; `raw` is what the API sent."""

    steps: tuple[StepTrend, ...] = ()
    raw: Mapping[str, Any] | None = None


def decode_statistics(raw: Mapping[str, Any]) -> PipelineTrend:
    """A pipeline, with or without its steps."""
    steps = raw.get("steps")
    listed = [each for each in steps if isinstance(each, dict)] if isinstance(steps, list) else []
    return PipelineTrend(**_trend(raw, "pipeline"), steps=tuple(_decode_step(each) for each in listed), raw=raw)


def _decode_step(raw: Mapping[str, Any]) -> StepTrend:
    tests = raw.get("tests")
    return StepTrend(
        **_trend(raw, "name"),
        reused=_count(raw.get("reused")),
        median_queue=_number(raw.get("medianQueueSeconds")),
        artifact_bytes=_integer(raw.get("artifactBytes")),
        log_bytes=_integer(raw.get("logBytes")),
        tests=(_count(tests.get("total")), _count(tests.get("failed")), _count(tests.get("skipped")))
        if isinstance(tests, dict)
        else None,
        peak_memory=_integer(raw.get("peakMemory")),
        peak_cpu=_integer(raw.get("peakCpu")),
        usage_samples=_count(raw.get("usageSamples")),
        runs_with_usage=_count(raw.get("runsWithUsage")),
        out_of_memory=_count(raw.get("outOfMemory")),
    )


def _trend(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    seconds, slower = raw.get("seconds"), raw.get("slower")
    return {
        "name": str(raw.get(name) or ""),
        "succeeded": _count(raw.get("succeeded")),
        "failed": _count(raw.get("failed")),
        "seconds": tuple(_number(each) for each in seconds) if isinstance(seconds, list) else (),
        "median": _number(raw.get("medianSeconds")),
        "last": _number(raw.get("lastSeconds")),
        "slower": _decode_slower(slower) if isinstance(slower, dict) else None,
    }


def _decode_slower(raw: Mapping[str, Any]) -> Slower:
    commit = raw.get("sinceCommit")
    return Slower(
        _number(raw.get("beforeSeconds")) or 0.0,
        _integer(raw.get("percent")),
        str(raw.get("sinceRun") or ""),
        str(commit) if commit else None,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: object) -> int:
    return _integer(value) or 0
