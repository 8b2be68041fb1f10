"""The marks in a step's output that say where each of its commands begins.

The script of a step prints a mark before each command; the reader of the output removes the marks and learns which line
belongs to which command, and when it began. A mark carries a number that is derived from the attempt, so that no text
of another run or from a file is taken for one. A step can forge its own marks: that moves the boundaries of its own
commands, and nothing else.

On a terminal that shows the raw output, a mark is an application program command, which terminals ignore.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

MAX_MARK_BYTES = 40
"""The longest mark with its line break."""
MARK_PATTERN = re.compile(rb"\x1b_c8s;(?P<nonce>[0-9a-f]{16});(?P<command>[0-9]{1,5})\x1b\\\r?\n")
"""A mark of any attempt with its line break. One expression for all: to compile one for each step takes longer."""


@dataclass(frozen=True)
class CommandMark:
    """The marks of one attempt."""

    nonce: str

    @classmethod
    def of_attempt(cls, run_uid: str, slug: str, attempt: int) -> CommandMark:
        """The marks of an attempt of a step."""
        return cls(hashlib.sha256(f"{run_uid}/{slug}/{attempt}".encode()).hexdigest()[:16])

    @property
    def prefix(self) -> str:
        """What every mark begins with. The command's index in decimal digits, `suffix` and a line break follow."""
        return f"\x1b_c8s;{self.nonce};"

    @property
    def suffix(self) -> str:
        """What follows the command's index."""
        return "\x1b\\"
