"""What identifies a run and an attempt of one of its steps."""

from __future__ import annotations

from typing import NamedTuple


class RunKey(NamedTuple):
    """Identifies a run among those that exist in a cluster."""

    namespace: str
    name: str


class RunId(NamedTuple):
    """Identifies a run for ever: its name may be used again, its uid is not."""

    namespace: str
    uid: str


class AttemptKey(NamedTuple):
    """Identifies an attempt of a step within a run: the step's slug and the attempt's number, from 1."""

    slug: str
    number: int
