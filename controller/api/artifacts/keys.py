"""The object keys of a step's artifacts, and which attempt's artifacts count."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.storage import ObjectStore

MAX_MANIFEST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ArtifactSet:
    """A committed archive: its key, its size in bytes and its digest (hex)."""

    key: str
    size: int
    sha256: str


def archive_key(namespace: str, run: str, slug: str, attempt: int) -> str:
    """The key of an attempt's archive."""
    return f"artifacts/{namespace}/{run}/{slug}/{attempt}.tar.gz"


def manifest_key(namespace: str, run: str, slug: str, attempt: int) -> str:
    """The key of an attempt's manifest, which is written last: if it exists, the archive is complete."""
    return f"artifacts/{namespace}/{run}/{slug}/{attempt}.json"


def find_step(run: Mapping[str, Any], step: str) -> Mapping[str, Any] | None:
    """The step of a run's status, by slug or else by name."""
    steps = (run.get("status") or {}).get("steps") or ()
    for field in ("slug", "name"):
        for each in steps:
            if each.get(field) == step:
                return dict(each)
    return None


def possible_attempts(step: Mapping[str, Any]) -> list[int]:
    """The attempts that a step may have had, the last one first.

    One more than its status lists: a short step may end before the operator has written that it started.
    """
    last = max((int(each["number"]) for each in step.get("attempts") or ()), default=0)
    return list(range(last + 1, 0, -1))


async def committed_artifacts(
    store: "ObjectStore", run: Mapping[str, Any], step: Mapping[str, Any]
) -> ArtifactSet | None:
    """The artifacts of the step's last attempt that committed some; None if none did.

    For a reused step, those of the run that produced them, in the same namespace.
    """
    meta = run["metadata"]
    made = step.get("reused")
    name, slug = (made["run"], made["slug"]) if made else (meta["name"], step["slug"])
    for attempt in [int(made["attempt"])] if made else possible_attempts(step):
        place = (str(meta["namespace"]), str(name), str(slug), attempt)
        key = manifest_key(*place)
        if await store.head(key) is None:
            continue
        archive = json.loads(await store.get(key, limit=MAX_MANIFEST_BYTES))["archive"]
        if archive is None:
            # A clone step: its output is the run's source.
            return None
        return ArtifactSet(archive_key(*place), int(archive["size"]), str(archive["sha256"]))
    return None
