"""Creates the pods of Jobs after their review by webhooks, without blocking the controllers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from embedded.api.scheme import PODS, ResourceType
from embedded.api.status_errors import ApiError
from embedded.auth.tokens import AUTHENTICATED, User
from embedded.registry.options import WriteOptions
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry

Json = dict[str, Any]
OnPodsCreated = Callable[[Sequence[Json], ApiError | None], None]
"""Gets the created pods, and the error if not all could be created."""
Spawn = Callable[[Coroutine[Any, Any, None]], object]

_log = logging.getLogger(__name__)
_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)
_JOB_CONTROLLER = User("system:serviceaccount:kube-system:job-controller", "", _GROUPS)


class AdmissionReviewer(Protocol):
    """Reviews writes, for example by webhooks."""

    def reviews(self, operation: str, resource: ResourceType) -> bool:
        """Whether writes of this kind need a review."""
        ...

    async def review(self, change: PreparedWrite, user: User) -> list[str]:
        """Review a write; returns warnings.

        Raises:
            ApiError: the write is denied.
        """
        ...


class PodAdmission:
    """Creates pods that have to be reviewed."""

    def __init__(self, registry: Registry, reviewer: AdmissionReviewer | None, spawn: Spawn) -> None:
        self._registry = registry
        self._reviewer = reviewer
        self._spawn = spawn

    @property
    def is_required(self) -> bool:
        """Whether new pods need a review."""
        return self._reviewer is not None and self._reviewer.reviews("CREATE", PODS)

    def create_pods(self, namespace: str, pods: Sequence[Json], done: OnPodsCreated) -> None:
        """Create pods in a task of its own, one after the other until one is denied; calls `done` in any case."""
        assert self._reviewer is not None
        self._spawn(self._create_pods(self._reviewer, namespace, pods, done))

    async def _create_pods(
        self, reviewer: AdmissionReviewer, namespace: str, pods: Sequence[Json], done: OnPodsCreated
    ) -> None:
        created: list[Json] = []
        denied: ApiError | None = None
        try:
            for pod in pods:
                change = self._registry.prepare_create(
                    PODS, pod, namespace, WriteOptions(field_manager="job-controller")
                )
                await reviewer.review(change, _JOB_CONTROLLER)
                created.append(self._registry.commit(change).object)
        except ApiError as error:
            denied = error
        except Exception:
            # The boundary: a defect in one review must not end all controllers. The Job retries.
            _log.exception("review of a pod in namespace %s failed", namespace)
            denied = ApiError(500, "InternalError", "internal error; see the cluster's log for the cause")
        done(created, denied)
