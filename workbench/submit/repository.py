"""Where repositories begin: found without git, which takes longer to import than many commands take."""

from __future__ import annotations

from pathlib import Path


class WorktreeError(Exception):
    """The working tree cannot be found or uploaded; the message says why and what to do."""


def repository_root(folder: Path) -> Path | None:
    """The nearest parent folder with a `.git`, or None. It starts no process."""
    folder = folder.resolve()
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
