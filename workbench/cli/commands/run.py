"""`c8s run`: what is to be run, from arguments and files. The running itself is in `session`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.options import target_options
from workbench.cli.output.console import InputError, console_style, echo_error

if TYPE_CHECKING:
    from workbench.cli.options import Target
    from workbench.pipeline_file.load import PipelineFile
    from workbench.submit.submit import RunSubmission


_HELP = """Run a pipeline on your working tree, stream its logs, and end with a table.

FILE is a pipeline; without one, `.c8s.yaml` (or `.c8s.yml`) is searched from the
current folder up to the root of its git repository. `-` reads standard input.

What is sent is the git repository around FILE, from its root: files that are tracked
or untracked, with their uncommitted changes, but not those that are ignored or
deleted, and not `.git`. Submodules are included. Links that lead out of the
repository are left out with a warning. When FILE is in no repository, the one around
the current folder is sent; without any, the folder of FILE with all that is in it.
A tree that the controller has already is not sent again. With --git the controller
clones a repository instead.

With --keep-on-failure, the workspaces of steps that fail are kept, and `c8s shell` leads
into a copy of such a step, as it was left (a step with `keepOnFailure: false` excepted).

With --resume, steps that succeeded in an earlier run and would be the same now (their
definition, the files, what they depend on) are not run again: mend the file, go on.

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
  c8s run --changed-since origin/main
  c8s run --resume my-app-ci-12
  c8s run --git https://github.com/org/app --revision v1.2
  c8s run samples/hello.yaml --no-source
  c8s run | tee run.log
"""


@click.command(help=_HELP)
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
@click.option(
    "--changed-since",
    metavar="REV",
    help="Run as if what differs from where the branch left REV had changed, for conditions on paths.",
)
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), help="The run's place in the queue.")
@click.option("--resume", metavar="RUN", help="Reuse what succeeded in this run and would be the same now.")
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Send this folder instead of the repository around FILE.",
)
@click.option("--no-source", is_flag=True, help="Send no files; for pipelines whose steps need none.")
@click.option("--git", metavar="URL", help="Send no files: the controller clones this repository (https or ssh).")
@click.option("--revision", metavar="REV", help="The branch, tag or commit of --git.  [default: HEAD]")
@click.option("--submodules", is_flag=True, help="Clone the submodules of --git as well.")
@click.option("--git-secret", metavar="NAME", help="The Secret that holds the credentials for --git.")
@click.option("--keep-on-failure", is_flag=True, help="Keep the workspaces of steps that fail, for c8s shell.")
@click.option("--verbose", "-v", is_flag=True, help="Show what fetching, uploading and services print as well.")
@click.option("--timestamps", is_flag=True, help="When each line was written, before it.")
@target_options
@click.pass_context
def run(ctx: click.Context, /, file: str | None, verbose: bool, timestamps: bool, where: Target, **given: Any) -> None:
    from workbench.cli.output.lint_output import require_valid
    from workbench.pipeline_file.load import read_pipeline

    _refuse_contradictions(given)
    pipeline = read_pipeline(file, Path.cwd())
    definition = require_valid(pipeline, console_style(sys.stderr))
    if definition is None:
        ctx.exit(2)
    order = _order(pipeline, definition, given)
    from workbench.cli.options import run_async
    from workbench.cli.run_session.session import RunSession

    ctx.exit(run_async(RunSession(order, where, console_style(sys.stdout), verbose, timestamps).run()))


def _refuse_contradictions(given: Mapping[str, Any]) -> None:
    sources = [name for name in ("source", "no_source", "git") if given[name]]
    if len(sources) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in sources[:2])
        raise click.UsageError(f"{first} and {second} exclude each other")
    if given["changed_since"] and given["git"]:
        raise click.UsageError("--changed-since looks at your working tree, and --git sends none")
    for option in ("revision", "submodules", "git_secret"):
        if given[option] and not given["git"]:
            raise click.UsageError(f"--{option.replace('_', '-')} belongs to --git")


def _order(pipeline: PipelineFile, definition: Mapping[str, Any], given: Mapping[str, Any]) -> RunSubmission:
    """What is asked for, as one order. Raises ParameterError for parameters that don't fit."""
    from workbench.pipeline_file.load import resolve_params
    from workbench.submit.submit import RunSubmission, new_idempotency_key
    from workbench.submit.worktree import tree_root

    params = _params(given["params"])
    resolve_params(definition, params)
    git = _git(given) if given["git"] else None
    tree = given["source"].resolve() if given["source"] else tree_root(pipeline.path, Path.cwd())
    return RunSubmission(
        definition={**definition, "keepOnFailure": True} if given["keep_on_failure"] else definition,
        tree=None if given["no_source"] or git else tree,
        git=git,
        idempotency_key=new_idempotency_key(),
        branch=given["branch"],
        event=given["event"],
        changed_files=_changed_files(tree, given["changed_since"]),
        params=params,
        priority=given["priority"],
        reuse_from=given["resume"],
        file=pipeline.path,
    )


def _changed_files(tree: Path, since: str | None) -> tuple[str, ...] | None:
    """What changed, if that is asked for and not more than a run can carry. Raises WorktreeError."""
    from controller.pipeline.conditions import MAX_CHANGED_FILES
    from workbench.submit.worktree import changed_since

    if since is None:
        return None
    changed = changed_since(tree, since)
    if len(changed) > MAX_CHANGED_FILES:
        echo_error(
            f"{len(changed):,} files changed since {since}, more than a run can tell: each condition on paths holds"
        )
        return None
    echo_error(f"{len(changed)} file{'' if len(changed) == 1 else 's'} changed since {since}")
    return changed


def _git(given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {"url": given["git"], "revision": given["revision"] or "HEAD"}
    more = {"submodules": given["submodules"] or None, "secretRef": given["git_secret"]}
    return wanted | {name: value for name, value in more.items() if value is not None}


def _params(given: tuple[str, ...]) -> dict[str, str]:
    params: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise InputError(f"--param wants KEY=VALUE, not {item!r}")
        params[key] = value
    return params
