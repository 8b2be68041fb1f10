"""`{{…}}` in the fields that take it: what stands between the braces, and putting values there.

Only what looks like a variable is one. `{{.Names}}`, `{{ range . }}` and the like belong to
other programs and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RUN_VARIABLES = ("run.commit", "run.branch", "run.name", "run.number")
NAMESPACES = ("matrix", "params", "run")

# `${{matrix.x}}`, as others write it, means the same.
_TEMPLATE = re.compile(
    r"\$?\{\{[ \t]*(?:(?P<variable>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_][-A-Za-z0-9_.]*)?)"
    r"|hash[ \t]+(?P<file>[^{}\s][^{}]*?))[ \t]*\}\}"
)


@dataclass(frozen=True)
class TemplateReference:
    """One variable in a text: `text` as it stands there, and either the variable's name or the file of a `hash`."""

    text: str
    variable: str
    file: str = ""


def find_references(text: str) -> Iterator[TemplateReference]:
    """Every variable in a text, in order."""
    for found in _TEMPLATE.finditer(text):
        yield TemplateReference(found.group(), found.group("variable") or "", found.group("file") or "")


def render(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of `{{name}}`; what is unknown stays as written. Values are not looked into again."""

    def value(found: re.Match[str]) -> str:
        name = found.group("variable")
        return values[name] if name in values else found.group()

    return _TEMPLATE.sub(value, text)


def env_variable_name(prefix: str, name: str) -> str:
    """The environment variable of a parameter or a matrix dimension: `MATRIX_GO_VERSION` for `go-version`."""
    return f"{prefix}_{re.sub(r'[^A-Za-z0-9_]', '_', name).upper()}"
