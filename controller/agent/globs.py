"""Artifact globs: the files below the workspace that they match.

`*`, `?` and `[…]` match within one name, `**` any number of folders; names that begin with a dot are not special. A
folder that matches stands for all that is in it. Links are never followed.
"""

from __future__ import annotations

import os
import stat

from .archive.root_folder import FILE, FOLDER, LINK, RootFolder
from .errors import AgentError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def collect(root: str, globs: list[str], optional: Sequence[str] = ()) -> list[str]:
    """The paths that match, relative to the root, each once: files and links, sorted, then empty folders with a `/`.

    Args:
        optional: globs that may match nothing.

    Raises:
        AgentError: one of `globs` matches no file.
    """
    files: set[str] = set()
    empty: set[str] = set()
    with RootFolder(root) as folder:
        for glob in (*globs, *optional):
            found = set(_matches(folder, _parts(glob)))
            matched = {path for path in found if not path.endswith("/")}
            if not matched and glob not in optional:
                raise AgentError(f"the artifacts glob {printable(glob)} matches no file{_reason(folder, glob)}")
            files |= matched
            empty |= found - matched
    return sorted(files, key=os.fsencode) + sorted(empty, key=os.fsencode)


def _reason(root: RootFolder, glob: str) -> str:
    """Why a glob that names something matches no file, for the end of the message; mostly nothing is there."""
    try:
        mode = root.stat(glob).st_mode
    except OSError:
        return ""
    if stat.S_ISDIR(mode):
        return ": the folder has no files"
    return "" if stat.S_ISREG(mode) or stat.S_ISLNK(mode) else ": it is a named pipe, a socket or a device"


def _parts(glob: str) -> tuple[str, ...]:
    parts = tuple(part for part in glob.split("/") if part not in ("", "."))
    if glob.startswith("/") or ".." in parts or not parts:
        raise AgentError(f"the artifacts glob {printable(glob)} does not stay below the workspace")
    return parts


def _matches(root: RootFolder, parts: tuple[str, ...]) -> Iterator[str]:
    """The paths that match these parts of a glob."""
    # A folder (a path that ends in a slash, or "" for the root), and what has to match below it.
    first = ("", parts)
    left, seen = [first], {first}
    while left:
        folder, (part, *rest) = left.pop()
        entries = _entries(root, folder)
        following = [(folder, tuple(rest))] if part == "**" and rest else []
        for name, kind in entries:
            path = folder + name
            if part == "**":
                if kind == FOLDER:
                    following.append((f"{path}/", (part, *rest)))
                elif kind in (FILE, LINK) and not rest:
                    yield path
            elif _name_matches(name, part):
                if kind == FOLDER:
                    following.append((f"{path}/", tuple(rest) or ("**",)))
                elif kind in (FILE, LINK) and not rest:
                    yield path
        if part == "**" and not rest and folder and not entries:
            yield folder
        left += [each for each in following if each not in seen]
        seen.update(following)


def _entries(root: RootFolder, folder: str) -> list[tuple[str, str]]:
    try:
        return root.list(folder)
    except OSError as error:
        raise AgentError(f"the folder {printable(folder or '.')} can't be read: {error.strerror}") from None


def _name_matches(name: str, pattern: str) -> bool:
    if not any(each in pattern for each in "*?["):
        return name == pattern
    if pattern == "*":
        return True
    import fnmatch

    return fnmatch.fnmatchcase(name, pattern)
