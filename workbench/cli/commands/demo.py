"""`c8s demo`: starts a sandbox, runs a sample pipeline, and shows it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.cli.output.console import CommandError, console_style

_SAMPLE = "fan-out"


@click.command()
@click.option(
    "--name", envvar="C8S_SANDBOX", default="default", show_default=True, metavar="NAME", help="The sandbox to use."
)
@click.pass_context
def demo(ctx: click.Context, /, name: str) -> None:
    """Start a sandbox, run a sample pipeline in it, and open the workbench on the run.

    Without a terminal, the logs are printed as by `c8s run`, with the same exit codes. A
    sandbox that was not running before is stopped at the end; its runs are kept.

    \b
    Examples:
      c8s demo
      c8s demo | cat
    """
    path = sample_path(_SAMPLE)
    from workbench.cli.options import Target, run_async, supports_fullscreen
    from workbench.cli.output.diagnostics import require_valid
    from workbench.client.run_request import RunRequest
    from workbench.pipeline_file.load import read_pipeline
    from workbench.submit.submit import RunSubmission, new_idempotency_key

    definition = require_valid(read_pipeline(str(path), Path.cwd()), console_style(sys.stderr))
    if definition is None:
        ctx.exit(2)
    submission = RunSubmission(RunRequest(definition, event="push"), new_idempotency_key())
    if supports_fullscreen():
        from workbench.cli.commands.workbench import open_workbench

        ctx.exit(open_workbench(Target(name), path, submission))
    from workbench.cli.run_session.session import RunSession

    ctx.exit(run_async(RunSession(submission, Target(name), console_style(sys.stdout)).run()))


def sample_path(name: str) -> Path:
    """The file of a sample pipeline: beside the package in a clone, inside it when installed from a wheel.

    Raises:
        CommandError: the samples are not installed.
    """
    package = Path(__file__).parents[2]
    for folder in (package / "samples", package.parent / "samples"):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise CommandError(f"the sample pipeline {name} is not installed; it is in `samples/` of the c8s repository")
