"""`c8s shell`: connects the terminal to a command in a step, and restores it afterwards.

The step is running; or it failed with a saved workspace, and the command runs in a debug run of it (`debug_copy`).
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

from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason
from workbench.cli.options import open_client, run_async, target_options
from workbench.cli.output.console import CommandError, echo_error

if TYPE_CHECKING:
    from workbench.cli.options import Target
    from workbench.client import Client, Run, Step
    from workbench.client.exec import ExecSession

_CHUNK = 4096
_STATUS_DELAY = 2.0
"""Seconds until the status of a run shows what its log has shown."""
_MIN_LIFETIME, _MAX_LIFETIME = 60, 24 * 3600
"""Limits of a debug run's lifetime in seconds."""


def _parse_lifetime(_ctx: click.Context, _param: click.Parameter, given: str) -> int:
    """The lifetime in seconds, from text such as `30m`."""
    from controller.pipeline.values.duration import parse_duration

    try:
        found = parse_duration(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not _MIN_LIFETIME <= found <= _MAX_LIFETIME:
        raise click.BadParameter(f"{given} is not between 1m and 24h")
    return found


def _strip_separator(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """The command without the `--` before it, as `kubectl exec` takes it; later ones belong to the command."""
    return given[1:] if given[:1] == ("--",) else given


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--container", metavar="NAME", default="step", show_default=True, help="`step`, or `svc-NAME`.")
@click.option(
    "--attempt", type=click.IntRange(1), metavar="N", help="The attempt of a failed step.  [default: the last saved]"
)
@click.option(
    "--for",
    "seconds",
    callback=_parse_lifetime,
    metavar="TIME",
    default="1h",
    show_default=True,
    help="Lifetime of the copy of a failed step.",
)
@target_options
@click.argument("run")
@click.argument("step")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, callback=_strip_separator)
@click.pass_context
def shell(ctx: click.Context, /, target: Target, **given: Any) -> None:
    """Open a shell in STEP of RUN, in its workspace with its environment; or run COMMAND there.

    If the step is running, or a breakpoint holds it, the shell opens in it. If it failed and its workspace was saved
    (`keepOnFailure: true`, or `c8s run --keep-on-failure`), a copy is started with the same
    image, variables, secrets, resources and services, on the saved workspace. The commands
    of the step are not run. The copy is deleted when the shell ends.

    The exit code is that of the command. Without a terminal, standard input is sent unchanged.

    \b
    Examples:
      c8s shell my-app-ci-12 test
      c8s shell my-app-ci-12 test ls -la dist
      c8s shell my-app-ci-12 test -- ls -la dist
      c8s shell --attempt 1 --for 3h my-app-ci-12 test
      c8s shell my-app-ci-12 test sh -c 'cat > patch' < fix.patch
    """
    ctx.exit(run_async(_shell(target, ShellRequest(**given))))


@dataclass(frozen=True)
class ShellRequest:
    """The step to enter and the command to run there; a shell if `command` is empty."""

    run: str
    step: str
    command: tuple[str, ...]
    container: str
    attempt: int | None
    seconds: int
    """Lifetime of a debug run."""


async def _shell(target: Target, request: ShellRequest) -> int:
    async with open_client(target, start=False) as client:
        run = await _current_run(client, request)
        step = _find_step(run, request.step)
        if _is_running(step) and request.attempt is None:
            return await _run_in_step(client, run.name, step.slug, request, "the step continues")
        from workbench.cli.run_session.debug_copy import find_attempt, run_interruptible

        attempt = find_attempt(run, step, request.attempt)
        return await run_interruptible(_in_copy(client, run, step, attempt.number, request))


async def _current_run(client: Client, request: ShellRequest) -> Run:
    """The run; of a pending step, as it is once the step has started, or after a moment.

    The log says that a step has started a little before the status of its run does.
    """
    run = await client.run(request.run)
    if not _is_pending(run, request.step):
        return run
    from workbench.client import RunChanged, RunsListed

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STATUS_DELAY), contextlib.aclosing(client.watch_runs(run.name)) as changes:
            async for change in changes:
                if isinstance(change, RunChanged):
                    run = change.run
                elif isinstance(change, RunsListed) and change.runs:
                    run = change.runs[0]
                if not _is_pending(run, request.step):
                    break
    return run


def _is_pending(run: Run, name: str) -> bool:
    step = run.step(name)
    return step is not None and step.phase == StepPhase.PENDING and not _is_running(step)


def _is_running(step: Step) -> bool:
    """Whether the container of the step runs: its commands do, or a breakpoint holds it."""
    return step.phase == StepPhase.RUNNING or step.reason == StepReason.HELD


async def _in_copy(client: Client, run: Run, step: Step, attempt: int, request: ShellRequest) -> int:
    from workbench.cli.run_session.debug_copy import debug_copy

    async with debug_copy(client, run, step, attempt, request.seconds) as (copy, slug):
        return await _run_in_step(client, copy, slug, request, "the copy is then deleted")


async def _run_in_step(client: Client, run: str, slug: str, request: ShellRequest, afterwards: str) -> int:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    size = shutil.get_terminal_size() if terminal else None
    async with client.execute(run, slug, request.command, container=request.container, size=size) as running:
        if terminal and not request.command:
            echo_error(f"a shell in step {request.step} of {request.run}; leave it with exit or Ctrl-D, {afterwards}")
        with _raw() if terminal else contextlib.nullcontext():
            return await _bridge_streams(running, terminal)


def _find_step(run: Run, name: str) -> Step:
    """The step. Raises CommandError if no shell can be opened in it."""
    step = run.step(name)
    if step is None:
        known = ", ".join(each.slug for each in run.steps) or "none yet"
        raise CommandError(f"run {run.name} has no step {name!r} (its steps: {known})")
    is_open = _is_running(step) or step.phase == StepPhase.FAILED
    if not is_open and not any(each.saved_workspace for each in step.attempts):
        running = ", ".join(each.slug for each in run.steps if each.phase == StepPhase.RUNNING) or "none"
        raise CommandError(
            f"step {name} of {run.name} is {step.phase.lower()}; c8s shell needs a running step ({running}), "
            "or a failed one with a saved workspace"
        )
    return step


async def _bridge_streams(running: ExecSession, terminal: bool) -> int:
    """Copy input and output until the command ends; its exit code."""
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
    """Read standard input in a thread, because a read of a terminal cannot be cancelled."""
    data = b"-"
    # The loop may be closed meanwhile; then the input is not needed any more.
    with contextlib.suppress(RuntimeError):
        while data:
            try:
                data = os.read(0, _CHUNK)
            except OSError:
                # The terminal was closed: treat it as the end of input.
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
    """Send every key to the command, including Ctrl-C; restore the terminal afterwards."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        # The terminal may have been closed.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)
