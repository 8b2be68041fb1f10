"""Computes on definitions that clients send, away from the event loop: large ones in a process with limits."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from controller.api.http.problems import ApiProblemError
from controller.api.state import AppState
from controller.pipeline.run_cost import Effort
from controller.worker import WorkLimitError

T = TypeVar("T")


async def compute(state: AppState, effort: Effort, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """The result of a function of a module.

    Raises a problem if the computation takes too much time or memory, or if too many large ones are running.
    """
    if effort is not Effort.PROCESS:
        return await asyncio.to_thread(function, *arguments, **named)
    if state.worker.is_busy:
        detail = "other large pipelines are being checked; try again"
        raise ApiProblemError("unavailable", detail, headers={"Retry-After": "1"})
    try:
        return await state.worker.run(partial(function, *arguments, **named))
    except WorkLimitError as error:
        detail = f"checking the pipeline was ended: {error}; use fewer steps, combinations or globs"
        raise ApiProblemError("pipeline-invalid", detail) from error
