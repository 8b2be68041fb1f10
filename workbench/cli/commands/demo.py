"""`c8s demo`: the first minute. A sandbox, a sample pipeline, and somebody to watch it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.cli.output.console import console_style
from workbench.cli.samples import sample_path

_SAMPLE = "fan-out"


@click.command()
@click.option(
    "--name", envvar="C8S_SANDBOX", default="default", show_default=True, metavar="NAME", help="The sandbox to use."
)
@click.pass_context
def demo(ctx: click.Context, /, name: str) -> None:
    """Start a sandbox, run a sample pipeline in it, and open the workbench on it.

    Without a terminal the pipeline's logs are printed step by step, with a table at the
    end, and the exit code is that of `c8s run`. A sandbox that was not running before is
    stopped at the end; its runs are there again when it is started.

    \b
    Examples:
      c8s demo
      c8s demo | cat
    """
    path = sample_path(_SAMPLE)
    from workbench.cli.options import Target, run_async, supports_fullscreen
    from workbench.cli.output.lint_output import require_valid
    from workbench.pipeline_file.load import read_pipeline
    from workbench.submit.submit import RunSubmission, new_idempotency_key

    definition = require_valid(read_pipeline(str(path), Path.cwd()), console_style(sys.stderr))
    if definition is None:
        ctx.exit(2)
    order = RunSubmission(definition=definition, tree=None, idempotency_key=new_idempotency_key(), event="push")
    if supports_fullscreen():
        from workbench.cli.commands.workbench import open_workbench

        ctx.exit(open_workbench(Target(name), path, order))
    from workbench.cli.run_session.session import RunSession

    ctx.exit(run_async(RunSession(order, Target(name), console_style(sys.stdout)).run()))
