"""Rules on the shell of commands: syntax of bash in commands that `sh` runs, and `#!` lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.lint.rules.accessors import Path, iter_steps, step_commands
from controller.pipeline.shell import Quoting, parse_quoting

Json = dict[str, Any]

_COMMAND = r"(?:^|[;&|({!`]|\b(?:if|then|else|elif|do|while|until|time)\b)[ \t]*"
"""Where a command begins."""
# Outside of quotes, comments and here-documents. Group 1 is what is shown.
_SYNTAX = re.compile(
    "|".join(
        (
            rf"{_COMMAND}(\[\[)(?=\s)",
            rf"{_COMMAND}(source) +[^\s=;&|)]",
            rf"{_COMMAND}(function +[A-Za-z_][\w-]*)",
            rf"{_COMMAND}((?:declare|typeset|shopt|mapfile|readarray|pushd|popd|let|disown)\b)(?!=)",
            rf"{_COMMAND}(\(\()",
            r"\b(for +\(\()",
            r"\b(set +(?:[-+]\w+ +)*[-+]\w*o +pipefail)",
            rf"{_COMMAND}(?:export +|local +|readonly +)?([A-Za-z_]\w*\+?=\()",
            r"(<<<)",
            r"(?:^|\s)([<>]\()",
            r"(?:^|\s)(&>>?|\|&)",
            r"(\{-?\w+\.\.-?\w+(?:\.\.-?\d+)?\})",
            r"(?:^|\s)(?:\[|test) [^\[\]\n;&|]{1,200}?\s(==)\s",
            r"(\$)'",
        )
    ),
    re.MULTILINE,
)
# Outside of single quotes and comments.
_EXPANSION = re.compile(
    r"(\$\{!\w+|\$\{#?\w+\[|\$\{\w+//?[^}\n]|\$\{\w+(?:\^\^?|,,?)|\$\{\w+:(?:\d|\s+-?\d|\$)"
    r"|\$\{?(?:RANDOM|PIPESTATUS|BASH_[A-Z]+)\b)"
)
_SHEBANG = re.compile(r"#![ \t]*(\S{1,200})(?:[ \t]+([\w.-]{1,100}))?")
_MAX_FINDINGS = 5
"""Constructs that are reported of one command."""


def _bash_in_sh(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    default = data.get("shell")
    for index, step in iter_steps(data):
        shell = step.get("shell") or default or "sh"
        for path, command in step_commands(index, step):
            runs_in = shell if path[2] == "commands" else "sh"
            yield from _check_shebang(command, str(runs_in), path, source_map)
            if runs_in == "sh":
                yield from _check_syntax(command, path, source_map)


def _check_syntax(command: str, path: Path, source_map: SourceMap) -> Iterator[Diagnostic]:
    for text in islice(dict.fromkeys(_bash_constructs(command)), _MAX_FINDINGS):
        message = f"{quote(text)} is bash, but sh runs this: it fails, or does something else"
        yield source_map.diagnostic(path, "bash-in-sh", message, _hint(path), severity="warning")


def _bash_constructs(command: str) -> Iterator[str]:
    script = parse_quoting(command)
    # A quote character belongs to the part before it, so that `$'` is still seen.
    for found in _SYNTAX.finditer(script.masked(Quoting.NONE)):
        yield next(group for group in found.groups() if group)
    for found in _EXPANSION.finditer(script.masked(Quoting.NONE, Quoting.DOUBLE, Quoting.HEREDOC)):
        yield found.group(1)


def _check_shebang(command: str, shell: str, path: Path, source_map: SourceMap) -> Iterator[Diagnostic]:
    found = _SHEBANG.match(command)
    if found is None:
        return
    program = found.group(1).rpartition("/")[2]
    if program == "env" and found.group(2):
        program = found.group(2)
    if program == shell:
        return
    message = f"a `#!` line has no effect here: {shell} runs the commands"
    if program == "bash":
        yield source_map.diagnostic(path, "bash-in-sh", message, _hint(path), severity="warning")
    else:
        hint = f"call {program} in a command, with a script of the repository"
        yield source_map.diagnostic(path, "shebang-ignored", message, hint, severity="warning")


def _hint(path: Path) -> str:
    if path[2] == "commands":
        return "add `shell: bash` to the step, or write it for sh"
    return "services run in sh: write it for sh, or call bash in the command"


RULES = (_bash_in_sh,)
