"""The saved workspaces of failed steps in the object store.

Keys contain the run's uid: a later run of the same name has no access to them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.api.artifacts.keys import find_step, possible_attempts
from controller.api.http.problems import ApiProblemError

if TYPE_CHECKING:
    from controller.storage import ObjectStore

_MAX_MANIFEST_BYTES = 64 * 1024


@dataclass(frozen=True)
class WorkspaceArchive:
    """A saved workspace: its archive's key, size in bytes and digest (hex)."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class WorkspaceKey:
    """Identifies an attempt of a step of the run with this uid."""

    namespace: str
    uid: str
    slug: str
    attempt: int

    def archive(self, sha256: str) -> str:
        """The key of the archive with this digest (hex). It differs for other bytes, which can't replace it."""
        return f"workspaces/{self.namespace}/{self.uid}/{self.slug}/{self.attempt}.{sha256}.tar.gz"

    @property
    def manifest(self) -> str:
        """The key of the agent's report, which is written last."""
        return f"workspaces/{self.namespace}/{self.uid}/{self.slug}/{self.attempt}.json"


def workspace_key(run: Mapping[str, Any], slug: str, attempt: int) -> WorkspaceKey:
    """The key of a run's attempt."""
    meta = run["metadata"]
    return WorkspaceKey(str(meta["namespace"]), str(meta["uid"]), slug, attempt)


def debug_source(run: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The source of a debug copy: `{run, uid, number, step, attempt}`, the step by its slug; None for other runs."""
    found = ((run.get("spec") or {}).get("source") or {}).get("kept")
    return dict(found) if found else None


def saved_attempt(run: Mapping[str, Any], name: str, attempt: int | None) -> tuple[str, int]:
    """The step's slug and the attempt whose workspace was saved: the requested one, or the last.

    Raises a problem that says why there is none.
    """
    step, of = find_step(run, name), run["metadata"]["name"]
    if step is None:
        raise ApiProblemError("not-found", f"the run {of} has no step {name}")
    if attempt is not None and attempt not in possible_attempts(step):
        raise ApiProblemError("not-found", f"the step {name} has no attempt {attempt}")
    tried = [each for each in step.get("attempts") or () if attempt in (None, each["number"])]
    for each in reversed(tried):
        if "bytes" in (each.get("kept") or {}):
            return str(step["slug"]), int(each["number"])
    problem = next(
        (each["kept"]["problem"] for each in reversed(tried) if (each.get("kept") or {}).get("problem")), None
    )
    if problem is not None:
        raise ApiProblemError("conflict", f"the workspace of {name} in {of} could not be saved: {problem}")
    raise ApiProblemError(
        "conflict", f"the workspace of {name} in {of} was not saved; a step with `keepOnFailure: true` saves it"
    )


async def find_workspace(store: "ObjectStore", key: WorkspaceKey) -> WorkspaceArchive:
    """The saved workspace with this key; a problem 404 if it is not stored, or no longer."""
    if await store.head(key.manifest) is not None:
        try:
            report = json.loads(await store.get(key.manifest, limit=_MAX_MANIFEST_BYTES))
        except ValueError:
            raise ApiProblemError(
                "not-found", f"the stored workspace of {key.slug}, attempt {key.attempt}, is damaged"
            ) from None
        if "sha256" in report and await store.head(key.archive(report["sha256"])) is not None:
            return WorkspaceArchive(key.archive(report["sha256"]), int(report["size"]), str(report["sha256"]))
    raise ApiProblemError(
        "not-found", f"the workspace of {key.slug}, attempt {key.attempt}, is not stored, or no longer"
    )
