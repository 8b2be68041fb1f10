"""Retention: deletes runs beyond the history limit, and stored objects after the retention period.

Only the leader sweeps. An object that a run still needs is retained, whatever its age. Bucket lifecycle rules are not
used: stores differ in them, and none of them knows which source a queued run is about to unpack.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from controller import labels
from controller.kube import PIPELINE_RUNS, ConflictError, KubeClient, KubeError, NotFoundError
from controller.operator import names
from controller.operator.decision.finalizer import is_deleted
from controller.operator.effects.concurrency_lock import ConcurrencyLock
from controller.operator.run_object import status_of
from controller.operator.settings import OperatorSettings
from controller.operator.workload.debug_copies import debug_source
from controller.run_types.order import creation_order
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.summary import reused_attempts
from controller.storage import UPLOADS
from controller.storage.sources import is_sweepable, sha256_of_key

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

PREFIXES = ("logs/", "artifacts/", "caches/", "sources/", "workspaces/", "reports/", "tests/", "stats/", UPLOADS)
_ORPHANED_AFTER = timedelta(hours=1)
"""After this time the workspace of an unknown run is deleted: by then every cache has the runs that exist."""
_FIRST_SWEEP_SECONDS = 60.0
_WATCH_MARGIN = timedelta(hours=1)
"""What a run by watching has stored stays this much longer than the run can be reused, and then goes with it."""
_HISTORY_RETENTION = timedelta(days=180)
"""How long histories of tests and statistics of a pipeline stay after its last run."""
_REUSE_MARGIN = timedelta(days=1)
"""What a run has stored stays this much longer than its steps can be reused: until every cache has the reusing run."""


class StoredObject(Protocol):
    """The key and age of a stored object."""

    @property
    def key(self) -> str: ...
    @property
    def modified(self) -> datetime: ...


class RetentionStore(Protocol):
    """What a sweep uses of the object store."""

    def list(self, prefix: str = "") -> AsyncIterator[Any]:
        """The objects below a prefix."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; fine when there is none."""
        ...


@dataclass(frozen=True)
class RetainedObjects:
    """The stored objects that runs still need."""

    sources: frozenset[str]
    """Digests in hex."""
    run_uids: frozenset[str]
    """Of runs whose logs and artifacts stay."""
    caches: frozenset[str] = frozenset()
    """Prefixes of the keys of caches that were used recently."""
    workspace_uids: frozenset[str] = frozenset()
    """Of runs whose workspaces stay."""
    known_uids: frozenset[str] = frozenset()
    """The uids of all runs there are."""


def retained_objects(runs: Collection[RunObject], now: datetime, retention: timedelta) -> RetainedObjects:
    """The objects to retain: of active and recent runs, and of the runs that they reuse."""
    by_uid = {run["metadata"]["uid"]: run for run in runs}
    by_name = {(run["metadata"]["namespace"], run["metadata"]["name"]): run for run in runs}
    sources, retained_runs, uids = set[str](), set[str](), set[str]()
    for run in runs:
        metadata, spec = run["metadata"], run["spec"]
        young = now - datetime.fromisoformat(metadata["creationTimestamp"]) < retention + _REUSE_MARGIN
        if status_of(run).get("phase") in FINAL_RUN_PHASES and not young:
            continue
        uids.add(metadata["uid"])
        if copied := debug_source(run):
            uids.add(copied.get("uid", ""))
        # The run whose steps it is about to reuse may be about to expire, and offers what it reused itself.
        named = (spec.get("reuseFromUid"), spec.get("rerunOfUid"))
        earlier = [by_uid[uid] for uid in named if uid in by_uid]
        if "reuseFromUid" not in spec and (other := by_name.get((metadata["namespace"], spec.get("reuseFrom", "")))):
            earlier.append(other)
        retained_runs |= {uid for uid in named if uid}
        for each in (run, *earlier):
            retained_runs |= {each["metadata"]["uid"], *(a["uid"] for a in reused_attempts(each) if a.get("uid"))}
            sources |= _source_digests(each)
    return RetainedObjects(
        frozenset(sources), frozenset(retained_runs), workspace_uids=frozenset(uids), known_uids=frozenset(by_uid)
    )


def _source_digests(run: RunObject) -> set[str]:
    """The digests (hex) of a run's source, and of the snapshot that was made of its repository."""
    archive, snapshot = run["spec"].get("source", {}).get("archive"), status_of(run).get("source")
    digests = (archive and archive["digest"], snapshot and snapshot.get("digest"))
    return {digest.removeprefix("sha256:") for digest in digests if digest}


def is_expired(key: str, modified: datetime, retained: RetainedObjects, now: datetime, retention: timedelta) -> bool:
    """Whether an object may be deleted."""
    kind, _, rest = key.partition("/")
    parts = rest.split("/")
    if kind == "workspaces" and len(parts) > 1 and parts[1] not in retained.known_uids:
        # It may contain secrets that its step wrote, and it can no longer be entered.
        return now - modified > _ORPHANED_AFTER
    if kind == "uploads":
        # An upload is committed as soon as it is complete.
        return now - modified > _ORPHANED_AFTER
    if now - modified <= retention:
        return False
    if kind in ("tests", "stats"):
        # Of runs that are long gone. What is older belongs to a pipeline that nobody has run since.
        return now - modified > max(retention, _HISTORY_RETENTION)
    if kind == "caches":
        # Its document has the date of its last use, the archive that of its making.
        return key.endswith(".json") or _cache_prefix(key) not in retained.caches
    if kind == "sources":
        return is_sweepable(key, now) and sha256_of_key(key) not in retained.sources
    if kind == "workspaces" and len(parts) > 1:
        return parts[1] not in retained.workspace_uids
    if kind in ("logs", "artifacts", "reports") and len(parts) > 1:
        return parts[1] not in retained.run_uids
    return False


def _cache_prefix(key: str) -> str:
    """What the keys of a cache's objects have in common."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


class RetentionSweeper:
    """Sweeps periodically until cancelled.

    Args:
        runs: all runs that are known.
    """

    def __init__(
        self,
        client: KubeClient,
        store: RetentionStore,
        settings: OperatorSettings,
        runs: Callable[[], Iterable[RunObject]],
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._runs = runs
        self._now = now
        self._concurrency_lock = ConcurrencyLock(client, settings.own_namespace, now)

    async def run(self) -> None:
        await asyncio.sleep(min(_FIRST_SWEEP_SECONDS, self._settings.sweep_interval))
        while True:
            try:
                await self._concurrency_lock.release_finished()
                removed = await self.delete_watched_runs() + await self.delete_old_runs()
                expired = await self.delete_expired_objects()
                if removed or expired:
                    _log.info("swept: %d runs beyond the history limit, %d objects past retention", removed, expired)
            except Exception:
                # The boundary: a store or a cluster that fails is swept next time; nothing depends on it.
                _log.exception("the sweep did not finish; the next one is in %.0f s", self._settings.sweep_interval)
            await asyncio.sleep(self._settings.sweep_interval)

    async def delete_old_runs(self) -> int:
        """Delete the runs beyond the history limit; returns how many."""
        expired = runs_over_limit(list(self._runs()), self._settings.history_limit)
        return sum([await self._delete_run(run) for run in expired])

    async def delete_watched_runs(self) -> int:
        """Delete runs by watching after their time, with what they have stored; returns how many runs."""
        limit, count = timedelta(seconds=self._settings.watch_retention), 0
        for run in expired_watched_runs(list(self._runs()), self._now(), limit):
            if not await self._delete_run(run):
                continue
            count += 1
            metadata = run["metadata"]
            others = [each for each in self._runs() if each["metadata"]["uid"] != metadata["uid"]]
            retention = timedelta(seconds=self._settings.retention)
            if metadata["uid"] in retained_objects(others, self._now(), retention).run_uids:
                # Others have reused it: what it has stored is swept with theirs.
                continue
            for kind in ("logs", "artifacts"):
                found = [
                    info.key async for info in self._store.list(f"{kind}/{metadata['namespace']}/{metadata['uid']}/")
                ]
                for key in sorted(found, key=lambda each: not each.endswith(".json")):
                    await self._store.delete(key)
        return count

    async def _delete_run(self, run: RunObject) -> bool:
        metadata = run["metadata"]
        try:
            await self._client.delete(
                PIPELINE_RUNS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"]
            )
        except (NotFoundError, ConflictError):
            return False
        except KubeError as error:
            _log.warning("run %s/%s was not removed: %s", metadata["namespace"], metadata["name"], error)
            return False
        return True

    async def delete_expired_objects(self) -> int:
        """Delete the stored objects that no run needs and that are old enough; returns how many."""
        retention, count = timedelta(seconds=self._settings.retention), 0
        for prefix in PREFIXES:
            old, young = [], set[str]()
            least = min(retention, _ORPHANED_AFTER) if prefix in ("workspaces/", UPLOADS) else retention
            async for info in self._store.list(prefix):
                if self._now() - info.modified > least:
                    old.append(info)
                elif prefix == "caches/":
                    young.add(_cache_prefix(info.key))
            needs = replace(retained_objects(list(self._runs()), self._now(), retention), caches=frozenset(young))
            # Manifests are deleted first, so that no reader finds a manifest without its archive.
            for info in sorted(old, key=lambda each: not each.key.endswith(".json")):
                if is_expired(info.key, info.modified, needs, self._now(), retention):
                    await self._store.delete(info.key)
                    count += 1
        return count


def runs_over_limit(runs: Iterable[RunObject], limit: int) -> list[RunObject]:
    """The oldest ended runs of each pipeline, beyond the newest `limit`, and all ended debug copies.

    A client deletes its debug copy when it leaves it; these are the ones that were left behind. Runs whose steps an
    active run is going to reuse are not among them. Runs by watching are counted apart.
    """
    runs = list(runs)
    reused = _reused_runs(runs)
    ended: dict[tuple[str, str, bool], list[RunObject]] = defaultdict(list)
    copies: list[RunObject] = []
    for run in runs:
        if status_of(run).get("phase") not in FINAL_RUN_PHASES or is_deleted(run):
            continue
        if debug_source(run) is not None:
            copies.append(run)
        else:
            pipeline = names.run_labels(run)[labels.PIPELINE]
            ended[run["metadata"]["namespace"], pipeline, bool(run["spec"].get("watch"))].append(run)
    found = copies
    for each in ended.values():
        each.sort(key=creation_order)
        found += [run for run in each[: max(0, len(each) - limit)] if reused.isdisjoint(_references(run))]
    return found


def expired_watched_runs(runs: Iterable[RunObject], now: datetime, limit: timedelta) -> list[RunObject]:
    """The ended runs by watching that are older than this, and a margin in which no run begins to reuse them."""
    runs = list(runs)
    reused = _reused_runs(runs)
    return [
        run
        for run in runs
        if run["spec"].get("watch")
        and status_of(run).get("phase") in FINAL_RUN_PHASES
        and not is_deleted(run)
        and now - datetime.fromisoformat(run["metadata"]["creationTimestamp"]) > limit + _WATCH_MARGIN
        and reused.isdisjoint(_references(run))
    ]


def _reused_runs(runs: Iterable[RunObject]) -> set[tuple[str, str]]:
    """The references in `reuseFrom` of active runs."""
    found = set()
    for run in runs:
        if status_of(run).get("phase") not in FINAL_RUN_PHASES and (name := run["spec"].get("reuseFrom")):
            found.add((run["metadata"]["namespace"], run["spec"].get("reuseFromUid") or name))
    return found


def _references(run: RunObject) -> set[tuple[str, str]]:
    """How other runs refer to a run: by its uid, or by its name if they were created without the API."""
    metadata = run["metadata"]
    return {(metadata["namespace"], metadata["uid"]), (metadata["namespace"], metadata["name"])}
