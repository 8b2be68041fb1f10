"""Pods that webhooks have a say about: made as soon as all have been asked, while everything else goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from embedded.api.scheme import PODS
from embedded.api.status_errors import ApiError
from embedded.auth.tokens import AUTHENTICATED, User
from embedded.registry.options import WriteOptions
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry

Json = dict[str, Any]
OnPodsCreated = Callable[[Sequence[Json], ApiError | None], None]
"""Is told which pods there are now, and why there are no more."""
Spawn = Callable[[Coroutine[Any, Any, None]], object]

_log = logging.getLogger(__name__)
_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)
_JOB_CONTROLLER = User("system:serviceaccount:kube-system:job-controller", "", _GROUPS)


class AdmissionReviewer(Protocol):
    """Who has a say about writes."""

    def is_configured(self) -> bool:
        """Whether anybody has to be asked at all."""
        ...

    async def review(self, change: PreparedWrite, user: User) -> list[str]:
        """Raises:
        ApiError: it may not be made.
        """
        ...


class PodAdmission:
    """Makes pods that others have to agree to."""

    def __init__(self, registry: Registry, reviewer: AdmissionReviewer | None, spawn: Spawn) -> None:
        self._registry = registry
        self._reviewer = reviewer
        self._spawn = spawn

    @property
    def is_required(self) -> bool:
        return self._reviewer is not None and self._reviewer.is_configured()

    def create_pods(self, namespace: str, pods: Sequence[Json], done: OnPodsCreated) -> None:
        """Make pods one after the other until one is refused, later; `done` is called in any case."""
        assert self._reviewer is not None
        self._spawn(self._create_pods(self._reviewer, namespace, pods, done))

    async def _create_pods(
        self, reviewer: AdmissionReviewer, namespace: str, pods: Sequence[Json], done: OnPodsCreated
    ) -> None:
        made: list[Json] = []
        refused: ApiError | None = None
        try:
            for pod in pods:
                change = self._registry.prepare_create(
                    PODS, pod, namespace, WriteOptions(field_manager="job-controller")
                )
                await reviewer.review(change, _JOB_CONTROLLER)
                made.append(self._registry.commit(change).object)
        except ApiError as error:
            refused = error
        except Exception:
            # The boundary: a fault in one pod must not end all controllers, and the Job tries again.
            _log.exception("a pod in %s could not be made", namespace)
            refused = ApiError(500, "InternalError", "an internal error; the cluster's log has the cause")
        done(made, refused)
