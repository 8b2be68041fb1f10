"""`c8s` alone: the full-screen workbench, on a controller that stays reachable for as long as it is open."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.options import DEFAULT_SANDBOX, Target, supports_fullscreen
from workbench.cli.output.console import InputError, echo_error

if TYPE_CHECKING:
    from workbench.sandbox import Endpoint
    from workbench.submit.submit import RunSubmission


def open_workbench(where: Target, pipeline: Path | None, initial_run: RunSubmission | None = None) -> int:
    """Open it with this pipeline file, and at the run of `first`, which is started before; the exit code.

    Raises:
        InputError: there is no terminal.
    """
    if not supports_fullscreen():
        raise InputError(
            "the workbench needs a terminal that can move its cursor; `c8s --help` lists the commands that need none"
        )
    # The app runs a loop of its own, so ours only turns before and after it: being attached needs no loop.
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            if initial_run is None and where.endpoint is None and not _exists(where.name):
                name, code = set_up_sandbox(where.name)
                if name is None:
                    return code
                where = replace(where, name=name)
            endpoint = runner.run(_attached(stack, where))
            name = runner.run(_started(endpoint, initial_run)) if initial_run is not None else None
            from workbench.sandbox import Sandboxes
            from workbench.tui import run_app

            return run_app(
                endpoint,
                pipeline_file=pipeline,
                open_run=name,
                sandbox=partial(Sandboxes().status, where.name) if where.endpoint is None else None,
                shell=partial(shell_command, where),
            )
        finally:
            runner.run(stack.aclose())


def _exists(name: str) -> bool:
    from workbench.sandbox import Sandboxes

    return name in Sandboxes().list()


def set_up_sandbox(name: str) -> tuple[str | None, int]:
    """Let the person choose a first sandbox and bring it up; its name, or None and the exit code when they leave."""
    from workbench.sandbox.kind_sandbox import DEFAULT_CLUSTER
    from workbench.tui.base_app import load_options
    from workbench.tui.crash import exit_code, run
    from workbench.tui.setup.app import SetupApp
    from workbench.tui.setup.providers import EmbeddedProvider, KindProvider

    app = SetupApp(
        [EmbeddedProvider(name), KindProvider(DEFAULT_CLUSTER if name == DEFAULT_SANDBOX else name)], load_options()
    )
    endpoint = run(app)
    return (endpoint.sandbox if endpoint is not None else None), exit_code(app)


def shell_command(where: Target, run: str, step: str, container: str) -> list[str]:
    """`c8s shell` on the same controller, from the same program."""
    named = ["--context", where.context] if where.context else ["--name", where.name]
    space = ["--namespace", where.namespace] if where.namespace else []
    return [sys.executable, "-P", "-m", "workbench", "shell", *named, *space, "--container", container, run, step]


async def _attached(stack: AsyncExitStack, where: Target) -> Endpoint:
    if where.endpoint is not None:
        return where.endpoint
    from workbench.sandbox import Sandboxes

    return await stack.enter_async_context(Sandboxes().attach(where.name, progress=echo_error))


async def _started(endpoint: Endpoint, order: RunSubmission) -> str:
    """Start a run without a source; its name."""
    from workbench.client import Client
    from workbench.submit.submit import submit

    async with Client(endpoint) as client:
        return (await submit(client, order, None)).name
