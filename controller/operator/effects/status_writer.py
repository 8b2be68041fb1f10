"""Writes the statuses of runs: all changes since the last write at once, and only over a version that was read.

After the final status the run's Jobs may expire: their logs and artifacts are stored.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from controller.kube import JOBS, PIPELINE_RUNS, SECRETS, ConflictError, KubeClient, NotFoundError, TooLargeError
from controller.operator import names
from controller.operator.cache.owned_resources import OwnedResources
from controller.operator.cache.run_state import RunState
from controller.operator.run_object import as_run, status_of
from controller.operator.settings import OperatorSettings
from controller.run_types.keys import RunKey
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.status_size import MOST_SHORTENED, fitting_level, shorten

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus

Json = dict[str, Any]
_SMALL_RUN_STEPS = 100
"""Up to so many steps, writing a status is cheap."""
_log = logging.getLogger(__name__)


class WriteResult(Enum):
    """What a write means for the run."""

    ACTIVE = auto()
    """The run goes on, or is not known."""
    DONE = auto()
    """The final status is written, and nothing is left to do."""
    STALE = auto()
    """Something else writes the status, or it is another run: what was known of it is dropped; reconcile again."""


class StatusWriter:
    """Writes the statuses of the runs in `states`.

    Args:
        schedule: called with (key, seconds) to have `write` called then.
    """

    def __init__(
        self,
        client: KubeClient,
        states: dict[RunKey, RunState],
        owned: OwnedResources,
        settings: OperatorSettings,
        schedule: Callable[[RunKey, float], None],
    ) -> None:
        self._client = client
        self._states = states
        self._owned = owned
        self._settings = settings
        self.schedule = schedule

    def write_delay(self, status: RunStatus) -> float:
        """Seconds to collect further changes before a status is written; it grows with the status."""
        return self._settings.status_interval * max(1.0, len(status["steps"]) / _SMALL_RUN_STEPS)

    async def write(self, key: RunKey) -> WriteResult:
        """Write the status that was decided last, unless the API server has it already.

        Raises:
            KubeError: a request failed; call again.
        """
        state = self._states.get(key)
        if state is None:
            return WriteResult.ACTIVE
        record = state.status
        status = record.current
        if status != record.written:
            previously_sent = record.sent
            try:
                answer = await self._write_fitting(key, state, status)
            except ConflictError:
                return await self._after_conflict(key, state, (previously_sent, record.sent))
            record.written, record.server = status, status_of(answer)
            record.resource_version = answer["metadata"]["resourceVersion"]
        if not state.is_done and status.get("phase") in FINAL_RUN_PHASES:
            await self.expire_jobs(key, state.uid)
            state.is_done = True
        return WriteResult.DONE if state.is_done else WriteResult.ACTIVE

    async def _write_fitting(self, key: RunKey, state: RunState, status: RunStatus) -> RunObject:
        """Write a status, shortened as far as needed. Raises TooLargeError if even its shortest form is refused."""
        record = state.status
        while True:
            record.shortening, size = fitting_level(status, record.shortening, state.other_bytes)
            sent = shorten(status, record.shortening, size)
            record.sent = status, sent
            try:
                return await self.write_now(key, sent, record.resource_version)
            except TooLargeError as error:
                if record.shortening == MOST_SHORTENED:
                    raise
                record.shortening += 1
                _log.warning("run %s/%s: its status of %d bytes is shortened: %s", *key, size, error)

    async def _after_conflict(
        self, key: RunKey, state: RunState, sent: tuple[tuple[RunStatus, RunStatus] | None, ...]
    ) -> WriteResult:
        """Find out who has changed the run. `sent`: the statuses that may have arrived, as decided and as sent."""
        live = as_run(await self._client.get(PIPELINE_RUNS, key.name, key.namespace))
        status, record = status_of(live), state.status
        arrived = next((decided for decided, body in filter(None, sent) if body == status), None)
        if live["metadata"]["uid"] == state.uid and (status == record.server or arrived is not None):
            # Only the spec has changed, as by a cancellation; or a write arrived and its answer was lost.
            if arrived is not None:
                record.written, record.server = arrived, status
            record.resource_version = live["metadata"]["resourceVersion"]
            self.schedule(key, 0)
            return WriteResult.ACTIVE
        if self._states.get(key) is state:
            del self._states[key]
        _log.warning("run %s/%s: its status was changed by something else; reading it again", *key)
        return WriteResult.STALE

    async def write_now(self, key: RunKey, status: RunStatus, version: str) -> RunObject:
        """Replace the whole status, if the run is still at `version`. Raises ConflictError and other KubeErrors."""
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": status},
        ]
        written = await self._client.patch(
            PIPELINE_RUNS, key.name, patch, namespace=key.namespace, subresource="status", patch_type="json"
        )
        return as_run(written)

    async def expire_jobs(self, key: RunKey, uid: str) -> None:
        """Let the cluster delete the Jobs of an ended run after a while, and delete the tokens of its agents.

        Its logs and artifacts are stored.
        """
        patch = {"spec": {"ttlSecondsAfterFinished": self._settings.job_ttl}}
        for job in self._owned.jobs(key, uid).values():
            name = job["metadata"]["name"]
            if job["spec"].get("ttlSecondsAfterFinished") is None:
                with contextlib.suppress(NotFoundError):
                    await self._client.delete(SECRETS, names.token_secret_of(name, uid), namespace=key.namespace)
                with contextlib.suppress(NotFoundError):
                    await self._client.patch(JOBS, name, patch, namespace=key.namespace)
