"""`c8s export`: a run as one file; and the workbench on such a file, for `c8s open`."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.files import atomic_file, default_mode, write_atomic
from workbench.cli.options import Target, open_client, run_async, supports_fullscreen, target_options
from workbench.cli.output.console import InputError, echo, echo_error
from workbench.cli.output.status_line import StatusLine
from workbench.text.format import format_size, plural
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.bundle.manifest import Manifest
    from workbench.bundle.write import ExportProgress

_MAX_REPORTED = 5
_MIB = 1024 * 1024
SUFFIX = ".c8srun"
_CAST_SIZE = (100, 30)
"""Columns and rows of a recording."""


@click.command()
@click.argument("run")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="[default: RUN.c8srun]")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option(
    "--max-artifacts", type=click.IntRange(0, 1024), default=20, show_default=True, metavar="MIB",
    help="Size of all artifacts that are kept, the smallest first; 0 for none.",
)  # fmt: skip
@click.option("--html", is_flag=True, help="Write one HTML page instead: for a review or an issue.")
@click.option("--cast", is_flag=True, help="Write an asciinema recording instead: the run as the workbench plays it.")
@target_options
def export(
    target: Target, run: str, output: Path | None, force: bool, max_artifacts: int, html: bool, cast: bool
) -> None:
    """Write a run to one file, which `c8s open` shows without a cluster.

    It has the definition, parameters, every change of status, events, logs with times, results of tests, and
    artifacts. Secrets are masked, as they are in the controller. What is left out is reported. A run that has not
    ended is written as it is now: to ask for help with one that hangs.

    With --html, the file is a page with the graph, the times and the logs of failed steps; it needs no network and no
    script, and has less than 2 MB. With --cast, it is a recording of 100 by 30 characters and at most half a minute
    (asciinema, version 2). With either, RUN may be a file of `c8s export`, too.

    \b
    Examples:
      c8s export my-app-3
      c8s export my-app-3 -o failure.c8srun --max-artifacts 0
      c8s export my-app-3 --html
      c8s export failure.c8srun --html
      c8s export my-app-3 --cast; asciinema play my-app-3.cast
    """
    bundle = Path(run) if run.endswith(SUFFIX) else None
    if html and cast:
        raise InputError("--html and --cast exclude each other: export twice")
    if bundle is not None and not (html or cast):
        raise InputError(f"{run} is exported already; --html makes a page of it, --cast a recording")
    name = bundle.name.removesuffix(SUFFIX) if bundle is not None else run
    file = output if output is not None else Path(f"{name}{'.html' if html else '.cast' if cast else SUFFIX}")
    _check_target(file, force)
    write = _write_cast if cast else _write_page
    if bundle is not None:
        run_async(write(bundle, file))
    elif html or cast:
        run_async(_export_view(target, run, file, write))
    else:
        run_async(_export(target, run, file, max_artifacts * _MIB))


def _check_target(file: Path, force: bool) -> None:
    if file.is_dir():
        raise InputError(f"{file} is a folder: name a file in it")
    if not file.parent.is_dir():
        raise InputError(f"there is no folder {file.parent}")
    if not force and (file.exists() or file.is_symlink()):
        raise InputError(f"{file} exists: choose another name, or overwrite it with --force")


async def _export_view(target: Target, name: str, file: Path, write: Callable[[Path, Path], Awaitable[None]]) -> None:
    """Write what is made from a bundle."""
    with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
        bundle = Path(folder) / f"run{SUFFIX}"
        await _write_bundle(target, name, bundle, None)
        await write(bundle, file)


async def _write_cast(bundle: Path, file: Path) -> None:
    from workbench.bundle.controller import BundleController
    from workbench.tui.recording import record

    with BundleController(bundle) as source, StatusLine() as line:
        recording = await record(source, _CAST_SIZE, lambda done, of: line.show(f"recording {done:.0f} of {of:.0f} s"))
    write_atomic(file, recording, mode=default_mode())
    echo(f"{file} ({format_size(file.stat().st_size)}); play it with: asciinema play {file}")


async def _write_page(bundle: Path, file: Path) -> None:
    from workbench.bundle.controller import BundleController
    from workbench.bundle.page import build_page

    with BundleController(bundle) as source:
        page = await build_page(source)
    write_atomic(file, page, mode=default_mode())
    echo(f"{file} ({format_size(file.stat().st_size)}); open it in a browser")


async def _export(target: Target, name: str, file: Path, max_artifacts: int) -> None:
    _report(file, await _write_bundle(target, name, file, max_artifacts))


async def _write_bundle(target: Target, name: str, file: Path, max_artifacts: int | None) -> Manifest:
    from workbench.bundle.write import ExportOptions, write_bundle
    from workbench.sandbox.launch import own_version

    async with open_client(target, start=False) as client:
        run = await client.run(name)
        options = ExportOptions(max_artifacts, f"c8s {own_version()}")
        with StatusLine() as line, atomic_file(file, mode=default_mode()) as target_file:
            return await write_bundle(client, run, target_file, options, partial(_show, line))


def _show(line: StatusLine, progress: ExportProgress) -> None:
    of = f", {format_size(progress.done)} of {format_size(progress.total)}" if progress.total else ""
    line.show(f"writing the {progress.what}{of}")


def _report(file: Path, found: Manifest) -> None:
    lines = sum(log.lines for log in found.logs)
    what = f"{plural(lines, 'line')} of logs, {plural(len(found.files), 'artifact')}"
    echo(f"{file} ({format_size(file.stat().st_size)}): {what}; open it with: c8s open {file}")
    if found.as_of is not None:
        echo_error("the run has not ended: the file has what there was of it, with logs up to their last whole line")
    for each in found.left_out[:_MAX_REPORTED]:
        echo_error(f"left out {sanitize_line(each.what, colour=False)}: {sanitize_line(each.why, colour=False)}")
    if (more := found.left_out_count - _MAX_REPORTED) > 0:
        echo_error(f"left out {more:,} more; the file lists them")


def open_file(file: Path) -> None:
    """Show the run in a file of `c8s export` in the workbench; ends the command with its exit code.

    Raises:
        InputError: there is no terminal.
    """
    from workbench.bundle.controller import BundleController

    if not supports_fullscreen():
        raise InputError("the workbench needs an interactive terminal")
    with BundleController(file) as bundle:
        from workbench.tui.startup import open_bundle

        click.get_current_context().exit(open_bundle(bundle, file.name))
