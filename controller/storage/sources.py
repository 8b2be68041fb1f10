"""The keys of sources: archives by the digest of their bytes, which many runs of a namespace share.

A source stays while it is used, and a sweep must not delete it at the moment in which another run begins to use it.
So each key has the period of time in which it was written. A run needs a source of this or the last period, which is
stored again if there is none; a sweep deletes those that are three periods old. No run begins to use what a sweep may
delete, and nothing is written under its key, whatever requests cross each other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.storage.base import ObjectStore

PERIOD = timedelta(days=10)
_USABLE_PERIODS, _KEPT_PERIODS = 2, 3
_KEY = re.compile(r"sources/(?P<space>[^/]+/[^/]+)/(?P<sha256>[0-9a-f]{64})\.(?P<period>[0-9]{1,9})\.tar\.gz")


@dataclass(frozen=True)
class SourceId:
    """Identifies a source: the namespace, its uid, and the digest of the bytes (hex).

    The digest of a source gives no access to it in another namespace, nor in one that was deleted and made again.
    """

    namespace: str
    namespace_uid: str
    sha256: str

    def key(self, period: int) -> str:
        """The key of the source as it was stored in this period."""
        return f"{self._prefix}{period}.tar.gz"

    @property
    def _prefix(self) -> str:
        return f"sources/{self.namespace}/{self.namespace_uid}/{self.sha256}."


@dataclass(frozen=True)
class StoredSource:
    """A source as it is stored. `is_usable`: a run may begin to use it."""

    key: str
    size: int
    is_usable: bool


def period_at(now: datetime) -> int:
    """The number of the period since 1970."""
    return (now - datetime(1970, 1, 1, tzinfo=UTC)) // PERIOD


def usable_periods(now: datetime) -> Iterator[int]:
    """The periods whose sources may be used, the current one first."""
    current = period_at(now)
    yield from range(current, current - _USABLE_PERIODS, -1)


def is_sweepable(key: str, now: datetime) -> bool:
    """Whether the key of a source is so old that no run begins to use it. Keys of earlier versions are, too."""
    found = _KEY.fullmatch(key)
    return found is None or int(found["period"]) <= period_at(now) - _KEPT_PERIODS


def sha256_of_key(key: str) -> str | None:
    """The digest (hex) in the key of a source; None for another key."""
    found = _KEY.fullmatch(key)
    return found["sha256"] if found is not None else None


async def find_source(store: ObjectStore, source: SourceId, now: datetime) -> StoredSource | None:
    """The newest copy of a source; None if it is not stored."""
    for period in usable_periods(now):
        found = await store.head(source.key(period))
        if found is not None:
            return StoredSource(found.key, found.size, is_usable=True)
    older = [(each.key, each.size) async for each in store.list(source._prefix)]
    return max((StoredSource(key, size, is_usable=False) for key, size in older), key=_period, default=None)


def _period(source: StoredSource) -> int:
    found = _KEY.fullmatch(source.key)
    return int(found["period"]) if found is not None else -1
