"""Where a container's log comes from, as the follower sees it. The cluster's side of it is in cluster.py."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class ContainerState:
    """What a container is doing; the exit code is known once it has terminated.

    `gone` means that there is no such pod any more; `never` that the pod is over and the container never ran.
    """

    phase: Literal["waiting", "running", "terminated", "never", "gone"]
    exit_code: int | None = None


class LogSource(Protocol):
    """One container's log."""

    def stream(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """The log with timestamps from a second on, until the container ends or the stream breaks.

        Raises NotStartedError, PodGoneError, StreamBrokenError.
        """
        ...

    async def state(self) -> ContainerState:
        """What the container is doing now. Raises StreamBrokenError when the cluster does not say."""
        ...
