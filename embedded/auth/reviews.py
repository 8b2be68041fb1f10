"""Answers TokenReviews and access reviews, which are never stored."""

from __future__ import annotations

from embedded.api.scheme import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    ResourceType,
)
from embedded.api.status_errors import FieldError, bad_request, invalid
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.tokens import Authenticator, User
from embedded.types import JsonObject

REVIEWS = (
    TOKEN_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
)

_GROUPS = frozenset(each.group for each in REVIEWS)
_ATTRIBUTE_FIELDS = ("resourceAttributes", "nonResourceAttributes")


def is_review(resource: ResourceType) -> bool:
    """Whether a resource is a question that is answered at once. The group decides first: it is compared faster."""
    return resource.group in _GROUPS and resource in REVIEWS


def answer_review(
    resource: ResourceType,
    review: JsonObject,
    namespace: str,
    user: User,
    authenticator: Authenticator,
    authorizer: Authorizer,
) -> JsonObject:
    """Complete a review with its status. `user` sent the request; `namespace` is that of the request.

    Raises:
        ApiError: 400 or 422, the review is invalid.
    """
    spec = review.get("spec") or {}
    questions = [spec.get(field) for field in _ATTRIBUTE_FIELDS] if isinstance(spec, dict) else [spec]
    if not all(question is None or isinstance(question, dict) for question in questions):
        raise bad_request(f"{resource.kind}.spec must be an object of objects")
    if resource is TOKEN_REVIEWS:
        status = _token_status(spec, authenticator)
    elif resource is SELF_SUBJECT_REVIEWS:
        status = {"userInfo": user.to_json()}
    elif resource is SELF_SUBJECT_RULES_REVIEWS:
        if not spec.get("namespace"):
            raise bad_request("no namespace on request")
        status = _rules_status(authorizer.rules_for(user, str(spec["namespace"])))
    else:
        _require_valid_spec(resource, spec, namespace)
        requested = user if resource is SELF_SUBJECT_ACCESS_REVIEWS else _parse_user(spec)
        why = authorizer.allowed_by(requested, _parse_request(spec))
        status = {"allowed": why is not None, **({"reason": why} if why else {})}
    metadata = review.get("metadata") or {}
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _require_valid_spec(resource: ResourceType, spec: JsonObject, namespace: str) -> None:
    """Check the spec of an access review.

    Raises:
        ApiError: 422, it has no or several attributes, no subject, or names another namespace.
    """
    causes = []
    if (spec.get("resourceAttributes") is None) == (spec.get("nonResourceAttributes") is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(FieldError("FieldValueInvalid", "spec.resourceAttributes", f'Invalid value: "null": {why}'))
    if resource is not SELF_SUBJECT_ACCESS_REVIEWS and not spec.get("user") and not spec.get("groups"):
        why = 'Invalid value: "": at least one of user or group must be specified'
        causes.append(FieldError("FieldValueInvalid", "spec.user", why))
    requested = (spec.get("resourceAttributes") or {}).get("namespace") or ""
    if resource is LOCAL_SUBJECT_ACCESS_REVIEWS and spec.get("resourceAttributes") and requested != namespace:
        why = f'Invalid value: "{requested}": must match metadata.namespace'
        causes.append(FieldError("FieldValueInvalid", "spec.resourceAttributes.namespace", why))
    if causes:
        # Without a kind: a real server takes it from the decoded review, which has none.
        raise invalid("", "", resource.group, causes)


def _rules_status(rules: list[JsonObject]) -> JsonObject:
    """The status that `kubectl auth can-i --list` shows."""

    def kept(rule: JsonObject, *fields: str) -> JsonObject:
        return {field: rule[field] for field in fields if rule.get(field)}

    resources = [kept(r, "verbs", "apiGroups", "resources", "resourceNames") for r in rules if r.get("resources")]
    paths = [kept(r, "verbs", "nonResourceURLs") for r in rules if r.get("nonResourceURLs")]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _token_status(spec: JsonObject, authenticator: Authenticator) -> JsonObject:
    audiences = spec.get("audiences") or []
    if not isinstance(audiences, list):
        raise bad_request("spec.audiences of a TokenReview must be a list")
    token = str(spec.get("token") or "")
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    found = authenticator.authenticate(token, [str(audience) for audience in audiences])
    if found is None:
        return {"user": {}, "error": "invalid bearer token"}
    shared = authenticator.matching_audiences(token, [str(audience) for audience in audiences])
    return {"authenticated": True, "user": found.to_json(), **({"audiences": shared} if shared else {})}


def _parse_user(spec: JsonObject) -> User:
    named = spec.get("groups") or []
    if not isinstance(named, list):
        raise bad_request("spec.groups of a SubjectAccessReview must be a list")
    groups = tuple(dict.fromkeys(map(str, named)))
    return User(str(spec.get("user") or ""), str(spec.get("uid") or ""), groups)


def _parse_request(spec: JsonObject) -> AccessRequest:
    if path := (spec.get("nonResourceAttributes") or {}).get("path"):
        return AccessRequest(str(spec["nonResourceAttributes"].get("verb", "get")), path=str(path))
    attributes = spec.get("resourceAttributes") or {}
    resource = str(attributes.get("resource", ""))
    if attributes.get("subresource"):
        resource += f"/{attributes['subresource']}"
    return AccessRequest(
        str(attributes.get("verb", "")),
        str(attributes.get("group", "")),
        resource,
        str(attributes.get("namespace", "")),
        str(attributes.get("name", "")),
    )
