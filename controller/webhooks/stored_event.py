"""Events as they are kept in the status of a connection, so that a delivery can be handled again without the forge."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from controller.webhooks.event import PullRequest, RepositoryEvent

Json = dict[str, Any]

_MAX_CHANGED_CHARACTERS = 2_000
_MAX_MESSAGE = 4096


def to_stored(event: RepositoryEvent) -> Json:
    """The event as JSON, at most a few KiB: of many changed files none are kept, and of a message its beginning."""
    changed = event.changed
    if changed is not None and sum(map(len, changed)) > _MAX_CHANGED_CHARACTERS:
        changed = None
    stored = dataclasses.asdict(dataclasses.replace(event, changed=changed, message=event.message[:_MAX_MESSAGE]))
    stored["occurred"] = event.occurred.isoformat() if event.occurred is not None else None
    if stored["pull_request"] is not None:
        stored["pull_request"]["title"] = stored["pull_request"]["title"][:_MAX_MESSAGE]
    return {name: value for name, value in stored.items() if value not in (None, "", False, ())}


def from_stored(stored: Mapping[str, Any]) -> RepositoryEvent:
    """The event of `to_stored`. Raises PayloadError, KeyError, TypeError or ValueError for anything else."""
    found = dict(stored)
    for name in ("urls", "changed"):
        if found.get(name) is not None:
            found[name] = tuple(str(each) for each in found[name])
    if found.get("pull_request") is not None:
        found["pull_request"] = PullRequest(**{"from_fork": True, **found["pull_request"]})
    if found.get("occurred"):
        found["occurred"] = datetime.fromisoformat(found["occurred"])
    found.setdefault("commit", "")
    found.setdefault("urls", ())
    return RepositoryEvent(**found)
