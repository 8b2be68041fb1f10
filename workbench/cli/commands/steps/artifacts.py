"""`c8s artifacts`: lists, downloads or unpacks the artifacts of a run."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.agent.archive.unpack import Extractor
from controller.agent.errors import AgentError, printable
from controller.files import current_umask, default_mode
from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import CommandError, console_style, echo, echo_error, print_document, print_table
from workbench.text.format import format_size, plural

if TYPE_CHECKING:
    from workbench.client import Client

_MAX_REPORTED = 5


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="FILE", help="Save the artifacts of STEP to this tar.gz."
)
@click.option(
    "--extract",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Unpack the artifacts of STEP into this folder.",
)
@output_option
@target_options
def artifacts(
    target: Target,
    run: str,
    step: str | None,
    to: Path | None,
    extract: Path | None,
    output: str,
) -> None:
    """List the artifacts of RUN or of one STEP; with --to or --extract, download those of STEP.

    \b
    Examples:
      c8s artifacts my-app-ci-12
      c8s artifacts my-app-ci-12 build --extract out
      c8s artifacts my-app-ci-12 build --to build.tar.gz
    """
    if (to or extract) and step is None:
        raise click.UsageError("--to and --extract need a STEP")
    if to and extract:
        raise click.UsageError("--to and --extract exclude each other")
    run_async(_artifacts(target, run, step, to, extract, output))


async def _artifacts(
    target: Target, run: str, step: str | None, to: Path | None, extract: Path | None, output: str
) -> None:
    async with open_client(target, start=False) as client:
        if step is not None:
            found = (await client.run(run)).step(step)
            if found is None:
                raise CommandError(f"run {run} has no step {step!r}")
            step = found.slug
        if step is not None and to is not None:
            await _save(client, run, step, to)
        elif step is not None and extract is not None:
            await _extract(client, run, step, extract)
        else:
            await _list(client, run, step, output)


async def _list(client: Client, run: str, step: str | None, output: str) -> None:
    found = await client.artifacts(run, step=step)
    if output != "table":
        rows = [{"step": a.step, "path": a.path, "size": a.size, "sha256": a.sha256} for a in found]
        print_document(rows, output)
    elif not found:
        echo_error("no artifacts")
    else:
        rows_ = [(item.step, format_size(item.size), item.path) for item in found]
        print_table(("STEP", "SIZE", "PATH"), rows_, console_style(sys.stdout))


async def _save(client: Client, run: str, step: str, target: Path) -> None:
    size = await client.download(run, step, target, mode=default_mode())
    echo(f"{target} ({size:,} bytes)")


async def _extract(client: Client, run: str, step: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="c8s-") as temporary:
        archive = Path(temporary) / "artifacts.tar.gz"
        await client.download(run, step, archive)
        try:
            files, skipped = _unpack(archive, folder)
        except AgentError as error:
            raise CommandError(f"can't unpack the artifacts of step {step} into {folder}: {error}") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CommandError(f"can't unpack the artifacts of step {step} into {folder}: {reason}") from error
    for name in skipped[:_MAX_REPORTED]:
        echo_error(f"left out {printable(name)}: the link leads out of {folder}")
    if len(skipped) > _MAX_REPORTED:
        echo_error(f"left out {len(skipped) - _MAX_REPORTED} more links that lead out of {folder}")
    echo(f"{plural(files, 'file')} in {folder}")


def _unpack(archive: Path, folder: Path) -> tuple[int, list[str]]:
    """Extract an archive after reading it once to its end; the number of files, and the links that are left out.

    Raises:
        AgentError: the archive is damaged, or an entry is refused because it would be outside of the folder.
        OSError: the folder can't be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    extractor = Extractor(str(folder), skip_links=True, umask=current_umask())
    try:
        with archive.open("rb") as file:
            extractor.check(file)
            file.seek(0)
            extractor.unpack(file)
    finally:
        extractor.close()
    return extractor.files, extractor.skipped
