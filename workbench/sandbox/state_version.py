"""The version of a sandbox's folder: which versions of c8s can read what is in it.

The version of the database is checked by the cluster. This one covers the rest: keys of the object store, credentials
and the files of the supervisor.
"""

from __future__ import annotations

from controller.files import write_private
from workbench.client.endpoint import SandboxError
from workbench.sandbox.paths import SandboxPaths

STATE_VERSION = 1
"""The version of the folders that this c8s writes. Folders from before it was recorded count as 1."""
OLDEST_STATE_VERSION = 1
"""The oldest version of folders that this c8s reads."""


def check_state_version(folder: SandboxPaths) -> None:
    """Refuse the folder of another version; record the version in one that has none.

    Raises:
        SandboxError: this c8s can't read the folder.
    """
    try:
        text = folder.version_file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        _record(folder)
        return
    except OSError as error:
        raise SandboxError(f"can't read {folder.version_file}: {error}") from error
    version = int(text) if text.strip().isdecimal() and len(text) < 10 else None
    if version is None:
        raise SandboxError(
            f"{folder.version_file} holds no version: write {STATE_VERSION} into it if this c8s wrote the folder; "
            + remedy(folder)
        )
    if version > STATE_VERSION:
        raise SandboxError(
            f"sandbox {folder.name} was written by a newer c8s (state version {version}; this one reads up to "
            f"{STATE_VERSION}): use the newer one; {remedy(folder)}"
        )
    if version < OLDEST_STATE_VERSION:
        raise SandboxError(
            f"sandbox {folder.name} was written by an older c8s (state version {version}; this one reads from "
            f"{OLDEST_STATE_VERSION}): use the older one; {remedy(folder)}"
        )
    if version != STATE_VERSION:
        _record(folder)


def _record(folder: SandboxPaths) -> None:
    try:
        write_private(folder.version_file, f"{STATE_VERSION}\n")
    except OSError as error:
        raise SandboxError(f"can't write {folder.version_file}: {error}") from error


def remedy(folder: SandboxPaths) -> str:
    """How to go on without what is in the folder."""
    return (
        f"`c8s down --delete --name {folder.name}` deletes the sandbox with its runs, and "
        f"`c8s up --name {'another' if folder.name != 'another' else 'other'}` starts one beside it"
    )
