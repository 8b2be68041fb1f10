"""`c8s shell`: the terminal handed to a command in a running step, and given back as it was."""

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
from typing import TYPE_CHECKING

import click

from workbench.cli.options import opened, run_async, target_options
from workbench.cli.output import CommandError, message

if TYPE_CHECKING:
    from workbench.cli.options import Target
    from workbench.client import Run
    from workbench.client.commands import Command

_CHUNK = 4096


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--container", metavar="NAME", default="step", show_default=True, help="`step`, or `svc-NAME`.")
@target_options
@click.argument("run")
@click.argument("step")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def shell(ctx: click.Context, /, run: str, step: str, command: tuple[str, ...], container: str, where: Target) -> None:
    """Open a shell in a running STEP of RUN, in its workspace with its environment; or run COMMAND there.

    The exit code is the command's. Without a terminal, standard input is sent as it is.

    \b
    Examples:
      c8s shell my-app-ci-12 test
      c8s shell my-app-ci-12 test ls -la dist
      c8s shell my-app-ci-12 test sh -c 'cat > patch' < fix.patch
    """
    ctx.exit(run_async(_shell(where, run, step, command, container)))


async def _shell(where: Target, name: str, step: str, command: tuple[str, ...], container: str) -> int:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    async with opened(where, start=False) as client:
        slug = _running(await client.run(name), step)
        size = shutil.get_terminal_size() if terminal else None
        async with client.execute(name, slug, command, container=container, size=size) as running:
            if terminal and not command:
                message(f"a shell in step {step} of {name}; exit or Ctrl-D leaves it, the step goes on")
            with _raw() if terminal else contextlib.nullcontext():
                return await _joined(running, terminal)


def _running(run: Run, name: str) -> str:
    """The step's slug. Raises CommandError when there is nothing to enter."""
    step = run.step(name)
    if step is None:
        known = ", ".join(each.slug for each in run.steps) or "none yet"
        raise CommandError(f"run {run.name} has no step {name!r} (its steps: {known})")
    if step.phase != "Running":
        running = ", ".join(each.slug for each in run.steps if each.phase == "Running") or "none"
        raise CommandError(
            f"step {name} of {run.name} is {step.phase.lower()}; a shell needs a running one ({running})"
        )
    return step.slug


async def _joined(running: Command, terminal: bool) -> int:
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
    with contextlib.suppress(RuntimeError, OSError):
        while data := os.read(0, _CHUNK):
            asyncio.run_coroutine_threadsafe(typed.put(data), loop).result()
        asyncio.run_coroutine_threadsafe(typed.put(b""), loop).result()


async def _send(running: Command, typed: asyncio.Queue[bytes]) -> None:
    while data := await typed.get():
        await running.send(data)
    await running.end_of_input()


async def _resize(running: Command, resized: asyncio.Event) -> None:
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
        termios.tcsetattr(0, termios.TCSADRAIN, before)
