"""Writes the statuses of runs: all changes since the last write at once, and only over a version that was read.

A status belongs to the operator. If something else changes it, the operator writes its own one again: it would
otherwise go on from a status that is not true. A process that may not be the leader any more doesn't: then the other
writer may be the new leader.

After the final status the run's Jobs may expire: their logs and artifacts are stored.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from controller.kube import JOBS, PIPELINE_RUNS, SECRETS, ConflictError, KubeClient, NotFoundError, TooLargeError
from controller.operator import names
from controller.operator.cache.owned_resources import OwnedResources
from controller.operator.cache.run_state import RunState, StatusRecord
from controller.operator.effects.event_recorder import EventRecorder
from controller.operator.run_object import as_run, status_of
from controller.operator.settings import OperatorSettings
from controller.run_types import summary
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
    RECORDED = auto()
    """As above, and steps that wait until agents can be told of the source, or of what is reused, may begin."""
    DONE = auto()
    """The final status is written, and nothing is left to do."""
    STALE = auto()
    """Something else writes the status, or it is another run: what was known of it is dropped; reconcile again."""


class StatusWriter:
    """Writes the statuses of the runs in `states`.

    Args:
        schedule: called with (key, seconds) to have `write` called then.
        is_leader: whether no other operator can be writing.
        monotonic: seconds on a clock that is never set.
    """

    def __init__(
        self,
        client: KubeClient,
        states: dict[RunKey, RunState],
        owned: OwnedResources,
        settings: OperatorSettings,
        schedule: Callable[[RunKey, float], None],
        recorder: EventRecorder,
        is_leader: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._monotonic = monotonic
        self._client = client
        self._states = states
        self._owned = owned
        self._settings = settings
        self._recorder = recorder
        self._is_leader = is_leader
        self._ended: dict[RunKey, RunObject] = {}
        """Ended runs whose status was changed since, as they ended."""
        self.schedule = schedule

    def on_status_change(self, key: RunKey, old: RunObject, new: RunObject) -> bool:
        """Look at a run that was changed; returns whether `write` has to be called because of it.

        Args:
            old: as it was seen before; a summary if it had ended.
        """
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            return False
        state = self._states.get(key)
        if state is not None:
            state.status.is_suspect |= state.uid == new["metadata"]["uid"] and not state.status.is_own(new)
            return state.status.is_suspect
        # The status that was changed first counts: a change may also be the own one that restores it.
        ended = self._ended.get(key, old)
        ended = old if ended["metadata"]["uid"] != new["metadata"]["uid"] else ended
        final = summary.status_of(ended)
        if final.get("phase") not in FINAL_RUN_PHASES or final == summary.status_of(new):
            return False
        self._ended[key] = ended
        return True

    def forget(self, key: RunKey) -> None:
        """The run was deleted."""
        self._ended.pop(key, None)

    def write_delay(self, record: StatusRecord) -> float:
        """Seconds until the status may be written again, to collect further changes; more for a larger one."""
        steps = len(record.current.get("steps") or [])
        interval = self._settings.status_interval * max(1.0, steps / _SMALL_RUN_STEPS)
        if record.sent_at is None:
            return interval
        return max(0.0, record.sent_at + interval - self._monotonic())

    async def write(self, key: RunKey) -> WriteResult:
        """Write the status that was decided last, unless the API server has it already.

        Raises:
            KubeError: a request failed; call again.
        """
        state = self._states.get(key)
        if state is None:
            await self._restore_ended(key)
            return WriteResult.ACTIVE
        record = state.status
        if record.is_suspect and await self._verify(key, state) is WriteResult.STALE:
            return WriteResult.STALE
        status, recorded = record.current, _asked_by_agents(record.server)
        if status != record.written:
            try:
                answer = await self._write_fitting(key, state, status)
            except ConflictError:
                return await self._after_conflict(key, state)
            record.on_written(answer, status)
        if not state.is_done and status.get("phase") in FINAL_RUN_PHASES:
            await self.expire_jobs(key, state.uid)
            state.is_done = True
        if state.is_done:
            return WriteResult.DONE
        return WriteResult.ACTIVE if _asked_by_agents(record.server) == recorded else WriteResult.RECORDED

    async def _write_fitting(self, key: RunKey, state: RunState, status: RunStatus) -> RunObject:
        """Write a status, shortened as far as needed. Raises TooLargeError if even its shortest form is refused."""
        record = state.status
        while True:
            record.shortening, size = fitting_level(status, record.shortening, state.other_bytes)
            sent = shorten(status, record.shortening, size)
            record.note_sent(status, sent)
            record.sent_at = self._monotonic()
            try:
                return await self.write_now(key, sent, record.resource_version)
            except TooLargeError as error:
                if record.shortening == MOST_SHORTENED:
                    raise
                record.shortening += 1
                _log.warning("run %s/%s: its status of %d bytes is shortened: %s", *key, size, error)

    async def _after_conflict(self, key: RunKey, state: RunState) -> WriteResult:
        """Find out who has changed the run: one of the writes without an answer may have."""
        live = as_run(await self._client.get(PIPELINE_RUNS, key.name, key.namespace))
        status, record = status_of(live), state.status
        record.is_suspect = False
        arrived = next((decided for decided, body in record.sent if body == status), None)
        if live["metadata"]["uid"] == state.uid and (status == record.server or arrived is not None):
            # Only the spec has changed, as by a cancellation; or a write arrived and its answer was lost.
            if arrived is not None:
                record.written, record.server = arrived, status
                record.sent.clear()
                record.versions.append(live["metadata"]["resourceVersion"])
            record.resource_version = live["metadata"]["resourceVersion"]
            self.schedule(key, 0)
            return WriteResult.ACTIVE
        result = self._take_back(key, state, live)
        if result is WriteResult.ACTIVE:
            self.schedule(key, 0)
        return result

    async def _verify(self, key: RunKey, state: RunState) -> WriteResult:
        """Look whether the API server has a status that something else wrote, and if so, make it be written again."""
        live = as_run(await self._client.get(PIPELINE_RUNS, key.name, key.namespace))
        state.status.is_suspect = False
        if live["metadata"]["uid"] == state.uid and state.status.is_own(live):
            return WriteResult.ACTIVE
        return self._take_back(key, state, live)

    def _take_back(self, key: RunKey, state: RunState, live: RunObject) -> WriteResult:
        """Something else has changed the status: make it be written again, or drop what is known of the run."""
        # Of an operator that was there before, a write may arrive late, until this one has written.
        if live["metadata"]["uid"] == state.uid and state.status.versions and self._is_leader():
            self._report_change(key, live)
            record = state.status
            record.resource_version, record.server = live["metadata"]["resourceVersion"], status_of(live)
            record.written = None
            record.sent.clear()
            return WriteResult.ACTIVE
        if self._states.get(key) is state:
            del self._states[key]
        _log.warning("run %s/%s: its status was changed by something else; reading it again", *key)
        return WriteResult.STALE

    async def _restore_ended(self, key: RunKey) -> None:
        """Write the final status of an ended run again if something else has changed it."""
        ended = self._ended.get(key)
        if ended is None:
            return
        live = as_run(await self._client.get(PIPELINE_RUNS, key.name, key.namespace))
        final = cast("RunStatus", summary.status_of(ended))
        if live["metadata"]["uid"] != ended["metadata"]["uid"]:
            self.forget(key)
        elif status_of(live) != final and self._is_leader():
            self._report_change(key, live)
            await self.write_now(key, final, live["metadata"]["resourceVersion"])

    def _report_change(self, key: RunKey, run: RunObject) -> None:
        message = "something other than the operator changed the status; it is written again as it was"
        _log.warning("run %s/%s: %s", *key, message)
        self._recorder.record(run, "Warning", "StatusRestored", message)

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
        jobs = self._owned.jobs(key, uid).values()
        for job in jobs:
            name = job["metadata"]["name"]
            if job["spec"].get("ttlSecondsAfterFinished") is None:
                if names.has_token_volume(job):
                    await self._delete_tokens(key, uid, name)
                with contextlib.suppress(NotFoundError):
                    await self._client.patch(JOBS, name, patch, namespace=key.namespace)
        state = self._states.get(key)
        withdrawn = set(state.observed.withdrawn_jobs.values()) if state is not None else set()
        for name in sorted(withdrawn - {job["metadata"]["name"] for job in jobs}):
            await self._delete_tokens(key, uid, name)

    async def _delete_tokens(self, key: RunKey, uid: str, job: str) -> None:
        with contextlib.suppress(NotFoundError):
            await self._client.delete(SECRETS, names.token_secret_of(job, uid), namespace=key.namespace)


def _asked_by_agents(status: RunStatus) -> tuple[bool, frozenset[str]]:
    """What the API tells agents of the written status, as far as steps wait for it (`awaiting_status_write`)."""
    reused = frozenset(step["name"] for step in status.get("steps") or [] if step.get("reused"))
    return bool(status.get("source")), reused
