"""`c8s rerun`: runs an earlier run again, unchanged. To resume with changes, there is `c8s run --resume`."""

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
@click.option("--from-failed", is_flag=True, help="Reuse the steps that succeeded in RUN; run only the rest.")
@click.option("--failed-tests", is_flag=True, help="Run only the tests that failed in RUN, and what did not succeed.")
@click.option("--keep-on-failure", is_flag=True, help="Save the workspaces of failed steps, for c8s shell.")
@click.option("--allow-missing-secrets", is_flag=True, help="Start the run even if secrets that it needs are missing.")
@click.option("--verbose", "-v", is_flag=True, help="Also show the output of fetch, upload and services.")
@click.option("--timestamps", is_flag=True, help="Print the time of each line before it.")
@target_options
@click.pass_context
def rerun(
    ctx: click.Context,
    /,
    run: str,
    from_failed: bool,
    failed_tests: bool,
    keep_on_failure: bool,
    allow_missing_secrets: bool,
    verbose: bool,
    timestamps: bool,
    target: Target,
) -> None:
    """Run RUN again with the same pipeline, files and parameters. Output and exit codes are as for `c8s run`.

    To resume with a changed pipeline, use `c8s run --resume RUN`. With --from-failed, values of
    secrets are not compared: after a change of one, run again without it.

    With --failed-tests, steps with `rerunFailed` run only the tests that failed. The files are those of
    RUN; to run the same tests on the files as they are now, use `c8s run --failed-tests RUN`.

    \b
    Examples:
      c8s rerun my-app-ci-12
      c8s rerun my-app-ci-12 --from-failed
      c8s rerun my-app-ci-12 --from-failed --keep-on-failure
      c8s rerun my-app-ci-12 --failed-tests
    """
    from workbench.cli.run_session.session import RunSession
    from workbench.submit.submit import RerunSubmission, new_idempotency_key

    submission = RerunSubmission(run, new_idempotency_key(), from_failed, failed_tests, keep_on_failure)
    style = console_style(sys.stdout)
    ctx.exit(run_async(RunSession(submission, target, style, verbose, timestamps, allow_missing_secrets).run()))
