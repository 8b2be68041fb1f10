"""Problem documents (RFC 9457): every error response is one, and every type of problem is listed here.

A problem says what was wrong with the request and what to do; it never carries a traceback, a secret, or the text of
an unexpected exception. `docs/api.md` explains the same list; a test compares the two.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.run_types.patterns import EXPLANATIONS

MEDIA_TYPE = "application/problem+json"
URN = "urn:c8s:problem:"


@dataclass(frozen=True)
class ProblemType:
    """One type of problem: its stable name (the end of `type`), its HTTP status and its title."""

    slug: str
    status: int
    title: str


_TYPES = (
    ProblemType("bad-request", 400, "The request is malformed"),
    ProblemType("unauthenticated", 401, "No valid credentials"),
    ProblemType("forbidden", 403, "Not allowed"),
    ProblemType("origin-not-allowed", 403, "Pages of this origin may not call the API"),
    ProblemType("link-invalid", 403, "The signed link is not valid"),
    ProblemType("not-a-c8s-secret", 403, "The Secret does not belong to c8s"),
    ProblemType("not-found", 404, "Not found"),
    ProblemType("method-not-allowed", 405, "Method not allowed"),
    ProblemType("conflict", 409, "The object is in another state"),
    ProblemType("too-large", 413, "The body is too large"),
    ProblemType("over-budget", 413, "No more may be stored"),
    ProblemType("unsupported-media-type", 415, "The body's media type is not supported"),
    ProblemType("range-not-satisfiable", 416, "The range lies outside the object"),
    ProblemType("host-not-allowed", 421, "The server does not answer to this host name"),
    ProblemType("invalid", 422, "The request's content is not valid"),
    ProblemType("pipeline-invalid", 422, "The pipeline is not valid"),
    ProblemType("digest-mismatch", 422, "The uploaded bytes do not have the digest they were announced with"),
    ProblemType("source-missing", 422, "The source is not in the store"),
    ProblemType("idempotency-key-reused", 422, "The Idempotency-Key was used with another request"),
    ProblemType("internal", 500, "Internal error"),
    ProblemType("cluster-refused", 502, "The Kubernetes API refused the controller"),
    ProblemType("unavailable", 503, "Not available right now"),
    ProblemType("timeout", 504, "The request took too long"),
)
TYPES: Mapping[str, ProblemType] = {each.slug: each for each in _TYPES}

_BY_STATUS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}


@dataclass(eq=False)
class ApiProblemError(Exception):
    """Raised to end a request with a problem document.

    `detail` is one sentence for users; `problems` are entries like lint's; `headers` are added to the response.
    """

    slug: str
    detail: str
    problems: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.slug, self.detail)

    @property
    def kind(self) -> ProblemType:
        """The type of the problem. Raises KeyError for one that is not listed."""
        return TYPES[self.slug]

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """The problem document; `instance` identifies this occurrence in the controller's log."""
        body: dict[str, Any] = {
            "type": URN + self.slug,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.problems:
            body["problems"] = [dict(each) for each in self.problems]
        if instance is not None:
            body["instance"] = instance
        return body


def encode_problem(document: Mapping[str, Any]) -> bytes:
    """The document as JSON; lone surrogates are replaced."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def problem_for_status(status: int, detail: str) -> ApiProblemError:
    """The problem for a bare HTTP status, as the router raises it (404, 405)."""
    return ApiProblemError(_BY_STATUS.get(status, "bad-request" if status < 500 else "internal"), detail)


def problem_for_validation(errors: Sequence[Mapping[str, Any]]) -> ApiProblemError:
    """The problem for a request that does not match its schema.

    Only location and message are reported: the invalid input could be a secret's value.
    """
    problems = []
    for error in errors[:50]:
        where = [str(part) for part in error.get("loc", ())]
        path = _join_path(where[1:] if where[:1] in (["body"], ["query"], ["path"], ["header"]) else where)
        problems.append(problem_entry("request.invalid", _describe(error), path=path))
    named = ", ".join(sorted({each["path"] for each in problems if each["path"]})[:5])
    return ApiProblemError("invalid", f"the request is not valid{': ' + named if named else ''}", problems)


def _describe(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, in words rather than as a regular expression where there are words for it."""
    pattern = (error.get("ctx") or {}).get("pattern")
    return EXPLANATIONS.get(str(pattern)) or str(error.get("msg", "not valid"))


def problem_entry(
    code: str, message: str, *, path: str = "", hint: str | None = None, severity: str = "error"
) -> dict[str, Any]:
    """One entry of `problems`, in the form of lint's diagnostics, without a position in a file."""
    return {
        "line": None,
        "column": None,
        "path": path,
        "severity": severity,
        "code": code,
        "message": message,
        "hint": hint,
    }


def _join_path(parts: Sequence[str]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if part.isdigit() else (f".{part}" if path else part)
    return path
