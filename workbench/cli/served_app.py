"""The workbench in a process of its own, on a page of `c8s serve`, which starts this module: it is not a command.

It takes the options that select a controller, and never a token or an address.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from workbench.cli.options import Target, target_options


@click.command()
@click.option("--read-only", is_flag=True)
@click.option("--file", type=click.Path(path_type=Path))
@target_options
def served_app(target: Target, read_only: bool, file: Path | None) -> int:
    """Open the workbench; its exit code."""
    if file is not None:
        from workbench.bundle.controller import BundleController
        from workbench.tui.startup import open_bundle

        with BundleController(file) as bundle:
            return open_bundle(bundle, file.name, read_only=read_only)
    from workbench.cli.commands.workbench import open_workbench
    from workbench.submit.worktree import find_pipeline

    if target.endpoint is not None and target.namespace is not None:
        target = replace(target, endpoint=replace(target.endpoint, namespace=target.namespace))
    return open_workbench(target, find_pipeline(Path.cwd()), read_only=read_only)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; errors of the user or the network are printed without a traceback."""
    from workbench.cli.main import main as run_command

    return run_command(arguments, served_app)


if __name__ == "__main__":
    sys.exit(main())
