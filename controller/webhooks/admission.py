"""Who may come in: bounds on the memory of all deliveries together, and on how often one address may be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from controller.webhooks.receiver import Answer

MAX_BYTES = 128 * 1024 * 1024
"""Bytes of all bodies that are being received or handled."""
MAX_REQUESTS = 512
REFUSALS_PER_MINUTE = 60
"""Deliveries of one address that do not verify; further ones are not read."""
_MAX_ADDRESSES = 10_000


@dataclass
class _Bucket:
    """A token bucket: `tokens` are left at the time `at`."""

    tokens: float
    at: float


@dataclass
class Admission:
    """Admits deliveries. `clock`: seconds on a monotonic clock."""

    clock: Callable[[], float]
    max_bytes: int = MAX_BYTES
    max_requests: int = MAX_REQUESTS
    refusals_per_minute: int = REFUSALS_PER_MINUTE
    _bytes: int = 0
    _requests: int = 0
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def enter(self, address: str, size: int) -> Answer | None:
        """Admit a delivery of at most this size, which has to `leave`; or the answer that refuses it."""
        if address in self._buckets and self._refill(address).tokens < 1:
            error = "too many deliveries from this address were not signed"
            return Answer(429, {"error": error}, {"retry-after": "60"})
        if self._requests >= self.max_requests or self._bytes + size > self.max_bytes:
            return Answer(503, {"error": "too many deliveries at once; deliver it again"}, {"retry-after": "2"})
        self._requests += 1
        self._bytes += size
        return None

    def leave(self, size: int) -> None:
        """A delivery that was admitted is answered."""
        self._requests -= 1
        self._bytes -= size

    def count_refusal(self, address: str) -> None:
        """A delivery of this address did not verify."""
        bucket = self._refill(address)
        bucket.tokens -= 1
        while len(self._buckets) > _MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]

    def _refill(self, address: str) -> _Bucket:
        now = self.clock()
        bucket = self._buckets.setdefault(address, _Bucket(self.refusals_per_minute, now))
        gained = (now - bucket.at) * self.refusals_per_minute / 60
        bucket.tokens, bucket.at = min(self.refusals_per_minute, bucket.tokens + gained), now
        return bucket
