"""Templates: finding and replacing `{{variable}}` in the fields that allow it.

Texts that are not variables, such as `{{.Names}}` or `{{ range . }}`, belong to other programs and stay unchanged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

RUN_VARIABLES = ("run.commit", "run.branch", "run.name", "run.number")
NAMESPACES = ("matrix", "params", "run")

# `${{matrix.x}}`, the form of other systems, means the same.
_TEMPLATE = re.compile(
    r"\$?\{\{[ \t]*(?:(?P<variable>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_][-A-Za-z0-9_.]*)?)"
    r"[ \t]*|hash[ \t]+(?P<file>[^{}\s][^{}]*))\}\}"
)
"""Linear in the text: a reference contains no brace, and what it contains is matched in one way only."""


@dataclass(frozen=True)
class TemplateReference:
    """A reference in a text: `text` as written, and either the name of a variable or the file of a `hash`."""

    text: str
    variable: str
    file: str = ""


def find_references(text: str) -> Iterator[TemplateReference]:
    """The references in a text, in order."""
    for found in _TEMPLATE.finditer(text):
        yield TemplateReference(found.group(), found.group("variable") or "", (found.group("file") or "").rstrip())


def render(text: str, values: Mapping[str, str]) -> str:
    """Replace `{{name}}` by its value; unknown references stay unchanged. Values are not rendered again."""
    return substitute(text, lambda name, _: values.get(name))


def substitute(text: str, value_of: Callable[[str, int], str | None]) -> str:
    """Replace `{{name}}` by what `value_of` returns for its name and offset; where that is None it stays unchanged."""

    def value(found: re.Match[str]) -> str:
        replacement = value_of(found.group("variable"), found.start())
        return found.group() if replacement is None else replacement

    return _TEMPLATE.sub(value, text)


class TemplateSize:
    """The size of a text once it is rendered, in bytes of UTF-8: counted, without rendering it."""

    def __init__(self, text: str) -> None:
        self._literal = len(text.encode("utf-8", "surrogatepass"))
        self._references = Counter(
            (each.variable, len(each.text.encode("utf-8", "surrogatepass"))) for each in find_references(text)
        )

    @property
    def has_references(self) -> bool:
        """Whether the size depends on values."""
        return bool(self._references)

    def rendered(self, value_sizes: Mapping[str, int]) -> int:
        """The size with values of these sizes; unknown references stay as they are."""
        return self._literal + sum(
            count * (value_sizes[variable] - written)
            for (variable, written), count in self._references.items()
            if variable in value_sizes
        )


def env_variable_name(prefix: str, name: str) -> str:
    """The name of the environment variable of a parameter or dimension: `MATRIX_GO_VERSION` for `go-version`."""
    return f"{prefix}_{re.sub(r'[^A-Za-z0-9_]', '_', name).upper()}"
