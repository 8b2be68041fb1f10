"""Prints stored logs, and follows live ones."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from workbench.cli.options import Target, open_client
from workbench.cli.output.console import CommandError, ConsoleStyle, console_style, echo, echo_error, print_table
from workbench.cli.output.run_printer import LiveRow, RunPrinter, format_command
from workbench.client import Client, NotFoundError, Run, Step
from workbench.client.models import CommandStarted, Lines, LogLine, RunEnd, StepCommand, StreamKey
from workbench.logs.run_log import STEP, Line, LogItem, RunLog
from workbench.text.format import format_duration, format_timestamp
from workbench.text.sanitize import sanitize_line, truncate

_BATCH = 500


@dataclass(frozen=True)
class LogSelection:
    """The lines to print: of these steps (all if empty), of one attempt and container, the last `tail`."""

    run: str
    steps: tuple[str, ...] = ()
    attempt: int | None = None
    container: str | None = None
    tail: int | None = None
    timestamps: bool = False
    headings: bool = False
    """Whether to print each command of a step before its output."""


async def print_logs(target: Target, selection: LogSelection) -> None:
    """Print the lines written so far, step by step in the order of the pipeline."""
    async with open_client(target, start=False) as client:
        run = await client.run(selection.run)
        steps = _chosen(run, selection.steps)
        style = console_style(sys.stdout)
        printer = RunPrinter(style)
        printer.update_steps(run)
        alone = len(selection.steps) == 1
        for step in steps:
            if not alone and not step.attempts:
                continue
            try:
                await _print_step(client, selection, step, None if alone else printer, style)
            except NotFoundError:
                if alone:
                    raise
                # One of several steps, which has no log yet.


async def _print_step(
    client: Client, selection: LogSelection, step: Step, printer: RunPrinter | None, style: ConsoleStyle
) -> None:
    """Print the lines of one step, with a prefix if there is a printer."""
    log, key = RunLog(show_all=True), StreamKey(step.slug, selection.attempt or 1, STEP)
    batch: list[str] = []

    def add(items: list[LogItem]) -> None:
        shown = [item for item in items if _is_printed(item, selection)]
        batch.extend([format_alone(item, style) for item in shown] if printer is None else printer.lines(shown))

    for command in await _commands(client, selection, step):
        add(log.frame(CommandStarted(key, command.index, command.line, None, command.text)))
    async for number, text in _numbered(client, selection, step):
        add(log.frame(Lines(key, number, (LogLine(None, text),))))
        if len(batch) >= _BATCH:
            echo("\n".join(batch))
            batch.clear()
    if batch:
        echo("\n".join(batch))


async def _commands(client: Client, selection: LogSelection, step: Step) -> tuple[StepCommand, ...]:
    """The commands whose headings are printed: on a terminal, between the lines of whole logs."""
    if not selection.headings or selection.tail is not None or selection.container not in (None, STEP):
        return ()
    return await client.commands(selection.run, step.slug, attempt=selection.attempt)


async def print_commands(target: Target, selection: LogSelection) -> None:
    """Print a table of the commands of one step: exit code, duration, first line of output, text."""
    async with open_client(target, start=False) as client:
        run = await client.run(selection.run)
        (step,) = _chosen(run, selection.steps)
        found = await client.commands(selection.run, step.slug, attempt=selection.attempt)
    if not found:
        echo_error(f"step {step.name} has one command, or none of its commands has started")
        return
    rows = [
        (
            "-" if command.exit_code is None else str(command.exit_code),
            format_duration((command.end - command.start).total_seconds()) if command.start and command.end else "-",
            str(command.line),
            sanitize_line(command.text, colour=False),
        )
        for command in found
    ]
    print_table(("EXIT", "TIME", "LINE", "COMMAND"), rows, console_style(sys.stdout))


async def _numbered(client: Client, selection: LogSelection, step: Step) -> AsyncIterator[tuple[int, str]]:
    lines = client.logs(
        selection.run,
        step.slug,
        attempt=selection.attempt,
        container=selection.container,
        tail=selection.tail,
        timestamps=selection.timestamps,
    )
    number = 0
    async with aclosing(lines):
        async for text in lines:
            number += 1
            yield number, text


async def follow_logs(target: Target, selection: LogSelection) -> None:
    """Print lines as they are written, until the run has ended."""
    async with open_client(target, start=False) as client:
        run = await client.run(selection.run)
        steps = [step.slug for step in _chosen(run, selection.steps)] if selection.steps else []
        style = console_style(sys.stdout)
        printer = RunPrinter(style, timestamps=selection.timestamps, quiet=True)
        printer.update_steps(run)
        log = RunLog()
        alone = len(selection.steps) == 1
        row, following = LiveRow(), client.stream_logs(selection.run, steps, partial_lines=style.width is not None)
        try:
            async with aclosing(following) as frames:
                async for frame in frames:
                    if isinstance(frame, RunEnd):
                        break
                    shown = [item for item in log.frame(frame) if _is_printed(item, selection)]
                    texts = [format_alone(item, style, timestamps=selection.timestamps) for item in shown]
                    unfinished = _unfinished(log, style) if alone else printer.unfinished(log.unfinished)
                    _write(row.text(texts if alone else printer.lines(shown), unfinished))
        finally:
            _write(row.text([], ""))


def _write(text: str) -> None:
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


def _unfinished(log: RunLog, style: ConsoleStyle) -> str:
    """What the line shows that the only step is writing, at most one row of the terminal."""
    if log.unfinished is None or style.width is None:
        return ""
    return truncate(sanitize_line(log.unfinished.text, colour=False), style.width - 1)


def _is_printed(item: LogItem, selection: LogSelection) -> bool:
    return isinstance(item, Line) or (selection.headings and item.kind == "command")


def format_alone(item: LogItem, style: ConsoleStyle, *, timestamps: bool = False) -> str:
    """A line, or the heading of a command, of the only step that is printed."""
    if not isinstance(item, Line):
        return format_command(sanitize_line(item.text, colour=False), style)
    time = f"{format_timestamp(item.time)} " if timestamps else ""
    return time + sanitize_line(item.text, colour=style.colour, limit=None)


def _chosen(run: Run, names: tuple[str, ...]) -> tuple[Step, ...]:
    if not names:
        return run.steps
    chosen = []
    for name in names:
        step = run.step(name)
        if step is None:
            known = ", ".join(step.slug for step in run.steps) or "none yet"
            raise CommandError(f"run {run.name} has no step {name!r} (its steps: {known})")
        chosen.append(step)
    return tuple(chosen)
