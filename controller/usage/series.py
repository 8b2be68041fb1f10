"""The usage of an attempt as its status has it: peaks, and a few values over time. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from controller.run_types.objects import ResourceUsage

Json = dict[str, Any]

MAX_POINTS = 24
"""Values over time; beyond that, each stands for twice as long, and is the higher one of two."""
_MEBIBYTE = 1024 * 1024
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(n|u|m|k|K|M|G|T|Ki|Mi|Gi|Ti)?")
_UNITS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 1024.0, "Mi": 1024.0**2, "Gi": 1024.0**3, "Ti": 1024.0**4,
}  # fmt: skip


def parse_metric(text: object) -> float | None:
    """The value of a quantity as metrics have it: `12345n`, `80Ki`; None for what is none."""
    match = _QUANTITY.fullmatch(str(text))
    return None if match is None else float(match[1]) * _UNITS[match[2] or ""]


def add_sample(usage: ResourceUsage | None, cores: float, memory: float, interval: float) -> ResourceUsage:
    """The usage with one more sample.

    Args:
        cores: CPU, in cores.
        memory: bytes.
        interval: seconds between samples; only that of the first sample counts.
    """
    thousandths, bytes_used = round(cores * 1000), round(memory)
    if usage is None:
        fresh: Json = {"memory": 0, "cpu": 0, "samples": 0, "interval": round(interval), "every": 1}
        fresh |= {"memoryOverTime": [], "cpuOverTime": []}
    else:
        fresh = {**usage}
    fresh["memory"], fresh["cpu"] = max(fresh["memory"], bytes_used), max(fresh["cpu"], thousandths)
    every, samples = int(fresh.get("every", 1)), int(fresh["samples"])
    values = {"memoryOverTime": -(-bytes_used // _MEBIBYTE), "cpuOverTime": thousandths}
    for name, value in values.items():
        points = list(fresh.get(name) or [])
        if points and samples % every:
            points[-1] = max(points[-1], value)
        else:
            points.append(value)
        fresh[name] = points
    fresh["samples"] = samples + 1
    if len(fresh["cpuOverTime"]) > MAX_POINTS:
        for name in values:
            points = fresh[name]
            fresh[name] = [max(points[at : at + 2]) for at in range(0, len(points), 2)]
        fresh["every"], fresh["interval"] = 2 * every, 2 * int(fresh["interval"])
    return cast("ResourceUsage", fresh)
