"""Adds the run and a reconcile ID to log records.

A filter of the log handler adds them, so that records of the Kubernetes client and the object store have them too.
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
    """One reconcile of a run; `reconcile` is its ID, unique in this process."""

    namespace: str
    run: str
    reconcile: int


_current: contextvars.ContextVar[ReconcileScope | None] = contextvars.ContextVar("c8s_reconcile", default=None)


@contextmanager
def reconcile_scope(namespace: str, run: str) -> Iterator[ReconcileScope]:
    """All records that are logged inside belong to this reconcile."""
    scope = ReconcileScope(namespace, run, next(_reconcile_ids))
    token = _current.set(scope)
    try:
        yield scope
    finally:
        _current.reset(token)


class ReconcileLogFilter(logging.Filter):
    """Adds `namespace`, `run` and `reconcile` to records that lack them."""

    def filter(self, record: logging.LogRecord) -> bool:
        scope = _current.get()
        if scope is not None:
            for name in ("namespace", "run", "reconcile"):
                if not hasattr(record, name):
                    setattr(record, name, getattr(scope, name))
        return True
