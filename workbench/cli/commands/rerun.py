"""`c8s rerun`: an earlier run again, as it was. What is run anew with changes is `c8s run --resume`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from workbench.cli.options import run_async, target_options
from workbench.cli.output.console import console_style

if TYPE_CHECKING:
    from workbench.cli.options import Target


@click.command()
@click.argument("run")
@click.option("--from-failed", is_flag=True, help="Take what succeeded from RUN; run only the rest.")
@click.option("--keep-on-failure", is_flag=True, help="Keep the workspaces of steps that fail, for c8s shell.")
@click.option("--verbose", "-v", is_flag=True, help="Show what fetching, uploading and services print as well.")
@click.option("--timestamps", is_flag=True, help="When each line was written, before it.")
@target_options
@click.pass_context
def rerun(
    ctx: click.Context,
    /,
    run: str,
    from_failed: bool,
    keep_on_failure: bool,
    verbose: bool,
    timestamps: bool,
    where: Target,
) -> None:
    """Run RUN again: the same pipeline, files and parameters. Logs and exit codes are those of `c8s run`.

    To go on with a pipeline that was mended meanwhile, use `c8s run --resume RUN`.

    \b
    Examples:
      c8s rerun my-app-ci-12
      c8s rerun my-app-ci-12 --from-failed
      c8s rerun my-app-ci-12 --from-failed --keep-on-failure
    """
    from workbench.cli.run_session.session import RunSession
    from workbench.submit.submit import RerunSubmission, new_idempotency_key

    order = RerunSubmission(run, new_idempotency_key(), from_failed, keep_on_failure)
    ctx.exit(run_async(RunSession(order, where, console_style(sys.stdout), verbose, timestamps).run()))
