"""What a request for a run becomes: checks and the PipelineRun object, as pure functions.

The pipeline room says what a valid pipeline is; here its findings become problems. Sending is done in runs.py.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.api.models import RunRequest
from controller.api.problems import ApiProblem, entry
from controller.api.views import NUMBER_LABEL, PIPELINE_LABEL

KEY_LABEL = "c8s.dev/idempotency-key"
REQUEST_ANNOTATION = "c8s.dev/request-digest"
CREATOR_ANNOTATION = "c8s.dev/created-by"
KEY_LIMIT = 255


@dataclass(frozen=True)
class Idempotency:
    """A caller's key and what they sent with it, as digests: neither is readable on the run."""

    key: str
    request: str


def idempotency(header: str | None, user: str, body: RunRequest) -> Idempotency | None:
    """From the header `Idempotency-Key`; None when there is none, a problem when it can't be one.

    Keys belong to their caller: another user's equal key means another run.
    """
    if header is None:
        return None
    if not 1 <= len(header) <= KEY_LIMIT or not header.isascii() or not header.isprintable():
        raise ApiProblem("bad-request", f"an Idempotency-Key is 1 to {KEY_LIMIT} printable ASCII characters")
    key = hashlib.sha256(f"{user}\0{header}".encode()).hexdigest()[:40]
    sent = json.dumps(body.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return Idempotency(key, hashlib.sha256(sent.encode("utf-8", "surrogatepass")).hexdigest())


def check_source(body: RunRequest) -> str | None:
    """The digest of the archive that the run wants, None for a run without one; a problem when both forms are given."""
    source = body.source
    if source is None:
        return None
    if (source.archive is None) == (source.git is None):
        problem = entry("run.source", "give either archive or git", path="source")
        raise ApiProblem("invalid", "a run's source is either an archive or a git revision", [problem])
    return source.archive.digest if source.archive is not None else None


def run_object(
    namespace: str,
    name: str,
    number: int,
    body: RunRequest,
    definition: Mapping[str, Any],
    params: Mapping[str, str],
    user: str,
    key: Idempotency | None,
) -> dict[str, Any]:
    """The PipelineRun to create; fields that were not given stay absent."""
    pipeline = str(definition["name"])
    labels = {PIPELINE_LABEL: pipeline, NUMBER_LABEL: str(number), "app.kubernetes.io/managed-by": "c8s"}
    annotations = {CREATOR_ANNOTATION: user}
    if key is not None:
        labels[KEY_LABEL] = key.key
        annotations[REQUEST_ANNOTATION] = key.request
    spec: dict[str, Any] = {
        "pipeline": dict(definition),
        "params": dict(params),
        "branch": body.branch,
        "commit": body.commit,
        "event": body.event,
        "priority": body.priority,
        "triggeredBy": body.triggered_by or user,
        "source": body.source.model_dump(mode="json", by_alias=True, exclude_none=True) if body.source else None,
    }
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
        "spec": {field: value for field, value in spec.items() if value not in (None, {})},
    }


def same_request(run: Mapping[str, Any], key: Idempotency) -> bool:
    """Whether the run was made by this very request."""
    annotations = run["metadata"].get("annotations") or {}
    return bool(annotations.get(REQUEST_ANNOTATION) == key.request)
