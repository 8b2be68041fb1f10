"""The files that differ between two commits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workbench.submit.git import open_git
from workbench.submit.repository import WorktreeError, repository_root

_OBJECT_NAME = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class FileChange:
    """A file that was added (`A`), deleted (`D`), modified (`M`) or replaced by a file of another type (`T`)."""

    status: str
    path: str


def changed_between(root: Path, old: str, new: str) -> tuple[FileChange, ...]:
    """The files below `root` that differ between two commits, by name. It runs git.

    A renamed file is deleted and added. Bytes of names that are not UTF-8 are replaced.

    Args:
        old: the object name of a commit, which may be abbreviated to 7 digits.

    Raises:
        WorktreeError: there is no git, or one of the commits is not in the repository.
    """
    for name in (old, new):
        if _OBJECT_NAME.fullmatch(name) is None:
            raise WorktreeError(f"{name!r} is not the name of a commit")
    if repository_root(root) is None:
        raise WorktreeError(f"{root} is not a git repository, so its commits are not known")
    with open_git(root) as git:
        commits = [f"{name}^{{commit}}" for name in (old, new)]
        differ = ("diff", "--name-status", "-z", "--no-renames", "--relative", "--no-ext-diff", "--no-textconv")
        output = git.read(*differ, "--ignore-submodules=dirty", *commits, "--")
    return parse_name_status(output)


def parse_name_status(output: bytes) -> tuple[FileChange, ...]:
    """Read `git diff --name-status -z --no-renames`."""
    fields = output.decode(errors="replace").split("\0")
    return tuple(FileChange(status, path) for status, path in zip(fields[::2], fields[1::2], strict=False) if status)
