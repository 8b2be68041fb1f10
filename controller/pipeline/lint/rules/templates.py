"""Rules on templates: existing variables in fields that allow them, not in commands; no NUL characters."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote
from controller.pipeline.lint.rules.accessors import (
    Path,
    iter_mappings,
    iter_steps,
    matrix_dimensions,
    step_commands,
    walk_strings,
)
from controller.pipeline.templates import (
    NAMESPACES,
    RUN_VARIABLES,
    TemplateReference,
    env_variable_name,
    find_references,
)

Json = dict[str, Any]

_STEP_FIELDS = ("env", "image", "artifacts", "optionalArtifacts", "inputs", "cache")
_SERVICE_FIELDS = ("env", "image")
# Not a template: a shell reports a bad substitution.
_DOLLAR = re.compile(r"\$\{((?:matrix|params|run)\.[-A-Za-z0-9_.]+)\}")
_RUN_ENV_VARIABLES = {"commit": "C8S_COMMIT", "branch": "C8S_BRANCH", "name": "C8S_RUN"}


def _templates_in_commands(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    """Values of a matrix, which the file itself holds, are filled in; others come from elsewhere and are not."""
    outer = dict.fromkeys(f"matrix.{name}" for name in matrix_dimensions(data))
    for index, step in iter_steps(data):
        known = ChainMap(dict.fromkeys(f"matrix.{name}" for name in matrix_dimensions(step)), outer)
        for path, command in step_commands(index, step):
            yield from _check_command(command, path, known, source_map)


def _check_command(command: str, path: Path, known: Mapping[str, None], source_map: SourceMap) -> Iterator[Diagnostic]:
    refused: dict[str, str] = {}
    for use in find_references(command):
        if use.variable.startswith("matrix."):
            if use.variable not in known:
                yield _unknown_variable(use.variable, known, path, source_map)
        elif use.variable.partition(".")[0] in NAMESPACES or use.file:
            refused[use.text] = use.variable
    refused |= {match.group(): match.group(1) for match in _DOLLAR.finditer(command)}
    for text, variable in refused.items():
        message = f"{quote(text)} would be pasted into a shell, where its text could become a command"
        hint = _variable_hint(variable)
        if text.startswith("${matrix."):
            message, hint = f"{quote(text)} is not filled in", f"{hint}, or write {{{{{variable}}}}}"
        yield source_map.diagnostic(path, "template-in-command", message, hint)


def _variable_hint(variable: str) -> str:
    kind, _, name = variable.partition(".")
    known = {"params": env_variable_name("PARAM", name), "matrix": env_variable_name("MATRIX", name)}.get(kind)
    known = _RUN_ENV_VARIABLES.get(name) if kind == "run" else known
    if known:
        return f'use the environment variable instead: "${known}"'
    return f"set it in the step's `env` and use that variable, such as `env: {{VALUE: '{{{{{variable}}}}}'}}`"


def _unknown_references(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    names = [p["name"] for _, p in iter_mappings(data.get("params")) if isinstance(p.get("name"), str)]
    # Dictionaries, which keep the order for messages and find a name at once.
    always = dict.fromkeys([*RUN_VARIABLES, *(f"params.{name}" for name in names)])
    outer = dict.fromkeys(f"matrix.{name}" for name in matrix_dimensions(data))
    for path, text in walk_strings(data.get("env"), ("env",)):
        yield from _unknown_in(text, path, ChainMap(outer, always), source_map)
    concurrency = data.get("concurrency")
    if isinstance(concurrency, dict):
        for path, text in walk_strings(concurrency.get("group"), ("concurrency", "group")):
            yield from _unknown_in(text, path, always, source_map)
    for index, step in iter_steps(data):
        known = ChainMap(dict.fromkeys(f"matrix.{name}" for name in matrix_dimensions(step)), outer, always)
        for field in _STEP_FIELDS:
            for path, text in walk_strings(step.get(field), ("steps", index, field)):
                yield from _unknown_in(text, path, known, source_map, hashes=field == "cache")
        for n, service in iter_mappings(step.get("services")):
            for field in _SERVICE_FIELDS:
                for path, text in walk_strings(service.get(field), ("steps", index, "services", n, field)):
                    yield from _unknown_in(text, path, known, source_map)


def _unknown_in(
    text: str, path: Path, known: Mapping[str, None], source_map: SourceMap, *, hashes: bool = False
) -> Iterator[Diagnostic]:
    for use in find_references(text):
        if use.file:
            if not hashes:
                message, hint = f"{quote(use.text)} is filled in a cache's key only", "remove it"
                yield source_map.diagnostic(path, "unknown-variable", message, hint)
        elif use.variable not in known:
            yield _unknown_variable(use.variable, known, path, source_map)
    for found in _DOLLAR.finditer(text):
        hint = f"write {{{{{found.group(1)}}}}}"
        yield source_map.diagnostic(path, "unknown-variable", f"{quote(found.group())} is not filled", hint)


def _unknown_variable(variable: str, known: Mapping[str, None], path: Path, source_map: SourceMap) -> Diagnostic:
    hint = did_you_mean(variable, known) or (f"known here: {join_words(known, 20)}" if known else "add a `matrix`")
    return source_map.diagnostic(path, "unknown-variable", f"there is no variable {quote(variable)} here", hint)


def _misplaced_references(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    """References in fields that are not rendered, where they would stay as text."""
    taken = {"env", "concurrency", "steps", "params", "matrix", "description"}
    for field in data.keys() - taken:
        for path, text in walk_strings(data[field], (field,)):
            yield from _misplaced_in(text, path, source_map)
    for index, step in iter_steps(data):
        for field in step.keys() - {*_STEP_FIELDS, "commands", "services", "matrix", "description"}:
            for path, text in walk_strings(step[field], ("steps", index, field)):
                yield from _misplaced_in(text, path, source_map)


def _misplaced_in(text: str, path: Path, source_map: SourceMap) -> Iterator[Diagnostic]:
    for use in find_references(text):
        if _is_reference(use):
            message = f"{quote(use.text)} is not filled in this field"
            hint = (
                "variables are filled in env, image, artifacts, inputs, cache, concurrency; matrix.… also in commands"
            )
            yield source_map.diagnostic(path, "template-not-here", message, hint)


def _is_reference(use: TemplateReference) -> bool:
    return bool(use.file) or use.variable.partition(".")[0] in NAMESPACES


def _nul_characters(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, text in walk_strings(data, ()):
        if "\x00" in text:
            yield source_map.diagnostic(
                path, "nul-character", "a NUL character can't be passed to a program", "remove it"
            )


RULES = (_templates_in_commands, _unknown_references, _misplaced_references, _nul_characters)
