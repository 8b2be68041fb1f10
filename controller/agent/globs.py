"""Artifact globs: the files below the workspace that they match.

`*`, `?` and `[…]` match within one name, `**` any number of folders; names that begin with a dot are not special. A
folder that matches stands for all files in it. Links are never followed.
"""

# ruff: noqa: PTH118
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os

from .errors import AgentError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def collect(root: str, globs: list[str], ignored: frozenset[str] = frozenset()) -> list[str]:
    """The paths of files and links, relative to the root, sorted, each once. Raises AgentError without a match."""
    found: set[str] = set()
    for glob in globs:
        matched = {path for path in _matches(root, _parts(glob)) if path not in ignored}
        if not matched:
            raise AgentError(f"the artifacts glob {printable(glob)} matches no file")
        found |= matched
    return sorted(found, key=os.fsencode)


def _parts(glob: str) -> list[str]:
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    if glob.startswith("/") or ".." in parts or not parts:
        raise AgentError(f"the artifacts glob {printable(glob)} does not stay below the workspace")
    return parts


def _matches(root: str, parts: list[str]) -> Iterator[str]:
    yield from _walk(root, "", tuple(parts), set())


def _walk(root: str, folder: str, parts: tuple[str, ...], seen: set[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    """Matches of the remaining parts below a folder: a path that ends in a slash, or "" for the root."""
    if (folder, parts) in seen:
        return
    seen.add((folder, parts))
    part, rest = parts[0], parts[1:]
    if part == "**":
        if rest:
            yield from _walk(root, folder, rest, seen)
        for entry in _entries(root, folder):
            path = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, f"{path}/", parts, seen)
            elif not rest and _is_file_or_link(entry):
                yield path
        return
    for entry in _entries(root, folder):
        if not _name_matches(entry.name, part):
            continue
        path = folder + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{path}/", rest or ("**",), seen)
        elif not rest and _is_file_or_link(entry):
            yield path


def _entries(root: str, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(os.path.join(root, folder)) as entries:
            return list(entries)
    except OSError as error:
        raise AgentError(f"the folder {printable(folder or '.')} can't be read: {error.strerror}") from None


def _is_file_or_link(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_file(follow_symlinks=False)


def _name_matches(name: str, pattern: str) -> bool:
    if not any(each in pattern for each in "*?["):
        return name == pattern
    if pattern == "*":
        return True
    import fnmatch

    return fnmatch.fnmatchcase(name, pattern)
