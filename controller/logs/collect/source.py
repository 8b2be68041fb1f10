"""The source of a container's log, as the follower sees it; implemented in `pod_log_source.py`."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class ContainerState:
    """The state of a container; the exit code is known once it has terminated.

    `gone` means that the pod no longer exists; `never` that the pod has ended and the container never ran.
    `restarts` is how often the kubelet has restarted it, `started_at` when it was last started (nanoseconds since
    1970, of whole seconds), if known.
    """

    phase: Literal["waiting", "running", "terminated", "never", "gone"]
    exit_code: int | None = None
    restarts: int = 0
    started_at: int | None = None


class LogSource(Protocol):
    """One container's log."""

    def stream(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """The log with timestamps from a second on, until the container ends or the stream breaks.

        Raises ContainerNotStartedError, PodGoneError, StreamBrokenError.
        """
        ...

    async def state(self) -> ContainerState:
        """The container's current state. Raises StreamBrokenError if the cluster does not answer."""
        ...
