"""`c8s demo`: starts a sandbox, runs a sample pipeline, and shows it."""

from __future__ import annotations

import contextlib
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli.commands.pipelines.samples import find_sample
from workbench.cli.options import runtime_option
from workbench.cli.output.console import console_style

if TYPE_CHECKING:
    from workbench.submit.submit import RunSubmission

_SAMPLE = "fan-out"
_SLOW_PACE = "5"
"""The value of its parameter `pace` in the workbench, where it should run for half a minute, to be watched."""


@click.command()
@click.option(
    "--name",
    envvar="C8S_SANDBOX",
    metavar="NAME",
    help="The sandbox to use.  [default: default; without a terminal, one that is deleted at the end]",
)
@runtime_option
@click.pass_context
def demo(ctx: click.Context, /, name: str | None, runtime: str | None) -> None:
    """Start a sandbox, run a sample pipeline in it, and open the workbench on the run.

    A sandbox that was not running before is stopped at the end; its runs are kept.

    Without a terminal, the logs are printed as by `c8s run`, with the same exit codes, and
    nothing is kept unless --name is given.

    \b
    Examples:
      c8s demo
      c8s demo | cat
      c8s demo --runtime process
    """
    path = find_sample(_SAMPLE).path
    from workbench.cli.options import DEFAULT_SANDBOX, Target, run_async, supports_fullscreen
    from workbench.cli.output.diagnostics import require_valid
    from workbench.client.run_request import RunRequest
    from workbench.pipeline_file.load import read_pipeline
    from workbench.submit.submit import RunSubmission, new_idempotency_key

    definition = require_valid(read_pipeline(str(path), Path.cwd()), console_style(sys.stderr))
    if definition is None:
        ctx.exit(2)
    request = RunRequest(definition, event="push")
    if supports_fullscreen():
        from workbench.cli.commands.workbench import open_workbench

        submission = RunSubmission(replace(request, params={"pace": _SLOW_PACE}), new_idempotency_key())
        ctx.exit(open_workbench(Target(name or DEFAULT_SANDBOX, runtime=runtime), path, lambda: submission))
    ctx.exit(run_async(_run(RunSubmission(request, new_idempotency_key()), name, runtime)))


async def _run(submission: RunSubmission, name: str | None, runtime: str | None) -> int:
    """Run and print the pipeline in a sandbox, or in a new one that is deleted afterwards; the exit code."""
    from workbench.cli.options import Target
    from workbench.cli.run_session.session import RunSession
    from workbench.sandbox import Sandboxes

    # Nobody else uses a sandbox of this name, so that nothing of others is deleted.
    used = name or f"demo-{secrets.token_hex(4)}"
    keep = name is not None
    created = Sandboxes().folder(used).missing_parents()
    try:
        return await RunSession(
            submission, Target(used, runtime=runtime), console_style(sys.stdout), is_kept=keep
        ).run()
    except Exception:
        # The error may refer to the logs of the sandbox.
        keep = True
        raise
    finally:
        if not keep:
            await Sandboxes().down(used, delete=True)
            # Only the empty ones: another sandbox may have been created in them meanwhile.
            with contextlib.suppress(OSError):
                for folder in created:
                    folder.rmdir()
