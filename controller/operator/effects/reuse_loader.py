"""Loads what a run may take over from an earlier run: its succeeded steps, if it is the run that was meant.

What is offered stays stored: the sweep deletes nothing of a run that is younger than the retention period and a
margin, and nothing of one that an active run reuses. Older runs offer nothing, so that no sweep can delete what is
being reused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.kube import PIPELINE_RUNS, KubeClient, NotFoundError
from controller.operator import names
from controller.operator.decision.reuse import ReusableStep, reusable_steps
from controller.operator.effects.source_contents import SourceContents
from controller.operator.run_object import as_run
from controller.storage.base import ObjectStore

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject


@dataclass(frozen=True)
class ReusableRun:
    """What an earlier run offers.

    Attributes:
        steps: its reusable steps, by the digest of their inputs.
        problem: why it offers nothing, as a sentence; empty if it was read.
    """

    steps: Mapping[str, ReusableStep] = field(default_factory=dict)
    problem: str = ""


class ReuseLoader:
    """Loads the steps of the runs that `reuseFrom` names.

    Args:
        retention: how long the objects of a run are stored at least, from its creation.
        now: the wall clock.
    """

    def __init__(
        self, client: KubeClient, store: ObjectStore, retention: timedelta, now: Callable[[], datetime]
    ) -> None:
        self._contents = SourceContents(client, store, now)
        self._client = client
        self._store = store
        self._retention = retention
        self._now = now

    async def load(self, run: RunObject) -> ReusableRun:
        """What the run named by `reuseFrom` offers, without steps whose artifacts were deleted. Raises KubeError."""
        metadata, name = run["metadata"], run["spec"]["reuseFrom"]
        try:
            earlier = as_run(await self._client.get(PIPELINE_RUNS, name, metadata["namespace"]))
        except NotFoundError:
            return ReusableRun(problem=f"the run {name} no longer exists")
        problem = self._refusal(run, earlier) or await self._contents_problem(run, earlier)
        if problem:
            return ReusableRun(problem=problem)
        found = reusable_steps(earlier)
        complete = await asyncio.gather(*(self._has_artifacts(metadata["namespace"], step) for step in found.values()))
        return ReusableRun(
            {digest: step for (digest, step), is_complete in zip(found.items(), complete, strict=True) if is_complete}
        )

    def _refusal(self, run: RunObject, earlier: RunObject) -> str:
        """Why nothing of an earlier run is reused; empty if it may be."""
        name, uid = earlier["metadata"]["name"], run["spec"].get("reuseFromUid")
        if uid is not None and uid != earlier["metadata"]["uid"]:
            return f"the run {name} with the uid {uid} was deleted, and another run has its name now"
        if uid is None and earlier["metadata"]["creationTimestamp"] > run["metadata"]["creationTimestamp"]:
            return f"the run {name} was created after this one; give its uid in reuseFromUid"
        created = datetime.fromisoformat(earlier["metadata"]["creationTimestamp"])
        if self._now() - created >= self._retention:
            days = self._retention.total_seconds() / 86_400
            return f"the run {name} was created more than {days:g} days ago, so that its artifacts may be deleted"
        return ""

    async def _contents_problem(self, run: RunObject, earlier: RunObject) -> str:
        """Why the sources of the runs can't be taken for the same, or for different ones; empty if they may be.

        Of two runs on one archive it does not matter what they say about it.
        """
        archives = [(each, (each["spec"].get("source") or {}).get("archive")) for each in (run, earlier)]
        digests = {archive["digest"] if archive is not None else "" for _, archive in archives}
        if len(digests) == 1 or not all(archive is not None and archive.get("contents") for _, archive in archives):
            return ""
        for each, archive in archives:
            if archive is not None:
                mismatch = await self._contents.find_mismatch(run["metadata"]["namespace"], archive)
                if mismatch:
                    return f"of the run {each['metadata']['name']}, {mismatch}"
        return ""

    async def _has_artifacts(self, namespace: str, found: ReusableStep) -> bool:
        made = found.reused
        if not found.artifacts:
            return True
        key = names.manifest_key(namespace, made["uid"], made["slug"], made["attempt"])
        return await self._store.head(key) is not None
