"""Rules on texts: variables that exist, in the fields that take them; nothing pasted into a shell; no NUL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from controller.pipeline.lint.rules.accessors import Path, dimensions, maps, steps, strings, texts
from controller.pipeline.problems import Places, Problem, did_you_mean, listed, quoted
from controller.pipeline.templates import NAMESPACES, RUN_VARIABLES, Use, uses, variable_name

Json = dict[str, Any]

_OF_A_STEP = ("env", "image", "artifacts", "cache")
_OF_A_SERVICE = ("env", "image")
# As some write it; a shell calls it a bad substitution, and nobody fills it.
_DOLLAR = re.compile(r"\$\{((?:matrix|params|run)\.[-A-Za-z0-9_.]+)\}")
_SHELL = {"commit": "C8S_COMMIT", "branch": "C8S_BRANCH", "name": "C8S_RUN"}


def _pasted(data: Json, places: Places) -> Iterator[Problem]:
    for path, command in _commands(data):
        found = [use for use in uses(command) if use.variable.partition(".")[0] in NAMESPACES or use.file]
        written = [(use.text, use.variable) for use in found]
        written += [(match.group(), match.group(1)) for match in _DOLLAR.finditer(command)]
        for text, variable in dict(written).items():
            message = f"{quoted(text)} would be pasted into a shell, where its text could become a command"
            yield places.problem(path, "template-in-command", message, _as_variable(variable))


def _commands(data: Json) -> Iterator[tuple[Path, str]]:
    for index, step in steps(data):
        yield from ((("steps", index, "commands", n), command) for n, command in strings(step.get("commands")))
        for s, service in maps(step.get("services")):
            path = ("steps", index, "services", s, "commands")
            yield from (((*path, n), command) for n, command in strings(service.get("commands")))


def _as_variable(variable: str) -> str:
    kind, _, name = variable.partition(".")
    known = {"params": variable_name("PARAM", name), "matrix": variable_name("MATRIX", name)}.get(kind)
    known = _SHELL.get(name) if kind == "run" else known
    if known:
        return f'use the environment variable instead: "${known}"'
    return f"set it in the step's `env` and use that variable, such as `env: {{VALUE: '{{{{{variable}}}}}'}}`"


def _unknown(data: Json, places: Places) -> Iterator[Problem]:
    always = [
        *RUN_VARIABLES,
        *(f"params.{p['name']}" for _, p in maps(data.get("params")) if isinstance(p.get("name"), str)),
    ]
    outer = [f"matrix.{name}" for name in dimensions(data)]
    for path, text in texts(data.get("env"), ("env",)):
        yield from _unknown_in(text, path, [*always, *outer], places)
    concurrency = data.get("concurrency")
    if isinstance(concurrency, dict):
        for path, text in texts(concurrency.get("group"), ("concurrency", "group")):
            yield from _unknown_in(text, path, always, places)
    for index, step in steps(data):
        known = [*always, *outer, *(f"matrix.{name}" for name in dimensions(step))]
        for field in _OF_A_STEP:
            for path, text in texts(step.get(field), ("steps", index, field)):
                yield from _unknown_in(text, path, known, places, hashes=field == "cache")
        for n, service in maps(step.get("services")):
            for field in _OF_A_SERVICE:
                for path, text in texts(service.get(field), ("steps", index, "services", n, field)):
                    yield from _unknown_in(text, path, known, places)


def _unknown_in(text: str, path: Path, known: list[str], places: Places, *, hashes: bool = False) -> Iterator[Problem]:
    for use in uses(text):
        if use.file:
            if not hashes:
                message, hint = f"{quoted(use.text)} is filled in a cache's key only", "remove it"
                yield places.problem(path, "unknown-variable", message, hint)
        elif use.variable not in known:
            hint = did_you_mean(use.variable, known) or f"known here: {listed(known, 20)}"
            yield places.problem(path, "unknown-variable", f"there is no variable {quoted(use.variable)} here", hint)
    for found in _DOLLAR.finditer(text):
        hint = f"write {{{{{found.group(1)}}}}}"
        yield places.problem(path, "unknown-variable", f"{quoted(found.group())} is not filled", hint)


def _misplaced(data: Json, places: Places) -> Iterator[Problem]:
    """Variables in fields that take none: they would be used with their braces."""
    taken = {"env", "concurrency", "steps", "params", "matrix"}
    for field in data.keys() - taken:
        for path, text in texts(data[field], (field,)):
            yield from _misplaced_in(text, path, places)
    for index, step in steps(data):
        for field in step.keys() - {*_OF_A_STEP, "commands", "services", "matrix"}:
            for path, text in texts(step[field], ("steps", index, field)):
                yield from _misplaced_in(text, path, places)


def _misplaced_in(text: str, path: Path, places: Places) -> Iterator[Problem]:
    for use in uses(text):
        if _is_ours(use):
            message = f"{quoted(use.text)} is not filled in this field"
            hint = "variables are filled in env, image, artifacts, cache and concurrency"
            yield places.problem(path, "template-not-here", message, hint)


def _is_ours(use: Use) -> bool:
    return bool(use.file) or use.variable.partition(".")[0] in NAMESPACES


def _nul(data: Json, places: Places) -> Iterator[Problem]:
    for path, text in texts(data, ()):
        if "\x00" in text:
            yield places.problem(path, "nul-character", "a NUL character can't be passed to a program", "remove it")


RULES = (_pasted, _unknown, _misplaced, _nul)
