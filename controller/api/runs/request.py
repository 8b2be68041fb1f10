"""Turns requests for a run into the PipelineRun to create. Pure; `create.py` sends it.

`NewRun` is the one form of such a request: of a new run, of a run again, and of a debug copy of a failed step.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from controller import labels
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.models.runs import Breakpoint, CopyRequest, RerunRequest, RunRequest, Source
from controller.api.serializers import creator_of
from controller.run_types.order import number_of

Validated = tuple[Mapping[str, Any], Mapping[str, str]]
"""A definition and the values of its parameters, from `validation.validate_run`."""


@dataclass(frozen=True)
class Idempotency:
    """A user's idempotency key and what they sent with it, as digests: neither is readable on the run."""

    key: str
    request: str


@dataclass(frozen=True)
class RunReference:
    """Another run of the namespace. The uid identifies it: its name may be used again."""

    name: str
    uid: str

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> "RunReference":
        """The reference to a run."""
        return cls(str(run["metadata"]["name"]), str(run["metadata"]["uid"]))

    def fields(self, field: str) -> dict[str, str]:
        """The fields of a run's spec with this reference."""
        return {field: self.name, f"{field}Uid": self.uid}


@dataclass(frozen=True)
class NewRun:
    """A valid run to create: the normalised definition, the value of every parameter, the user, and its context."""

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
    rerun_of: RunReference | None = None
    reuse_from: RunReference | None = None
    trigger: Mapping[str, Any] | None = None
    breakpoints: Sequence[Mapping[str, str]] = ()
    prestart: int | None = None
    verify_inputs: bool = False
    reuse: bool | None = None
    watch: bool = False
    failed_tests: Mapping[str, Any] | None = None

    @classmethod
    def from_request(
        cls,
        body: RunRequest,
        validated: Validated,
        user: str,
        reuse_from: RunReference | None = None,
        failed_tests: Mapping[str, Any] | None = None,
    ) -> "NewRun":
        """The run of a request, which reuses steps of `reuse_from`. Raises a problem for an invalid source."""
        return cls(
            *validated,
            user=user,
            source=source_spec(body.source),
            branch=body.branch,
            commit=body.commit,
            event=body.event,
            changed_files=body.changed_files,
            priority=body.priority,
            triggered_by=body.triggered_by,
            reuse_from=reuse_from,
            breakpoints=check_breakpoints(validated[0], body.breakpoints),
            prestart=body.prestart,
            verify_inputs=body.verify_inputs,
            reuse=body.reuse,
            watch=body.watch,
            failed_tests=failed_tests,
        )

    @classmethod
    def from_run(cls, run: Mapping[str, Any], validated: Validated, user: str) -> "NewRun":
        """A run in the context of an existing one: its branch, commit, event, changed files and priority."""
        spec = run.get("spec") or {}
        return cls(
            *validated,
            user=user,
            branch=spec.get("branch"),
            commit=spec.get("commit"),
            event=spec.get("event"),
            changed_files=spec.get("changedFiles"),
            priority=spec.get("priority"),
            prestart=spec.get("prestart"),
            verify_inputs=bool(spec.get("verifyInputs")),
        )

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return str(self.definition["name"])

    @property
    def source_digest(self) -> str | None:
        """The digest of the uploaded source, if the run has one."""
        return ((self.source or {}).get("archive") or {}).get("digest")

    def spec(self) -> dict[str, Any]:
        """The spec of the PipelineRun; fields that were not given stay absent."""
        fields: dict[str, Any] = {
            "pipeline": dict(self.definition),
            "params": dict(self.params),
            "branch": self.branch,
            "commit": self.commit,
            "event": self.event,
            "changedFiles": list(self.changed_files) if self.changed_files is not None else None,
            "priority": self.priority,
            "triggeredBy": self.triggered_by or self.user,
            "source": self.source,
            "trigger": dict(self.trigger) if self.trigger else None,
            "breakpoints": list(self.breakpoints) or None,
            "prestart": self.prestart,
            "verifyInputs": self.verify_inputs or None,
            "reuse": self.reuse,
            "watch": self.watch or None,
            "failedTests": dict(self.failed_tests) if self.failed_tests else None,
            **(self.rerun_of.fields("rerunOf") if self.rerun_of is not None else {}),
            **(self.reuse_from.fields("reuseFrom") if self.reuse_from is not None else {}),
        }
        return {field: value for field, value in fields.items() if value not in (None, {})}


def idempotency(
    header: str | None, user: str, call: str, body: RunRequest | RerunRequest | CopyRequest
) -> Idempotency | None:
    """Reads the header `Idempotency-Key`; None when there is none.

    Keys belong to their user: another user's equal key means another run. `call` is the path: the same key and
    body at another path is another request.
    """
    if header is None:
        return None
    key = hashlib.sha256(f"{user}\0{header}".encode()).hexdigest()[:40]
    sent = json.dumps([call, body.model_dump(mode="json", by_alias=True)], sort_keys=True, separators=(",", ":"))
    return Idempotency(key, hashlib.sha256(sent.encode("utf-8", "surrogatepass")).hexdigest())


def check_breakpoints(definition: Mapping[str, Any], wanted: Sequence[Breakpoint]) -> list[dict[str, str]]:
    """The breakpoints as a run carries them. Raises a problem for a step that the definition does not have."""
    known = [str(step.get("name")) for step in definition.get("steps") or []]
    for index, each in enumerate(wanted):
        # A combination has the name of its step in front.
        if not any(each.step == name or each.step.startswith(f"{name} (") for name in known):
            hint = f"the pipeline has the steps {', '.join(known[:10])}{' and more' if len(known) > 10 else ''}"
            problem = problem_entry("run.breakpoints", hint, path=f"breakpoints[{index}].step")
            raise ApiProblemError("invalid", f"there is no step {each.step} to hold", [problem])
    return [{"step": each.step, "at": each.at} for each in wanted]


def source_spec(source: Source | None) -> dict[str, Any] | None:
    """The source as a run carries it. Raises a problem for neither or both of its forms, or for a password in it."""
    if source is None:
        return None
    if (source.archive is None) == (source.git is None):
        problem = problem_entry("run.source", "give either archive or git", path="source")
        raise ApiProblemError("invalid", "a run's source is either an archive or a git revision", [problem])
    if source.git is not None and _contains_password(source.git.url):
        hint = "put the password into a Secret and name it in secretRef"
        problem = problem_entry("run.source", hint, path="source.git.url")
        detail = "the URL of a repository must not contain a password: everyone who may read the run can read it"
        raise ApiProblemError("invalid", detail, [problem])
    return source.model_dump(mode="json", by_alias=True, exclude_none=True)


def _contains_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.password is not None or (parts.scheme in ("http", "https") and parts.username is not None)
    except ValueError:
        return True


def rerun(
    run: Mapping[str, Any],
    body: RerunRequest,
    validated: Validated,
    user: str,
    failed_tests: Mapping[str, Any] | None = None,
) -> NewRun:
    """The same run again, with what the request replaces; `validated` are its definition and parameters."""
    this = RunReference.of(run)
    is_changed = body.pipeline is not None or body.source is not None
    return dataclasses.replace(
        NewRun.from_run(run, validated, user),
        source=source_spec(body.source) or rerun_source(run),
        rerun_of=this,
        trigger=_rerun_trigger(run),
        reuse_from=this if body.from_failed or body.failed_tests or is_changed else None,
        failed_tests=failed_tests,
        breakpoints=check_breakpoints(validated[0], body.breakpoints),
    )


def _rerun_trigger(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The trigger of a run that is run again: who asks for it approves it, and a stranger's change stays one.

    The connection, whose credentials the run may use, is taken over only from a run that it was proven to be of.
    """
    trigger = dict((run.get("spec") or {}).get("trigger") or {})
    trigger.pop("needsApproval", None)
    if creator_of(run) is None:
        for name in ("connection", "connectionUid", "provider", "delivery"):
            trigger.pop(name, None)
    return trigger


def debug_copy(run: Mapping[str, Any], slug: str, attempt: int, validated: Validated, user: str) -> NewRun:
    """A debug copy of a failed step, on the saved workspace of this attempt."""
    number = number_of(run)
    saved = {
        "run": str(run["metadata"]["name"]),
        "uid": str(run["metadata"]["uid"]),
        "number": "" if number is None else str(number),
        "step": slug,
        "attempt": attempt,
    }
    again = NewRun.from_run(run, validated, user)
    return dataclasses.replace(
        again,
        source={"kept": saved},
        commit=_cloned_commit(run) or again.commit,
        changed_files=None,
        priority="high",
    )


def rerun_source(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The run's source; of a branch or tag, which may have moved since, the commit that was cloned then."""
    source = (run.get("spec") or {}).get("source")
    commit = _cloned_commit(run)
    if not source or "git" not in source or not commit:
        return dict(source) if source else None
    return {**source, "git": {**source["git"], "revision": commit}}


def _cloned_commit(run: Mapping[str, Any]) -> str | None:
    return ((run.get("status") or {}).get("source") or {}).get("commit")


def merge_params(run: Mapping[str, Any], definition: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The run's parameters overridden by those given; those that a new pipeline no longer declares are left out."""
    declared = {each.get("name") for each in definition.get("params") or () if isinstance(each, Mapping)}
    kept = {name: value for name, value in ((run.get("spec") or {}).get("params") or {}).items() if name in declared}
    return {**kept, **given}


def run_object(namespace: str, name: str, number: int, new: NewRun, key: Idempotency | None) -> dict[str, Any]:
    """The PipelineRun to create."""
    run_labels = {
        labels.PIPELINE: new.pipeline,
        labels.RUN_NUMBER: str(number),
        labels.MANAGED_BY: labels.MANAGER,
    }
    annotations = {labels.CREATED_BY: new.user}
    if key is not None:
        run_labels[labels.IDEMPOTENCY_KEY] = key.key
        annotations[labels.REQUEST_DIGEST] = key.request
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "metadata": {"name": name, "namespace": namespace, "labels": run_labels, "annotations": annotations},
        "spec": new.spec(),
    }


def is_same_request(run: Mapping[str, Any], key: Idempotency) -> bool:
    """Whether the run was created by this very request."""
    annotations = run["metadata"].get("annotations") or {}
    return bool(annotations.get(labels.REQUEST_DIGEST) == key.request)
