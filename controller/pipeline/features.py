"""What a file may say and this version of the controller does not run: refused, not ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_OF_A_STEP = {
    "cache": "caches are not kept by this version of the controller",
}


def unsupported(pipeline: Json) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path, message) for everything in a normalised definition that would not happen."""
    for index, step in enumerate(pipeline.get("steps") or []):
        for field, message in _OF_A_STEP.items():
            if step.get(field):
                yield ("steps", index, field), message
