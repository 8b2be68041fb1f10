"""Parameters: the values of a run for what its pipeline declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controller.pipeline.diagnostics import did_you_mean

Json = dict[str, Any]


def resolve_params(declared: Sequence[Json], given: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The values of all parameters, and the errors as pairs of parameter and sentence."""
    values: dict[str, str] = {}
    errors: list[tuple[str, str]] = []
    names = [param["name"] for param in declared]
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names) or (f"it has: {', '.join(names)}" if names else "it has none")
            errors.append((name, f"the pipeline has no parameter `{name}`; {hint}"))
    for param in declared:
        name = param["name"]
        value = given.get(name, param.get("default"))
        options = param.get("options") or []
        if value is None:
            errors.append((name, f"the parameter `{name}` has no default: give it a value"))
        elif options and value not in options:
            errors.append((name, f"`{name}` can't be {value!r}; it can be {', '.join(options)}"))
        else:
            values[name] = value
    return values, errors
