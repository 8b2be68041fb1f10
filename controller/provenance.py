"""Proof of who created a run: the API signs the runs that it creates, and the operator recognizes them.

Users who may create PipelineRuns may write any annotation. Only a signed one shows that a run came through the API,
which authenticated the user and checked permissions that Kubernetes does not know of, such as that for copies of failed
steps. The signature covers the spec, so that it can't be moved to another run; its time is compared with that of the
object's creation, so that it can't be used again for a later run of the same name.

The receiver of webhooks, which strangers reach, has a key of its own, derived from the controller's. With it, it can
sign runs of deliveries and nothing else.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller import labels
from controller.signing import derive_key, is_same, sign

_PURPOSE = "c8s run creator v1"
MAX_CLOCK_SKEW = 600
"""Seconds between the time of the signature and that of the object's creation: two clocks, and a slow request."""
_APPROVAL_PURPOSE = "c8s run approval v1"
APPROVAL_SECONDS = 24 * 3600
"""How long after an approval its run may start."""
WEBHOOK_CREATOR = "c8s-webhook"
"""The creator of runs of deliveries, as the user in the proof of a run."""
_WEBHOOK_PURPOSE = "c8s webhook receiver v1"
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MUTABLE_FIELDS = ("cancel", "approved")
_FILLED_IN_FIELDS = ("pipeline", "changedFiles")
"""What the operator fills in where a run only refers to its pipeline."""

RunObject = Mapping[str, Any]


def derive_webhook_key(key: bytes) -> bytes:
    """The key of the receiver of webhooks: hexadecimal text, as it is in the receiver's own Secret."""
    return derive_key(key, _WEBHOOK_PURPOSE).hex().encode()


def sign_creator(key: bytes, run: RunObject, now: float) -> str:
    """The value of the annotation `c8s.dev/creator-proof` of a run that is about to be created.

    Args:
        key: the controller's; of a run of a delivery, the receiver's.
    """
    at = str(int(now))
    return f"{at}.{_signature(key, run, at)}"


def verified_creator(key: bytes, run: RunObject) -> str | None:
    """The user who created the run through the API, or the receiver; None if that is not proven.

    Args:
        key: the controller's.
    """
    annotations = run["metadata"].get("annotations") or {}
    at, dot, signature = str(annotations.get(labels.CREATOR_PROOF) or "").partition(".")
    user = annotations.get(labels.CREATED_BY)
    if not (dot and user and at.isascii() and at.isdigit() and len(at) < 12):
        return None
    if user == WEBHOOK_CREATOR:
        if not _is_of_delivery(run["spec"]):
            return None
        key = derive_webhook_key(key)
    if not is_same(_signature(key, run, at), signature):
        return None
    created = datetime.fromisoformat(str(run["metadata"]["creationTimestamp"])).timestamp()
    return str(user) if abs(created - int(at)) <= MAX_CLOCK_SKEW else None


def _is_of_delivery(spec: Mapping[str, Any]) -> bool:
    """Whether a run is one that the receiver creates: of a connection, on its repository, and on nothing saved."""
    trigger, source = spec.get("trigger") or {}, spec.get("source") or {}
    is_on_repository = set(source) == {"git"} and not {"reuseFrom", "rerunOf"} & set(spec)
    return bool(is_on_repository and trigger.get("connection") and trigger.get("connectionUid"))


def has_full_commit(run: RunObject) -> bool:
    """Whether the run names its commit in full: others could be made to begin with the same digits."""
    return _FULL_COMMIT.fullmatch(str(run["spec"].get("commit") or "")) is not None


def approve(key: bytes, run: RunObject, user: str, now: float) -> dict[str, str]:
    """`spec.approved` of a run that this user lets start: it holds for this run and its commit, and for a day."""
    at = str(int(now))
    return {"by": user, "proof": f"{at}.{_approval(key, run, user, at)}"}


def is_approved(key: bytes, run: RunObject, now: float) -> bool:
    """Whether the API signed the approval of this very run and its commit, not too long ago."""
    given = run["spec"].get("approved") or {}
    at, _, signature = str(given.get("proof") or "").partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 12 and has_full_commit(run)):
        return False
    if not is_same(_approval(key, run, str(given.get("by") or ""), at), signature):
        return False
    return -MAX_CLOCK_SKEW <= now - int(at) <= APPROVAL_SECONDS


def _approval(key: bytes, run: RunObject, user: str, at: str) -> str:
    said = [run["metadata"]["uid"], run["spec"].get("commit"), user, at]
    return sign(derive_key(key, _APPROVAL_PURPOSE), json.dumps(said, separators=(",", ":")))


@dataclass(frozen=True)
class CreatorProofs:
    """Signs and recognizes runs with one key. `now`: the wall clock, in seconds since 1970."""

    key: bytes
    now: Callable[[], float] = time.time

    def sign(self, run: RunObject) -> str:
        """See `sign_creator`."""
        return sign_creator(self.key, run, self.now())

    def creator(self, run: RunObject) -> str | None:
        """See `verified_creator`."""
        return verified_creator(self.key, run)

    def approve(self, run: RunObject, user: str) -> dict[str, str]:
        """See `approve`."""
        return approve(self.key, run, user, self.now())


@dataclass(frozen=True)
class DeliveryProofs:
    """Signs the runs of deliveries. `key`: the receiver's; `now`: the wall clock, in seconds since 1970."""

    key: bytes
    now: Callable[[], float] = time.time

    def sign(self, run: RunObject) -> str:
        """See `sign_creator`."""
        return sign_creator(self.key, run, self.now())


def describe_creator(creator: str | None, claimed: str | None) -> str:
    """Who started a run: the proven creator, and what the request said if that is another name.

    Args:
        creator: `status.createdBy`; None if it is not proven.
        claimed: `spec.triggeredBy`, which the request chose.
    """
    if claimed is None or claimed == creator:
        return creator or "unknown"
    return f"{creator or 'unknown'}, says {claimed}"


def _signature(key: bytes, run: RunObject, at: str) -> str:
    metadata = run["metadata"]
    is_referred = "pipelineFrom" in run["spec"] or "pipelineConfigRef" in run["spec"]
    left_out = (*_MUTABLE_FIELDS, *_FILLED_IN_FIELDS) if is_referred else _MUTABLE_FIELDS
    spec = {field: value for field, value in run["spec"].items() if field not in left_out}
    user = (metadata.get("annotations") or {}).get(labels.CREATED_BY)
    said = [metadata.get("namespace"), metadata["name"], user, at, spec]
    return sign(derive_key(key, _PURPOSE), json.dumps(said, sort_keys=True, separators=(",", ":")))
