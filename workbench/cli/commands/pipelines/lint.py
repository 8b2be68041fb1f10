"""`c8s lint` and `c8s schema`: check pipeline files, without a controller."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from workbench.cli.output.console import ConsoleStyle, console_style, echo, print_document
from workbench.cli.output.diagnostics import format_diagnostics, summarize
from workbench.pipeline_file.load import (
    LintOutcome,
    PipelineFile,
    explain_trigger,
    lint_file,
    read_pipeline,
    schema_document,
)
from workbench.text.sanitize import sanitize_line


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--event",
    type=click.Choice(["push", "pull_request", "tag"]),
    help="Also check whether this event would start a run.",
)
@click.option("--branch", metavar="NAME", help="The branch of that event.  [default: main]")
@click.option("--changed", multiple=True, metavar="PATH", help="A file changed by the event; repeatable.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.pass_context
def lint(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    event: str | None,
    branch: str | None,
    changed: tuple[str, ...],
    output: str,
) -> None:
    """Check pipeline files; by default the nearest `.c8s.yaml`, as for `c8s run`. `-` is standard input.

    Each problem is one line in the format `file:line:column: severity: message`, followed
    by the source line and a hint. With --event and --branch, also print whether that event
    would start a run, and why not.

    Commands of a step with `inputs` are compared with the files around the pipeline: a
    warning names each file that a command mentions and its inputs leave out.

    \b
    Exit codes: 0 no errors (warnings are allowed), 2 errors, or an unreadable file.

    \b
    Examples:
      c8s lint
      c8s lint ci/*.yaml
      c8s lint --event push --branch main
      c8s lint -o json | jq '.[].message'
    """
    if (branch or changed) and event is None:
        raise click.UsageError("--branch and --changed require --event")
    found = [(file, lint_file(file, Path.cwd())) for file in _read(files)]
    if output != "table":
        print_document([_plain(file, problem) for file, checked in found for problem in checked.problems], output)
    else:
        style = console_style(sys.stdout)
        for file, checked in found:
            _print(file, checked, style)
            if event is not None and checked.definition is not None:
                echo(explain_trigger(checked.definition, event, branch or "main", changed or None))
    ctx.exit(2 if any(checked.has_errors for _, checked in found) else 0)


def _read(files: tuple[str, ...]) -> Iterable[PipelineFile]:
    return [read_pipeline(file, Path.cwd()) for file in files or (None,)]


def _print(file: PipelineFile, checked: LintOutcome, style: ConsoleStyle) -> None:
    for line in format_diagnostics(file, checked.problems, style):
        echo(line)
    label = sanitize_line(file.label, colour=False)
    echo(f"{label}: {summarize(checked.problems) or 'no problems'}")


def _plain(file: PipelineFile, problem: Any) -> dict[str, Any]:
    return {"file": file.label, **asdict(problem)}


@click.command()
@click.pass_context
def schema(ctx: click.Context, /) -> None:
    """Print the JSON Schema of pipeline files, for editors.

    \b
    For yaml-language-server, add this line at the top of a pipeline:
      # yaml-language-server: $schema=/path/to/c8s.schema.json

    \b
    Example:
      c8s schema > c8s.schema.json
    """
    echo(schema_document())
