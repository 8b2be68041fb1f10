"""The tables of `docs/reference/status-reasons.md`, generated from the reasons.

`python -m controller.run_types.reference` prints them; a test compares them with the committed page.
"""

from __future__ import annotations

from controller.run_types.reasons import Reason, RunReason, StepReason

_SECTIONS: tuple[tuple[str, type[Reason]], ...] = (("Runs", RunReason), ("Steps and attempts", StepReason))


def render() -> str:
    """The part of the page between the markers `reasons: begin` and `reasons: end`, as Markdown."""
    return "\n\n".join(_table(title, reasons) for title, reasons in _SECTIONS)


def _table(title: str, reasons: type[Reason]) -> str:
    lines = [f"## {title}", "", "| phase | reason | meaning |", "| --- | --- | --- |"]
    lines += [f"| {each.phases} | `{each.value}` | {each.description} |" for each in reasons]
    return "\n".join(lines)


if __name__ == "__main__":
    print(render())
