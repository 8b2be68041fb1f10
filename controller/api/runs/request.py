"""What a request for a run becomes: checks and the PipelineRun object, as pure functions.

The pipeline room says what a valid pipeline is; here its findings become problems. Sending is done in launching.py.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.models.runs import CopyRequest, RerunRequest, RunRequest, Source
from controller.api.serializers import NUMBER_LABEL, PIPELINE_LABEL, run_number

KEY_LABEL = "c8s.dev/idempotency-key"
REQUEST_ANNOTATION = "c8s.dev/request-digest"
CREATOR_ANNOTATION = "c8s.dev/created-by"

Checked = tuple[Mapping[str, Any], Mapping[str, str]]


@dataclass(frozen=True)
class Idempotency:
    """A caller's key and what they sent with it, as digests: neither is readable on the run."""

    key: str
    request: str


@dataclass(frozen=True)
class RunSpec:
    """A run to be made, checked: the normalised definition, the value of every parameter, and for whom."""

    definition: Mapping[str, Any]
    params: Mapping[str, str]
    user: str
    source: Mapping[str, Any] | None = None
    branch: str | None = None
    commit: str | None = None
    event: str | None = None
    changed_files: Sequence[str] | None = None
    priority: str | None = None
    triggered_by: str | None = None
    rerun_of: str | None = None
    reuse_from: str | None = None

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return str(self.definition["name"])


def idempotency(
    header: str | None, user: str, call: str, body: RunRequest | RerunRequest | CopyRequest
) -> Idempotency | None:
    """From the header `Idempotency-Key`; None when there is none.

    Keys belong to their caller: another user's equal key means another run. `call` is the path: the same key and
    body at another one is another request.
    """
    if header is None:
        return None
    key = hashlib.sha256(f"{user}\0{header}".encode()).hexdigest()[:40]
    sent = json.dumps([call, body.model_dump(mode="json", by_alias=True)], sort_keys=True, separators=(",", ":"))
    return Idempotency(key, hashlib.sha256(sent.encode("utf-8", "surrogatepass")).hexdigest())


def source_spec(source: Source | None) -> dict[str, Any] | None:
    """The source as a run carries it; a problem when it is neither or both of its forms, or tells a password."""
    if source is None:
        return None
    if (source.archive is None) == (source.git is None):
        problem = problem_entry("run.source", "give either archive or git", path="source")
        raise ApiProblemError("invalid", "a run's source is either an archive or a git revision", [problem])
    if source.git is not None and _contains_password(source.git.url):
        problem = problem_entry(
            "run.source", "put the password into a Secret and name it in secretRef", path="source.git.url"
        )
        raise ApiProblemError(
            "invalid", "the address of a repository must not hold a password: everyone may read it", [problem]
        )
    return source.model_dump(mode="json", by_alias=True, exclude_none=True)


def _contains_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.password is not None or (parts.scheme in ("http", "https") and parts.username is not None)
    except ValueError:
        return True


def rerun_spec(run: Mapping[str, Any], body: RerunRequest, checked: Checked, user: str) -> RunSpec:
    """The same run again, with what the request replaces; `checked` are its definition and parameters."""
    spec, name = run.get("spec") or {}, str(run["metadata"]["name"])
    changed = body.pipeline is not None or body.source is not None
    return RunSpec(
        *checked,
        user=user,
        source=source_spec(body.source) or rerun_source(run),
        branch=spec.get("branch"),
        commit=spec.get("commit"),
        event=spec.get("event"),
        changed_files=spec.get("changedFiles"),
        priority=spec.get("priority"),
        rerun_of=name,
        reuse_from=name if body.from_failed or changed else None,
    )


def debug_copy_spec(run: Mapping[str, Any], slug: str, attempt: int, checked: Checked, user: str) -> RunSpec:
    """A copy of a failed step, on the workspace that was kept of this attempt."""
    spec, name = run.get("spec") or {}, str(run["metadata"]["name"])
    number = run_number(run)
    kept = {"run": name, "number": "" if number is None else str(number), "step": slug, "attempt": attempt}
    cloned = ((run.get("status") or {}).get("source") or {}).get("commit")
    return RunSpec(
        *checked,
        user=user,
        source={"kept": kept},
        branch=spec.get("branch"),
        commit=cloned or spec.get("commit"),
        event=spec.get("event"),
        priority="high",
    )


def rerun_source(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The run's source; of a branch or tag the commit that was cloned then, which may have moved on since."""
    source = (run.get("spec") or {}).get("source")
    commit = ((run.get("status") or {}).get("source") or {}).get("commit")
    if not source or "git" not in source or not commit:
        return dict(source) if source else None
    return {**source, "git": {**source["git"], "revision": commit}}


def merge_params(run: Mapping[str, Any], definition: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The run's parameters with those that are given; what a new pipeline no longer declares is left out."""
    declared = {each.get("name") for each in definition.get("params") or () if isinstance(each, Mapping)}
    kept = {name: value for name, value in ((run.get("spec") or {}).get("params") or {}).items() if name in declared}
    return {**kept, **given}


def run_object(namespace: str, name: str, number: int, run_spec: RunSpec, key: Idempotency | None) -> dict[str, Any]:
    """The PipelineRun to create; fields that were not given stay absent."""
    labels = {PIPELINE_LABEL: run_spec.pipeline, NUMBER_LABEL: str(number), "app.kubernetes.io/managed-by": "c8s"}
    annotations = {CREATOR_ANNOTATION: run_spec.user}
    if key is not None:
        labels[KEY_LABEL] = key.key
        annotations[REQUEST_ANNOTATION] = key.request
    spec: dict[str, Any] = {
        "pipeline": dict(run_spec.definition),
        "params": dict(run_spec.params),
        "branch": run_spec.branch,
        "commit": run_spec.commit,
        "event": run_spec.event,
        "changedFiles": list(run_spec.changed_files) if run_spec.changed_files is not None else None,
        "priority": run_spec.priority,
        "triggeredBy": run_spec.triggered_by or run_spec.user,
        "source": run_spec.source,
        "rerunOf": run_spec.rerun_of,
        "reuseFrom": run_spec.reuse_from,
    }
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
        "spec": {field: value for field, value in spec.items() if value not in (None, {})},
    }


def is_same_request(run: Mapping[str, Any], key: Idempotency) -> bool:
    """Whether the run was made by this very request."""
    annotations = run["metadata"].get("annotations") or {}
    return bool(annotations.get(REQUEST_ANNOTATION) == key.request)
