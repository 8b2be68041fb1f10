"""Permissions of the workspace: the containers of a pod may run as different users, unknown to the agent."""

# ruff: noqa: PTH101
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
    for folder, folders, files in os.walk(workspace):
        for name in folders + files:
            path = os.path.join(folder, name)  # noqa: PTH118
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(path, stat.S_IMODE(mode) | 0o777)  # noqa: S103 - the reason for this module
            elif stat.S_ISREG(mode):
                os.chmod(path, stat.S_IMODE(mode) | (0o777 if mode & 0o111 else 0o666))
