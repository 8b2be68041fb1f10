"""`c8s continue`: lets a held step go on. Breakpoints themselves are set by `c8s run --break`."""

from __future__ import annotations

import click

from workbench.cli.options import Target, open_client, run_async, target_options
from workbench.cli.output.console import CommandError, echo_error

_TIMES = ("before", "after", "failed")
_DONE = {"go": "goes on", "retry": "runs its commands again", "accept": "counts as succeeded"}


def parse_breakpoint(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """The steps and times of `STEP[:before|after|failed]`, as often as it is given."""
    found = []
    for text in given:
        step, colon, at = text.rpartition(":")
        if not colon:
            step, at = text, "before"
        if not step or at not in _TIMES:
            raise click.BadParameter(f"{text!r} is not STEP, STEP:before, STEP:after or STEP:failed")
        found.append((step, at))
    return tuple(dict.fromkeys(found))


@click.command("continue")
@click.argument("run")
@click.argument("step")
@click.option("--retry", "action", flag_value="retry", help="Run its commands again, in the same container.")
@click.option("--accept", "action", flag_value="accept", help="Count the step as succeeded.")
@target_options
def continue_(target: Target, run: str, step: str, action: str | None) -> None:
    """Let STEP of RUN go on, which a breakpoint holds (`c8s run --break`).

    Without an option it begins, or ends as its commands did.

    \b
    Examples:
      c8s continue my-app-ci-12 test
      c8s continue --retry my-app-ci-12 test
      c8s continue --accept my-app-ci-12 test
    """
    run_async(_continue(target, run, step, action or "go"))


async def _continue(target: Target, name: str, step: str, action: str) -> None:
    async with open_client(target, start=False) as client:
        found = (await client.run(name)).step(step)
        if found is None:
            raise CommandError(f"run {name} has no step {step!r}")
        await client.continue_step(name, found.slug, action)
    echo_error(f"step {step} of {name} {_DONE[action]}")
