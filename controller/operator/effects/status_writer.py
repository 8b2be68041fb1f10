"""Writes runs' statuses: all that was decided since the last time at once, and only over what we have read.

After the last status a run's Jobs may expire: their logs and artifacts are stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from controller.kube import JOBS, PIPELINE_RUNS, ConflictError, KubeClient, NotFoundError
from controller.operator.cache.owned_resources import OwnedResources
from controller.operator.cache.run_state import RunState
from controller.operator.settings import OperatorSettings
from controller.run_types.keys import RunKey
from controller.run_types.phases import FINAL_RUN_PHASES

Json = dict[str, Any]
WriteResult = Literal["open", "over", "stale"]
_SMALL_RUN_STEPS = 100
"""Steps of a run whose status is cheap to write."""
_log = logging.getLogger(__name__)


class StatusWriter:
    """Writes the statuses of the runs in `states`.

    Args:
        ask: called with (key, seconds) to have `write` called then.
    """

    def __init__(
        self,
        client: KubeClient,
        states: dict[RunKey, RunState],
        belongings: OwnedResources,
        settings: OperatorSettings,
        schedule: Callable[[RunKey, float], None],
    ) -> None:
        self._client = client
        self._states = states
        self._belongings = belongings
        self._settings = settings
        self.ask = schedule

    def write_delay(self, status: Json) -> float:
        """The seconds in which further changes to a run that goes on are waited for."""
        return self._settings.status_interval * max(1.0, len(status["steps"]) / _SMALL_RUN_STEPS)

    async def write(self, key: RunKey) -> WriteResult:
        """Write what was decided last, if the API server does not have it. After the last status the Jobs may expire.

        Returns:
            "over" when nothing is left to be done for the run; "stale" when somebody else writes its status too, or
            it is another run: what was known of it is dropped, and it wants a fresh look.

        Raises:
            KubeError: a request failed; call again.
        """
        state = self._states.get(key)
        if state is None:
            return "open"
        status = state.status
        if status != state.written_status:
            sent, state.sent_status = state.sent_status, status
            try:
                answer = await self.write_now(key, status, state.resource_version)
            except ConflictError:
                return await self._after_conflict(key, state, (sent, status))
            state.written_status, state.server_status = status, answer.get("status") or {}
            state.resource_version = answer["metadata"]["resourceVersion"]
        if not state.is_done and status.get("phase") in FINAL_RUN_PHASES:
            await self.expire_jobs(key, state.uid)
            state.is_done = True
        return "over" if state.is_done else "open"

    async def _after_conflict(
        self, key: RunKey, state: RunState, sent: tuple[Json | None, Json]
    ) -> Literal["open", "stale"]:
        live = await self._client.get(PIPELINE_RUNS, key[1], key[0])
        status = live.get("status") or {}
        if live["metadata"]["uid"] == state.uid and (status == state.server_status or status in sent):
            # Only the wish has changed, as when it is cancelled; or a write of ours arrived and its answer did not.
            if status in sent:
                state.written_status = state.server_status = status
            state.resource_version = live["metadata"]["resourceVersion"]
            self.ask(key, 0)
            return "open"
        if self._states.get(key) is state:
            del self._states[key]
        _log.warning("run %s/%s: somebody else has written its status; reading it again", *key)
        return "stale"

    async def write_now(self, key: RunKey, status: Json, version: str) -> Json:
        """Replace the run's status as a whole, if the run is still at `version`. Raises Conflict, …"""
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": status},
        ]
        return await self._client.patch(
            PIPELINE_RUNS, key[1], patch, namespace=key[0], subresource="status", patch_type="json"
        )

    async def expire_jobs(self, key: RunKey, uid: str) -> None:
        """After the end: let the cluster remove the run's Jobs in time. Their logs and artifacts are stored."""
        patch = {"spec": {"ttlSecondsAfterFinished": self._settings.job_ttl}}
        for name, job in self._belongings.jobs(key, uid).items():
            if job["spec"].get("ttlSecondsAfterFinished") is None:
                try:
                    await self._client.patch(JOBS, name, patch, namespace=key[0])
                except NotFoundError:
                    continue
