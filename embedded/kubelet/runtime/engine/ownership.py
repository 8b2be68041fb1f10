"""Files that containers leave in volumes as users that this one has no rights over, and how it gets them.

A rootful engine writes the files of root in a container as root of this machine, a rootless one those of other users as
users that only its namespace knows. Where this process is neither, it asks the engine: a container of the machine's own
programs, without network, gives the files away. On macOS the engine's file sharing does that by itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.containers.container import remove_container
from embedded.kubelet.runtime.engine.errors import EngineError

Json = dict[str, Any]

_PROGRAM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix", "/gnu")
_TARGET = "/target"
_SCRIPT = f'chown -hR "$0" {_TARGET} && chmod -R u+rwX {_TARGET}'
_RIGHTS = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER")
_TIMEOUT = 600.0
"""Seconds for all files of a pod."""


def is_needed() -> bool:
    """Whether containers can leave files here that this process has no rights over."""
    return sys.platform == "linux" and os.geteuid() != 0


def has_foreign_files(folder: Path) -> bool:
    """Whether a file below a folder belongs to another user, or can't be seen. Blocks; links are not followed."""
    own, refused = os.geteuid(), False

    def refuse(_: OSError) -> None:
        nonlocal refused
        refused = True

    for _, folders, files, descriptor in os.fwalk(folder, onerror=refuse, follow_symlinks=False):
        for name in (*folders, *files):
            try:
                if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid != own:
                    return True
            except FileNotFoundError:
                continue
            except OSError:
                return True
    return refused


async def take_over(client: EngineClient, image: str, folder: Path, options: Json, *, rootless: bool) -> None:
    """Make everything below a folder belong to this process' user, who may then read and change it.

    Args:
        image: any image that is there; none of its content is used.
        options: labels and security options of the container, as in the request that creates it.

    Raises:
        EngineError: it failed; the message says why.
        EngineUnreachableError: the engine does not answer.
    """
    # In a rootless engine root is the user who runs it.
    owner = "0:0" if rootless else f"{os.geteuid()}:{os.getegid()}"
    shell = shutil.which("sh")
    if shell is None:
        raise EngineError(500, "this machine has no sh in its PATH, which is needed to take over files of containers")
    programs = [path for path in _PROGRAM_FOLDERS if Path(path).is_dir()]
    mounts = [{"Type": "bind", "Source": path, "Target": path, "ReadOnly": True} for path in programs]
    mounts.append({"Type": "bind", "Source": str(folder), "Target": _TARGET, "ReadOnly": False})
    body: Json = {
        "Image": image,
        "Entrypoint": [shell, "-c", _SCRIPT, owner],
        "Cmd": [],
        "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")],
        "User": "0:0",
        "Labels": options["Labels"],
        "HostConfig": {
            "Mounts": mounts,
            "NetworkMode": "none",
            "LogConfig": {"Type": "none"},
            "CapDrop": ["ALL"],
            "CapAdd": list(_RIGHTS),
            "SecurityOpt": [*options["SecurityOpt"], "no-new-privileges"],
        },
    }
    identifier = str((await client.post("/containers/create", body))["Id"])
    try:
        await client.post(f"/containers/{identifier}/start")
        end = await client.post(f"/containers/{identifier}/wait", timeout=_TIMEOUT, condition="not-running")
        if end["StatusCode"] != 0:
            raise EngineError(500, f"files below {folder} can't be taken over: exit code {end['StatusCode']}")
    finally:
        await remove_container(client, identifier)
