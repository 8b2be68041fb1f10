"""What the operator needs from other packages, without importing them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from controller.run_types.objects import LogSummary, RunObject


class AttemptLogs(Protocol):
    """Collects and archives the logs of containers."""

    def follow(
        self,
        *,
        namespace: str,
        run_uid: str,
        slug: str,
        attempt: int,
        container: str,
        pod: str,
        pod_uid: str,
        secrets: Iterable[bytes],
    ) -> None:
        """Start to collect a container's log. Calling it again is harmless."""
        ...

    def result(self, *, namespace: str, run_uid: str, slug: str, attempt: int, container: str) -> LogSummary | None:
        """The `log` object of an attempt's status, once the log is archived."""
        ...

    def mask(self, namespace: str, run_uid: str, text: str, secrets: Iterable[bytes]) -> str | None:
        """The text without the run's secrets; None while that can't be said."""
        ...

    def forget(self, namespace: str, run_uid: str) -> None:
        """Drop everything in memory about a run's logs."""
        ...


class CloneTokenError(Exception):
    """There is no token to clone with. `is_final`: another try would not help."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class CloneTokens(Protocol):
    """Gets tokens for cloning from forges, where a Secret has none itself."""

    async def token(self, run: RunObject, secret: Mapping[str, Any]) -> str | None:
        """A token for the repository of a run; None for a Secret that needs none. Raises CloneTokenError."""
        ...


class ManifestReader(Protocol):
    """Reads the manifests that agents write."""

    async def get(self, key: str) -> bytes:
        """The object. Raises the store's error if there is none."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, end) of the object, in chunks. Raises the store's error if there is none."""
        ...

    async def head(self, key: str) -> object | None:
        """Metadata of the object; None if there is none."""
        ...
