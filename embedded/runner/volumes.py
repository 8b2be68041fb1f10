"""A pod's volumes as directories, and the mount paths of a container as paths of this machine."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from embedded.runner.environment import ConfigError, Lookup

Json = dict[str, Any]


def prepare(pod: Json, root: Path, secret: Lookup, config_map: Lookup) -> dict[str, Path]:
    """Make the volumes below `root`; returns their directories by name.

    Raises:
        ConfigError: a volume's Secret or ConfigMap is missing, or its kind can't be had here.
        OSError: the disk is full.
    """
    made: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or []:
        folder = root / volume["name"]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "emptyDir" not in volume:
            sources = (volume.get("projected") or {}).get("sources") if "projected" in volume else [volume]
            for source in sources or []:
                _fill(folder, source, secret, config_map)
        made[volume["name"]] = folder
    return made


def _fill(folder: Path, source: Json, secret: Lookup, config_map: Lookup) -> None:
    for kind, lookup, word in (("secret", secret, "secret"), ("configMap", config_map, "configmap")):
        if (wanted := source.get(kind)) is None:
            continue
        name = wanted.get("secretName") or wanted.get("name")
        obj = lookup(name)
        if obj is None:
            if wanted.get("optional"):
                return
            raise ConfigError(f'{word} "{name}" not found')
        data = obj.get("data") or {}
        for item in wanted.get("items") or [{"key": key, "path": key} for key in data]:
            if item["key"] not in data:
                raise ConfigError(f"references non-existent {word} key: {item['key']}")
            value = data[item["key"]]
            content = base64.b64decode(value) if kind == "secret" else value.encode()
            _write(folder, item["path"], content)
        return
    kinds = ", ".join(key for key in source if key != "name") or "none"
    raise ConfigError(f"a volume of kind {kinds} can't be had here; emptyDir, secret, configMap and projected can")


def _write(folder: Path, relative: str, content: bytes) -> None:
    path = folder / relative
    if ".." in Path(relative).parts or Path(relative).is_absolute():
        raise ConfigError(f"a volume's path must stay inside the volume: {relative}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


class PathMap:
    """Turns values that begin with a mount path into the directory behind it; all else stays."""

    def __init__(self, mounts: Iterable[tuple[str, Path]]) -> None:
        # The longest first: a mount may lie inside another.
        self._mounts = sorted(((m.rstrip("/"), str(p)) for m, p in mounts), key=lambda m: -len(m[0]))

    @classmethod
    def of(cls, container: Json, volumes: dict[str, Path]) -> PathMap:
        return cls(
            (mount["mountPath"], volumes[mount["name"]] / mount.get("subPath", ""))
            for mount in container.get("volumeMounts") or []
        )

    def map(self, value: str) -> str:
        for mount, folder in self._mounts:
            if value == mount or value.startswith(mount + "/"):
                return folder + value[len(mount) :]
        return value
