"""Why a step was reused or not, as the API says it, decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.text.sanitize import sanitize_label

_KINDS = {"file": "files", "source": "the whole source", "environment": "environment", "parameter": "parameters",
          "matrix": "matrix", "secret": "secrets", "field": "fields", "upstream": "steps before it", "image": "image",
          "commands": "commands"}  # fmt: skip
"""The heading of each kind of difference."""
_MAX_LABEL = 120


@dataclass(frozen=True)
class InputDifference:
    """What was added (`+`), removed (`-`) or changed (`~`)."""

    kind: str
    name: str
    change: str


@dataclass(frozen=True)
class StepReuse:
    """Whether and why a step took the result of an earlier run.

    Attributes:
        compared_with: the earlier run; None if there is none.
        more: differences that are left out.
        problem: why files could not be compared; None if they could.
    """

    step: str
    slug: str
    reused: bool
    compared_with: str | None
    reason: str
    differences: tuple[InputDifference, ...]
    more: int
    problem: str | None
    raw: Mapping[str, Any]

    def lines(self, limit: int) -> Iterator[str]:
        """The reason, and a line for each kind of difference with at most `limit` names."""
        yield sanitize_label(self.reason[:1].upper() + self.reason[1:], 400)
        yield from (f"  {line}" for line in self.details(limit))
        if self.problem is not None:
            yield f"  {sanitize_label(self.problem, 400)}"

    def details(self, limit: int) -> Iterator[str]:
        """`files: ~a.py, +b.py and 3 more` for each kind of difference, with at most `limit` names."""
        groups: dict[str, list[str]] = {}
        for each in self.differences:
            groups.setdefault(_KINDS.get(each.kind, each.kind), []).append(f"{each.change}{each.name}")
        for heading, names in groups.items():
            shown = ", ".join(sanitize_label(name, _MAX_LABEL) for name in names[:limit])
            # What the controller has left out is at the end, which are files.
            left = len(names) - limit + (self.more if heading == _KINDS["file"] else 0)
            yield f"{heading}: {shown}{f' and {left} more' if left > 0 else ''}"


def decode_step_reuse(raw: Mapping[str, Any]) -> StepReuse:
    """Decode an answer; unknown fields are ignored."""
    listed = raw.get("differences")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    more = raw.get("more")
    return StepReuse(
        step=str(raw.get("step") or ""),
        slug=str(raw.get("slug") or ""),
        reused=raw.get("reused") is True,
        compared_with=_text(raw.get("comparedWith")),
        reason=str(raw.get("reason") or ""),
        differences=tuple(
            InputDifference(str(each.get("kind") or ""), str(each.get("name") or ""), str(each.get("change") or "~"))
            for each in found
        ),
        more=more if isinstance(more, int) else 0,
        problem=_text(raw.get("problem")),
        raw=raw,
    )


def _text(value: object) -> str | None:
    return str(value) if value else None
