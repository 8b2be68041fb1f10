"""`c8s demo`: the first minute. A sandbox, a sample pipeline, and somebody to watch it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.cli.output.console import look
from workbench.cli.samples import sample

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
    path = sample(_SAMPLE)
    from workbench.cli.options import Target, can_draw, run_async
    from workbench.cli.output.lint_output import refuse_errors
    from workbench.pipeline_file.load import read_pipeline
    from workbench.submit.submit import Order, new_key

    definition = refuse_errors(read_pipeline(str(path), Path.cwd()), look(sys.stderr))
    if definition is None:
        ctx.exit(2)
    order = Order(definition=definition, tree=None, key=new_key(), event="push")
    if can_draw():
        from workbench.cli.commands.workbench import open_workbench

        ctx.exit(open_workbench(Target(name), path, order))
    from workbench.cli.run_session.session import Session

    ctx.exit(run_async(Session(order, Target(name), look(sys.stdout)).exit_code()))
