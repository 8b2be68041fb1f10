"""What the clone step reports of a repository whose run takes its pipeline from it: the file, and the changed files."""

# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import stat

from ..errors import AgentError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from typing import Any

    from ..settings import AgentSettings

    RunGit = Callable[..., subprocess.CompletedProcess[str]]

_MAX_BYTES = 512 * 1024
_MAX_CHANGED_FILES, _MAX_CHANGED_CHARACTERS, _MAX_PATH = 3_000, 256 * 1024, 1024


def read_definition(run_git: RunGit, tree: str, commit: str, settings: AgentSettings) -> dict[str, Any]:
    """`definition`, with the text of the pipeline file or the problem with it, and `changedFiles` if they are known.

    Empty for a run that has its pipeline already.
    """
    path = settings.optional("C8S_PIPELINE_FILE")
    if not path:
        return {}
    found: dict[str, Any] = {"definition": _read_file(tree, path)}
    base = settings.optional("C8S_GIT_BASE")
    if base:
        changed = changed_files(run_git, base, commit, since_branching=settings.flag("C8S_GIT_BASE_IS_BRANCH"))
        if changed is not None:
            found["changedFiles"] = changed
    return found


def _read_file(tree: str, path: str) -> dict[str, str]:
    """The file's `text`, or the `problem`. No symbolic link is followed: it might lead out of the repository."""
    parts = path.split("/")
    if any(part in ("", ".", "..", ".git") for part in parts):
        return {"problem": f"{printable(path)} is not a path in the repository"}
    folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return {"problem": f"the repository has no {printable(path)} at this commit"}
    except OSError:
        return {"problem": f"{printable(path)} is not a file, or a symbolic link"}
    finally:
        os.close(folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return {"problem": f"{printable(path)} is not a file"}
        data = b""
        while len(data) <= _MAX_BYTES and (chunk := os.read(file, _MAX_BYTES)):
            data += chunk
    finally:
        os.close(file)
    if len(data) > _MAX_BYTES:
        return {"problem": f"{printable(path)} is larger than {_MAX_BYTES // 1024} KiB"}
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"problem": f"{printable(path)} is not UTF-8"}


def changed_files(run_git: RunGit, base: str, commit: str, *, since_branching: bool) -> list[str] | None:
    """The files that differ from a commit, sorted; None if they can't be found out, or are too many.

    `since_branching`: only what has changed on this side since both had a commit in common, as in a pull request.
    """
    try:
        if since_branching:
            # The whole history without the files' contents, which a server may ignore: then it sends them too.
            run_git("fetch", "-q", "--no-tags", "--filter=blob:none", "--unshallow", "origin", commit, check=False)
            run_git("fetch", "-q", "--no-tags", "--filter=blob:none", "origin", base)
            base = run_git("merge-base", base, commit).stdout.strip()
        else:
            run_git("fetch", "-q", "--no-tags", "--depth", "1", "origin", base)
        listed = run_git("diff", "--name-only", "--no-renames", "-z", "--end-of-options", base, commit).stdout
    except AgentError as error:
        print(f"the changed files are not known: {error}", flush=True)
        return None
    paths = sorted(path for path in listed.split("\0") if path)
    is_too_much = len(paths) > _MAX_CHANGED_FILES or sum(map(len, paths)) > _MAX_CHANGED_CHARACTERS
    # A name that is not UTF-8 was decoded with replacements: it would match no pattern that its author wrote.
    if is_too_much or any(len(path) > _MAX_PATH or "\ufffd" in path for path in paths):
        print("the changed files are too many, or have unusual names: every condition on paths holds", flush=True)
        return None
    return paths
