"""`c8s run`: creates the run request from arguments and files; `run_session` runs it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.commands.steps.breakpoints import parse_breakpoint
from workbench.cli.options import target_options
from workbench.cli.output.console import InputError, console_style, echo_error
from workbench.text.format import plural

if TYPE_CHECKING:
    from workbench.cli.options import Target
    from workbench.cli.run_session.watch import WatchSession
    from workbench.client.run_request import GitSource
    from workbench.pipeline_file.load import PipelineFile
    from workbench.submit.submit import RunSubmission


_HELP = """Run a pipeline on your working tree, stream its logs, and print a summary table.

FILE is a pipeline; by default, `.c8s.yaml` (or `.c8s.yml`) is searched from the
current folder up to the root of its git repository. `-` reads standard input.

The git repository of FILE is uploaded: tracked and untracked files with their
uncommitted changes, without ignored or deleted files and without `.git`. Submodules
are included. Links out of the repository are skipped with a warning. If FILE is in no
repository, the one of the current folder is uploaded; without any, the whole folder of
FILE. A tree that the controller already has is not uploaded again. With --git, the
controller clones a repository instead.

With --keep-on-failure, the workspaces of failed steps are saved, and `c8s shell` opens
a shell in a copy of such a step (except for steps with `keepOnFailure: false`).

With --break, a step is held, at most for an hour: `c8s shell` enters it as it is, with its
image, files and variables, and `c8s continue` lets it go on.

With --resume, steps that succeeded in an earlier run are reused if their definition,
files, secrets and dependencies are unchanged; with --reuse, those of any earlier run of the
pipeline, whoever started it. A step may say with `inputs` which files it reads, and
--verify-inputs runs each such step with these files only, to find what is missing.

With --failed-tests, steps with `rerunFailed` run only the tests that failed in an earlier run, on
the files as they are now; the other steps are as with --resume.

With --watch, a run starts after each save, 0.3 s after the last change: steps whose inputs
are unchanged are reused, and a run that is outdated is cancelled. Files that git ignores and
temporary files of editors don't count. While the pipeline has errors, they are shown, and
nothing starts. Such runs are kept for a day, and listed with `c8s runs --watched`.

A run that would fail because a secret does not exist is not started, and the commands that
set what is missing are printed; --allow-missing-secrets starts it anyway.

If the sandbox is not running, it is started for this run and stopped afterwards.
Ctrl-C cancels the run and waits for its end; a second Ctrl-C exits immediately.

\b
Exit codes:
  0     the run succeeded
  1     the run failed or was cancelled
  2     invalid input: errors in the pipeline or the arguments, missing secrets
  130   interrupted; the run was cancelled, and --watch ended

\b
Examples:
  c8s run
  c8s run ci/nightly.yaml --param target=prod
  c8s run --branch main --event pull_request
  c8s run --changed-since origin/main
  c8s run --resume my-app-ci-12
  c8s run --reuse
  c8s run --watch
  c8s run --break test:failed
  c8s run --git https://github.com/org/app --revision v1.2
  c8s run samples/hello.yaml --no-source
  c8s run | tee run.log
"""


@click.command(help=_HELP)
@click.argument("file", required=False)
@click.option("--param", "-p", "params", multiple=True, metavar="KEY=VALUE", help="Set a parameter of the pipeline.")
@click.option("--branch", metavar="NAME", help="The branch to run as.  [default: the checked-out one]")
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
    help="Treat files changed since the merge base with REV as changed, for path conditions.",
)
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), help="The run's priority in the queue.")
@click.option("--resume", metavar="RUN", help="Reuse the steps of this run that succeeded and are unchanged.")
@click.option(
    "--failed-tests", metavar="RUN", help="Run only the tests that failed in this run, and what did not succeed in it."
)
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Upload this folder instead of the repository of FILE.",
)
@click.option("--no-source", is_flag=True, help="Upload no files.")
@click.option("--git", metavar="URL", help="Upload no files: the controller clones this repository (https or ssh).")
@click.option("--revision", metavar="REV", help="The branch, tag or commit of --git.  [default: HEAD]")
@click.option("--submodules", is_flag=True, help="Also clone the submodules of --git.")
@click.option("--git-secret", metavar="NAME", help="The Secret with the credentials for --git.")
@click.option("--keep-on-failure", is_flag=True, help="Save the workspaces of failed steps, for c8s shell.")
@click.option(
    "--break",
    "breakpoints",
    multiple=True,
    callback=parse_breakpoint,
    metavar="STEP[:WHEN]",
    help="Hold the step before its commands (before, the default), after them (after), or if they fail (failed).",
)
@click.option(
    "--prestart",
    type=click.IntRange(0, 20),
    metavar="N",
    help="Make up to N pods ahead, while the steps before them run; 0: none.  [default: as the pipeline says]",
)
@click.option("--watch", is_flag=True, help="Run again after each save, and reuse what is unchanged, until Ctrl-C.")
@click.option(
    "--reuse/--no-reuse",
    default=None,
    help="Reuse the results of equal steps of any earlier run of the pipeline.  [default: as the pipeline says]",
)
@click.option(
    "--verify-inputs", is_flag=True, help="Give steps with `inputs` only these files; what lacks one fails by itself."
)
@click.option("--allow-missing-secrets", is_flag=True, help="Start the run even if secrets that it needs are missing.")
@click.option("--verbose", "-v", is_flag=True, help="Also show the output of agents and services.")
@click.option("--timestamps", is_flag=True, help="Print the time of each line before it.")
@target_options
@click.pass_context
def run(ctx: click.Context, /, file: str | None, target: Target, **given: Any) -> None:
    from workbench.cli.output.diagnostics import require_valid
    from workbench.pipeline_file.load import read_pipeline

    _reject_contradictions(given)
    pipeline = read_pipeline(file, Path.cwd())
    definition = require_valid(pipeline, console_style(sys.stderr))
    if definition is None:
        ctx.exit(2)
    submission = _submission(pipeline, definition, given)
    from workbench.cli.options import run_async

    options = {option: given[option] for option in ("verbose", "timestamps", "allow_missing_secrets")}
    if given["watch"]:
        ctx.exit(run_async(_watch_session(submission, target, options).run()))
    from workbench.cli.run_session.session import RunSession

    ctx.exit(run_async(RunSession(submission, target, console_style(sys.stdout), **options).run()))


def _watch_session(submission: RunSubmission, target: Target, options: Mapping[str, Any]) -> WatchSession:
    from workbench.cli.run_session.watch import WatchSession

    if submission.file is None:
        raise click.UsageError("--watch needs a pipeline in a file, which it reads again after each save")
    request = replace(submission.request, reuse=True, watch=True)
    watched = replace(submission, request=request)
    return WatchSession(watched, submission.file, target, console_style(sys.stdout), hint=target.options(), **options)


def _reject_contradictions(given: Mapping[str, Any]) -> None:
    for option in ("git", "resume", "changed_since", "failed_tests"):
        if given["watch"] and given[option]:
            raise click.UsageError(f"--watch and --{option.replace('_', '-')} exclude each other")
    if given["watch"] and given["reuse"] is False:
        raise click.UsageError("--watch reuses what is unchanged; --no-reuse excludes it")
    sources = [name for name in ("source", "no_source", "git") if given[name]]
    if len(sources) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in sources[:2])
        raise click.UsageError(f"{first} and {second} exclude each other")
    if given["resume"] and given["failed_tests"]:
        raise click.UsageError("--resume and --failed-tests exclude each other: --failed-tests resumes, too")
    if given["changed_since"] and given["git"]:
        raise click.UsageError("--changed-since compares your working tree, which --git does not use")
    for option in ("revision", "submodules", "git_secret"):
        if given[option] and not given["git"]:
            raise click.UsageError(f"--{option.replace('_', '-')} requires --git")


def _submission(pipeline: PipelineFile, definition: Mapping[str, Any], given: Mapping[str, Any]) -> RunSubmission:
    """The submission of the given options. Raises ParameterError for invalid parameters."""
    from workbench.client.run_request import RunRequest
    from workbench.pipeline_file.load import resolve_params
    from workbench.submit.submit import RunSubmission, new_idempotency_key
    from workbench.submit.worktree import tree_root

    params = _params(given["params"])
    resolve_params(definition, params)
    git = _git(given) if given["git"] else None
    tree = given["source"].resolve() if given["source"] else tree_root(pipeline.path, Path.cwd())
    request = RunRequest(
        {**definition, "keepOnFailure": True} if given["keep_on_failure"] else definition,
        source=git,
        branch=given["branch"],
        event=given["event"],
        changed_files=_changed_files(tree, given["changed_since"]),
        params=params,
        priority=given["priority"],
        reuse_from=given["resume"],
        failed_tests_of=given["failed_tests"],
        prestart=given["prestart"],
        breakpoints=given["breakpoints"],
        verify_inputs=given["verify_inputs"],
        reuse=given["reuse"],
    )
    return RunSubmission(
        request, new_idempotency_key(), tree=None if given["no_source"] or git else tree, file=pipeline.path
    )


def _changed_files(tree: Path, since: str | None) -> tuple[str, ...] | None:
    """The files changed since a revision; None if none is given or too many changed. Raises WorktreeError."""
    from controller.pipeline.conditions import MAX_CHANGED_FILES
    from workbench.submit.worktree import changed_since

    if since is None:
        return None
    changed = changed_since(tree, since)
    if len(changed) > MAX_CHANGED_FILES:
        echo_error(
            f"{len(changed):,} files changed since {since}, more than a run can record: all path conditions are met"
        )
        return None
    echo_error(f"{plural(len(changed), 'file')} changed since {since}")
    return changed


def _git(given: Mapping[str, Any]) -> GitSource:
    from workbench.client.run_request import GitSource

    return GitSource(given["git"], given["revision"] or "HEAD", given["submodules"], given["git_secret"])


def _params(given: tuple[str, ...]) -> dict[str, str]:
    params: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise InputError(f"--param needs KEY=VALUE, not {item!r}")
        params[key] = value
    return params
