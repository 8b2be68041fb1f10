"""`c8s run`: what is to be run, from arguments and files. The running itself is in `session`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli.options import target_options
from workbench.cli.output import InputError, look

if TYPE_CHECKING:
    from workbench.cli.options import Target


@click.command()
@click.argument("file", required=False)
@click.option("--param", "-p", "params", multiple=True, metavar="KEY=VALUE", help="Set a parameter of the pipeline.")
@click.option("--branch", metavar="NAME", help="The branch to run as.  [default: the one checked out]")
@click.option(
    "--event",
    type=click.Choice(["push", "pull_request", "tag"]),
    default="push",
    show_default=True,
    help="The event to run as, for steps with a condition on it.",
)
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), help="The run's place in the queue.")
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Send this folder instead of the repository around FILE.",
)
@click.option("--no-source", is_flag=True, help="Send no files; for pipelines whose steps need none.")
@click.option("--verbose", "-v", is_flag=True, help="Show what fetching, uploading and services print as well.")
@click.option("--timestamps", is_flag=True, help="When each line was written, before it.")
@target_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    file: str | None,
    params: tuple[str, ...],
    branch: str | None,
    event: str,
    priority: str | None,
    source: Path | None,
    no_source: bool,
    verbose: bool,
    timestamps: bool,
    where: Target,
) -> None:
    """Run a pipeline on your working tree, stream its logs, and end with a table.

    FILE is a pipeline; without one, `.c8s.yaml` (or `.c8s.yml`) is searched from the
    current folder up to the root of its git repository. `-` reads standard input.

    What is sent is the git repository around FILE, from its root: files that are tracked
    or untracked, with their uncommitted changes, but not those that are ignored or
    deleted, and not `.git`. Submodules are included. Links that lead out of the
    repository are left out with a warning. When FILE is in no repository, the one around
    the current folder is sent; without any, the folder of FILE with all that is in it.
    A tree that the controller has already is not sent again.

    Without a running sandbox one is started for this run, on the same state, and stopped
    at the end. Ctrl-C cancels the run and waits for it to end; a second Ctrl-C leaves at
    once.

    \b
    Exit codes:
      0     the run succeeded
      1     it did not
      2     bad input: the pipeline has errors, or the arguments have
      130   interrupted; the run was cancelled

    \b
    Examples:
      c8s run
      c8s run ci/nightly.yaml --param target=prod
      c8s run --branch main --event pull_request
      c8s run samples/hello.yaml --no-source
      c8s run | tee run.log
    """
    if source and no_source:
        raise click.UsageError("--source and --no-source exclude each other")
    from workbench.cli.checking import read_pipeline, refuse_errors, resolve_params

    pipeline = read_pipeline(file, Path.cwd())
    checked = refuse_errors(pipeline, look(sys.stderr))
    if checked is None:
        ctx.exit(2)
    given = _params(params)
    resolve_params(checked, given)
    from workbench.cli.options import run_async
    from workbench.cli.session import Session
    from workbench.cli.submission import Order, new_key
    from workbench.core.worktree import tree_root

    tree = source.resolve() if source else tree_root(pipeline.path, Path.cwd())
    order = Order(
        definition=checked,
        tree=None if no_source else tree,
        key=new_key(),
        branch=branch,
        event=event,
        params=given,
        priority=priority,
    )
    ctx.exit(run_async(Session(order, where, look(sys.stdout), verbose, timestamps).exit_code()))


def _params(given: tuple[str, ...]) -> dict[str, str]:
    params: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise InputError(f"--param wants KEY=VALUE, not {item!r}")
        params[key] = value
    return params
