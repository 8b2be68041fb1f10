"""What the steps of a pipeline ask for, read from its definition. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.pipeline.values.quantity import parse_quantity


def requested_resources(definition: Mapping[str, Any]) -> dict[str, tuple[int | None, int | None]]:
    """Of each step that asks for any: memory in bytes, CPU in thousandths of a core; None for what it does not name."""
    found = {}
    steps = definition.get("steps")
    for step in steps if isinstance(steps, list) else ():
        resources = step.get("resources") if isinstance(step, Mapping) else None
        if isinstance(resources, Mapping):
            found[str(step.get("name"))] = (_value(resources, "memory", 1), _value(resources, "cpu", 1000))
    return found


def _value(resources: Mapping[str, Any], name: str, factor: int) -> int | None:
    try:
        return round(parse_quantity(str(resources[name])) * factor)
    except (KeyError, ValueError):
        return None
