"""Removes the folders of pods that have ended, in the background and several at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

from embedded.kubelet.config.tree_removal import remove_tree
from embedded.kubelet.runtime.interface import Runtime

_log = logging.getLogger(__name__)

_DELAY = 0.1
"""Seconds in which folders are collected: a call of a thread for each one would delay the pods that run."""


class FolderRemover:
    """Removes folders, also with files of other users.

    Args:
        runtime: takes over files that belong to another user.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._folders: list[Path] = []
        self._added = asyncio.Event()

    def add(self, *folders: Path) -> None:
        """Remove folders soon; those that don't exist cost nothing."""
        existing = [folder for folder in folders if folder.exists()]
        if existing:
            self._folders += existing
            self._added.set()

    async def run(self) -> None:
        """Remove what is added, until cancelled."""
        while True:
            await self._added.wait()
            await asyncio.sleep(_DELAY)
            await self.flush()

    async def flush(self) -> None:
        """Remove now what was added; returns when it is gone or can't be removed."""
        self._added.clear()
        folders, self._folders = self._folders, []
        for folder in await asyncio.to_thread(_remove_trees, folders) if folders else ():
            await self._take_over_and_remove(folder)

    async def _take_over_and_remove(self, folder: Path) -> None:
        try:
            await self._runtime.take_over(folder)
            await asyncio.to_thread(remove_tree, folder)
        except Exception:
            # Only files stay: a pod's content must not end the cluster.
            _log.exception("the folder %s of a pod that has ended can't be removed", folder)


def _remove_trees(folders: Iterable[Path]) -> list[Path]:
    """Remove folders; returns those that are left, since some of their files belong to another user."""
    left = []
    for folder in folders:
        try:
            remove_tree(folder)
        except Exception:
            # As above; the second attempt may succeed.
            _log.exception("the folder %s of a pod that has ended can't be removed", folder)
        if folder.exists():
            left.append(folder)
    return left
