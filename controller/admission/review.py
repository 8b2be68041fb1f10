"""AdmissionReviews: what the API server asks, and what it is answered. Pure.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
MAX_PROBLEMS = 20
_MAX_MESSAGE = 4_000


class ReviewError(Exception):
    """The request is no AdmissionReview."""


@dataclass(frozen=True)
class Request:
    """A write that is about to happen.

    Attributes:
        resource: the plural of the resource.
        operation: `CREATE` or `UPDATE`.
        is_dry_run: whether nothing will be stored.
    """

    uid: str
    resource: str
    operation: str
    namespace: str
    name: str
    obj: Mapping[str, Any]
    is_dry_run: bool = False


@dataclass(frozen=True)
class Decision:
    """Whether the write may happen.

    Attributes:
        problems: why not, as sentences; none if it may.
        code: the HTTP status of a refusal: 422 for what is wrong in itself, 403 for what does not fit now or here.
        warnings: shown to the user in any case.
    """

    problems: tuple[str, ...] = ()
    code: int = 422
    warnings: tuple[str, ...] = ()


def read_request(document: Any) -> Request:
    """The request in an AdmissionReview. Raises ReviewError."""
    try:
        if document["apiVersion"] != API_VERSION or document["kind"] != KIND:
            raise ReviewError(f"expected {KIND} of {API_VERSION}")
        request = document["request"]
        obj = request["object"]
        if not isinstance(obj, dict) or not isinstance(obj.get("spec") or {}, dict):
            raise ReviewError("the request has no object with a spec")
        metadata = obj.get("metadata") or {}
        return Request(
            uid=str(request["uid"]),
            resource=str(request["resource"]["resource"]),
            operation=str(request["operation"]),
            namespace=str(request.get("namespace") or metadata.get("namespace") or ""),
            name=str(request.get("name") or metadata.get("name") or ""),
            obj=obj,
            is_dry_run=bool(request.get("dryRun")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ReviewError(f"the review has no {error}") from None


def response(uid: str, decision: Decision) -> Json:
    """The AdmissionReview that answers a request."""
    answer: Json = {"uid": uid, "allowed": not decision.problems}
    if decision.problems:
        reason = "Invalid" if decision.code == 422 else "Forbidden"
        answer["status"] = {"code": decision.code, "reason": reason, "message": describe(decision.problems)}
    if decision.warnings:
        answer["warnings"] = [warning[:_MAX_MESSAGE] for warning in decision.warnings[:MAX_PROBLEMS]]
    return {"apiVersion": API_VERSION, "kind": KIND, "response": answer}


def describe(problems: tuple[str, ...]) -> str:
    """All problems as one message: several are a list."""
    if len(problems) == 1:
        return problems[0][:_MAX_MESSAGE]
    shown = [f"* {each}" for each in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        shown.append(f"* and {len(problems) - MAX_PROBLEMS} more")
    return "\n".join([f"{len(problems)} problems:", *shown])[:_MAX_MESSAGE]
