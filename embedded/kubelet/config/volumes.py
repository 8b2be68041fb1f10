"""A pod's volumes as directories, and the mount paths of a container as paths of this machine.

emptyDir, secret, configMap, downwardAPI and projected (of the latter three). Nothing is mounted:
a container finds a volume because values that begin with its mount path are
rewritten. Secrets and ConfigMaps are copied when the pod starts; later changes
of theirs do not reach it.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from embedded.kubelet.config import downward_api
from embedded.kubelet.config.environment import ConfigError, Lookup, expand_variables

Json = dict[str, Any]

_SUPPORTED = "emptyDir, secret, configMap, downwardAPI and projected"
_SUPPORTED_KINDS = {"emptyDir", "secret", "configMap", "downwardAPI"}


def prepare_volumes(pod: Json, root: Path, secret: Lookup, config_map: Lookup) -> dict[str, Path]:
    """Make the volumes below `root`; returns their directories by name.

    Raises:
        ConfigError: a volume's Secret or ConfigMap is missing, or a path leads out of it.
        OSError: the disk is full.
    """
    made: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or []:
        folder = root / volume["name"]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        projected = volume.get("projected")
        sources = [volume] if projected is None else projected.get("sources") or []
        mode = None if projected is None else projected.get("defaultMode")
        try:
            for source in sources:
                _fill(folder, source, mode, pod, (secret, config_map))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            # What the door let in, and nobody can read.
            why = f"volume {volume['name']} can't be read as it is written: {error!r}"
            raise ConfigError(why) from error
        made[volume["name"]] = folder
    return made


def unsupported_reason(pod: Json) -> str:
    """Which volume of a pod can't be had here at all; empty when all can."""
    for volume in pod["spec"].get("volumes") or []:
        sources = volume["projected"].get("sources") or [] if "projected" in volume else [volume]
        for source in sources:
            kinds = [key for key in source if key != "name"]
            if not kinds or set(kinds) - _SUPPORTED_KINDS:
                told = ", ".join(kinds) or "none"
                return f"volume {volume['name']}: a volume of kind {told} can't be had here; {_SUPPORTED} can"
    return ""


def _fill(folder: Path, source: Json, mode: int | None, pod: Json, lookups: tuple[Lookup, Lookup]) -> None:
    if (wanted := source.get("downwardAPI")) is not None:
        for item in wanted.get("items") or []:
            _write(folder, item["path"], _resolve_item(item, pod), item.get("mode", wanted.get("defaultMode", mode)))
        return
    for kind, lookup in zip(("secret", "configMap"), lookups, strict=True):
        if (wanted := source.get(kind)) is None:
            continue
        word, name = kind.lower(), wanted.get("secretName") or wanted.get("name")
        obj = lookup(name)
        if obj is None:
            if wanted.get("optional"):
                return
            raise ConfigError(f'{word} "{name}" not found')
        files = _object_files(obj, encoded=kind == "secret")
        for item in wanted.get("items") or [{"key": key, "path": key} for key in files]:
            if item["key"] in files:
                _write(folder, item["path"], files[item["key"]], item.get("mode", wanted.get("defaultMode", mode)))
            elif not wanted.get("optional"):
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


def _write(folder: Path, relative: str, content: bytes, mode: int | None) -> None:
    if not _stays_inside(relative):
        raise ConfigError(f"a volume's path must stay inside the volume: {relative}")
    path = folder / relative
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of the mode that is asked for only what the owner may do counts: nobody else is to read it.
    permissions = 0o600 | ((mode or 0) & 0o100)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, permissions)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _stays_inside(relative: str) -> bool:
    path = PurePosixPath(relative)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in relative


class PathMap:
    """Turns values that begin with a mount path into the directory behind it; all else stays."""

    def __init__(self, mounts: Iterable[tuple[str, Path]]) -> None:
        # The longest first: a mount may lie inside another.
        self._mounts = sorted(((m.rstrip("/"), str(p)) for m, p in mounts), key=lambda m: -len(m[0]))

    @classmethod
    def of(cls, container: Json, volumes: Mapping[str, Path], variables: Mapping[str, str] | None = None) -> PathMap:
        """The mounts of a container; a subPathExpr may name its variables.

        Raises:
            ConfigError: a subPath leads out of its volume.
        """
        mounts = []
        for mount in container.get("volumeMounts") or []:
            below = mount.get("subPath") or expand_variables(mount.get("subPathExpr") or "", variables or {})
            if not _stays_inside(below):
                raise ConfigError(f"subPath {below} must not lead out of volume {mount['name']}")
            folder = volumes[mount["name"]] / below
            if below and not folder.exists():
                folder.mkdir(mode=0o700, parents=True)
            mounts.append((mount["mountPath"], folder))
        return cls(mounts)

    def map(self, value: str) -> str:
        for mount, folder in self._mounts:
            if value == mount or value.startswith(mount + "/"):
                return folder + value[len(mount) :]
        return value


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it, also below directories that their owner has made read-only. Blocks."""

    def unlock(call: Any, path: str, _: object) -> None:
        parent = Path(path).parent
        try:
            for locked in (parent, Path(path)):
                if not locked.is_symlink() and locked.is_dir():
                    locked.chmod(stat.S_IRWXU)
            if call is os.rmdir or call is os.unlink:
                call(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            # Somebody else's file in a world-writable place: it stays, with the folders above it.
            return

    if folder.exists():
        shutil.rmtree(folder, onerror=unlock)
