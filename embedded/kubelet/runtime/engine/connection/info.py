"""What an engine says of itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_NEWEST_API = (1, 51)
"""The newest version whose changes are known here."""


@dataclass(frozen=True)
class EngineInfo:
    """What answers at an address."""

    name: str
    """`docker` or `podman`."""
    version: str
    api: str
    """The version of the API that is used."""

    @property
    def runtime_version(self) -> str:
        """As in a Node's `containerRuntimeVersion`."""
        return f"{self.name}://{self.version}"


def describe(version: Json) -> EngineInfo:
    """What an engine says of itself in GET /version."""
    components = [part for part in version.get("Components") or [] if isinstance(part, dict)]
    podman = next((part for part in components if "podman" in str(part.get("Name", "")).lower()), None)
    newest = ".".join(str(part) for part in _NEWEST_API)
    api = min(str(version["ApiVersion"]), newest, key=_numbers)
    api = max(api, str(version.get("MinAPIVersion") or api), key=_numbers)
    if podman is not None:
        return EngineInfo(
            "podman", str(podman.get("Version") or version.get("Version", "")), str(version["ApiVersion"])
        )
    return EngineInfo("docker", str(version.get("Version", "")), api)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
