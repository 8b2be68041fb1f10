"""Starts an app of the terminal UI: loads its options, connects it to a controller, and reports a crash.

Importing this is cheap; Textual and the HTTP client are loaded when an app needs them.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import ReturnType

    from workbench.bundle.controller import BundleController
    from workbench.client.endpoint import Endpoint
    from workbench.report.cluster_health import SandboxHealth
    from workbench.tui.app import Workbench, WorkbenchOptions
    from workbench.tui.base_app import BaseApp
    from workbench.tui.options import AppOptions
    from workbench.tui.services.interfaces import Connect, ControllerApi, OnConnectionError, ShellCommand

    MakeApp = Callable[[Connect, WorkbenchOptions, AppOptions], Workbench]


def run_workbench(
    endpoint: Endpoint,
    *,
    pipeline_file: Path | None,
    start_run: Callable[[], Awaitable[str]] | None = None,
    sandbox: Callable[[], Awaitable[SandboxHealth]] | None = None,
    disk: Callable[[], str | None] | None = None,
    shell: ShellCommand | None = None,
    command_options: str = "",
    start_sandbox: Callable[[], Awaitable[None]] | None = None,
    read_only: bool = False,
    make_app: MakeApp | None = None,
) -> int:
    """Open the workbench on a controller and return its exit code: 0, or 1 after a crash.

    Args:
        pipeline_file: the pipeline of this folder, if it has one.
        start_run: creates the run to show first, and returns its name.
        sandbox: reads the health of the sandbox, where the controller runs in one on this machine.
        disk: returns a message while the disk of that sandbox is full.
        shell: builds the command that opens a shell in a step.
        command_options: select the controller in a command, such as ` --name other`.
        start_sandbox: starts the sandbox again after it was stopped.
        read_only: refuse what changes something; the files of this folder are left alone as well.
        make_app: makes another app than the workbench, from the same arguments.
    """
    from workbench.submit.worktree import find_pipeline
    from workbench.tui.app import Workbench, WorkbenchOptions
    from workbench.tui.services.launcher import FileLauncher

    app = (make_app or Workbench)(
        connector(endpoint, read_only=read_only),
        WorkbenchOptions(
            endpoint_label=endpoint.sandbox or endpoint.url,
            command_options=command_options,
            launcher=FileLauncher(pipeline_file) if pipeline_file is not None and not read_only else None,
            start_run=start_run,
            sandbox=sandbox,
            disk=disk,
            shell=shell if not read_only else None,
            start_sandbox=start_sandbox if not read_only else None,
            find_pipeline=partial(find_pipeline, Path.cwd()) if not read_only else None,
        ),
        load_options(read_only=read_only),
    )
    tune_garbage_collector()
    run_until_exit(app)
    return exit_code(app)


def open_bundle(bundle: BundleController, label: str, *, read_only: bool = False) -> int:
    """Open the workbench on the run of a bundle and return its exit code.

    Args:
        label: the name of the file, as breadcrumbs show it.
        read_only: leave the files of this folder alone.
    """
    from workbench.submit.worktree import find_pipeline
    from workbench.tui.app import Workbench
    from workbench.tui.services.launcher import FileLauncher

    def connect(on_error: OnConnectionError) -> AbstractAsyncContextManager[ControllerApi]:
        return bundle

    # The pipeline of this folder can be edited; starting it is refused by the bundle, in words.
    pipeline = find_pipeline(Path.cwd()) if not read_only else None
    launcher = FileLauncher(pipeline) if pipeline is not None else None
    options = replace(bundle_options(bundle, label), launcher=launcher)
    app = Workbench(connect, options, load_options(read_only=read_only))
    tune_garbage_collector()
    run_until_exit(app)
    return exit_code(app)


def bundle_options(bundle: BundleController, label: str) -> WorkbenchOptions:
    """Return what the workbench shows of a bundle. If its run had not ended, the time stands still where it was."""
    from workbench.tui.app import WorkbenchOptions

    options = WorkbenchOptions(endpoint_label=label, open_run=bundle.only_run.name)
    as_of = bundle.manifest.as_of
    if as_of is None:
        return options
    label += f" as of {as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return replace(options, endpoint_label=label, now=lambda: as_of, as_of=as_of)


def connector(endpoint: Endpoint, *, read_only: bool = False) -> Connect:
    """Return a function that connects to this controller; its streams reconnect without a limit."""

    def connect(on_error: OnConnectionError) -> AbstractAsyncContextManager[ControllerApi]:
        from workbench.client import Client

        return Client(endpoint, reconnect_timeout=None, on_connection_error=on_error, read_only=read_only)

    return connect


def load_options(environ: Mapping[str, str] = os.environ, *, read_only: bool = False) -> AppOptions:
    """Load the options of this user in the current folder. With `read_only`, no view is restored or saved."""
    from workbench.config.contexts import config_path
    from workbench.config.preferences import read_preferences
    from workbench.session.keymap import Keymap
    from workbench.session.view_state import ViewState, workbench_folder
    from workbench.tui.options import AppOptions
    from workbench.tui.terminal.ascii_filter import supports_unicode

    preferences, state_folder = read_preferences(config_path()), workbench_folder()
    keymap = Keymap({}, ())
    if preferences.keys:
        # Imports every screen, so it is done only for users with keys of their own.
        from workbench.tui.keybindings import resolve_keymap

        keymap = resolve_keymap(preferences.keys)
    return AppOptions(
        preferences,
        ascii_only=preferences.ascii if preferences.ascii is not None else not supports_unicode(environ),
        view_state=ViewState(state_folder, Path.cwd()) if not read_only else None,
        read_only=read_only,
        reports_folder=state_folder / "crashes",
        keymap=keymap,
    )


def run_until_exit(app: BaseApp[ReturnType]) -> ReturnType | None:
    """Run an app until the user quits or it crashes; a crash is reported on stderr.

    After a crash `app.crash` is set and `exit_code` returns 1.
    """
    result = None
    try:
        result = app.run(mouse=app.options.preferences.mouse)
    except Exception as error:  # The last boundary: report the crash instead of a traceback.
        app.record_crash(error)
    if app.crash is not None:
        from workbench.tui.crash import crash_message

        print(crash_message(app.crash), file=sys.stderr)
    return result


def exit_code(app: BaseApp[Any]) -> int:
    """Return 1 after a crash, else the app's own return code."""
    return 1 if app.crash is not None else app.return_code or 0


def tune_garbage_collector() -> None:
    """Keep the garbage collector from scanning all loaded modules again and again.

    Each scan takes 30 ms, which delays drawing after a key press while logs arrive fast.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
