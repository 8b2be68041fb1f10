"""The gate of a Job that is made ahead: while it is closed, the commands of the step can't begin.

The Job itself says whether its gate is open. So that is decided once, by any replica: a Job is deleted only in the
version in which its gate was seen closed, and a deletion and an opening at the same time exclude each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller import labels

Json = dict[str, Any]


@dataclass(frozen=True)
class Opening:
    """When a gate was opened, and where breakpoints hold the step behind it."""

    at: datetime
    holds: tuple[str, ...] = ()

    def encode(self) -> str:
        """The value of the annotation."""
        return json.dumps({"at": self.at.isoformat(), "holds": list(self.holds)}, separators=(",", ":"))


def is_early(job: Mapping[str, Any]) -> bool:
    """Whether a Job was made before its step was due."""
    return bool((job["metadata"].get("labels") or {}).get(labels.EARLY) == "true")


def opening(job: Mapping[str, Any]) -> Opening | None:
    """The opening of the gate of a Job; None while it is closed."""
    text = (job["metadata"].get("annotations") or {}).get(labels.OPENED)
    if not text:
        return None
    try:
        found = json.loads(text)
        return Opening(datetime.fromisoformat(found["at"]), tuple(str(each) for each in found["holds"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        # Something else has written it. A gate that is open is never closed again.
        return Opening(datetime.fromisoformat(job["metadata"]["creationTimestamp"]))


def is_closed(job: Mapping[str, Any]) -> bool:
    """Whether a Job was made ahead, and its gate was not opened."""
    return is_early(job) and not (job["metadata"].get("annotations") or {}).get(labels.OPENED)


def opening_patch(uid: str, moment: datetime, holds: Sequence[str]) -> list[Json]:
    """A JSON patch that opens the gate of the Job with this uid."""
    path = f"/metadata/annotations/{labels.OPENED.replace('/', '~1')}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": path, "value": Opening(moment, tuple(holds)).encode()},
    ]
