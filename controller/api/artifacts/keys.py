"""The object keys of a step's artifacts, and which attempt's artifacts count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.api.artifacts.manifest import read_archive_info

if TYPE_CHECKING:
    from controller.storage import ObjectStore


@dataclass(frozen=True)
class ArtifactSet:
    """A committed archive: whose it is, its size in bytes and its digest (hex)."""

    key: "ArtifactKey"
    size: int
    sha256: str

    @property
    def archive_key(self) -> str:
        """The key of the archive."""
        return self.key.archive(self.sha256)


@dataclass(frozen=True)
class ArtifactKey:
    """Identifies the artifacts of an attempt of a step of the run with this uid: names of runs are used again."""

    namespace: str
    run_uid: str
    slug: str
    attempt: int

    @property
    def manifest(self) -> str:
        """The key of the manifest, which is written last: if it exists, the archive is complete."""
        return f"{self._prefix}.json"

    @property
    def definition(self) -> str:
        """The key of the pipeline file that a clone step found in the repository."""
        return f"{self._prefix}.definition.json"

    def archive(self, sha256: str) -> str:
        """The key of the archive with this digest (hex). It differs for other bytes, which can't replace it."""
        return f"{self._prefix}.{sha256}.tar.gz"

    @property
    def _prefix(self) -> str:
        return f"artifacts/{self.namespace}/{self.run_uid}/{self.slug}/{self.attempt}"


def producer_uid(reused: Mapping[str, Any]) -> str | None:
    """The uid of the run that made the result of a reused step; None in older statuses.

    Those have only its name, which another run may have by now.
    """
    uid = reused.get("uid")
    return None if uid is None else str(uid)


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
    uid, slug = (producer_uid(made), made["slug"]) if made else (meta["uid"], step["slug"])
    if uid is None:
        return None
    for attempt in [int(made["attempt"])] if made else possible_attempts(step):
        key = ArtifactKey(str(meta["namespace"]), str(uid), str(slug), attempt)
        if await store.head(key.manifest) is None:
            continue
        archive = await read_archive_info(store, key.manifest)
        if archive is None:
            # A clone step: its output is the run's source.
            return None
        return ArtifactSet(key, int(archive["size"]), str(archive["sha256"]))
    return None


async def stored_manifests(store: "ObjectStore", run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(slug of the step, key of the manifest) of all steps that have artifacts, in the order of the steps.

    Of each step those of its last attempt that committed some, also of one that failed. For a reused step, those of
    the run that produced them.
    """
    meta = run["metadata"]
    last: dict[str, int] = {}
    async for info in store.list(f"artifacts/{meta['namespace']}/{meta['uid']}/"):
        slug, _, name = info.key.split("/", 3)[3].partition("/")
        number, dot, ending = name.partition(".")
        if f"{dot}{ending}" == ".json" and number.isdigit():
            last[slug] = max(last.get(slug, 0), int(number))
    found = []
    for step in (run.get("status") or {}).get("steps") or ():
        made = step.get("reused")
        if made and (stored := await committed_artifacts(store, run, step)) is not None:
            found.append((str(step["slug"]), stored.key.manifest))
        elif not made and step["slug"] in last:
            slug = str(step["slug"])
            found.append((slug, ArtifactKey(str(meta["namespace"]), str(meta["uid"]), slug, last[slug]).manifest))
    return found
