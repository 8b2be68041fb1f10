"""Templates: finding and replacing `{{variable}}` in the fields that allow it.

Texts that are not variables, such as `{{.Names}}` or `{{ range . }}`, belong to other programs and stay unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RUN_VARIABLES = ("run.commit", "run.branch", "run.name", "run.number")
NAMESPACES = ("matrix", "params", "run")

# `${{matrix.x}}`, the form of other systems, means the same.
_TEMPLATE = re.compile(
    r"\$?\{\{[ \t]*(?:(?P<variable>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_][-A-Za-z0-9_.]*)?)"
    r"|hash[ \t]+(?P<file>[^{}\s][^{}]*?))[ \t]*\}\}"
)


@dataclass(frozen=True)
class TemplateReference:
    """A reference in a text: `text` as written, and either the name of a variable or the file of a `hash`."""

    text: str
    variable: str
    file: str = ""


def find_references(text: str) -> Iterator[TemplateReference]:
    """The references in a text, in order."""
    for found in _TEMPLATE.finditer(text):
        yield TemplateReference(found.group(), found.group("variable") or "", found.group("file") or "")


def render(text: str, values: Mapping[str, str]) -> str:
    """Replace `{{name}}` by its value; unknown references stay unchanged. Values are not rendered again."""

    def value(found: re.Match[str]) -> str:
        name = found.group("variable")
        return values[name] if name in values else found.group()

    return _TEMPLATE.sub(value, text)


def env_variable_name(prefix: str, name: str) -> str:
    """The name of the environment variable of a parameter or dimension: `MATRIX_GO_VERSION` for `go-version`."""
    return f"{prefix}_{re.sub(r'[^A-Za-z0-9_]', '_', name).upper()}"
