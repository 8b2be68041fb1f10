"""`c8s samples`: lists the sample pipelines, and copies one to start from."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from workbench.cli.options import output_option
from workbench.cli.output.console import CommandError, InputError, console_style, echo, print_document, print_table

_PIPELINE = ".c8s.yaml"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".pytest_cache")


@dataclass(frozen=True)
class Sample:
    """A sample pipeline: a file, or the folder of a small project with one."""

    name: str
    path: Path

    @property
    def pipeline(self) -> Path:
        """The pipeline file."""
        return self.path / _PIPELINE if self.path.is_dir() else self.path

    @property
    def description(self) -> str:
        """The first line of the pipeline file, a comment."""
        with self.pipeline.open(encoding="utf-8") as file:
            return file.readline().lstrip("#").strip()


def samples_folder() -> Path:
    """The folder of the samples: beside the package in a clone, inside it when installed from a wheel.

    Raises:
        CommandError: the samples are not installed.
    """
    package = Path(__file__).parents[3]
    for folder in (package / "samples", package.parent / "samples"):
        if (folder / "hello.yaml").is_file():
            return folder
    raise CommandError("the samples are not installed; they are in the folder `samples` of the c8s repository")


def list_samples() -> list[Sample]:
    """All samples, by name."""
    found = [Sample(path.stem, path) for path in samples_folder().glob("*.yaml")]
    found += [Sample(path.parent.name, path.parent) for path in samples_folder().glob(f"*/{_PIPELINE}")]
    return sorted(found, key=lambda sample: sample.name)


def find_sample(name: str) -> Sample:
    """The sample of this name, which may end in `.yaml`.

    Raises:
        InputError: there is none; the message suggests the most similar one.
    """
    found = {sample.name: sample for sample in list_samples()}
    wanted = name.removesuffix(".yaml")
    if wanted in found:
        return found[wanted]
    from difflib import get_close_matches

    near = get_close_matches(wanted.lower(), found, n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    raise InputError(f"there is no sample {name!r}; {hint}`c8s samples` lists them")


class _SamplesGroup(click.Group):
    """Takes the name of a sample for `copy NAME`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["copy", *args]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [*super().shell_complete(ctx, incomplete), *_complete_name(ctx, None, incomplete)]


def _complete_name(ctx: click.Context, parameter: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    try:
        found = list_samples()
    except CommandError:
        return []
    return [CompletionItem(each.name, help=each.description) for each in found if each.name.startswith(incomplete)]


@click.group(cls=_SamplesGroup, invoke_without_command=True)
@output_option
@click.pass_context
def samples(ctx: click.Context, /, output: str) -> None:
    """List the sample pipelines, or copy one.

    \b
    Examples:
      c8s samples
      c8s samples hello                       creates ./hello.yaml
      c8s samples hello -o .c8s.yaml
      c8s samples wordcount -o /tmp           creates the folder /tmp/wordcount
      c8s samples fan-out -o -                prints it
    """
    if ctx.invoked_subcommand is not None:
        return
    found = list_samples()
    if output != "table":
        kinds = {True: "folder", False: "file"}
        rows: list[dict[str, Any]] = [
            {
                "name": each.name,
                "description": each.description,
                "kind": kinds[each.path.is_dir()],
                "path": str(each.path),
            }
            for each in found
        ]
        print_document(rows, output)
        return
    print_table(("NAME", "DESCRIPTION"), [(each.name, each.description) for each in found], console_style(sys.stdout))


@samples.command()
@click.argument("name", shell_complete=_complete_name)
@click.option(
    "--output",
    "-o",
    "target",
    metavar="PATH",
    help="File or folder to create, or an existing folder to create it in; - prints it.  [default: .]",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def copy(name: str, target: str | None, force: bool) -> None:
    """Copy the sample NAME: a pipeline file, or a folder with a small project.

    Existing files are not overwritten unless --force is given.

    \b
    Examples:
      c8s samples copy hello
      c8s samples copy hello --output ci/pipeline.yaml --force
    """
    sample = find_sample(name)
    if target == "-":
        if sample.path.is_dir():
            raise InputError(f"the sample {sample.name} is a folder: name one with --output, not -")
        echo(sample.path.read_text(encoding="utf-8").rstrip("\n"))
        return
    created = _destination(sample, Path(target or "."))
    try:
        if sample.path.is_dir():
            _copy_folder(sample.path, created, force)
        else:
            _copy_file(sample.path, created, force)
    except OSError as error:
        raise CommandError(f"can't write {created}: {error.strerror or error}") from error
    echo(str(created))


def _destination(sample: Sample, target: Path) -> Path:
    """The file or folder to create."""
    destination = target / sample.path.name if target.is_dir() else target
    if not destination.parent.is_dir():
        raise InputError(f"the folder {destination.parent} does not exist; create it first")
    return destination


def _copy_file(source: Path, target: Path, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError:
        raise _already_exists(target) from None


def _copy_folder(source: Path, target: Path, force: bool) -> None:
    if not force and (target.exists() or target.is_symlink()):
        raise _already_exists(target)
    shutil.copytree(source, target, ignore=_NOT_COPIED, dirs_exist_ok=force)


def _already_exists(target: Path) -> InputError:
    return InputError(f"{target} exists already; choose another place with --output, or overwrite it with --force")
