"""Which run, and which look at it, a line of the log is about: on every line that is written during one.

It says nothing itself. A filter on the log's handler adds what is known here, so that lines of the client and of the
store carry it too.
"""

from __future__ import annotations

import contextvars
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_reconcile_ids = itertools.count(1)


@dataclass(frozen=True)
class ReconcileScope:
    """One look at a run; `reconcile` is unlike any other of this process."""

    namespace: str
    run: str
    reconcile: int


_current: contextvars.ContextVar[ReconcileScope | None] = contextvars.ContextVar("c8s_look", default=None)


@contextmanager
def reconcile_scope(namespace: str, run: str) -> Iterator[ReconcileScope]:
    """All lines that are logged inside belong to this look."""
    look = ReconcileScope(namespace, run, next(_reconcile_ids))
    token = _current.set(look)
    try:
        yield look
    finally:
        _current.reset(token)


class ReconcileLogFilter(logging.Filter):
    """Adds `namespace`, `run` and `reconcile` to lines that have none of their own."""

    def filter(self, record: logging.LogRecord) -> bool:
        look = _current.get()
        if look is not None:
            for name in ("namespace", "run", "reconcile"):
                if not hasattr(record, name):
                    setattr(record, name, getattr(look, name))
        return True
