"""The order in which runs were created: one order for lists, pages, histories, and which run comes before another.

Kubernetes writes `creationTimestamp` in whole seconds, gives random uids, and changes a resourceVersion with each
write. Of what stays the same, only the number of a run within its pipeline tells more: runs of one second are in the
order of their numbers. A run that has no number yet comes after those of its second that have one, since it is going to
get a higher one; without a number, digits at the end of its name count. All else only makes the order total: no two
runs are equal in it, so that a page begins exactly where the one before it ended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from controller import labels
from controller.run_types.patterns import RUN_NUMBER_PATTERN

Time = TypeVar("Time", str, datetime)
CreationKey = tuple[Time, int, int, str, str, str]
"""When (to the second), 0 for a run with a number and 1 without, the number, name, namespace, and uid."""

_MAX_DIGITS = 18


def creation_key(
    created: Time, number: int | None, name: str, namespace: str = "", uid: str = ""
) -> tuple[Time, int, int, str, str, str]:
    """What sorts runs as they were created, oldest first.

    Args:
        created: a time as Kubernetes writes it, or the moment; the same of all that are compared.
        number: within the pipeline; None or 0 for a run without one.
    """
    if number:
        return created, 0, number, name, namespace, uid
    return created, 1, _last_number(name), name, namespace, uid


def creation_order(run: Mapping[str, Any]) -> CreationKey[str]:
    """What sorts PipelineRuns, or their summaries, as they were created, oldest first."""
    metadata = run["metadata"]
    return creation_key(
        str(metadata.get("creationTimestamp") or ""),
        number_of(run),
        str(metadata["name"]),
        str(metadata.get("namespace") or ""),
        str(metadata.get("uid") or ""),
    )


def number_of(run: Mapping[str, Any]) -> int | None:
    """The number of a run within its pipeline; None if it has none."""
    text = str((run["metadata"].get("labels") or {}).get(labels.RUN_NUMBER, ""))
    return int(text) if re.fullmatch(RUN_NUMBER_PATTERN, text) and text else None


def _last_number(name: str) -> int:
    """The number at the end of a name, behind its last dash; 0 without one."""
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS else 0
