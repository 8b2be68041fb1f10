"""`c8s stats`: durations, queue times, outcomes and sizes of the last runs of a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import CommandError, console_style, echo, print_document, print_list, print_table
from workbench.text.format import format_duration, format_size, plural
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.cli.output.console import ConsoleStyle
    from workbench.client import Client
    from workbench.client.statistics import PipelineTrend, StepTrend

_SHOWN_RUNS = 20


@click.command()
@click.argument("pipeline", required=False)
@output_option
@target_options
def stats(target: Target, pipeline: str | None, output: str) -> None:
    """Show durations, queue times, outcomes and sizes of the last 50 runs of PIPELINE and of its steps.

    Without PIPELINE, list all pipelines. Only successful steps that ran by themselves count for durations: not
    reused ones, nor those that ran only the tests that had failed. A step is slower if it has stayed
    more than 30 %, and half a second, above the median of the runs before. Runs that were removed
    count, too.

    \b
    Examples:
      c8s stats
      c8s stats my-app-ci
      c8s stats my-app-ci --output json
    """
    run_async(_stats(target, pipeline, output))


async def _stats(target: Target, pipeline: str | None, output: str) -> None:
    from workbench.client.errors import NotFoundError

    async with open_client(target, start=False) as client:
        if pipeline is None:
            _print_pipelines(await client.list_statistics(), output)
            return
        try:
            found = await client.statistics(pipeline)
        except NotFoundError:
            raise CommandError(
                f"no run of a pipeline {pipeline} has ended here; `c8s stats` lists those that have"
            ) from None
        if output != "table":
            print_document(dict(found.raw or {}), output)
            return
        resources = await _resources(client, pipeline)
    _print_pipeline(found, resources, console_style(sys.stdout))


async def _resources(client: Client, pipeline: str) -> Mapping[str, tuple[int | None, int | None]]:
    """Memory (bytes) and CPU (thousandths) that the steps of the newest run that still exists ask for."""
    page = await client.runs(limit=1, pipeline=pipeline, copies=False)
    if not page.items:
        return {}
    from workbench.report.resources import requested_resources

    return requested_resources((await client.run(page.items[0].name)).definition or {})


def _print_pipelines(found: tuple[PipelineTrend, ...], output: str) -> None:
    from workbench.report.trends import slower_text, sparkline

    ascii_only = not _is_unicode()
    rows = [
        (
            each.name,
            str(len(each.seconds)),
            str(each.failed),
            format_duration(each.median) if each.median is not None else "",
            sparkline(each.seconds, _SHOWN_RUNS, ascii_only=ascii_only),
            slower_text(each.slower) if each.slower is not None else "",
        )
        for each in found
    ]
    header = ("PIPELINE", "RUNS", "FAILED", "MEDIAN", "DURATIONS", "")
    print_list([dict(each.raw or {}) for each in found], output, header, rows, "no run has ended yet")


def _print_pipeline(
    found: PipelineTrend, resources: Mapping[str, tuple[int | None, int | None]], style: ConsoleStyle
) -> None:
    from workbench.report.trends import resource_advice, slower_text, sparkline

    ascii_only = not _is_unicode()
    line = sparkline(found.seconds, 50, ascii_only=ascii_only)
    echo(
        f"{sanitize_line(found.name, colour=False)}: {plural(len(found.seconds), 'run')}, {found.failed} failed, "
        f"median {format_duration(found.median)}   {line}"
    )
    if found.slower is not None:
        echo(sanitize_line(slower_text(found.slower), colour=False))
    echo()
    rows = [
        (
            step.name,
            format_duration(step.median) if step.median is not None else "",
            format_duration(step.last) if step.last is not None else "",
            sparkline(step.seconds, _SHOWN_RUNS, ascii_only=ascii_only),
            format_duration(step.median_queue) if step.median_queue is not None else "",
            str(step.failed),
            str(step.reused),
            format_size(step.log_bytes) if step.log_bytes is not None else "",
            format_size(step.artifact_bytes) if step.artifact_bytes is not None else "",
            _usage(step),
        )
        for step in found.steps
    ]
    header = ("STEP", "MEDIAN", "LAST", "DURATIONS", "QUEUED", "FAILED", "REUSED", "LOG", "ARTIFACTS", "PEAK")
    print_table(header, rows, style)
    notes: list[tuple[str, str]] = []
    for step in found.steps:
        if step.slower is not None:
            notes.append((step.name, slower_text(step.slower)))
        memory, cpu = resources.get(step.name) or resources.get(step.name.split(" (", 1)[0]) or (None, None)
        notes += [(step.name, advice) for advice in resource_advice(step, memory, cpu)]
    if notes:
        echo()
    for name, note in notes:
        echo(f"{sanitize_line(f'{name}: {note}', colour=False)}")


def _usage(step: StepTrend) -> str:
    from workbench.report.trends import cores_text

    if not step.usage_samples or step.peak_memory is None or step.peak_cpu is None:
        return "no sample"
    return f"{format_size(step.peak_memory)}, {cores_text(step.peak_cpu)}"


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
