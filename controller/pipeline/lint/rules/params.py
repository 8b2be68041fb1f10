"""Rules on parameters: unique names, and a default among the options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote
from controller.pipeline.lint.rules.accessors import iter_mappings, iter_strings
from controller.pipeline.templates import env_variable_name

Json = dict[str, Any]


def _params(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    for index, param in iter_mappings(data.get("params")):
        name = param.get("name")
        if isinstance(name, str):
            variable = env_variable_name("PARAM", name)
            if variable in seen:
                line = source_map.value_position(("params", seen[variable], "name"))[0]
                message = f"the parameter {quote(name)} is declared twice; the first is on line {line}"
                hint = f"both would be ${variable} in a step: keep one, or rename it"
                yield source_map.diagnostic(("params", index, "name"), "duplicate-param", message, hint)
            seen.setdefault(variable, index)
        options = [option for _, option in iter_strings(param.get("options"))]
        default = param.get("default")
        if options and isinstance(default, str) and default not in options:
            message = f"the default {quote(default)} is not among the options"
            hint = did_you_mean(default, options) or f"options: {join_words(options)}"
            yield source_map.diagnostic(("params", index, "default"), "param-default", message, hint)


RULES = (_params,)
