"""Maps paths that a step has printed to files of the folder that the run was started from."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_WORKSPACE = "workspace"
"""The name of the folder in which steps have the source: `/workspace`, or in the embedded sandbox a folder `workspace`
of the pod."""
_MAX_LENGTH = 4096


@dataclass(frozen=True)
class SourceLocation:
    """A line (from 1) of a file. `name` is the file's path below the folder, as users know it."""

    path: Path
    name: str
    line: int

    @property
    def label(self) -> str:
        return f"{self.name}:{self.line}"


def find_source(root: Path, printed: str, line: int, working_dir: str | None = None) -> SourceLocation | None:
    """The file below `root` that a path in a log means; None if there is no such file. It reads the file system.

    Args:
        printed: the path, as a program of the step printed it.
        working_dir: the folder of the workspace in which the step ran.
    """
    if line < 1 or not printed or len(printed) > _MAX_LENGTH or not printed.isprintable():
        return None
    try:
        top = root.resolve()
        for name in candidates(printed, working_dir):
            path = (top / name).resolve()
            # A link of the repository may lead out of it.
            if path.is_relative_to(top) and path.is_file():
                return SourceLocation(path, name, line)
    except (OSError, RuntimeError):
        # A name that is too long, a folder that can't be read, or links in a circle.
        return None
    return None


def candidates(printed: str, working_dir: str | None = None) -> Iterator[str]:
    """The paths below the source's root that a printed path may mean, the most probable one first.

    >>> list(candidates("/workspace/src/a.py"))
    ['src/a.py']
    >>> list(candidates("./a.py", "services/api"))
    ['services/api/a.py', 'a.py']
    """
    parts = PurePosixPath(printed).parts
    if printed.startswith("/"):
        tails = [parts[at + 1 :] for at, part in enumerate(parts) if part == _WORKSPACE]
        names = ["/".join(tail) for tail in tails]
    else:
        folder = (working_dir or "").strip("/")
        names = [posixpath.join(folder, printed), printed] if folder else [printed]
    for name in dict.fromkeys(posixpath.normpath(name) for name in names if name):
        if name not in (".", "..") and not name.startswith(("../", "/")):
            yield name
