"""Spare copies of unpacked sources: each is one step's, which gets it by renaming what is in it.

One that was made of an earlier source becomes that of the step by the difference. Files that don't change are neither
unpacked nor written when a step begins, which takes several seconds for some thousand of them on a slow disk.
"""

# ruff: noqa: PTH104, PTH106, PTH107, PTH118, PTH123, PTH208
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import time

from ..archive.scratch_file import scratch_file
from ..errors import AgentError
from ..permissions import users_may_differ
from .patch import Patch, find_patch
from .shared_folder import USE, lock, names_of, tree_kind
from .tree_index import TreeIndex, load_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from ..client import AgentClient

ENDING, TAKEN = ".spare", ".taken"
TREE, INDEX = "tree", "index"
"""What is in a spare copy."""
MAX_BYTES = 1024**3
"""Of all files of a source with a spare copy."""


class Spare:
    """A spare copy that nobody else can take any more."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @property
    def tree(self) -> str:
        """The folder with the files of the source."""
        return os.path.join(self.folder, TREE)

    def move_to(self, workspace: str) -> bool:
        """Move its content into a workspace; False if that has something of the same name.

        Raises:
            OSError: it is not complete there, or on another file system.
        """
        names = os.listdir(self.tree)
        if not set(names).isdisjoint(os.listdir(workspace)):
            return False
        for name in names:
            os.rename(os.path.join(self.tree, name), os.path.join(workspace, name))
        os.remove(os.path.join(self.folder, INDEX))
        os.rmdir(self.tree)
        os.rmdir(self.folder)
        return True


def spare_ending() -> str:
    """How the names of spare copies end that may be used now; what is before it is the digest of the archive."""
    return f".{tree_kind()}{ENDING}"


def use_spare(client: AgentClient, link: dict[str, Any], folder: str, workspace: str) -> str | None:
    """Put a source into the workspace by a spare copy; what was done, for the log, or None if there is none.

    If it returns None, the workspace may already have a part of the source, and nothing else.

    Raises:
        AgentError: the source can't be downloaded.
    """
    ending, digest = spare_ending(), str(link["sha256"]).removeprefix("sha256:")
    names = names_of(folder, ending)
    if not names:
        return None
    started = time.monotonic()
    with lock(folder, USE, alone=False):
        spare, done = take(folder, digest + ending), "a spare copy of it"
        if spare is None:
            with scratch_file(workspace) as archive:
                size = client.download(link, archive, "the source")
                archive.flush()
                found = take_patched(folder, names, archive, size)
            if found is None:
                return None
            spare, patch = found
            of = len(patch.index.entries)
            done = f"{size} bytes packed, a spare copy of an earlier one with {patch.cost} of {of} files changed"
        try:
            if not spare.move_to(workspace):
                return None
        except OSError:
            return None
    return f"{done}, in {time.monotonic() - started:.2f} s"


def take(folder: str, name: str) -> Spare | None:
    """Take a spare copy by its name; None if it is not there, or another agent was first."""
    taken = os.path.join(folder, f"{name}-{os.getpid()}{TAKEN}")
    try:
        os.rename(os.path.join(folder, name), taken)
    except OSError:
        return None
    return Spare(taken)


def take_patched(folder: str, names: list[str], archive: BinaryIO, size: int) -> tuple[Spare, Patch] | None:
    """Take the most similar spare copy and turn it into the source of an archive; None if that does not work.

    Args:
        names: of spare copies that may be used.
        archive: whose digest was checked.
        size: of the archive in bytes.
    """
    best: tuple[str, Patch] | None = None
    for name in names:
        try:
            patch = find_patch(read_index(os.path.join(folder, name)), archive.fileno(), size, MAX_BYTES)
        except (AgentError, OSError, ValueError, TypeError):
            continue
        if patch is not None and (best is None or patch.cost < best[1].cost):
            best = name, patch
    spare = take(folder, best[0]) if best is not None else None
    if spare is None or best is None:
        return None
    try:
        best[1].apply(spare.tree, archive.fileno(), MAX_BYTES, shared=users_may_differ())
    except (AgentError, OSError):
        # It is of no use any more, and removed with what killed agents leave.
        return None
    return spare, best[1]


def read_index(spare: str) -> TreeIndex:
    """The index of a spare copy. Raises OSError, AgentError, ValueError, TypeError."""
    with open(os.path.join(spare, INDEX), "rb") as file:
        return load_index(file.read())
