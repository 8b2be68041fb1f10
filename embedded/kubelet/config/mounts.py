"""The mounts of a container: which directory of this machine belongs at which of its paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from embedded.kubelet.config.environment import ConfigError, expand_variables
from embedded.kubelet.config.volumes import stays_inside

Json = dict[str, Any]


@dataclass(frozen=True)
class Mount:
    """A volume, or a part of it, in a container."""

    path: str
    """In the container, without a slash at its end."""
    source: Path
    """The directory of this machine."""
    read_only: bool = False


def resolve_mounts(
    container: Json, volumes: Mapping[str, Path], variables: Mapping[str, str] | None = None, *, shared: bool = False
) -> tuple[Mount, ...]:
    """The mounts of a container; a subPathExpr may use its variables. Missing folders of a subPath are created.

    Args:
        shared: containers may have users of their own, for whom new folders are open.

    Raises:
        ConfigError: a subPath leads out of its volume.
        OSError: a folder can't be created.
    """
    mounts = []
    for mount in container.get("volumeMounts") or []:
        below = mount.get("subPath") or expand_variables(mount.get("subPathExpr") or "", variables or {})
        if not stays_inside(below):
            raise ConfigError(f"subPath {below} must not lead out of volume {mount['name']}")
        source = volumes[mount["name"]] / below
        if below:
            _make_folder(volumes[mount["name"]], below, shared=shared)
        mounts.append(Mount(mount["mountPath"].rstrip("/"), source, bool(mount.get("readOnly"))))
    return tuple(mounts)


def _make_folder(volume: Path, below: str, *, shared: bool) -> None:
    """Create the folder of a subPath.

    Raises:
        ConfigError: a link, which another container may have made, is on the way: it could lead anywhere.
    """
    path = volume
    for part in PurePosixPath(below).parts:
        path = path / part
        if path.is_symlink():
            raise ConfigError(f"subPath {below} must not contain a symbolic link")
        if not path.exists():
            path.mkdir(mode=0o700)
            if shared:
                path.chmod(0o777)


class PathMap:
    """Replaces mount paths at the beginning of values by the directories behind them."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        # Longest first: a mount may be inside another.
        self._mounts: Sequence[tuple[str, str]] = sorted(
            ((mount.path, str(mount.source)) for mount in mounts), key=lambda mount: -len(mount[0])
        )

    def map(self, value: str) -> str:
        for mount, folder in self._mounts:
            if value == mount or value.startswith(mount + "/"):
                return folder + value[len(mount) :]
        return value
