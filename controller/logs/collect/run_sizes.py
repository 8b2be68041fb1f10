"""How much is stored of the logs of each run, and whether that is all it may have."""

from __future__ import annotations

from collections import Counter

from controller.logs.model import Stream


class RunSizes:
    """The sizes of the logs of active runs.

    Args:
        limit: bytes that all logs of a run may have together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._sizes: dict[tuple[str, str], dict[Stream, int]] = {}
        self._totals: Counter[tuple[str, str]] = Counter()
        self.collected = 0
        """Bytes that this process has collected, of all runs."""

    def update(self, stream: Stream, size: int) -> None:
        """Set the bytes that are stored of a stream, or wait to be."""
        run = stream.namespace, stream.run_uid
        sizes = self._sizes.setdefault(run, {})
        self._totals[run] += size - sizes.get(stream, 0)
        sizes[stream] = size

    def is_exceeded(self, stream: Stream) -> bool:
        """Whether the logs of the stream's run have reached the limit."""
        return self._totals[stream.namespace, stream.run_uid] >= self.limit

    def forget(self, namespace: str, run_uid: str) -> None:
        """The run is done, or was deleted."""
        self._sizes.pop((namespace, run_uid), None)
        self._totals.pop((namespace, run_uid), None)
