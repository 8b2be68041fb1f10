"""The folder for logs and artifacts that the user saves: outside of the working tree, which is sent with each run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from workbench.session.view_state import workbench_folder


def downloads_folder(tree: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_DOWNLOAD_DIR`, else the user's folder for downloads, else one in the state folder; it is created.

    A folder that is inside `tree`, or does not exist yet and was not named by the user, is not used.

    Raises:
        OSError: it can't be created.
    """
    named = environment.get("XDG_DOWNLOAD_DIR")
    usual = Path(platformdirs.user_downloads_dir())
    candidates = [Path(named).expanduser()] if named else []
    candidates += [usual] if usual.is_dir() else []
    for folder in candidates:
        if folder.is_absolute() and not folder.resolve().is_relative_to(tree.resolve()):
            folder.mkdir(parents=True, exist_ok=True)
            return folder
    folder = workbench_folder() / "saved"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
