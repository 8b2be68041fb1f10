"""Prints stored logs, and follows live ones."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from workbench.cli.options import Target, open_client
from workbench.cli.output.console import CommandError, console_style, echo
from workbench.cli.output.run_printer import RunPrinter
from workbench.client import Client, NotFoundError, Run, Step
from workbench.client.models import RunEnd
from workbench.logs.run_log import Line, RunLog
from workbench.text.format import format_timestamp
from workbench.text.sanitize import sanitize_line

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
                await _print_step(client, selection, step, None if alone else printer, style.colour)
            except NotFoundError:
                if alone:
                    raise
                # One of several steps, which has no log yet.


async def _print_step(
    client: Client, selection: LogSelection, step: Step, printer: RunPrinter | None, colour: bool
) -> None:
    """Print the lines of one step, with a prefix if there is a printer."""
    batch: list[str] = []
    async for number, text in _numbered(client, selection, step):
        line = Line(step.slug, number, None, text, None)
        batch += [sanitize_line(text, colour=colour, limit=None)] if printer is None else printer.lines([line])
        if len(batch) >= _BATCH:
            echo("\n".join(batch))
            batch = []
    if batch:
        echo("\n".join(batch))


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
        async with aclosing(client.stream_logs(selection.run, steps)) as frames:
            async for frame in frames:
                if isinstance(frame, RunEnd):
                    break
                shown = [item for item in log.frame(frame) if isinstance(item, Line)]
                if shown:
                    texts = [_alone(line, selection.timestamps, style.colour) for line in shown]
                    echo("\n".join(texts if alone else printer.lines(shown)))
                    sys.stdout.flush()


def _alone(line: Line, timestamps: bool, colour: bool) -> str:
    return (f"{format_timestamp(line.time)} " if timestamps else "") + sanitize_line(
        line.text, colour=colour, limit=None
    )


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
