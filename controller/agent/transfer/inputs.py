"""Selects the files that a step reads, by the globs of its `inputs`, for runs that verify them.

The same rules as in `controller/pipeline/values/inputs.py`: the last glob that matches decides, `!` leaves out, and a
folder stands for all that is in it. Here they are regular expressions: a glob that takes long to match delays the step
that has it, and nothing else.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def input_selector(globs: Sequence[str]) -> Callable[[str], bool]:
    """A function that says whether the file at a path is an input."""
    rules = [
        (re.compile(_translate(_clean(glob)) + "(?:/.*)?", re.DOTALL), not glob.startswith("!"))
        for glob in reversed(globs)
    ]
    otherwise = bool(globs) and globs[0].startswith("!")

    def selects(path: str) -> bool:
        for pattern, selected in rules:
            if pattern.fullmatch(path):
                return selected
        return otherwise

    return selects


def _clean(glob: str) -> str:
    glob = glob.removeprefix("!")
    while glob.startswith("./"):
        glob = glob[2:].lstrip("/")
    return glob.rstrip("/")


def _translate(glob: str) -> str:
    """The regular expression of a glob."""
    found, index = "", 0
    while index < len(glob):
        if glob.startswith("**/", index):
            found, index = f"{found}(?:.*/)?", index + 3
        elif glob.startswith("**", index):
            found, index = f"{found}.*", index + 2
        elif glob[index] == "*":
            found, index = f"{found}[^/]*", index + 1
        elif glob[index] == "?":
            found, index = f"{found}[^/]", index + 1
        else:
            length, text = _character(glob, index)
            found, index = found + text, index + length
    return found


def _character(glob: str, index: int) -> tuple[int, str]:
    """What matches one character, and its length in the glob: `[a-z]`, `[!a-z]`, or the character itself."""
    negated = glob.startswith("[!", index)
    end = glob.find("]", index + (3 if negated else 2)) if glob[index] == "[" else -1
    if end < 0:
        return 1, re.escape(glob[index])
    rest, ranges = glob[index + 1 + negated : end], []
    while rest:
        length = 3 if rest[1:2] == "-" and len(rest) > 2 else 1
        ranges.append((rest[0], rest[length - 1]))
        rest = rest[length:]
    if any(first > last for first, last in ranges):
        return 1, re.escape("[")
    inside = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in ranges)
    return end + 1 - index, f"(?!/)[^{inside}]" if negated else f"(?!/)[{inside}]"
