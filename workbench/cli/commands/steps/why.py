"""`c8s why`: whether a step was reused, and which of its inputs differ if it was not."""

from __future__ import annotations

import click

from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import echo, print_document

_MAX_NAMES = 20


@click.command()
@click.argument("run")
@click.argument("step")
@output_option
@target_options
def why(target: Target, run: str, step: str, output: str) -> None:
    """Explain why STEP of RUN took the result of an earlier run, or why it ran again.

    It is compared with the run that it was to reuse, else with the newest earlier run of the
    pipeline in which the step succeeded. + was added, - removed, ~ changed. Only names are
    shown: of files, variables, parameters, secrets, fields, and steps that it depends on.

    \b
    Examples:
      c8s why my-app-ci-12 test
      c8s why my-app-ci-12 test -o json | jq -r '.differences[].name'
    """
    run_async(_why(target, run, step, output))


async def _why(target: Target, run: str, step: str, output: str) -> None:
    async with open_client(target, start=False) as client:
        found = await client.explain_step(run, step)
    if output != "table":
        print_document(dict(found.raw), output)
        return
    for line in found.lines(_MAX_NAMES):
        echo(line)
