"""Large sources, unpacked once for all steps of this machine that get the same one, and copied for each of them.

For agents that are processes of one machine and have a folder together. An archive is unpacked by Python, a copy is
made by `cp`, which is several times faster, and costs next to nothing where the file system shares blocks. Only copies
are ever handed out, and no container sees the folder: no step can change what another one gets.
"""

# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH112, PTH116, PTH118, PTH208
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time

from .. import http_client
from ..archive.unpack import Extractor
from ..errors import AgentError, printable
from ..permissions import grant_access, users_may_differ
from .shared_folder import UNPACK, USE, lock, remove_all, set_aside, tree_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import AgentClient

_KEPT = 2
"""Trees that stay after their use: those of the run before and of this one."""
_TREE, _PART = ".tree", ".part"


def can_copy() -> bool:
    """Whether this machine has the programs for it."""
    return all(shutil.which(program) for program in ("cp", "rm"))


def fetch_shared(client: AgentClient, link: dict[str, Any], folder: str, workspace: str, *, skip_git: bool) -> str:
    """Copy a source into the workspace, after unpacking it if no agent has done so yet; what was done, for the log.

    Raises:
        AgentError: it can't be fetched, unpacked or copied.
        OSError: the folder can't be written.
    """
    digest = str(link["sha256"]).removeprefix("sha256:")
    if not digest.isalnum():
        raise AgentError("the API's response about the source is not understood")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    name = os.path.join(folder, f"{digest}{'' if skip_git else '-git'}.{tree_kind()}")
    done = []
    # Nothing is removed while anyone has this lock.
    with lock(folder, USE, alone=False):
        if not os.path.isdir(name + _TREE):
            with lock(folder, UNPACK, alone=True):
                if not os.path.isdir(name + _TREE):
                    started = time.monotonic()
                    _unpack(client, link, name + _PART, skip_git=skip_git)
                    os.rename(name + _PART, name + _TREE)
                    done.append(f"unpacked in {time.monotonic() - started:.2f} s")
        started = time.monotonic()
        os.utime(name + _TREE)
        _copy(name + _TREE, workspace)
        done.append(f"copied in {time.monotonic() - started:.2f} s")
    remove_old(folder)
    return ", ".join(done)


def _unpack(client: AgentClient, link: dict[str, Any], folder: str, *, skip_git: bool) -> None:
    """Unpack the archive at a link while it is downloaded. The folder is of use only if this returns."""

    def attempt() -> None:
        remove_all([folder])
        os.mkdir(folder, 0o700)
        extractor = Extractor(folder, skip_git=skip_git)
        try:
            client.stream(link, "the source", extractor.unpack)
        finally:
            extractor.close()

    try:
        http_client.retry(attempt)
    except BaseException:
        remove_all([folder])
        raise
    if users_may_differ():
        grant_access(folder)


def _copy(tree: str, workspace: str) -> None:
    """Copy what is in a tree into the workspace; the workspace keeps its own permissions."""
    mode = stat.S_IMODE(os.stat(workspace).st_mode)
    # On macOS -c makes copies that share their blocks; elsewhere cp does that by itself.
    options = "-ac" if sys.platform == "darwin" else "-a"
    # Its output is not that of the agent: names in it are untrusted.
    command = ["cp", options, "--", f"{tree}/.", workspace]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    os.chmod(workspace, mode)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise AgentError(f"the source can't be copied into the workspace: {printable(reason[-1] if reason else 'cp')}")


def remove_old(folder: str) -> None:
    """Remove trees but those that were used last, and what killed agents have left; nothing while any is used."""
    try:
        with lock(folder, USE, alone=True, wait=False), lock(folder, UNPACK, alone=True, wait=False):
            names = os.listdir(folder)
            trees = [name for name in names if name.endswith(_TREE)]
            trees.sort(key=lambda name: os.stat(os.path.join(folder, name)).st_mtime)
            parts = [name for name in names if name.endswith(_PART)]
            removed = set_aside(folder, [*trees[:-_KEPT], *parts])
    except BlockingIOError:
        # Another agent uses one; the last of them removes.
        return
    remove_all(removed)
