"""`c8s` without a command: the full-screen workbench, attached to a controller while it is open."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.early_run import EarlyRun
from workbench.cli.interruption import loop_runner
from workbench.cli.options import DEFAULT_SANDBOX, Target, supports_fullscreen
from workbench.cli.other_loop import run_in_other_loop
from workbench.cli.output.console import CommandError, InputError, echo_error
from workbench.sandbox.status import StartObserver

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.sandbox import Endpoint
    from workbench.submit.submit import RunSubmission
    from workbench.tui.setup.providers import StartReport
    from workbench.tui.startup import MakeApp


def open_workbench(
    target: Target,
    pipeline: Path | None,
    first_run: Callable[[], RunSubmission] | None = None,
    *,
    read_only: bool = False,
    make_app: MakeApp | None = None,
) -> int:
    """Open the workbench with this pipeline file; the exit code.

    Args:
        first_run: what is to run first; it is called in another thread, and the run is shown.
        read_only: change nothing, and do not start a sandbox either.
        make_app: makes another app than the workbench.

    Raises:
        InputError: there is no suitable terminal.
        CommandError: the sandbox is not running, with `read_only`.
    """
    if not supports_fullscreen():
        raise InputError(
            "the workbench needs an interactive terminal; `c8s --help` lists commands that work without one"
        )
    if read_only:
        require_running(target)
    # The app runs its own event loop; this one runs only before and after it. Staying attached needs no loop.
    with loop_runner() as runner:
        stack, early = AsyncExitStack(), EarlyRun(first_run) if first_run is not None else None
        try:
            if early is None and target.endpoint is None and not _exists(target.name):
                name, code = set_up_sandbox(target.name, target.runtime)
                if name is None:
                    return code
                target = replace(target, name=name)
            endpoint, code = _endpoint(runner, stack, target, early)
            if endpoint is None:
                return code
            from workbench.sandbox import Sandboxes
            from workbench.sandbox.disk import sandbox_disk
            from workbench.tui.startup import run_workbench

            return run_workbench(
                endpoint,
                pipeline_file=pipeline,
                start_run=early.name if early is not None else None,
                sandbox=partial(Sandboxes().status, target.name) if target.endpoint is None else None,
                disk=sandbox_disk().message if target.endpoint is None else None,
                shell=partial(shell_command, target),
                command_options=target.options(),
                start_sandbox=partial(_start_again, target) if target.endpoint is None else None,
                read_only=read_only,
                make_app=make_app,
            )
        finally:
            runner.run(stack.aclose())


def _endpoint(
    runner: asyncio.Runner, stack: AsyncExitStack, target: Target, early: EarlyRun | None
) -> tuple[Endpoint | None, int]:
    """The controller, whose sandbox is started on a screen if it is stopped; None with the exit code if that failed."""
    from workbench.sandbox import Sandboxes

    if target.endpoint is None and Sandboxes().is_stopped(target.name):
        return open_sandbox(runner.get_loop(), stack, target, early)
    endpoint = runner.run(_attached(stack, target))
    if early is not None:
        early.start(endpoint)
    return endpoint, 0


def require_running(target: Target) -> None:
    """Raises CommandError for a sandbox that does not exist or does not run."""
    from workbench.sandbox import Sandboxes

    if target.endpoint is not None:
        return
    name = f" --name {target.name}" if target.options() else ""
    if not _exists(target.name):
        raise CommandError(f"there is no sandbox {target.name}; `c8s up{name}` starts one")
    if Sandboxes().is_stopped(target.name):
        raise CommandError(f"the sandbox {target.name} is not running; `c8s up{name}` starts it and keeps it running")


def _exists(name: str) -> bool:
    from workbench.sandbox import Sandboxes

    return name in Sandboxes().list()


def set_up_sandbox(name: str, runtime: str | None) -> tuple[str | None, int]:
    """Let the user choose and start a first sandbox; its name, or None, and the exit code."""
    from workbench.sandbox.kind_sandbox import DEFAULT_CLUSTER
    from workbench.tui.setup.app import SetupApp
    from workbench.tui.setup.providers import KindProvider, embedded_providers
    from workbench.tui.startup import exit_code, load_options, run_until_exit

    app = SetupApp(
        [*embedded_providers(name, runtime), KindProvider(DEFAULT_CLUSTER if name == DEFAULT_SANDBOX else name)],
        load_options(),
    )
    endpoint = run_until_exit(app)
    return (endpoint.sandbox if endpoint is not None else None), exit_code(app)


def open_sandbox(
    loop: asyncio.AbstractEventLoop, stack: AsyncExitStack, target: Target, early: EarlyRun | None
) -> tuple[Endpoint | None, int]:
    """Start the sandbox on a screen; its endpoint, or None with the exit code if that failed or was given up.

    Args:
        loop: what is attached to the sandbox, which the loop of the screen would detach at its end.
        stack: detaches it, in that loop.
        early: a run that is created as soon as the sandbox is ready, while the workbench opens.
    """
    from workbench.sandbox import Sandboxes
    from workbench.tui.setup.app import SetupApp
    from workbench.tui.setup.providers import OpeningProvider
    from workbench.tui.startup import exit_code, load_options, run_until_exit

    async def attach(report: StartReport) -> Endpoint:
        follower = _StartFollower(asyncio.get_running_loop(), report)
        sandboxes = Sandboxes(runtime=target.runtime, observer=follower)
        attached = sandboxes.attach(target.name, progress=follower.said)
        endpoint = await run_in_other_loop(loop, stack.enter_async_context(attached))
        if early is not None:
            early.start(endpoint)
        return endpoint

    # The sandbox of a tour has a state folder of its own, which other commands do not find.
    remedy = "`c8s demo --name NAME` keeps its sandbox and the logs." if early is not None else None
    provider = OpeningProvider(target.name, attach, load_workbench, remedy)
    app = SetupApp([provider], load_options(), starts_at_once=True)
    endpoint = run_until_exit(app)
    if endpoint is None and provider.failure is not None:
        echo_error(str(provider.failure))
        return None, 1
    return endpoint, exit_code(app)


class _StartFollower(StartObserver):
    """Passes on how a start goes, from the loop that it happens in to the loop of the screen."""

    def __init__(self, screen: asyncio.AbstractEventLoop, report: StartReport) -> None:
        self._screen, self._report = screen, report

    def said(self, text: str) -> None:
        if not self._show(self._report.said, text):
            # The sandbox is being left, after the workbench.
            echo_error(text)

    def listening(self, endpoint: Endpoint) -> None:
        self._show(self._report.listening)

    def waiting(self, why: str) -> None:
        self._show(self._report.waiting, why)

    def _show(self, show: Callable[..., None], *arguments: str) -> bool:
        """Show something; False if the screen is gone."""
        try:
            self._screen.call_soon_threadsafe(show, *arguments)
        except RuntimeError:  # Its loop is closed.
            return False
        return True


def load_workbench() -> None:
    """Load what the workbench consists of, so that it opens at once."""
    import workbench.client.client
    import workbench.tui.app
    import workbench.tui.screens.run.screen  # noqa: F401 - loaded for later


def shell_command(target: Target, run: str, step: str, container: str) -> list[str]:
    """The command line of `c8s shell` on the same controller."""
    named = ["--context", target.context] if target.context else ["--name", target.name]
    space = ["--namespace", target.namespace] if target.namespace else []
    return [sys.executable, "-P", "-m", "workbench", "shell", *named, *space, "--container", container, run, step]


async def _attached(stack: AsyncExitStack, target: Target) -> Endpoint:
    if target.endpoint is not None:
        return target.endpoint
    from workbench.sandbox import Sandboxes

    return await stack.enter_async_context(Sandboxes(runtime=target.runtime).attach(target.name, progress=echo_error))


async def _start_again(target: Target) -> None:
    """Start a sandbox that was stopped. It runs until the workbench, which is attached to it, is closed."""
    from workbench.sandbox import Sandboxes

    async with Sandboxes(runtime=target.runtime).attach(target.name):
        pass
