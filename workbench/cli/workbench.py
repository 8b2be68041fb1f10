"""`c8s` alone: the full-screen workbench, on a controller that stays reachable for as long as it is open."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.options import Target, is_interactive
from workbench.cli.output import InputError, message

if TYPE_CHECKING:
    from workbench.core.submission import Order
    from workbench.sandbox import Endpoint


def open_workbench(where: Target, pipeline: Path | None, first: Order | None = None) -> int:
    """Open it with this pipeline file, and at the run of `first`, which is started before; the exit code.

    Raises:
        InputError: there is no terminal.
    """
    if not is_interactive():
        raise InputError("the workbench needs a terminal; `c8s --help` lists the commands that need none")
    # The app runs a loop of its own, so ours only turns before and after it: being attached needs no loop.
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            endpoint = runner.run(_attached(stack, where))
            name = runner.run(_started(endpoint, first)) if first is not None else None
            from workbench.tui import run_app

            return run_app(endpoint, pipeline_file=pipeline, open_run=name)
        finally:
            runner.run(stack.aclose())


async def _attached(stack: AsyncExitStack, where: Target) -> Endpoint:
    if where.endpoint is not None:
        return where.endpoint
    from workbench.sandbox import Sandboxes

    return await stack.enter_async_context(Sandboxes().attach(where.name, progress=message))


async def _started(endpoint: Endpoint, order: Order) -> str:
    """Start a run without a source; its name."""
    from workbench.client import Client
    from workbench.core.submission import submit

    async with Client(endpoint) as client:
        return (await submit(client, order, None)).name
