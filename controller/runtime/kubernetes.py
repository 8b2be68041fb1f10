"""What each process asks the Kubernetes API for: whether it answers, and whether users may do what they want to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from controller.api.auth.authenticator import AccessRequest, Authenticator, InvalidTokenError
from controller.kube import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, KubeClient, KubeError

_REVIEWS = {"TokenReview": TOKEN_REVIEWS, "SubjectAccessReview": SUBJECT_ACCESS_REVIEWS}
_REVIEW_SECONDS = 10.0
_INITIAL_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.05, 3.0

log = logging.getLogger("c8s")


async def wait_for_kubernetes(client: KubeClient, on_error: Callable[[str], None]) -> None:
    """Return once the Kubernetes API answers; until then `on_error` gets what went wrong."""
    wait = _INITIAL_RETRY_SECONDS
    while True:
        try:
            await client.version()
        except KubeError as error:
            on_error(str(error))
            log.info("waiting for Kubernetes: %s", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MAX_RETRY_SECONDS)
        else:
            return


def reviewing_authenticator(client: KubeClient) -> Authenticator:
    """An authenticator that asks the Kubernetes API about tokens and rights."""

    async def post_review(review: Mapping[str, Any], /) -> Mapping[str, Any]:
        answer = await client.create(_REVIEWS[review["kind"]], dict(review), timeout=_REVIEW_SECONDS)
        return dict(answer.get("status") or {})

    return Authenticator(post_review, time.monotonic)


async def may_read_metrics(authenticator: Authenticator, token: str) -> bool:
    """Whether the owner of a token may read `/metrics`; not if that can't be found out."""
    try:
        user = await authenticator.authenticate(token)
        return await authenticator.is_allowed(user, AccessRequest("get", path="/metrics"))
    except (InvalidTokenError, KubeError) as problem:
        log.info("metrics request denied: %s", problem)
        return False
