"""Leader election by a Lease: at most one of several processes is active, except for requests in flight."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from controller.kube.client import KubeClient, sleep
from controller.kube.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from controller.kube.resources import LEASES

Json = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTimings:
    """Durations in seconds, with the meaning that client-go gives them.

    A lease that was not renewed for `lease_duration` may be acquired by another process. The leader stops after
    `renew_deadline` without a successful renewal. Requests are `retry_period` apart.
    """

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    @classmethod
    def from_lease_duration(cls, lease: float) -> LeaseTimings:
        """The usual proportions for a lease of so many seconds."""
        return cls(
            lease, lease * cls.renew_deadline / cls.lease_duration, lease * cls.retry_period / cls.lease_duration
        )


class _LeaseState(Enum):
    """The result of an attempt to acquire the lease."""

    HELD = "ours"
    HELD_BY_OTHER = "theirs"
    UNKNOWN = "none"


class LeaderElector:
    """Runs work while this process holds the lease.

    Args:
        identity: identifies this process; unique.
        annotations: of the Lease, about its holder.
        monotonic: the clock that expiry is measured on; wall clocks jump.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        annotations: Mapping[str, str] | None = None,
        timings: LeaseTimings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[None]] = sleep,
    ) -> None:
        self._client = client
        self._namespace, self._name, self._identity = namespace, name, identity
        self._annotations = dict(annotations or {})
        self._timings = timings or LeaseTimings()
        self._monotonic = monotonic
        self._now = now
        self._pause = pause
        self._observed_record: tuple[str, float] = ("", 0.0)
        """The record last seen and when it last changed, on our own clock: theirs may be wrong."""
        self._renewed = self._monotonic()
        self.is_leader = False

    @property
    def holds_lease(self) -> bool:
        """Whether no other process can lead: also false in a process that was suspended and has not noticed yet."""
        return self.is_leader and self._monotonic() - self._renewed < self._timings.renew_deadline

    async def run(self, on_started_leading: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run `on_started_leading` until it ends or the lease is lost; raises its exceptions.

        Raises:
            LeadershipLostError: the lease could not be renewed in time; `on_started_leading` was cancelled
                before another process may start.
        """
        # Counted from before the request: others count from when it arrived.
        self._renewed = self._monotonic()
        while await self._try_acquire_or_renew() is not _LeaseState.HELD:
            await self._pause(self._timings.retry_period)
            self._renewed = self._monotonic()
        self.is_leader = True
        _log.info("leading as %s", self._identity)
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(_capture_exception(on_started_leading))
                renewing = group.create_task(self._renew_until_lost())
                await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
                renewing.cancel()
                working.cancel()
        finally:
            self.is_leader = False
            # Also on shutdown: the next leader need not wait until the lease expires.
            await self._release()
        if working.cancelled():
            raise LeadershipLostError(f"the lease {self._namespace}/{self._name} could not be renewed in time")
        if (failure := working.result()) is not None:
            raise failure

    async def _renew_until_lost(self) -> None:
        """Renew until that fails for too long, or another process holds the lease."""
        while (left := self._renewed + self._timings.renew_deadline - self._monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._pause(self._timings.retry_period)
                    before = self._monotonic()
                    answer = await self._try_acquire_or_renew()
            except TimeoutError:
                return
            if answer is _LeaseState.HELD_BY_OTHER:
                return
            if answer is _LeaseState.HELD:
                self._renewed = before

    async def _try_acquire_or_renew(self) -> _LeaseState:
        """One attempt to take or renew the lease; each request is bounded below the renewal deadline."""
        timeout = self._timings.renew_deadline / 3
        try:
            try:
                lease = await self._client.get(LEASES, self._name, self._namespace, timeout=timeout)
            except NotFoundError:
                metadata = self._with_annotations({"name": self._name, "namespace": self._namespace})
                lease = {"metadata": metadata, "spec": self._lease_spec(None)}
                await self._client.create(LEASES, lease, self._namespace, timeout=timeout)
                return _LeaseState.HELD
            spec = lease.get("spec") or {}
            if not self._can_acquire(spec):
                return _LeaseState.HELD_BY_OTHER
            ours = {**lease, "metadata": self._with_annotations(lease["metadata"]), "spec": self._lease_spec(spec)}
            await self._client.update(LEASES, ours, timeout=timeout)
        except (ConflictError, AlreadyExistsError):
            return _LeaseState.UNKNOWN
        except KubeError as error:
            _log.warning("lease %s: %s", self._name, error)
            return _LeaseState.UNKNOWN
        return _LeaseState.HELD

    def _with_annotations(self, metadata: Json) -> Json:
        """The Lease's metadata with our annotations; those of the holder before us are not left standing."""
        if not self._annotations:
            return metadata
        return {**metadata, "annotations": {**(metadata.get("annotations") or {}), **self._annotations}}

    def _can_acquire(self, spec: Json) -> bool:
        holder = spec.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        record = f"{holder} {spec.get('renewTime')} {spec.get('leaseTransitions')}"
        now = self._monotonic()
        if record != self._observed_record[0]:
            self._observed_record = (record, now)
        return now - self._observed_record[1] >= float(spec.get("leaseDurationSeconds") or self._timings.lease_duration)

    def _lease_spec(self, old: Json | None) -> Json:
        stamp = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = old is not None and old.get("holderIdentity") == self._identity
        transitions = int((old or {}).get("leaseTransitions") or 0) + (0 if ours or old is None else 1)
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._timings.lease_duration),
            "acquireTime": (old or {}).get("acquireTime", stamp) if ours else stamp,
            "renewTime": stamp,
            "leaseTransitions": transitions,
        }

    async def _release(self) -> None:
        """Give up the lease, so that another process can acquire it at once."""
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace, timeout=self._timings.retry_period)
            if lease["spec"].get("holderIdentity") == self._identity:
                # Absent, not empty: an empty one is refused, and the next one would have to wait for the lease's end.
                del lease["spec"]["holderIdentity"]
                await self._client.update(LEASES, lease, timeout=self._timings.retry_period)
        except KubeError as error:
            _log.info("the lease %s was not released: %s", self._name, error)


async def _capture_exception(coroutine_function: Callable[[], Awaitable[None]]) -> Exception | None:
    """What `work` raised, so that it can be raised again as it was, outside of the group of tasks."""
    try:
        await coroutine_function()
    except Exception as failure:
        return failure
    return None


class LeadershipLostError(KubeError):
    """This process is no longer the leader."""
