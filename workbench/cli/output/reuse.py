"""The part of the summary about steps that were reused, and why the others ran again."""

from __future__ import annotations

from workbench.cli.output.console import BOLD, ConsoleStyle
from workbench.runs.reuse_explanation import ReuseExplanation
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_line

_MAX_STEPS = 20
"""Maximum number of steps that are explained."""


def reuse_lines(found: ReuseExplanation, style: ConsoleStyle) -> list[str]:
    """`11 of 12 reused, saved 41.0s (hello-7)`, and a line for each step that ran again."""
    title = style.paint(str(found.count), BOLD)
    lines = ["", f"{title} ({sanitize_line(found.count.earlier, colour=False)})"]
    if found.problem is not None:
        lines.append(f"  why steps ran again is not known: {sanitize_line(found.problem, colour=False)}")
    shown = list(found.reruns.items())[:_MAX_STEPS]
    lines += [f"  {_text(name)} ran again: {'; '.join(_text(why) for why in reasons)}" for name, reasons in shown]
    if (more := len(found.reruns) - len(shown)) > 0:
        lines.append(f"  and {plural(more, 'more step')}")
    return lines


def _text(text: str) -> str:
    return sanitize_line(text, colour=False)
