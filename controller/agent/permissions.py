"""Permissions of the workspace: the containers of a pod may run as different users, unknown to the agent."""

# Importing pathlib takes longer than the work of this module.

import os
import stat


def is_container_init() -> bool:
    """Whether this is the first process of a container. In the embedded cluster all steps run as one user instead."""
    return os.getpid() == 1


def grant_access(workspace: str) -> None:
    """Let all users read and write the files of the workspace, and execute those that were executable.

    Links are not followed: their targets are in the workspace and changed themselves.
    """
    # The folder itself belongs to the volume and is open already.
    for _, folders, files, folder in os.fwalk(workspace):
        for name in folders + files:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(name, stat.S_IMODE(mode) | 0o777, dir_fd=folder)  # noqa: S103 - the reason for this module
            elif stat.S_ISREG(mode):
                os.chmod(name, stat.S_IMODE(mode) | (0o777 if mode & 0o111 else 0o666), dir_fd=folder)
