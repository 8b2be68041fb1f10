"""Starts a run of a pipeline file on the working tree around it, as `c8s run` does."""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import ExitStack
from pathlib import Path

from workbench.core.packing import Packed, packed
from workbench.core.worktree import Commit, WorktreeError, scan, tree_root
from workbench.tui.ports import Checked, CheckFile, Controller, Launched, LaunchError

_LARGEST = 16 * 1024 * 1024
"""Bytes of a file that are read at most; lint accepts far less and says so."""


class Launcher:
    """One pipeline file, read anew for each run."""

    def __init__(self, path: Path, check: CheckFile) -> None:
        self.path = path
        self._check = check

    async def launch(self, controller: Controller) -> Launched:
        checked = await asyncio.to_thread(self._read)
        if checked.definition is None:
            return Launched(None, checked.findings)
        stop = threading.Event()
        with ExitStack() as stack:

            def pack() -> tuple[Packed, Commit | None]:
                worktree = scan(tree_root(self.path, Path.cwd()), Path.home())
                return stack.enter_context(packed(worktree, stop.is_set)), worktree.commit

            packing = asyncio.ensure_future(asyncio.to_thread(pack))
            try:
                archive, commit = await asyncio.shield(packing)
            except WorktreeError as error:
                raise LaunchError(str(error)) from error
            finally:
                stop.set()
                # The thread can't be cancelled; it stops at the next file.
                await asyncio.wait([packing])
            await controller.ensure_source(archive.digest, archive.path)
            run = await controller.create_run(
                checked.definition,
                key=secrets.token_urlsafe(24),
                source=archive.digest,
                branch=commit.branch if commit is not None else None,
                commit=commit.label if commit is not None else None,
                event="push",
            )
            return Launched(run, checked.findings, archive.warnings)

    def _read(self) -> Checked:
        try:
            with self.path.open("rb") as file:
                data = file.read(_LARGEST)
        except OSError as error:
            raise LaunchError(f"can't read {self.path}: {error.strerror}") from error
        return self._check(data)
