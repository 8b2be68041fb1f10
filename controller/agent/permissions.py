"""Opens the workspace to the step's own user, who in a container is another than the agent's, and is not known here."""

# ruff: noqa: PTH101
# (pathlib would cost more to import than the whole of this work takes.)

import os
import stat


def is_container_init() -> bool:
    """Whether we are a container's first process. Where steps are processes of one user, nothing has to be opened."""
    return os.getpid() == 1


def grant_access(workspace: str) -> None:
    """What is in the workspace may be read and written by everybody in the pod, and run where it could be run.

    Nobody else is at work in it yet. Links are left alone: what they lead to is inside, and has its own turn.
    """
    # The workspace itself is the volume's, and open.
    for folder, folders, files in os.walk(workspace):
        for name in folders + files:
            path = os.path.join(folder, name)  # noqa: PTH118
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(path, stat.S_IMODE(mode) | 0o777)  # noqa: S103 - the reason for this module
            elif stat.S_ISREG(mode):
                os.chmod(path, stat.S_IMODE(mode) | (0o777 if mode & 0o111 else 0o666))
