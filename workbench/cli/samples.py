"""Where the sample pipelines are: beside the package in a clone, inside it when installed from a wheel."""

from __future__ import annotations

from pathlib import Path

from workbench.cli.output.console import CommandError


def sample_path(name: str) -> Path:
    """The file of the sample with this name.

    Raises:
        CommandError: the samples were not installed.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "samples", package.parent / "samples"):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise CommandError(f"the sample pipeline {name} is not installed with c8s; it is in `samples/` of its repository")
