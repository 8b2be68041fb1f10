"""Whether an ended container is started again, and after which delay. Pure."""

from __future__ import annotations

from enum import StrEnum

_BACKOFF_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class RestartPolicy(StrEnum):
    """A pod's `spec.restartPolicy`."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"

    @property
    def for_init_containers(self) -> RestartPolicy:
        """The policy of plain init containers: they are never started again after a success."""
        return RestartPolicy.NEVER if self is RestartPolicy.NEVER else RestartPolicy.ON_FAILURE

    def restarts_after(self, exit_code: int) -> bool:
        if self is RestartPolicy.ALWAYS:
            return True
        return self is RestartPolicy.ON_FAILURE and exit_code != 0


def restart_delay(restarts: int) -> float:
    """Seconds to wait before the next start of a container that was already restarted `restarts` times."""
    return _BACKOFF_SECONDS[min(restarts, len(_BACKOFF_SECONDS) - 1)]
