"""What the operator needs of other rooms, without knowing them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class AttemptLogs(Protocol):
    """Keeps the logs of containers."""

    def follow(
        self,
        *,
        namespace: str,
        run: str,
        slug: str,
        attempt: int,
        container: str,
        pod: str,
        secrets: Iterable[bytes],
    ) -> None:
        """Begin to keep a container's log. Doing so again is harmless."""
        ...

    def result(self, *, namespace: str, run: str, slug: str, attempt: int, container: str) -> dict[str, Any] | None:
        """The `log` object of an attempt's status, once the log is archived."""
        ...

    def forget(self, namespace: str, run: str) -> None:
        """The run needs nothing more."""
        ...


class ManifestReader(Protocol):
    """Reads what agents have committed."""

    async def get(self, key: str) -> bytes:
        """The object. Raises what the store raises when there is none."""
        ...

    async def head(self, key: str) -> object | None:
        """Something, if the object exists."""
        ...
