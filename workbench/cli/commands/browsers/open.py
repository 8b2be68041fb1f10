"""`c8s open`: opens the dashboard in a browser, signed in; or the workbench on a file of `c8s export`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.run_types.patterns import NAME_PATTERN
from workbench.cli.commands.browsers.launch import open_browser
from workbench.cli.options import open_client, run_async, target_options
from workbench.cli.output.console import CommandError, echo, echo_error

if TYPE_CHECKING:
    from workbench.cli.options import Target


@click.command("open")
@click.argument("what", metavar="[RUN|FILE]", required=False)
@click.option("--browser/--no-browser", default=True, help="Open a browser, or only print the address.")
@target_options
def open_(target: Target, what: str | None, browser: bool) -> None:
    """Open the dashboard in a browser: the runs, or RUN. Or show the run in a FILE of `c8s export` in the workbench.

    The printed address signs a browser in as you, once and within 30 seconds. A FILE needs no sandbox and no cluster;
    its name has a dot or a slash, as names of runs have not.

    \b
    Examples:
      c8s open
      c8s open my-app-ci-12
      c8s open --no-browser
      c8s open failure.c8srun
    """
    if what is not None and re.fullmatch(NAME_PATTERN, what) is None:
        from workbench.cli.commands.bundle import open_file

        open_file(Path(what))
        return
    run_async(_open(target, what, browser))


async def _open(target: Target, run: str | None, browser: bool) -> None:
    _require_running(target)
    async with open_client(target, start=False) as client:
        if run is not None:
            run = (await client.run(run)).name
        address = await client.dashboard_address(run)
    echo(address)
    if browser and not open_browser(address):
        echo_error("no browser was found; open the address above within 30 seconds")


def _require_running(target: Target) -> None:
    """Raises CommandError for a sandbox that runs only while a command uses it: its pages would be gone at once."""
    if target.endpoint is not None:
        return
    from workbench.sandbox import Sandboxes

    if Sandboxes().is_stopped(target.name):
        name = f" --name {target.name}" if target.options() else ""
        raise CommandError(f"the sandbox {target.name} is not running; `c8s up{name}` starts it and keeps it running")
