"""A pod's volumes as directories of this machine.

Supported are emptyDir, secret, configMap, downwardAPI and projected (of the latter three). Secrets and ConfigMaps are
copied when the pod starts; later changes do not reach it. How a container gets at a volume is its runtime's to decide.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from embedded.kubelet.config import downward_api
from embedded.kubelet.config.environment import ConfigError, Lookup

Json = dict[str, Any]

_SUPPORTED = "emptyDir, secret, configMap, downwardAPI and projected"
_SUPPORTED_KINDS = {"emptyDir", "secret", "configMap", "downwardAPI"}


def prepare_volumes(
    pod: Json, root: Path, secret: Lookup, config_map: Lookup, *, shared: bool = False
) -> dict[str, Path]:
    """Create a pod's volumes in `root`; returns their directories by name.

    Args:
        shared: containers may have users of their own, so the volumes have the modes of a node. `root` must then be in
            a folder that no other user of this machine may enter.

    Raises:
        ConfigError: a Secret or ConfigMap is missing, or a path leads out of its volume.
        OSError: the disk is full.
    """
    folders: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or []:
        folder = root / volume["name"]
        writer = _VolumeWriter(folder, shared)
        writer.make_folder()
        projected = volume.get("projected")
        sources = [volume] if projected is None else projected.get("sources") or []
        mode = None if projected is None else projected.get("defaultMode")
        try:
            for source in sources:
                _fill(writer, source, mode, pod, (secret, config_map))
        except ConfigError as error:
            raise ConfigError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            # Validation of the API accepts more than can be used here.
            raise ConfigError(f"volume {volume['name']}: the spec is invalid: {error!r}") from error
        folders[volume["name"]] = folder
    return folders


def unsupported_reason(pod: Json) -> str:
    """Names a volume of a pod that is not supported here; empty if all are."""
    for volume in pod["spec"].get("volumes") or []:
        sources = volume["projected"].get("sources") or [] if "projected" in volume else [volume]
        for source in sources:
            kinds = [key for key in source if key != "name"]
            if not kinds or set(kinds) - _SUPPORTED_KINDS:
                found = ", ".join(kinds) or "none"
                return f"volume {volume['name']} of kind {found} is not supported here, only {_SUPPORTED}"
    return ""


def _fill(writer: _VolumeWriter, source: Json, mode: int | None, pod: Json, lookups: tuple[Lookup, Lookup]) -> None:
    if (projection := source.get("downwardAPI")) is not None:
        for item in projection.get("items") or []:
            writer.write(item["path"], _resolve_item(item, pod), item.get("mode", projection.get("defaultMode", mode)))
        return
    for kind, lookup in zip(("secret", "configMap"), lookups, strict=True):
        if (projection := source.get(kind)) is None:
            continue
        word, name = kind.lower(), projection.get("secretName") or projection.get("name")
        obj = lookup(name)
        if obj is None:
            if projection.get("optional"):
                return
            raise ConfigError(f'{word} "{name}" not found')
        files = _object_files(obj, encoded=kind == "secret")
        for item in projection.get("items") or [{"key": key, "path": key} for key in files]:
            if item["key"] in files:
                writer.write(item["path"], files[item["key"]], item.get("mode", projection.get("defaultMode", mode)))
            elif not projection.get("optional"):
                raise ConfigError(f"references non-existent {word} key: {item['key']}")
        return


def _resolve_item(item: Json, pod: Json) -> bytes:
    try:
        if (reference := item.get("fieldRef")) is not None:
            return downward_api.resolve_file_field(pod, reference["fieldPath"]).encode()
        return downward_api.resolve_resource(item.get("resourceFieldRef") or {}, pod, None).encode()
    except downward_api.DownwardApiError as error:
        raise ConfigError(str(error)) from error


def _object_files(obj: Json, *, encoded: bool) -> dict[str, bytes]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    plain = {key: base64.b64decode(value) if encoded else value.encode() for key, value in data.items()}
    return plain | {key: base64.b64decode(value) for key, value in binary.items()}


@dataclass(frozen=True)
class _VolumeWriter:
    """Writes the files of one volume."""

    folder: Path
    shared: bool

    def make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.shared:
            self.folder.chmod(0o777)

    def write(self, relative: str, content: bytes, mode: int | None) -> None:
        """Write a file. `mode`: the requested one; only its owner's execute permission counts unless shared.

        Raises:
            ConfigError: the path leads out of the volume.
        """
        if not stays_inside(relative):
            raise ConfigError(f"a volume's path must stay inside the volume: {relative}")
        path = self.folder / relative
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        permissions = 0o600 | ((mode or 0) & 0o100)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, permissions)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if self.shared:
                # The container's user is not known here, and as a node's root it may read what its owner may.
                os.fchmod(descriptor, 0o644 if mode is None else mode)
        while self.shared and (path := path.parent) != self.folder:
            path.chmod(0o755)


def stays_inside(relative: str) -> bool:
    path = PurePosixPath(relative)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in relative
