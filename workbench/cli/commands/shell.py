"""`c8s shell`: the terminal handed to a command in a step, and given back as it was.

The step runs; or it has failed and was kept, and the command runs in a copy of it (`step_copy`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.options import open_client, run_async, target_options
from workbench.cli.output.console import CommandError, echo_error

if TYPE_CHECKING:
    from workbench.cli.options import Target
    from workbench.client import Client, Run, Step
    from workbench.client.exec import ExecSession

_CHUNK = 4096
_SHORTEST, _LONGEST = 60, 24 * 3600
"""Seconds that a copy may be there."""


def _parse_lifetime(_ctx: click.Context, _param: click.Parameter, given: str) -> int:
    """The seconds in a time such as 30m."""
    from controller.pipeline.values.duration import parse_duration

    try:
        found = parse_duration(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not _SHORTEST <= found <= _LONGEST:
        raise click.BadParameter(f"{given} is not between 1m and 24h")
    return found


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--container", metavar="NAME", default="step", show_default=True, help="`step`, or `svc-NAME`.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Of a failed step.  [default: the last kept]")
@click.option(
    "--for",
    "seconds",
    callback=_parse_lifetime,
    metavar="TIME",
    default="1h",
    show_default=True,
    help="When the copy of a failed step ends by itself.",
)
@target_options
@click.argument("run")
@click.argument("step")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def shell(ctx: click.Context, /, where: Target, **given: Any) -> None:
    """Open a shell in STEP of RUN, in its workspace with its environment; or run COMMAND there.

    A step that runs is entered itself. Of one that has failed, and whose workspace was
    kept (`keepOnFailure: true`, or `c8s run --keep-on-failure`), a copy is started: the same
    image, variables, secrets, resources and services, on the workspace as it was left.
    Nothing of the step is run again. Leaving the shell removes the copy.

    The exit code is the command's. Without a terminal, standard input is sent as it is.

    \b
    Examples:
      c8s shell my-app-ci-12 test
      c8s shell my-app-ci-12 test ls -la dist
      c8s shell --attempt 1 --for 3h my-app-ci-12 test
      c8s shell my-app-ci-12 test sh -c 'cat > patch' < fix.patch
    """
    ctx.exit(run_async(_shell(where, ShellRequest(**given))))


@dataclass(frozen=True)
class ShellRequest:
    """What is to be entered, and what to run there: a shell where `command` is empty."""

    run: str
    step: str
    command: tuple[str, ...]
    container: str
    attempt: int | None
    seconds: int
    """When the copy of a failed step ends by itself."""


async def _shell(where: Target, wish: ShellRequest) -> int:
    async with open_client(where, start=False) as client:
        run = await client.run(wish.run)
        step = _find_step(run, wish.step)
        if step.phase == "Running" and wish.attempt is None:
            return await _run_in_step(client, run.name, step.slug, wish, "the step goes on")
        from workbench.cli.run_session.debug_copy import find_attempt, run_interruptible

        attempt = find_attempt(run, step, wish.attempt)
        return await run_interruptible(_in_copy(client, run, step, attempt.number, wish))


async def _in_copy(client: Client, run: Run, step: Step, attempt: int, wish: ShellRequest) -> int:
    from workbench.cli.run_session.debug_copy import debug_copy

    async with debug_copy(client, run, step, attempt, wish.seconds) as (copy, slug):
        return await _run_in_step(client, copy, slug, wish, "the copy is removed then")


async def _run_in_step(client: Client, run: str, slug: str, wish: ShellRequest, afterwards: str) -> int:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    size = shutil.get_terminal_size() if terminal else None
    async with client.execute(run, slug, wish.command, container=wish.container, size=size) as running:
        if terminal and not wish.command:
            echo_error(f"a shell in step {wish.step} of {wish.run}; exit or Ctrl-D leaves it, {afterwards}")
        with _raw() if terminal else contextlib.nullcontext():
            return await _bridge_streams(running, terminal)


def _find_step(run: Run, name: str) -> Step:
    """The step. Raises CommandError when it is none that could be entered."""
    step = run.step(name)
    if step is None:
        known = ", ".join(each.slug for each in run.steps) or "none yet"
        raise CommandError(f"run {run.name} has no step {name!r} (its steps: {known})")
    if step.phase not in ("Running", "Failed") and not any(each.saved_workspace for each in step.attempts):
        running = ", ".join(each.slug for each in run.steps if each.phase == "Running") or "none"
        raise CommandError(
            f"step {name} of {run.name} is {step.phase.lower()}; a shell needs one that runs ({running}), "
            "or one that failed and was kept"
        )
    return step


async def _bridge_streams(running: ExecSession, terminal: bool) -> int:
    """Both directions until the command has ended."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[bytes] = asyncio.Queue(maxsize=64)
    threading.Thread(target=_read, args=(loop, typed), daemon=True).start()
    resized = asyncio.Event()
    if terminal:
        loop.add_signal_handler(signal.SIGWINCH, resized.set)
    sending = [asyncio.create_task(_send(running, typed)), asyncio.create_task(_resize(running, resized))]
    try:
        async for stream, data in running.output():
            target = sys.stdout if stream == 1 else sys.stderr
            target.buffer.write(data)
            target.buffer.flush()
        return running.exit_code
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        if terminal:
            loop.remove_signal_handler(signal.SIGWINCH)


def _read(loop: asyncio.AbstractEventLoop, typed: asyncio.Queue[bytes]) -> None:
    """Standard input to its end, in a thread of its own: a read of a terminal can't be cancelled."""
    data = b"-"
    # Nobody waits for input any more once the loop is closed.
    with contextlib.suppress(RuntimeError):
        while data:
            try:
                data = os.read(0, _CHUNK)
            except OSError:
                # The terminal is gone, and with it who typed.
                data = b""
            asyncio.run_coroutine_threadsafe(typed.put(data), loop).result()


async def _send(running: ExecSession, typed: asyncio.Queue[bytes]) -> None:
    while data := await typed.get():
        await running.send(data)
    await running.close_stdin()


async def _resize(running: ExecSession, resized: asyncio.Event) -> None:
    while True:
        await resized.wait()
        resized.clear()
        await running.resize(shutil.get_terminal_size())


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Every key goes to the command, Ctrl-C too; afterwards the terminal is as it was."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        # A terminal that was closed needs nothing any more.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)
