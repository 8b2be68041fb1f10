"""Rules on the shell of commands: syntax of bash in commands that `sh` runs, and `#!` lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.lint.rules.accessors import Path, iter_steps, step_commands
from controller.pipeline.shell import Quoting, parse_quoting

Json = dict[str, Any]

# Each construct has a text that it always contains, so that its pattern is compiled and tried only where that occurs.
# What is shown is group 1 or, without groups, the match.
_AT_COMMANDS = {
    "[[": r"\[\[(?=\s)",
    "((": r"\(\(",
    "source ": r"source(?= +[^\s=;&|)])",
    "function ": r"function +[A-Za-z_][\w-]*",
    "let ": r"let(?= +\w)",
    **{
        name: rf"{name}\b(?!=)"
        for name in ("declare", "typeset", "shopt", "mapfile", "readarray", "pushd", "popd", "disown")
    },
}
"""Constructs of bash at the beginning of a command, outside of quotes, comments and here-documents."""
_ANYWHERE = {
    "pipefail": r"\bset +(?:[-+]\w+ +)*[-+]\w*o +pipefail",
    "=(": r"(?<![\w$.-])[A-Za-z_]\w*\+?=\(",
    "<<<": r"<<<",
    "<(": r"(?<!\S)<\(",
    ">(": r"(?<!\S)>\(",
    "&>": r"&>>?",
    "|&": r"\|&(?!&)",
    "..": r"\{-?\w+\.\.-?\w+(?:\.\.-?\d+)?\}",
    "==": r"(?<!\S)(?:\[|test) [^\[\]\n;&|]{1,200}?\s(==)\s",
    "$'": r"\$'",
}
"""Other constructs of bash, outside of quotes, comments and here-documents."""
_EXPANSIONS = {
    "${": r"\$\{(?:!\w+|#?\w+\[|\w+//?[^}\n]|\w+(?:\^\^?|,,?)|\w+:(?:\d|\s{1,9}-?\d|\$))",
    "RANDOM": r"\$\{?RANDOM\b",
    "PIPESTATUS": r"\$\{?PIPESTATUS\b",
    "BASH_": r"\$\{?BASH_[A-Z]+\b",
}
"""Expansions of bash, outside of single quotes and comments."""
_COMMAND_BEFORE = re.compile(r"(?:^|[\n;&|({!`]|\b(?:if|then|else|elif|do|while|until|time|for)[ \t])[ \t]*\Z")
_MAX_BEFORE = 80
"""Characters before a construct that are searched for where its command begins."""
_MAX_CHECKED = 16_384
"""Characters of a command that are checked."""
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
    text = command[:_MAX_CHECKED]
    needles = [needle for needle in (*_AT_COMMANDS, *_ANYWHERE, *_EXPANSIONS) if needle in text]
    if not needles:
        return
    script = parse_quoting(text)
    code = script.masked(Quoting.NONE)
    expanded = script.masked(Quoting.NONE, Quoting.DOUBLE, Quoting.HEREDOC)
    for needle in needles:
        if needle in _EXPANSIONS:
            yield from (_shown(found) for found in _pattern(_EXPANSIONS[needle]).finditer(expanded))
        elif needle in _ANYWHERE:
            yield from (_shown(found) for found in _pattern(_ANYWHERE[needle]).finditer(code))
        else:
            for found in _pattern(_AT_COMMANDS[needle]).finditer(code):
                start = found.start()
                if _COMMAND_BEFORE.search(code[max(0, start - _MAX_BEFORE) : start]):
                    yield _shown(found)


def _shown(found: re.Match[str]) -> str:
    return found.group(found.lastindex or 0)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


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
