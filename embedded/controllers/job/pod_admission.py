"""Pods that webhooks have a say about: made as soon as all have been asked, while everything else goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from embedded.api.scheme import PODS
from embedded.api.status_errors import ApiError
from embedded.auth.tokens import AUTHENTICATED, User
from embedded.registry import prepare
from embedded.registry.options import Write
from embedded.registry.registry import Registry

Json = dict[str, Any]
Done = Callable[[Sequence[Json], ApiError | None], None]
"""Is told which pods there are now, and why there are no more."""
Spawn = Callable[[Coroutine[Any, Any, None]], object]

_log = logging.getLogger(__name__)
_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)
_JOB_CONTROLLER = User("system:serviceaccount:kube-system:job-controller", "", _GROUPS)


class Reviewer(Protocol):
    """Who has a say about writes."""

    def has_say(self) -> bool:
        """Whether anybody has to be asked at all."""
        ...

    async def review(self, change: prepare.Change, user: User) -> list[str]:
        """Raises:
        ApiError: it may not be made.
        """
        ...


class Asking:
    """Makes pods that others have to agree to."""

    def __init__(self, registry: Registry, reviewer: Reviewer | None, spawn: Spawn) -> None:
        self._registry = registry
        self._reviewer = reviewer
        self._spawn = spawn

    @property
    def is_needed(self) -> bool:
        return self._reviewer is not None and self._reviewer.has_say()

    def make(self, namespace: str, pods: Sequence[Json], done: Done) -> None:
        """Make pods one after the other until one is refused, later; `done` is called in any case."""
        assert self._reviewer is not None
        self._spawn(self._make(self._reviewer, namespace, pods, done))

    async def _make(self, reviewer: Reviewer, namespace: str, pods: Sequence[Json], done: Done) -> None:
        made: list[Json] = []
        refused: ApiError | None = None
        try:
            for pod in pods:
                change = prepare.new(self._registry, PODS, pod, namespace, Write(manager="job-controller"))
                await reviewer.review(change, _JOB_CONTROLLER)
                made.append(json.loads(self._registry.commit(change).body))
        except ApiError as error:
            refused = error
        except Exception:
            # The boundary: a fault in one pod must not end all controllers, and the Job tries again.
            _log.exception("a pod in %s could not be made", namespace)
            refused = ApiError(500, "InternalError", "an internal error; the cluster's log has the cause")
        done(made, refused)
