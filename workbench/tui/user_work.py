"""Work that the user asked for: it goes on to its end, whatever is typed meanwhile.

A worker of a screen ends with the screen, and an exclusive one with the next of its group: a run that was asked for
would not start because its screen was left, or a second one was asked for, while the request was on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from textual.dom import DOMNode
from textual.worker import Worker

_Node = TypeVar("_Node", bound=DOMNode)
_Parameters = ParamSpec("_Parameters")
_Method = Callable[Concatenate[_Node, _Parameters], Coroutine[Any, Any, None]]


def user_work(description: str) -> Callable[[_Method[_Node, _Parameters]], Callable[..., Worker[None]]]:
    """Make a method of a screen or the app start a worker of the app. Its screen may be gone when it ends."""

    def decorate(method: _Method[_Node, _Parameters]) -> Callable[..., Worker[None]]:
        @wraps(method)
        def start(self: _Node, *args: Any, **kwargs: Any) -> Worker[None]:
            work: Callable[[], Coroutine[Any, Any, None]] = partial(method, self, *args, **kwargs)
            return self.app.run_worker(work, method.__name__, "of the user", description)

        return start

    return decorate
