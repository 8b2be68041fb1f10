"""Runs the parts of a process: one that fails or ends by itself ends the process, which is started again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("c8s")


class RunnableFailedError(Exception):
    """A runnable failed or ended by itself; the log has the details."""


async def supervise(name: str, runnable: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run a runnable until `stop` is set; its failure is logged once. Raises RunnableFailedError."""
    try:
        await runnable
    except Exception as error:  # the boundary of a part: whatever it was, the process ends and is started again
        log.critical("%s failed, so the process ends: %s", name, _describe_error(error), exc_info=error)
        raise RunnableFailedError(name) from error
    if not stop.is_set():
        log.critical("%s ended by itself, so the process ends", name)
        raise RunnableFailedError(name)


def _describe_error(error: BaseException) -> str:
    """What the leaves of an error say, in one line."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_describe_error(each) for each in error.exceptions)
    return f"{type(error).__name__}: {error}"
