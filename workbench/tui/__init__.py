"""The workbench on the terminal: a Textual app over the REST client.

Importing this is cheap; Textual is loaded by `run_app`.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint
    from workbench.report.cluster_health import SandboxHealth
    from workbench.tui.services.interfaces import ShellCommand

__all__ = ["run_app"]


def run_app(
    endpoint: Endpoint,
    *,
    pipeline_file: Path | None,
    open_run: str | None = None,
    sandbox: Callable[[], Awaitable[SandboxHealth]] | None = None,
    shell: ShellCommand | None = None,
) -> int:
    """Open the workbench on a controller, with this folder's pipeline and maybe at a run; the exit code.

    Returns when the person leaves, or with 1 after a fault of ours was told. Nothing that runs is stopped by that.
    """
    from workbench.tui.app import Workbench
    from workbench.tui.base_app import load_options
    from workbench.tui.crash import exit_code, run
    from workbench.tui.services.connection import connector
    from workbench.tui.services.launcher import FileLauncher

    app = Workbench(
        connector(endpoint),
        endpoint_label=endpoint.sandbox or endpoint.url,
        launcher=FileLauncher(pipeline_file) if pipeline_file is not None else None,
        open_run=open_run,
        sandbox=sandbox,
        shell=shell,
        options=load_options(),
    )
    tune_garbage_collector()
    run(app)
    return exit_code(app)


def tune_garbage_collector() -> None:
    """Keep the garbage collector from going through all modules again and again.

    That takes 30 ms each time, which shows between a key and its picture while logs are flooding in.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
