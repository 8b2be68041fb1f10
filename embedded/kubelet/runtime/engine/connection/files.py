"""Whose disk has the files of pods: this machine's, which an engine beside it sees too, or the engine's own."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, Protocol, get_args

from embedded.kubelet.runtime.engine.errors import EngineError
from embedded.kubelet.runtime.engine.pause.program import PROGRAM

Json = dict[str, Any]

EngineFiles = Literal["shared", "engine", "auto"]
ENGINE_FILES: tuple[EngineFiles, ...] = get_args(EngineFiles)

_VOLUME, _AGAIN = "/volume", "/again"


class Requests(Protocol):
    """Sends a request to an engine; see `embedded.kubelet.runtime.engine.connection.detect`."""

    def __call__(self, method: str, path: str, body: Json | bytes | None = None, /, **query: str) -> Any: ...


def check_volumes(request: Requests, image: str, labels: Mapping[str, str]) -> None:
    """Check that an engine takes files for a volume, and gives containers parts of it by their place on its disk.

    Raises:
        EngineError: it does not; the message says what.
        EngineUnreachableError: it does not answer.
    """
    name = f"c8s-check-{secrets.token_hex(8)}"
    root = str(request("POST", "/volumes/create", {"Name": name, "Labels": dict(labels)})["Mountpoint"])
    container = ""
    try:
        mounts = [
            {"Type": "volume", "Source": name, "Target": _VOLUME},
            {"Type": "bind", "Source": root, "Target": _AGAIN, "ReadOnly": True},
        ]
        body: Json = {"Image": image, "Entrypoint": [PROGRAM], "Labels": dict(labels)}
        body["HostConfig"] = {"Mounts": mounts, "NetworkMode": "none"}
        container = str(request("POST", "/containers/create", body)["Id"])
        request("PUT", f"/containers/{container}/archive", _file(name), path=_VOLUME)
        try:
            request("HEAD", f"/containers/{container}/archive", path=f"{_AGAIN}/{name}")
        except EngineError as error:
            raise EngineError(
                error.status, f"a file of a volume is not found at {root} on the engine's disk"
            ) from error
    finally:
        with suppress(EngineError):
            if container:
                request("DELETE", f"/containers/{container}", force="1", v="1")
            request("DELETE", f"/volumes/{name}", force="1")


def _file(name: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return archive.getvalue()
