"""Records Kubernetes Events about runs in the background: a lost Event must never delay a run."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from controller.kube import EVENTS, AlreadyExistsError, KubeClient, KubeError
from controller.operator.decision.attempts import format_time
from controller.operator.decision.run_status import format_steps
from controller.provenance import describe_creator
from controller.run_types.phases import FINAL_RUN_PHASES, RunPhase, StepPhase
from controller.run_types.reasons import RunReason, StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus, StepStatus

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_MAX_PENDING = 1000
_DRAIN_SECONDS = 3.0
_MAX_MESSAGE_LENGTH = 1000
# Reasons to wait that a user can do something about.
_ACTIONABLE_REASONS = (
    StepReason.UNSCHEDULABLE,
    StepReason.IMAGE_PULL,
    StepReason.OVER_QUOTA,
    StepReason.SECRET_MISSING,
    StepReason.NOT_CREATED,
    StepReason.NAME_TAKEN,
    StepReason.RETRYING,
)


def event_name(run: RunObject, kind: str, reason: str, message: str) -> str:
    """A name derived from the content, so that the same Event from any process counts on the same object."""
    said = "\0".join((run["metadata"]["uid"], kind, reason, message))
    return f"{run['metadata']['name'][:180]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"


class EventRecorder:
    """Sends Events one after the other; a repeated one increments its count."""

    def __init__(self, client: KubeClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._pending: asyncio.Queue[Json] = asyncio.Queue(_MAX_PENDING)

    def record(self, run: RunObject, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        metadata, message = run["metadata"], message[:_MAX_MESSAGE_LENGTH]
        seconds = format_time(self._now())[:19] + "Z"
        event = {
            "metadata": {"name": event_name(run, kind, reason, message), "namespace": metadata["namespace"]},
            "type": kind,
            "reason": reason,
            "message": message,
            "involvedObject": {
                "apiVersion": "c8s.dev/v1alpha1",
                "kind": "PipelineRun",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "source": {"component": "c8s-operator"},
            "firstTimestamp": seconds,
            "lastTimestamp": seconds,
            "count": 1,
        }
        try:
            self._pending.put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("event dropped, too many are pending: %s %s", reason, metadata["name"])

    async def run(self) -> None:
        """Send until cancelled; then send what is left, for a few seconds."""
        sending: Json | None = None
        try:
            while True:
                sending = await self._pending.get()
                await self._send(sending)
                sending = None
        finally:
            await self._drain(sending)

    async def _drain(self, sending: Json | None) -> None:
        """`sending`: what was on its way; sent again it only counts again."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                if sending is not None:
                    await self._send(sending)
                while not self._pending.empty():
                    await self._send(self._pending.get_nowait())
        except TimeoutError:
            _log.warning("%d events were not sent before the shutdown", self._pending.qsize())

    async def _send(self, event: Json) -> None:
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        try:
            await self._client.create(EVENTS, event, namespace)
        except AlreadyExistsError:
            await self._increment(event, namespace, name)
        except KubeError as error:
            _log.warning("an event was not recorded: %s", error)

    async def _increment(self, event: Json, namespace: str, name: str) -> None:
        try:
            known = await self._client.get(EVENTS, name, namespace)
            patch = {"count": int(known.get("count") or 1) + 1, "lastTimestamp": event["lastTimestamp"]}
            await self._client.patch(EVENTS, name, patch, namespace=namespace)
        except KubeError as error:
            _log.warning("an event was not counted: %s", error)


def describe_trigger(run: RunObject, creator: str | None) -> str:
    """Who started a run and why, as a phrase. `creator`: the user who created it, if that is proven."""
    spec = run["spec"]
    what = f"{spec.get('event') or 'push'} on {spec['branch']}" if spec.get("branch") else spec.get("event") or "push"
    parts = [f"by {describe_creator(creator, spec.get('triggeredBy'))}", what]
    if spec.get("commit"):
        parts.append(f"commit {spec['commit']}")
    if spec.get("rerunOf"):
        parts.append(f"again for {spec['rerunOf']}")
    return ", ".join(parts)


_AUDITED_FIELDS = ("triggeredBy", "commit", "branch", "event", "rerunOf")


def audit_fields(run: RunObject, outcome: str, creator: str | None) -> Json:
    """The same, and the outcome, as fields of an audit log record. `user` is proven, `triggeredBy` is not."""
    spec, metadata = run["spec"], run["metadata"]
    fields = {field: value for field, value in spec.items() if field in _AUDITED_FIELDS and value}
    where = {"namespace": metadata["namespace"], "run": metadata["name"], "uid": metadata["uid"]}
    if creator is not None:
        fields["user"] = creator
    return {"audit": True, **where, "pipeline": (spec.get("pipeline") or {}).get("name"), "outcome": outcome, **fields}


def record_transitions(recorder: EventRecorder, run: RunObject, old: RunStatus, new: RunStatus) -> None:
    """Record the Events of a status change."""
    before, after = old.get("phase"), new.get("phase")
    name, creator = run["metadata"]["name"], new.get("createdBy")
    if before != after and after == RunPhase.RUNNING:
        recorder.record(
            run,
            "Normal",
            "Started",
            f"run {name} has started, {format_steps(new['summary']['total'])}; {describe_trigger(run, creator)}",
        )
    elif before != after and after in FINAL_RUN_PHASES:
        kind: Literal["Normal", "Warning"] = "Normal" if after == RunPhase.SUCCEEDED else "Warning"
        recorder.record(run, kind, after, f"{new.get('message', '')}; {describe_trigger(run, creator)}")
    known = {entry["name"]: entry for entry in old.get("steps") or []}
    for entry in new.get("steps") or []:
        earlier = known.get(entry["name"])
        if (code := _told_code(entry)) is not None and _told_code(earlier) is None:
            message = f"{entry['name']}: its first process reported exit code {code}, the cluster reports another end"
            recorder.record(run, "Warning", "EndDisputed", message)
        if earlier and (entry["phase"], entry.get("reason")) == (earlier["phase"], earlier.get("reason")):
            continue
        if entry["phase"] == StepPhase.FAILED:
            recorder.record(run, "Warning", RunReason.STEP_FAILED, f"{entry['name']}: {entry.get('message', '')}")
        elif entry["phase"] == StepPhase.PENDING and entry.get("reason") in _ACTIONABLE_REASONS:
            recorder.record(run, "Warning", entry["reason"], f"{entry['name']}: {entry.get('message', '')}")


def _told_code(entry: StepStatus | None) -> int | None:
    """The exit code that a step reported of its last attempt, if the cluster reports another end."""
    attempts = (entry.get("attempts") or []) if entry is not None else []
    return attempts[-1].get("reportedExitCode") if attempts else None
