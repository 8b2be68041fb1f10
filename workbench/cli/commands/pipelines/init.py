"""`c8s init`: writes a pipeline file for the repository; `workbench.scaffold` decides what is in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from workbench.cli.output.console import BOLD, CommandError, InputError, console_style, echo
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.scaffold.files import RepositoryFiles
    from workbench.scaffold.plan import Proposal


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Write nothing: print the file to standard output.")
@click.option("--force", is_flag=True, help="Overwrite an existing pipeline file.")
def init(folder: Path | None, dry_run: bool, force: bool) -> None:
    """Write a `.c8s.yaml` for the repository of FOLDER (default: the current folder).

    The files of the repository say which steps it gets: Python, Node, Go, Rust and Java
    projects, Makefiles and Dockerfiles are recognised, also several of them in one
    repository, and workspaces. What was found, and why, is printed and is in the file's
    comments. Nothing is executed and nothing is installed.

    An existing pipeline file is not overwritten unless --force is given.

    \b
    Examples:
      c8s init
      c8s init --dry-run                 print the file, and what was found to standard error
      c8s init --dry-run 2>/dev/null | c8s run -
      c8s init --force services/api
    """
    from workbench.pipeline_file.load import lint_pipeline
    from workbench.scaffold.document import write_proposal
    from workbench.scaffold.propose import propose
    from workbench.submit.repository import repository_root
    from workbench.submit.worktree import PIPELINE_FILES

    start = (folder or Path.cwd()).resolve()
    root = repository_root(start) or start
    target = root / PIPELINE_FILES[0]
    existing = next(
        (path for path in (root / name for name in PIPELINE_FILES) if path.exists() or path.is_symlink()), None
    )
    if existing is not None and not force and not dry_run:
        raise InputError(f"{existing} exists already; overwrite it with --force, or see the proposal with --dry-run")
    if root == Path.home().resolve() and repository_root(root) is None:
        raise InputError(
            f"{root} is your home directory; run this in the folder of a project, or name it: c8s init FOLDER"
        )
    proposal = propose(_read_repository(root))
    text = write_proposal(proposal)
    if dry_run:
        _print_findings(proposal, sys.stderr)
        echo(text.rstrip("\n"))
        return
    if lint_pipeline(text).has_errors:
        raise CommandError("the proposed pipeline is not valid; `c8s init --dry-run | c8s lint -` says where")
    _write(existing or target, text)
    _print_findings(proposal, sys.stdout)
    echo(f"\nWrote {sanitize_line(str(existing or target), colour=False)}. Next: c8s run")


def _read_repository(root: Path) -> RepositoryFiles:
    """The files that git would add. Raises WorktreeError."""
    from workbench.scaffold.files import MAX_FILE_BYTES, RepositoryFiles
    from workbench.submit.worktree import scan

    def load(name: str) -> bytes:
        with (root / name).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)

    # Links are left out: they may lead out of the repository.
    names = [entry.name for entry in scan(root, Path.home()).entries if entry.target is None and entry.path is None]
    return RepositoryFiles.from_names(root.name, names, load)


def _write(target: Path, text: str) -> None:
    from controller.files import default_mode, write_atomic

    try:
        write_atomic(target, text, mode=default_mode())
    except OSError as error:
        raise CommandError(f"can't write {target}: {error.strerror or error}") from error


def _print_findings(proposal: Proposal, stream: TextIO) -> None:
    """What was found, why, and the steps that follow from it."""
    style = console_style(stream)

    def say(text: str) -> None:
        stream.write(sanitize_line(text, colour=style.colour) + "\n")

    if not proposal.projects:
        say("No project was recognised: the file has one step to start from.")
    for project in proposal.projects:
        say(f"{style.paint(project.folder or '.', BOLD)}: {project.found} ({', '.join(project.evidence)})")
        for step in project.steps:
            say(f"  {step.name}: {step.commands[-1]}")
        for note in project.notes:
            say(f"  note: {note}")
    for note in proposal.notes:
        say(f"note: {note}")
