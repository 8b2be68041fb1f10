"""The processor time of a call, for tests that something made to be slow is not.

Limits are several times what a call takes, and far below what it would take without its bound. Garbage collections are
left out: in a long test process one takes a second.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _no_collections() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def takes_at_most(seconds: float) -> Iterator[None]:
    """Fail if what is done inside takes more processor time of this process."""
    with _no_collections():
        began = time.process_time()
        yield
        spent = time.process_time() - began
    assert spent < seconds


def processor_seconds(call: Callable[..., object], *arguments: Any) -> float:
    """The processor time of a call in this thread."""
    with _no_collections():
        began = time.thread_time()
        call(*arguments)
        return time.thread_time() - began
