"""`c8s hold` sets breakpoints of a run that goes on, and `c8s continue` lets a held step go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from workbench.cli.options import Target, open_client, run_async, target_options
from workbench.cli.output.console import CommandError, echo_error

if TYPE_CHECKING:
    from workbench.client.models import Run

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


@click.command()
@click.argument("run")
@click.argument("steps", nargs=-1, required=True, metavar="STEP[:WHEN]...", callback=parse_breakpoint)
@click.option("--clear", is_flag=True, help="Do not hold these steps any more; WHEN does not matter.")
@target_options
def hold(target: Target, run: str, steps: tuple[tuple[str, str], ...], clear: bool) -> None:
    """Hold each STEP of RUN in its container: before its commands, after them, or when they fail.

    WHEN is before (the default), after or failed. Steps that have started are not held, unless they are tried again.
    `c8s shell` enters a held step, and `c8s continue` lets it go on. To hold steps of a new run, use `c8s run --break`.

    \b
    Examples:
      c8s hold my-app-ci-12 test
      c8s hold my-app-ci-12 test:failed deploy
      c8s hold --clear my-app-ci-12 test
    """
    run_async(_hold(target, run, steps, clear))


async def _hold(target: Target, name: str, wanted: tuple[tuple[str, str], ...], clear: bool) -> None:
    from workbench.runs.holds import WORDS

    async with open_client(target, start=False) as client:
        run = await client.run(name)
        kept = tuple(each for each in run.breakpoints if each[0] not in {step for step, _ in wanted})
        changed = await client.set_breakpoints(name, kept if clear else (*kept, *wanted))
    for step, at in wanted:
        if clear:
            echo_error(f"step {step} of {name} is not held")
            continue
        echo_error(f"step {step} of {name} is held {WORDS[at]}{_too_late(changed, step)}")


def _too_late(run: Run, name: str) -> str:
    """What to add about a step, or the combinations of one, for which the breakpoint comes too late."""
    from workbench.runs.holds import holds_of

    steps = [each for each in run.steps if holds_of(each, [(name, "before")])]
    started = [each for each in steps if not each.can_be_held]
    if not started:
        return ""
    if len(steps) == 1:
        return f" if it is tried again: it is {started[0].phase.lower()} already"
    return f", except those of its {len(steps)} combinations that have started ({len(started)})"


@click.command("continue")
@click.argument("run")
@click.argument("step")
@click.option("--retry", "action", flag_value="retry", help="Run its commands again, in the same container.")
@click.option("--accept", "action", flag_value="accept", help="Count the step as succeeded.")
@target_options
def continue_(target: Target, run: str, step: str, action: str | None) -> None:
    """Let STEP of RUN go on, which a breakpoint holds (`c8s run --break`, `c8s hold`).

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
