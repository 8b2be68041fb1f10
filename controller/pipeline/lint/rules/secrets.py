"""Rules on secrets: each has its own variable or file, and commands do not print it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.lint.rules.accessors import Path, env_variables, iter_mappings, iter_steps, iter_strings

Json = dict[str, Any]

_SHELL_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_ECHO = re.compile(r"(?:\b(?:echo|printf)\b|\bcat\s+<<<)([^|;&>]*)(\||>)?")
_VARIABLE_REFERENCE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_PRINT_ENVIRONMENT = re.compile(r"(?:^|[;&]\s*)(?:env|printenv|export\s+-p|set)\s*(?:$|[;&])")
_TRACE = re.compile(r"\bset\s+(?:-[a-z]*x|-o\s+xtrace)|\b(?:ba|da)?sh\s+-[a-z]*x")


def _secret_targets(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        taken: dict[str, Path] = {}
        plain = {name for _, name in env_variables(step)}
        for n, use in iter_mappings(step.get("secrets")):
            path = ("steps", index, "secrets", n)
            if isinstance(use.get("file"), str):
                yield from _check_file(use, path, taken, source_map)
            elif isinstance(use.get("envVar") or use.get("key"), str):
                yield from _check_variable(use, path, taken, plain, source_map)


def _check_file(use: Json, path: Path, taken: dict[str, Path], source_map: SourceMap) -> Iterator[Diagnostic]:
    file: str = use["file"]
    if use.get("envVar") is not None:
        message = "a secret is a variable or a file, not both"
        yield source_map.diagnostic(
            (*path, "envVar"), "secret-twice", message, "remove one, or list it twice", at_key=True
        )
    parts = [part for part in file.split("/") if part not in ("", ".")]
    if file.startswith("/") or ".." in parts or not parts:
        message = f"{quote(file)} is not a file below the secrets folder"
        hint = "name it without a leading / and without ..; commands find it in $C8S_SECRETS"
        yield source_map.diagnostic((*path, "file"), "secret-file", message, hint)
    yield from _check_unique("/".join(parts), "the file", (*path, "file"), taken, source_map)


def _check_variable(
    use: Json, path: Path, taken: dict[str, Path], plain: set[str], source_map: SourceMap
) -> Iterator[Diagnostic]:
    variable: str = use.get("envVar") or use["key"]
    at = (*path, "envVar" if use.get("envVar") else "key")
    if not _SHELL_NAME.fullmatch(variable):
        message = f"a shell can't read a variable named {quote(variable)}"
        hint = f"name it with `envVar: {re.sub('[^A-Za-z0-9]', '_', variable[:60]).upper()}`"
        yield source_map.diagnostic(at, "secret-variable", message, hint, severity="warning")
    if variable in plain:
        message = f"{quote(variable)} is set in `env` and by a secret; the secret wins"
        yield source_map.diagnostic(at, "secret-variable", message, "remove one", severity="warning")
    yield from _check_unique(variable, "the variable", at, taken, source_map)


def _check_unique(
    place: str, kind: str, at: Path, taken: dict[str, Path], source_map: SourceMap
) -> Iterator[Diagnostic]:
    key = f"{kind} {place}"
    if key in taken:
        line = source_map.value_position(taken[key])[0]
        message = f"two secrets end up in {kind} {quote(place)}; the first is on line {line}"
        yield source_map.diagnostic(at, "secret-clash", message, "name them apart with `envVar` or `file`")
    taken.setdefault(key, at)


def _printed_secrets(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        names = {
            name: None
            for _, use in iter_mappings(step.get("secrets"))
            if isinstance(name := use.get("envVar") or use.get("key"), str) and not use.get("file")
        }
        for n, command in iter_strings(step.get("commands")):
            path = ("steps", index, "commands", n)
            for name in dict.fromkeys(_printed_by(command, names)):
                message = f"this prints the secret {quote(name)}; the log shows *** in its place"
                yield source_map.diagnostic(path, "secret-printed", message, "leave it out", severity="warning")
            if names and _TRACE.search(command):
                message = "tracing (`set -x`) prints commands with the values of secrets in them"
                yield source_map.diagnostic(path, "secret-traced", message, "leave it out", severity="warning")


def _printed_by(command: str, names: dict[str, None]) -> Iterator[str]:
    for line in command.splitlines()[:1000]:
        if names and _PRINT_ENVIRONMENT.search(line.strip()):
            yield next(iter(names))
        for printed, onward in _ECHO.findall(line):
            if onward:
                # Written to a pipe or a file, not to the log.
                continue
            yield from (name for pair in _VARIABLE_REFERENCE.findall(printed) if (name := pair[0] or pair[1]) in names)


def _provider_classes(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        taken: dict[str, Path] = {}
        for n, use in iter_mappings(step.get("secretProviders")):
            if not isinstance(use.get("class"), str):
                continue
            path = ("steps", index, "secretProviders", n, "class")
            if use["class"] in taken:
                line = source_map.value_position(taken[use["class"]])[0]
                message = f"{quote(use['class'])} is mounted twice; the first is on line {line}"
                yield source_map.diagnostic(path, "provider-twice", message, "remove one")
            taken.setdefault(use["class"], path)


RULES = (_secret_targets, _provider_classes, _printed_secrets)
