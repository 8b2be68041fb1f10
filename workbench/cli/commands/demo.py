"""`c8s demo`: the tour; without a terminal, a sample pipeline in a sandbox that is deleted afterwards."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli.commands.pipelines.samples import find_sample
from workbench.cli.output.console import console_style, echo_error
from workbench.config.preferences import RUNTIMES

if TYPE_CHECKING:
    from workbench.submit.submit import RunSubmission

_SAMPLE = "fan-out"
_TOUR_SAMPLE = "bookshop"


@click.command()
@click.option(
    "--name",
    metavar="NAME",
    help="The sandbox to use, which is kept.  [default: one that is deleted at the end]",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where to make the project, which is kept.  [default: a temporary folder]",
)
@click.option("--auto", is_flag=True, help="Play the tour by itself, and exit with 0 if all went as it tells.")
@click.option(
    "--pace",
    type=click.FloatRange(0, 10),
    default=1.0,
    show_default=True,
    metavar="N",
    help="With --auto: how long hints are shown; 2 is twice as long, 0 waits for nothing.",
)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="What runs the steps, as for `c8s up`.  [default: C8S_RUNTIME, else process, which needs no images]",
)
@click.pass_context
def demo(
    ctx: click.Context, /, name: str | None, folder: Path | None, auto: bool, pace: float, runtime: str | None
) -> None:
    """Show what c8s does: a tour of a small project, in a sandbox of its own.

    A pipeline runs and fails; hints lead through its failing line, its tests, a shell in the
    failed step, the correction, the resumed run, and runs after each save. The hints can be
    hidden, and q leaves at any time. Everything is deleted at the end, unless --name or
    --folder says what to keep.

    Without a terminal, a sample pipeline is run and printed as by `c8s run`, with the same
    exit codes.

    \b
    Examples:
      c8s demo
      c8s demo --folder bookshop
      c8s demo --auto
      c8s demo | cat
    """
    from workbench.cli.options import run_async, supports_fullscreen
    from workbench.cli.output.console import InputError
    from workbench.sandbox.container_runtime import RUNTIME_ENV

    # Its steps need no images: a first look should not wait for a registry.
    runtime = runtime or (None if os.environ.get(RUNTIME_ENV) else "process")
    if supports_fullscreen():
        from workbench.cli.commands.tour import TourRequest, run_tour

        ctx.exit(run_tour(TourRequest(name, runtime, folder, pace if auto else None)))
    if auto or folder is not None:
        raise InputError("the tour needs an interactive terminal; without one, `c8s demo` only prints a run")
    submission = _sample_submission()
    ctx.exit(run_async(_run(submission, name, runtime)) if submission is not None else 2)


def _sample_submission() -> RunSubmission | None:
    """The run of the sample; None if its file has errors, which are printed."""
    from workbench.cli.output.diagnostics import require_valid
    from workbench.client.run_request import RunRequest
    from workbench.pipeline_file.load import read_pipeline
    from workbench.submit.submit import RunSubmission, new_idempotency_key

    path = find_sample(_SAMPLE).path
    definition = require_valid(read_pipeline(str(path), Path.cwd()), console_style(sys.stderr))
    return RunSubmission(RunRequest(definition, event="push"), new_idempotency_key()) if definition else None


async def _run(submission: RunSubmission, name: str | None, runtime: str | None) -> int:
    """Run and print the pipeline in a sandbox, or in a new one that is deleted afterwards; the exit code."""
    from workbench.cli import demo_leftovers
    from workbench.sandbox import Sandboxes

    for note in await demo_leftovers.remove_leftovers(find_sample(_TOUR_SAMPLE).path):
        echo_error(note)
    if name is not None:
        return await _run_in(submission, name, runtime, is_kept=True)
    # Nobody else uses a sandbox of this name, so that nothing of others is deleted.
    used = f"{demo_leftovers.SANDBOX_PREFIX}{secrets.token_hex(4)}"
    folder = Sandboxes().folder(used)
    created = folder.missing_parents()
    folder.create()
    is_needed = False
    with demo_leftovers.claimed(folder.root):
        try:
            return await _run_in(submission, used, runtime, is_kept=False)
        except Exception:
            # The error may refer to the logs of the sandbox.
            is_needed = True
            demo_leftovers.keep(folder.root)
            raise
        finally:
            if not is_needed:
                await _delete(used, created)


async def _run_in(submission: RunSubmission, sandbox: str, runtime: str | None, *, is_kept: bool) -> int:
    from workbench.cli.options import Target
    from workbench.cli.run_session.session import RunSession

    target = Target(sandbox, runtime=runtime)
    return await RunSession(submission, target, console_style(sys.stdout), is_kept=is_kept).run()


async def _delete(sandbox: str, created: Sequence[Path]) -> None:
    """Delete the sandbox, and of the folders around it those that were created for it and are empty."""
    from workbench.sandbox import Sandboxes

    await Sandboxes().down(sandbox, delete=True)
    # Another sandbox may have been created in them meanwhile.
    with contextlib.suppress(OSError):
        for folder in created:
            folder.rmdir()
