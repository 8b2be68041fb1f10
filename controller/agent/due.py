"""Waits until a step is due whose pod was made while the steps that it depends on run."""

from __future__ import annotations

import time

from .client import AgentClient
from .errors import AgentError, NetworkError
from .settings import AgentSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_DELAY = 1.0
"""Seconds. The API waits itself: a request that was answered is repeated at once."""
_MIN_INTERVAL = 0.05


def wait_until_due(
    settings: AgentSettings, client: AgentClient, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Return once the gate of the pod's own Job is opened: where the step is held then.

    It waits for as long as the API can't be reached: the pod is removed when the step turns out not to run.

    Raises:
        AgentError: the step never begins in this pod.
    """
    slug, attempt = settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT")
    job = settings.require("C8S_EARLY_JOB")
    while True:
        try:
            holds = client.await_opening(slug, attempt, job)
        except NetworkError as error:
            print(f"{error}; asked again in {_RETRY_DELAY:g} s", flush=True)
            sleep(_RETRY_DELAY)
            continue
        except AgentError as error:
            raise AgentError(f"its pod was made ahead and is not needed: {error}") from None
        if holds is not None:
            return holds
        sleep(_MIN_INTERVAL)
