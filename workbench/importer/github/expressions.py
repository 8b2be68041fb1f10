"""Expressions of GitHub Actions (`${{ … }}`): values that have a counterpart, and conditions.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.importer.draft import MAX_VARIABLES, PipelineDraft, StepDraft
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.values import text, variable

EXPRESSION = re.compile(r"\$\{\{((?:[^}$]|\}(?!\})|\$(?!\{\{)){0,1000})\}\}")
"""An expression. It holds no other one, which keeps the search linear."""
_QUOTED_EXPRESSION = re.compile(r"'(\$\{\{[^'}$]{0,1000}\}\})'")
# What commands and other fields have in place of a value.
_VALUES = {
    "github.sha": ("$C8S_COMMIT", "{{run.commit}}"),
    "github.ref_name": ("$C8S_BRANCH", "{{run.branch}}"),
    "github.head_ref": ("$C8S_BRANCH", "{{run.branch}}"),
    "github.ref": ("refs/heads/$C8S_BRANCH", "refs/heads/{{run.branch}}"),
    "github.run_id": ("$C8S_RUN", "{{run.name}}"),
    "github.run_number": ("$C8S_RUN", "{{run.number}}"),
    "github.run_attempt": ("$C8S_ATTEMPT", "1"),
    "github.workspace": ("$C8S_WORKSPACE", "/workspace"),
    "github.job": ("$C8S_STEP", ""),
    "runner.os": ("Linux", "Linux"),
    "runner.arch": ("X64", "X64"),
    "runner.temp": ("/tmp", "/tmp"),  # noqa: S108 (a path in a container)
}
_COMPARISON = re.compile(r"([\w.-]{1,200})\s?(==|!=)\s?'([^']{0,500})'")
_CALL = re.compile(r"(startsWith|contains)\(\s?github\.ref\s?,\s?'refs/(heads|tags)/([^']{0,200})'\s?\)")


@dataclass
class Scope:
    """What expressions of a job refer to. `combination` holds the values of a matrix that is written out."""

    draft: PipelineDraft
    step: StepDraft
    dimensions: frozenset[str] = frozenset()
    combination: Mapping[str, Any] | None = None
    env: dict[str, str] = field(default_factory=dict)

    def command(self, value: str, line: int) -> str:
        """A script with its expressions replaced by shell variables. It may still end in any way a script can."""
        # Within single quotes a variable would stay as it is.
        return self._replace(_QUOTED_EXPRESSION.sub(r'"\1"', value), line, in_shell=True)

    def value(self, value: Any, line: int) -> str:
        """A value of another field."""
        return self._replace(text(value), line, in_shell=False)

    def export(self, name: str, value: Any, line: int) -> str:
        """The command that sets a variable."""
        made, position = "", 0
        written = text(value)
        for match in EXPRESSION.finditer(written):
            literal = written[position : match.start()]
            made += (shlex.quote(literal) if literal else "") + f'"{self.resolve(match[1], line, in_shell=True)}"'
            position = match.end()
        rest = written[position:]
        return f"export {name}={made}{shlex.quote(rest) if rest or not made else ''}"

    def is_secret(self, value: Any) -> str | None:
        """The key of the secret that a value consists of."""
        match = re.fullmatch(r"\s?\$\{\{\s?secrets\.([\w-]{1,200})\s?\}\}\s?", text(value))
        return match[1] if match else None

    def set_env(self, values: SourceMap) -> None:
        """Take a job's variables; those with secrets become secrets."""
        if len(values) > MAX_VARIABLES:
            raise ImportFileError(f"line {min(values.lines.values())}: more than {MAX_VARIABLES:,} variables")
        for name, value in values.items():
            if key := self.is_secret(value):
                self.step.secrets[name] = key
            elif "secrets." in text(value) and EXPRESSION.search(text(value)):
                self.step.commands.append(self.export(name, value, values.line(name)))
            else:
                self.step.env[name] = self.env[name] = self.value(value, values.line(name))

    def _replace(self, value: str, line: int, *, in_shell: bool) -> str:
        made = EXPRESSION.sub(lambda match: self.resolve(match[1], line, in_shell=in_shell), value)
        return made.replace("${{", "$ {{")

    def resolve(self, expression: str, line: int, *, in_shell: bool) -> str:
        """The text that stands for an expression; a variable to set, with a note, for one without counterpart."""
        name = expression.strip()
        if name in _VALUES:
            return _VALUES[name][0 if in_shell else 1]
        if re.fullmatch(r"'[^']*'|\d+", name):
            return name.strip("'")
        if name == "github.workflow":
            return self.draft.name
        if self.combination is not None and (chosen := self._choose(name)) is not None:
            return chosen
        context, _, key = name.partition(".")
        if context == "github" and key.startswith("event.inputs."):
            context, key = "inputs", key.removeprefix("event.inputs.")
        if re.fullmatch(r"[A-Za-z_][\w-]{0,100}(\.[\w-]{1,100})?", key):
            if context == "matrix":
                return self._matrix(key)
            if context == "secrets" and "." not in key:
                self.step.secrets.setdefault(variable(key), key)
                return f"${variable(key)}" if in_shell else self._unknown(name, line, in_shell=False)
            if context == "env" and "." not in key:
                return f"${key}" if in_shell else self.env.get(key, self.draft.env.get(key, ""))
            if context in ("inputs", "vars") and "." not in key:
                param = self.draft.param(key, "", f"`{name}` of the workflow")
                return f"$PARAM_{param.upper()}" if in_shell else f"{{{{params.{param}}}}}"
        return self._unknown(name, line, in_shell=in_shell)

    def _choose(self, expression: str) -> str | None:
        """The value of `a || b` with values of the matrix and literals; None for anything else."""
        for part in expression.split("||"):
            term = part.strip()
            if match := re.fullmatch(r"matrix\.([\w.-]{1,200})", term):
                value = self._matrix(match[1])
            elif match := re.fullmatch(r"'([^']{0,500})'", term):
                value = match[1]
            elif match := re.fullmatch(
                r"format\('([^'{}]{0,100})\{0\}([^'{}]{0,100})', ?matrix\.([\w.-]{1,200})\)", term
            ):
                value = match[1] + self._matrix(match[3]) + match[2]
            else:
                return None
            if value and value != "false":
                return value
        return ""

    def _matrix(self, key: str) -> str:
        if self.combination is None:
            return f"{{{{matrix.{key}}}}}" if key in self.dimensions else ""
        first, _, second = key.partition(".")
        value = self.combination.get(first)
        return text(value.get(second) if second and isinstance(value, dict) else value)

    def _unknown(self, expression: str, line: int, *, in_shell: bool) -> str:
        name = variable(expression)
        if not in_shell:
            self.step.note(line, f"`{expression}` has no counterpart here and is left out")
            return ""
        self.step.env.setdefault(name, "")
        self.step.note(line, f"`{expression}` has no counterpart: set ${name}")
        return f"${name}"


def condition(expression: str) -> dict[str, str] | None:
    """The `conditional` for a job's `if`; None if it has no counterpart."""
    found: dict[str, str] = {}
    for term in _terms(expression):
        meaning = _term(term)
        if meaning is None or any(found.get(key, value) != value for key, value in meaning.items()):
            return None
        found |= meaning
    return found


def _terms(expression: str) -> list[str]:
    inner = expression.strip()
    if match := EXPRESSION.fullmatch(inner):
        inner = match[1]
    return [" ".join(term.split()) for term in inner.split("&&")]


def _term(term: str) -> dict[str, str] | None:
    """What one condition of several means; None if it has no counterpart."""
    if term in ("always()", "!cancelled()", "! cancelled()"):
        return {"when": "always"}
    if term == "failure()":
        return {"when": "failure"}
    if term in ("success()", "true"):
        return {}
    if match := _CALL.fullmatch(term):
        return _reference(match[2], match[3] + ("*" if match[1] == "startsWith" or not match[3] else ""))
    if not (match := _COMPARISON.fullmatch(term)) or match[2] != "==":
        return None
    name, value = match[1], match[3]
    if name == "github.event_name" and value in ("push", "pull_request"):
        return {"event": value}
    if name == "github.ref" and (reference := re.fullmatch(r"refs/(heads|tags)/(.+)", value)):
        return _reference(reference[1], reference[2])
    if name == "github.ref_name" and value:
        return {"branch": value}
    if name == "github.ref_type" and value in ("tag", "branch"):
        return {"event": "tag"} if value == "tag" else {}
    return None


def _reference(kind: str, name: str) -> dict[str, str]:
    if kind == "heads":
        return {"branch": name}
    return {"event": "tag"} | ({"tag": name} if name != "*" else {})


def shell_test(expression: str, scope: Scope, line: int) -> str | None:
    """The shell condition for the `if` of a step within a job: empty if it always holds, None without a counterpart."""
    tests = []
    for term in _terms(expression):
        if term in ("success()", "true", "always()", "!cancelled()"):
            continue
        match = _COMPARISON.fullmatch(term)
        if match is None or match[1].split(".")[0] not in ("matrix", "runner", "env", "inputs"):
            return None
        left = scope.resolve(match[1], line, in_shell=True)
        tests.append(f'[ "{left}" {"=" if match[2] == "==" else "!="} {shlex.quote(match[3])} ]')
    return " && ".join(tests)
