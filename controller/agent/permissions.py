"""Permissions of the workspace: the containers of a pod may run as different users, unknown to the agent."""

# Importing pathlib takes longer than the work of this module.

import os
import stat


def users_may_differ() -> bool:
    """Whether the steps of this workspace may have users of their own, as in containers.

    In the embedded cluster the agent is a process of the machine; a variable says if steps run in images.
    """
    return os.getpid() == 1 or os.environ.get("C8S_GRANT_ACCESS") == "1"


def grant_access(workspace: str) -> None:
    """Let all users read and write the files of the workspace, and execute those that were executable.

    Links are not followed: their targets are in the workspace and changed themselves.
    """
    # The folder itself belongs to the volume and is open already.
    for _, folders, files, folder in os.fwalk(workspace):
        for name in folders + files:
            grant_path(name, folder)


def grant_path(path: str, folder: int | None = None) -> None:
    """Do that for one file or folder, whose path may be relative to the descriptor of a folder."""
    mode = os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        os.chmod(path, stat.S_IMODE(mode) | 0o777, dir_fd=folder)  # noqa: S103 - the reason for this module
    elif stat.S_ISREG(mode):
        os.chmod(path, stat.S_IMODE(mode) | (0o777 if mode & 0o111 else 0o666), dir_fd=folder)
