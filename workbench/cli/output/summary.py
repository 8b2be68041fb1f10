"""The summary of `c8s run`: the table of steps, their failures, totals, and further commands."""

from __future__ import annotations

from collections.abc import Sequence

from controller.run_types.phases import RunPhase
from controller.run_types.reasons import RunReason
from workbench.cli.output.console import BOLD, DIM, ConsoleStyle
from workbench.report.report import PARTS, Failure, RunReport, StepReport
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_line, truncate
from workbench.text.width import cell_width

_MAX_NAME_WIDTH = 40
_MIN_NAME_WIDTH = 8
_MAX_TEXT_WIDTH = 200


def summary_lines(report: RunReport, style: ConsoleStyle, *, hint: str | None = "") -> list[str]:
    """The summary of a run.

    `hint` holds the options that select its controller in further commands; None for a run that is not kept.
    """
    lines = ["", *_table(report.steps, style)] if report.steps else [""]
    failures = [line for failure in report.failures for line in _failure(failure, style)]
    if report.reason == RunReason.TIMEOUT and report.message and report.steps:
        # Its steps were cancelled: none of them says why the run has failed.
        failures.append(sanitize_line(report.message, colour=False))
    if failures:
        lines += ["", *failures]
    lines += ["", totals_line(report, style)]
    if hint is not None:
        lines += [style.paint(line, DIM) for line in _next_steps(report, hint)]
    return lines


def _table(steps: tuple[StepReport, ...], style: ConsoleStyle) -> list[str]:
    # Images are rarely pulled: the column is shown only if one was.
    parts = [part for part in PARTS if part != "pulling" or any(part in step.parts for step in steps)]
    header = ["STEP", "STATUS", "TIME", *(part.upper() for part in parts)]
    rows = [_cells(step, parts) for step in steps]
    names = [truncate(row[0], _MAX_NAME_WIDTH) for row in rows]
    widths = [max(len(header[column]), *(len(row[column]) for row in rows)) for column in range(1, len(header))]
    name_width = max(len(header[0]), *(cell_width(name) for name in names))
    shown = len(widths)
    if style.width is not None:
        while shown > 2 and _MIN_NAME_WIDTH + sum(widths[:shown]) + 2 * shown > style.width:
            shown -= 1  # The last columns are dropped first.
        if shown < len(widths):
            shown = 2  # Some of the parts without the others would be misleading.
        name_width = min(name_width, max(_MIN_NAME_WIDTH, style.width - sum(widths[:shown]) - 2 * shown))
    lines = [style.paint(_row("STEP", header[1:], widths[:shown], name_width), BOLD)]
    for step, name, row in zip(steps, names, rows, strict=True):
        line = _row(truncate(name, name_width), row[1:], widths[:shown], name_width)
        lines.append(line.replace(row[1], style.phase(step.phase, row[1]), 1) if row[1] not in name else line)
    return lines


def _cells(step: StepReport, parts: Sequence[str]) -> list[str]:
    times = [format_duration(step.parts.get(part)) for part in parts]
    status = step.phase if step.attempts < 2 else f"{step.phase} ({step.attempts} attempts)"
    status += " (at its gate)" if step.is_at_gate else ""
    return [
        sanitize_line(step.name, colour=False),
        sanitize_line(status, colour=False),
        format_duration(step.duration),
        *times,
    ]


def _row(name: str, cells: list[str], widths: list[int], name_width: int) -> str:
    status, *times = cells[: len(widths)]
    padded = name + " " * (name_width - cell_width(name))
    right = [time.rjust(width) for time, width in zip(times, widths[1:], strict=True)]
    return "  ".join([padded, status.ljust(widths[0]), *right]).rstrip()


def _failure(failure: Failure, style: ConsoleStyle) -> list[str]:
    name = style.paint(sanitize_line(failure.name, colour=False), BOLD)
    allowed = " (allowed to fail)" if failure.allowed else ""
    if failure.text is None or failure.line is None:
        return [f"{name}: {sanitize_line(failure.message, colour=False)}{allowed}"]
    text = truncate(sanitize_line(failure.text, colour=False), _MAX_TEXT_WIDTH)
    return [f"{name}: line {failure.line}: {text}{allowed}"]


def totals_line(report: RunReport, style: ConsoleStyle) -> str:
    """`run hello-7 succeeded in 3.1s: 5 steps, 5 succeeded`."""
    counts = ", ".join(f"{count} {name}" for name, count in report.counts)
    total = sum(count for _, count in report.counts)
    verdict = style.phase(report.phase, report.phase.lower())
    line = f"run {sanitize_line(report.name, colour=False)} {verdict} in {format_duration(report.duration)}"
    if total:
        line += f": {total} step{'s' if total != 1 else ''}, {counts}"
    elif report.message:
        line += f": {sanitize_line(report.message, colour=False)}"
    return line


def _next_steps(report: RunReport, hint: str) -> list[str]:
    """Further commands, for the failures that failed the run; none after a success."""
    if report.phase == RunPhase.SUCCEEDED:
        return []
    name = sanitize_line(report.name, colour=False)
    failures = [failure for failure in report.failures if not failure.allowed]
    if not failures:
        return [f"see more: c8s logs{hint} {name}"]
    lines = [f"see more: c8s logs{hint} {name} {sanitize_line(failures[0].slug, colour=False)}"]
    if any(failure.failed_tests for failure in failures):
        lines.append(f"tests that failed: c8s tests{hint} {name} --failed")
    saved = next((failure for failure in failures if failure.has_workspace), None)
    if saved is not None:
        lines.append(f"enter its workspace: c8s shell{hint} {name} {sanitize_line(saved.slug, colour=False)}")
    return lines
