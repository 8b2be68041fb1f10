"""Rules on parameters: each once, and a default that may be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.lint.rules.accessors import maps, strings
from controller.pipeline.problems import Places, Problem, did_you_mean, listed, quoted
from controller.pipeline.templates import variable_name

Json = dict[str, Any]


def _params(data: Json, places: Places) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, param in maps(data.get("params")):
        name = param.get("name")
        if isinstance(name, str):
            variable = variable_name("PARAM", name)
            if variable in seen:
                line = places.of(("params", seen[variable], "name"))[0]
                message = f"the parameter {quoted(name)} is declared twice; the first is on line {line}"
                hint = f"both would be ${variable} in a step: keep one, or rename it"
                yield places.problem(("params", index, "name"), "duplicate-param", message, hint)
            seen.setdefault(variable, index)
        options = [option for _, option in strings(param.get("options"))]
        default = param.get("default")
        if options and isinstance(default, str) and default not in options:
            message = f"the default {quoted(default)} is not among the options"
            hint = did_you_mean(default, options) or f"options: {listed(options)}"
            yield places.problem(("params", index, "default"), "param-default", message, hint)


RULES = (_params,)
