"""The workspaces of failed steps in the object store: where they are, and what is known of one.

They are stored by the run's uid: a run that is made later under the same name never gets at them.
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
class SavedWorkspace:
    """A workspace that was kept: its archive's key, size in bytes and digest (hex)."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class WorkspaceKey:
    """An attempt of a step of one run, which is the one with this uid."""

    namespace: str
    uid: str
    slug: str
    attempt: int

    @property
    def archive(self) -> str:
        """The key of the archive."""
        return f"workspaces/{self.namespace}/{self.uid}/{self.slug}/{self.attempt}.tar.gz"

    @property
    def manifest(self) -> str:
        """The key of what the agent said of it, which is written last."""
        return f"workspaces/{self.namespace}/{self.uid}/{self.slug}/{self.attempt}.json"


def workspace_key(run: Mapping[str, Any], slug: str, attempt: int) -> WorkspaceKey:
    """The place of a run's attempt."""
    meta = run["metadata"]
    return WorkspaceKey(str(meta["namespace"]), str(meta["uid"]), slug, attempt)


def debug_source(run: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Of a run that is the copy of a failed step: `{run, number, step, attempt}`, the step by its slug."""
    found = ((run.get("spec") or {}).get("source") or {}).get("kept")
    return dict(found) if found else None


def saved_attempt(run: Mapping[str, Any], name: str, attempt: int | None) -> tuple[str, int]:
    """The step's slug and the attempt whose workspace was kept: the one that is asked for, or the last.

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
    told = next((each["kept"]["problem"] for each in reversed(tried) if (each.get("kept") or {}).get("problem")), None)
    if told is not None:
        raise ApiProblemError("conflict", f"the workspace of {name} in {of} could not be kept: {told}")
    raise ApiProblemError(
        "conflict", f"the workspace of {name} in {of} was not kept; a step with `keepOnFailure: true` keeps it"
    )


async def find_workspace(store: "ObjectStore", place: WorkspaceKey) -> SavedWorkspace:
    """The workspace at this place; a problem 404 when it is not stored (any more)."""
    if await store.head(place.manifest) is not None:
        told = json.loads(await store.get(place.manifest, limit=_MAX_MANIFEST_BYTES))
        if "sha256" in told and await store.head(place.archive) is not None:
            return SavedWorkspace(place.archive, int(told["size"]), str(told["sha256"]))
    raise ApiProblemError(
        "not-found", f"the workspace of {place.slug}, attempt {place.attempt}, is not stored (any more)"
    )
