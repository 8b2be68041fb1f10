"""Texts of which it is known what has to be masked: because it was put there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What has to become of a part of a text. `EITHER` depends on the bytes around a secret."""

    MASK = "mask"
    KEEP = "keep"
    EITHER = "either"


@dataclass(frozen=True)
class Part:
    """Some bytes of a text and what has to become of them."""

    text: bytes
    fate: Fate


Parts = list[Part]


def hidden(text: bytes) -> Parts:
    """A text that has to be masked."""
    return [Part(text, Fate.MASK)]


def kept(text: bytes) -> Parts:
    """A text that has to stay."""
    return [Part(text, Fate.KEEP)]


def either(text: bytes) -> Parts:
    """A text that may do either."""
    return [Part(text, Fate.EITHER)]
