"""Loads what a run may take over from earlier runs: from the one that it names, or from any of its pipeline.

What is offered stays stored: the sweep deletes nothing of a run that is younger than the retention period and a
margin, and nothing of one that an active run reuses. Older runs offer nothing, so that no sweep can delete what is
being reused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller import labels
from controller.kube import PIPELINE_RUNS, KubeClient, NotFoundError
from controller.operator import names
from controller.operator.decision.inputs.reuse import ReusableStep, reusable_steps
from controller.operator.effects.source_contents import SourceContents
from controller.operator.run_object import as_run, is_from_fork
from controller.operator.workload.debug_copies import debug_source
from controller.run_types import summary
from controller.run_types.order import creation_order
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
    """Loads the steps that succeeded in earlier runs.

    Args:
        retention: how long the objects of a run are stored at least, from its creation.
        now: the wall clock.
        list_runs: returns all runs that are known; those that have ended may be summaries.
        watch_retention: how long the objects of runs that were started by watching are stored at least.
    """

    def __init__(
        self,
        client: KubeClient,
        store: ObjectStore,
        retention: timedelta,
        now: Callable[[], datetime],
        list_runs: Callable[[], Iterable[RunObject]] = tuple,
        watch_retention: timedelta = timedelta.max,
    ) -> None:
        self._list_runs = list_runs
        self._watch_retention = watch_retention
        self._contents = SourceContents(client, store, now)
        self._client = client
        self._store = store
        self._retention = retention
        self._now = now

    async def load(self, run: RunObject) -> ReusableRun:
        """What the run named by `reuseFrom` offers, without steps whose artifacts were deleted. Raises KubeError."""
        name = run["spec"]["reuseFrom"]
        try:
            earlier = as_run(await self._client.get(PIPELINE_RUNS, name, run["metadata"]["namespace"]))
        except NotFoundError:
            return ReusableRun(problem=f"the run {name} no longer exists")
        problem = self._refusal(run, earlier) or await self._contents_problem(run, earlier)
        if problem:
            return ReusableRun(problem=problem)
        return ReusableRun(await self._complete(run, reusable_steps(earlier)))

    async def find(self, run: RunObject, digests: Collection[str], *, trusted: bool = False) -> dict[str, ReusableStep]:
        """The steps of earlier runs of the same pipeline that succeeded with these inputs, by digest. Raises KubeError.

        Of several, the newest counts. A run offers nothing if it is of a pull request from a fork, a debug copy, or so
        old that what it has stored may be deleted.

        Args:
            trusted: the digests are of files that the operator has read, and of nothing that a run says of its source.
        """
        left, found = set(digests), dict[str, ReusableStep]()
        for earlier in self._candidates(run):
            if not left:
                break
            if not summary.has_succeeded_with(earlier, left):
                continue
            if not trusted and await self._contents_problem(run, earlier):
                continue
            steps = {
                digest: step
                for digest, step in reusable_steps(as_run({**earlier, "status": summary.status_of(earlier)})).items()
                if digest in left
            }
            complete = await self._complete(run, steps)
            found |= complete
            left -= complete.keys()
        return found

    def _candidates(self, run: RunObject) -> list[RunObject]:
        """The runs that may have results for a run, the newest first."""
        metadata, pipeline = run["metadata"], names.run_labels(run)[labels.PIPELINE]
        candidates = [
            other
            for other in self._list_runs()
            if other["metadata"]["namespace"] == metadata["namespace"]
            and other["metadata"]["uid"] != metadata["uid"]
            and names.run_labels(other)[labels.PIPELINE] == pipeline
            and not is_from_fork(other)
            and debug_source(other) is None
            and self._is_young(other)
        ]
        return sorted(candidates, key=creation_order, reverse=True)

    def _is_young(self, run: RunObject) -> bool:
        age = self._now() - datetime.fromisoformat(run["metadata"]["creationTimestamp"])
        return age < (min(self._retention, self._watch_retention) if run["spec"].get("watch") else self._retention)

    async def _complete(self, run: RunObject, found: Mapping[str, ReusableStep]) -> dict[str, ReusableStep]:
        """The steps whose artifacts are stored."""
        namespace = run["metadata"]["namespace"]
        complete = await asyncio.gather(*(self._has_artifacts(namespace, step) for step in found.values()))
        return {
            digest: step for (digest, step), is_complete in zip(found.items(), complete, strict=True) if is_complete
        }

    def _refusal(self, run: RunObject, earlier: RunObject) -> str:
        """Why nothing of an earlier run is reused; empty if it may be."""
        name, uid = earlier["metadata"]["name"], run["spec"].get("reuseFromUid")
        if is_from_fork(earlier) and not is_from_fork(run):
            return f"the run {name} is of a pull request from a fork, whose results no other run gets"
        if uid is not None and uid != earlier["metadata"]["uid"]:
            return f"the run {name} with the uid {uid} was deleted, and another run has its name now"
        if uid is None and earlier["metadata"]["creationTimestamp"] > run["metadata"]["creationTimestamp"]:
            return f"the run {name} was created after this one; give its uid in reuseFromUid"
        if not self._is_young(earlier):
            limit = self._watch_retention if earlier["spec"].get("watch") else self._retention
            days = limit.total_seconds() / 86_400
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
