"""Selects the files that a step reads, by the globs of its `inputs`.

The agent has a matcher of its own (`controller/agent/transfer/inputs.py`), because it imports no other package; a test
compares the two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from controller.pipeline.values.globs import literal_prefix, match_path

NEGATION = "!"
_CHECK_INTERVAL = 1_000


def select_inputs(globs: Sequence[str], paths: Sequence[str], check: Callable[[], None] = lambda: None) -> set[str]:
    """The files among `paths` that are inputs of a step.

    The last glob that matches a file decides; one that begins with `!` leaves the file out. A glob that matches a
    folder stands for all that is in it. Where the first glob begins with `!`, all files are inputs but for what is
    left out.

    Args:
        paths: of all files, relative to the root of the source, sorted.
        check: called now and then; what it raises ends the selection.
    """
    selected = set(paths) if globs and globs[0].startswith(NEGATION) else set[str]()
    for glob in globs:
        check()
        matched = _matching(clean_glob(glob), paths, check)
        if glob.startswith(NEGATION):
            selected.difference_update(matched)
        else:
            selected.update(matched)
    return selected


def clean_glob(glob: str) -> str:
    """The glob without `!`, and without `./` before and slashes after it."""
    glob = glob.removeprefix(NEGATION)
    while glob.startswith("./"):
        glob = glob[2:].lstrip("/")
    return glob.rstrip("/")


def _matching(glob: str, paths: Sequence[str], check: Callable[[], None]) -> Iterable[str]:
    prefix = literal_prefix(glob)
    if prefix == glob:
        at = bisect_left(paths, glob)
        yield from (glob,) if at < len(paths) and paths[at] == glob else ()
        yield from _beginning_with(f"{glob}/", paths)
        return
    below = f"{glob}/**"
    if glob == f"{prefix}**" and prefix.endswith("/"):
        yield from _beginning_with(prefix, paths)
        return
    for number, path in enumerate(_beginning_with(prefix, paths)):
        if number % _CHECK_INTERVAL == 0:
            check()
        if match_path(glob, path) or match_path(below, path):
            yield path


def _beginning_with(prefix: str, paths: Sequence[str]) -> Iterable[str]:
    """The slice of sorted paths with this prefix."""
    first = bisect_left(paths, prefix)
    return islice(paths, first, _end(prefix, paths, first))


def _end(prefix: str, paths: Sequence[str], first: int) -> int:
    low, high = first, len(paths)
    while low < high:
        middle = (low + high) // 2
        if paths[middle].startswith(prefix):
            low = middle + 1
        else:
            high = middle
    return low
