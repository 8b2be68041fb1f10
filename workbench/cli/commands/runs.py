"""`c8s runs`, `c8s logs` and `c8s cancel`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from controller.run_types.phases import RunPhase
from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import CommandError, console_style, echo, echo_error, print_document, print_table
from workbench.text.format import format_age, format_duration

if TYPE_CHECKING:
    from workbench.client import Run


def _now() -> datetime:
    return datetime.now(UTC)


@click.command()
@click.argument("run", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of runs.")
@click.option(
    "--phase",
    type=click.Choice([phase.value for phase in RunPhase], case_sensitive=False),
    help="Only runs in this phase.",
)
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@click.option("--copies", is_flag=True, help="Include the debug runs of c8s shell.")
@click.option("--watched", is_flag=True, help="Include the runs of c8s run --watch.")
@output_option
@target_options
def runs(
    target: Target,
    run: str | None,
    limit: int,
    phase: str | None,
    pipeline: str | None,
    copies: bool,
    watched: bool,
    output: str,
) -> None:
    """List runs, newest first; with RUN, show its steps.

    \b
    Examples:
      c8s runs
      c8s runs --phase Failed --pipeline my-app-ci
      c8s runs my-app-ci-12
      c8s runs -o json | jq -r '.[].name'
    """
    if run is not None:
        run_async(_show(target, run, output))
    else:
        run_async(_list(target, limit, phase, pipeline, output, copies=copies, watched=watched))


async def _list(
    target: Target, limit: int, phase: str | None, pipeline: str | None, output: str, *, copies: bool, watched: bool
) -> None:
    found: list[Run] = []
    async with open_client(target, start=False) as client:
        continue_: str | None = None
        while len(found) < limit:
            page = await client.runs(
                limit=min(500, limit - len(found)),
                continue_=continue_,
                phase=phase,
                pipeline=pipeline,
                copies=copies,
                watched=None if watched else False,
            )
            found += page.items
            continue_ = page.continue_token
            if continue_ is None:
                break
    if output != "table":
        print_document([dict(run.raw) for run in found], output)
    elif not found:
        also = "" if watched else "; those of `c8s run --watch` are listed with --watched"
        echo_error(("no runs" if phase is None and pipeline is None else "no matching runs") + also)
    else:
        print_table(
            ("RUN", "STATUS", "STEPS", "TIME", "AGE", "BRANCH", "COMMIT"), _rows(found), console_style(sys.stdout), 1
        )


def _rows(found: list[Run], now: Callable[[], datetime] = _now) -> list[tuple[str, ...]]:
    from controller.run_query import run_duration

    at = now()
    return [
        (
            run.name,
            run.phase,
            f"{run.summary.total - run.summary.pending - run.summary.running}/{run.summary.total}",
            format_duration(run_duration(run, at)),
            format_age((at - run.created_at).total_seconds()) if run.created_at else "-",
            run.branch or "-",
            short_commit(run.commit),
        )
        for run in found
    ]


def short_commit(commit: str | None) -> str:
    """The first seven digits, with a `*` if the working tree had changes."""
    if not commit:
        return "-"
    sha, dirty, _ = commit.partition("-dirty")
    return sha[:7] + ("*" if dirty else "")


async def _show(target: Target, name: str, output: str) -> None:
    async with open_client(target, start=False) as client:
        run = await client.run(name)
    if output != "table":
        print_document(dict(run.raw), output)
        return
    from workbench.cli.output.summary import summary_lines
    from workbench.report.report import build_report

    for line in summary_lines(build_report(run, _now()), console_style(sys.stdout))[1:]:
        echo(line)


@click.command()
@click.argument("run")
@click.argument("steps", nargs=-1, metavar="[STEP]...")
@click.option("--follow", "-f", is_flag=True, help="Follow the logs until the run ends.")
@click.option("--attempt", type=click.IntRange(1), help="The attempt.  [default: the last one]")
@click.option("--container", metavar="NAME", help="`step`, `agent` or `svc-NAME`.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines of each step.")
@click.option("--timestamps", is_flag=True, help="Print the time of each line before it.")
@click.option("--commands", is_flag=True, help="Print the commands of one step, with exit codes and durations.")
@target_options
def logs(
    target: Target,
    run: str,
    steps: tuple[str, ...],
    follow: bool,
    attempt: int | None,
    container: str | None,
    tail: int | None,
    timestamps: bool,
    commands: bool,
) -> None:
    """Print the logs of RUN. With several steps, or all, each line starts with its step.

    On a terminal, the colours of steps are kept and all other control sequences are
    removed, and each command of a step is printed before its output; in a pipe or a
    file, colours are removed too, and there are only the lines.

    \b
    Examples:
      c8s logs my-app-ci-12               all steps
      c8s logs my-app-ci-12 test          one step, without prefixes
      c8s logs -f my-app-ci-12            live
      c8s logs my-app-ci-12 test --tail 50
      c8s logs my-app-ci-12 test --commands
    """
    if follow and (attempt or container or tail is not None):
        raise click.UsageError("--follow cannot be combined with --attempt, --container or --tail")
    if commands and (len(steps) != 1 or follow or container or tail is not None or timestamps):
        raise click.UsageError("--commands takes one STEP, and no other option than --attempt")
    from workbench.cli.run_session.print_logs import LogSelection, follow_logs, print_commands, print_logs

    selection = LogSelection(run, steps, attempt, container, tail, timestamps, headings=sys.stdout.isatty())
    printing = print_commands if commands else follow_logs if follow else print_logs
    run_async(printing(target, selection))


@click.command()
@click.argument("run")
@target_options
def cancel(target: Target, run: str) -> None:
    """Cancel RUN: its steps are terminated, and killed after 30 seconds. Its logs are kept.

    \b
    Example:
      c8s cancel my-app-ci-12
    """
    run_async(_cancel(target, run))


async def _cancel(target: Target, name: str) -> None:
    async with open_client(target, start=False) as client:
        before = await client.run(name)
        if before.ended:
            raise CommandError(f"run {name} has already ended ({before.phase.lower()})")
        await client.cancel(name)
    echo_error(f"run {name} is being cancelled")
