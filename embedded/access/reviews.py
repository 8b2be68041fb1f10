"""TokenReview and access reviews: questions about access, answered as objects and never stored."""

from __future__ import annotations

from typing import Any

from embedded.access.identity import AUTHENTICATED, Authenticator, User
from embedded.access.rbac import Authorizer, Request
from embedded.machinery.errors import bad_request
from embedded.machinery.resources import (
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    ResourceType,
)

Json = dict[str, Any]

REVIEWS = (TOKEN_REVIEWS, SELF_SUBJECT_REVIEWS, SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS)


_QUESTIONS = ("resourceAttributes", "nonResourceAttributes")


def answer(
    resource: ResourceType, review: Json, user: User, authenticator: Authenticator, authorizer: Authorizer
) -> Json:
    """The review with its status. `user` is who asks.

    Raises:
        ApiError: 400, the review can't be read.
    """
    spec = review.get("spec") or {}
    questions = [spec.get(field) for field in _QUESTIONS] if isinstance(spec, dict) else [spec]
    if not all(question is None or isinstance(question, dict) for question in questions):
        raise bad_request(f"{resource.kind}.spec must be an object of objects")
    if resource is TOKEN_REVIEWS:
        status = _token_status(spec, authenticator)
    elif resource is SELF_SUBJECT_REVIEWS:
        status = {"userInfo": user.to_json()}
    else:
        asked = user if resource is SELF_SUBJECT_ACCESS_REVIEWS else _user_in(spec)
        allowed = authorizer.allows(asked, _request_in(spec))
        status = (
            {"allowed": allowed} if allowed else {"allowed": False, "reason": "no rule bound to the user allows it"}
        )
    metadata = {"creationTimestamp": None, **(review.get("metadata") or {})}
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _token_status(spec: Json, authenticator: Authenticator) -> Json:
    found = authenticator.user_of(str(spec.get("token") or ""))
    if found is None:
        return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
    return {"authenticated": True, "user": found.to_json()}


def _user_in(spec: Json) -> User:
    groups = tuple(dict.fromkeys((*map(str, spec.get("groups") or ()), AUTHENTICATED)))
    return User(str(spec.get("user") or ""), str(spec.get("uid") or ""), groups)


def _request_in(spec: Json) -> Request:
    if path := (spec.get("nonResourceAttributes") or {}).get("path"):
        return Request(str(spec["nonResourceAttributes"].get("verb", "get")), path=str(path))
    wanted = spec.get("resourceAttributes") or {}
    resource = str(wanted.get("resource", ""))
    if wanted.get("subresource"):
        resource += f"/{wanted['subresource']}"
    return Request(
        str(wanted.get("verb", "")),
        str(wanted.get("group", "")),
        resource,
        str(wanted.get("namespace", "")),
        str(wanted.get("name", "")),
    )
