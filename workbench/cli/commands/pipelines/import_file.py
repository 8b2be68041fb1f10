"""`c8s import`: converts a pipeline of another CI system; `workbench.importer` decides what becomes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from workbench.cli.output.console import BOLD, CommandError, InputError, console_style, echo
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.importer.draft import ImportedPipeline

_STDIN = "-"
_PLURALS = {
    "commands": "command",
    "dependencies": "dependency",
    "matrices": "matrix",
    "services": "service",
    "conditions": "condition",
    "caches": "cache",
    "artifacts": "artifact",
    "variables": "variable",
    "parameters": "parameter",
}


@click.command(name="import")
@click.argument("file")
@click.option(
    "--from",
    "system",
    type=click.Choice(["github", "gitlab", "tekton", "argo"]),
    help="The system that FILE belongs to.  [default: recognised by its content]",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    default=".c8s.yaml",
    show_default=True,
    help="The file to write; - prints it.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def import_file(file: str, system: str | None, output: str, force: bool) -> None:
    """Convert FILE, a pipeline of another CI system, into a pipeline file.

    FILE is a workflow of GitHub Actions, a `.gitlab-ci.yml`, or a YAML file with a Tekton
    Pipeline or an Argo Workflow; `-` reads standard input. Nothing in it is executed and
    nothing is downloaded: actions, included files and remote tasks are not converted.

    Whatever has no counterpart is a comment in the new file, where it belongs, and is
    listed at the end. A step whose condition has no counterpart runs on no branch until
    you have replaced the condition; a step without commands of its own fails.

    \b
    Examples:
      c8s import .gitlab-ci.yml
      c8s import .github/workflows/ci.yml -o ci/test.yaml
      c8s import workflow.yaml --from argo -o - | c8s lint -
    """
    from workbench.importer.convert import import_pipeline
    from workbench.importer.source import ImportFileError

    data = _read(file)
    target = Path(output)
    if output != _STDIN and not force and (target.exists() or target.is_symlink()):
        raise InputError(f"{output} exists already; overwrite it with --force, or name another file with --output")
    path = "pipeline.yaml" if file == _STDIN else str(Path(file).absolute())
    try:
        imported = import_pipeline(data, path, system)
    except ImportFileError as error:
        raise InputError(f"can't import {'standard input' if file == _STDIN else file}: {error}") from error
    if output == _STDIN:
        echo(imported.text.rstrip("\n"))
        _print_summary(imported, sys.stderr)
        return
    _write(target, imported.text)
    _print_summary(imported, sys.stdout)
    echo(f"\nWrote {sanitize_line(output, colour=False)}. Next: c8s lint {sanitize_line(output, colour=False)}")


def _read(file: str) -> bytes:
    from workbench.importer.source import MAX_BYTES

    if file == _STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    if Path(file).is_dir():
        raise InputError(f"{file} is a folder; name a file in it")
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"can't read {file}: {error.strerror or error}") from error


def _write(target: Path, text: str) -> None:
    from controller.files import default_mode, write_atomic

    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist; create it first")
    try:
        write_atomic(target, text, mode=default_mode())
    except OSError as error:
        raise CommandError(f"can't write {target}: {error.strerror or error}") from error


def _print_summary(imported: ImportedPipeline, stream: TextIO) -> None:
    """What was kept, what has no counterpart, and the secrets to set."""
    style = console_style(stream)

    def say(text: str) -> None:
        stream.write(sanitize_line(text, colour=style.colour) + "\n")

    kept = ", ".join(f"{count} {what if count > 1 else _PLURALS[what]}" for what, count in imported.kept.items())
    say(f"{imported.system}: {plural(imported.steps, 'step')}" + (f" with {kept}" if kept else ""))
    concerned: dict[str, list[str]] = {}
    for step, note in imported.notes:
        concerned.setdefault(str(note), []).append(step)
    if concerned:
        say(style.paint("To look at:", BOLD))
    for message, steps in concerned.items():
        named = [step for step in steps if step]
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        say(f"  {named[0] + more + ': ' if named else ''}{message}")
    for name, keys in imported.secrets.items():
        for key in keys:
            say(f"  secret to set: c8s secrets set {name} {key}")
