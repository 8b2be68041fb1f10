"""Parameters: the values of a run for what its pipeline declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controller.pipeline.diagnostics import did_you_mean, join_words, limited_suggestions, quote

Json = dict[str, Any]

_MAX_ERRORS = 50


def resolve_params(declared: Sequence[Json], given: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The values of all parameters, and the errors as pairs of parameter and sentence."""
    names = [param["name"] for param in declared]
    values: dict[str, str] = {}
    known = frozenset(names)
    unknown = [name for name in given if name not in known][:_MAX_ERRORS]
    with limited_suggestions():
        errors = [(name, _unknown_param(name, names)) for name in unknown]
    for param in declared:
        name = param["name"]
        value = given.get(name, param.get("default"))
        options = param.get("options") or []
        if value is None:
            errors.append((name, f"the parameter `{name}` has no default: give it a value"))
        elif options and value not in options:
            errors.append((name, f"{quote(name)} can't be {value[:60]!r}; it can be {join_words(options, 20)}"))
        else:
            values[name] = value
    return values, errors[:_MAX_ERRORS]


def _unknown_param(name: str, names: Sequence[str]) -> str:
    hint = did_you_mean(name, names) or (f"it has: {join_words(names, 20)}" if names else "it has none")
    return f"the pipeline has no parameter {quote(name)}; {hint}"
