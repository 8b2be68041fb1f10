"""Kubernetes Events about runs, sent beside the work: a lost event must never hold a run up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from controller.kube import EVENTS, KubeClient, KubeError
from controller.operator.attempts import stamp

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_WAITING = 1000


class Recorder:
    """Sends events one after the other."""

    def __init__(self, client: KubeClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(_WAITING)

    def record(self, run: Json, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        metadata = run["metadata"]
        seconds = stamp(self._now())[:19] + "Z"
        event = {
            "metadata": {"generateName": f"{metadata['name'][:50].rstrip('-.')}.", "namespace": metadata["namespace"]},
            "type": kind,
            "reason": reason,
            "message": message[:1000],
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
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("too many events wait; not sent: %s %s", reason, metadata["name"])

    async def run(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                await self._client.create(EVENTS, event, event["metadata"]["namespace"])
            except KubeError as error:
                _log.warning("an event was not recorded: %s", error)


def tell_changes(recorder: Recorder, run: Json, old: Json, new: Json) -> None:
    """The events that belong to a change of status."""
    before, after = old.get("phase"), new.get("phase")
    name = run["metadata"]["name"]
    if before != after and after == "Running":
        recorder.record(run, "Normal", "Started", f"run {name} has begun, {new['summary']['total']} steps")
    elif before != after and after in ("Succeeded", "Failed", "Cancelled"):
        kind: Literal["Normal", "Warning"] = "Normal" if after == "Succeeded" else "Warning"
        recorder.record(run, kind, after, new.get("message", ""))
    known = {entry["name"]: entry["phase"] for entry in old.get("steps") or []}
    for entry in new.get("steps") or []:
        if entry["phase"] == "Failed" and known.get(entry["name"]) != "Failed":
            recorder.record(run, "Warning", "StepFailed", f"{entry['name']}: {entry.get('message', '')}")
