"""Keeps the stored state of the objects that were read or written last, so that it is not read again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SizedCache(Generic[K, V]):
    """Values by key, up to a total size; those that were not used for longest are dropped first.

    Args:
        max_size: of all values together. A value that is larger than a quarter of it is not kept.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._size = 0
        self._values: OrderedDict[K, tuple[int, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[1]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value in the place of the key's earlier one."""
        self.remove(key)
        if size > self._max_size // 4:
            return
        self._values[key] = size, value
        self._size += size
        while self._size > self._max_size:
            _, (dropped, _) = self._values.popitem(last=False)
            self._size -= dropped

    def remove(self, key: K) -> None:
        if (found := self._values.pop(key, None)) is not None:
            self._size -= found[0]
