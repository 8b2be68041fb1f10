"""The user's working tree: finds the pipeline file and its tree, and lists the files to upload.

A tree holds what git would add: tracked and untracked files, without ignored or deleted
ones and without `.git`, including submodules. `archive` packs it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.submit.repository import WorktreeError, repository_root

if TYPE_CHECKING:
    from workbench.submit.git import Git

PIPELINE_FILES = (".c8s.yaml", ".c8s.yml")
_IGNORE_SUBMODULES = "--ignore-submodules=dirty"
"""Submodules are compared by their commit, which starts no git in them."""


@dataclass(frozen=True)
class SizeLimits:
    """The maximum size of a tree. Without git, the limits are lower, because a wrong folder is likelier."""

    files: int
    bytes: int


WITH_GIT = SizeLimits(files=200_000, bytes=2 * 1024**3)
WITHOUT_GIT = SizeLimits(files=20_000, bytes=512 * 1024**2)


@dataclass(frozen=True)
class Commit:
    """The checked-out commit. `sha` is None before the first commit, `branch` on a detached HEAD."""

    sha: str | None
    branch: str | None
    dirty: bool

    @property
    def label(self) -> str | None:
        """The commit as steps see it, with `-dirty` if the tree has changes."""
        return f"{self.sha}-dirty" if self.sha and self.dirty else self.sha


@dataclass(frozen=True)
class Entry:
    """A regular file, or a symbolic link when `target` is set. `name` is relative, with `/`.

    Bytes of a name that are not UTF-8 are surrogates, as in `os.fsdecode`.
    """

    name: str
    size: int
    executable: bool = False
    target: str | None = None
    path: Path | None = None
    """Where the file is, if not at its name below the root."""
    stamp: tuple[int, ...] = field(default=(), compare=False, repr=False)
    """Times of the last changes (ns) and inode: another one when the content has changed. Empty if it is not known."""


@dataclass(frozen=True)
class Worktree:
    """A folder and its files to upload, sorted by name. `warnings` say which files are skipped, and why."""

    root: Path
    entries: tuple[Entry, ...]
    commit: Commit | None
    """None without git."""
    warnings: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries)


def find_pipeline(start: Path) -> Path | None:
    """The nearest pipeline file from `start` up to the root of its repository; without one, in `start` only."""
    start = start.resolve()
    top = repository_root(start) or start
    for folder in (start, *start.parents):
        for name in PIPELINE_FILES:
            if (folder / name).is_file():
                return folder / name
        if folder == top:
            break
    return None


def tree_root(pipeline: Path | None, cwd: Path) -> Path:
    """The tree of a pipeline file: its repository, else that of `cwd`, else the folder of the file.

    `pipeline` is None for standard input.
    """
    beside = pipeline.resolve().parent if pipeline is not None else cwd.resolve()
    return repository_root(beside) or repository_root(cwd) or beside


def scan(root: Path, home: Path | None = None) -> Worktree:
    """List the files to upload: of a repository, a folder in one, or a folder without git.

    `home` is the home directory: without a repository, it is rejected, as is `/`.

    Raises:
        WorktreeError: git fails or is missing, or the tree exceeds the limits.
    """
    names: Iterable[str]
    if repository_root(root) is not None:
        listed = _list_git_files(root)
        names, warnings, limits = listed.names, listed.warnings, WITH_GIT
        commit = replace(listed.commit, dirty=listed.commit.dirty or bool(listed.changed_repositories))
    else:
        if root.parent == root or (home is not None and root == home.resolve()):
            raise WorktreeError(
                f"{root} is not a git repository and too large to upload. Move the pipeline to its own "
                "folder, run `git init` there, or use --no-source if its steps need no files."
            )
        names, warnings, commit, limits = _walk_files(root), [], None, WITHOUT_GIT
    entries, left_out = _read_entries(root, names, limits)
    return Worktree(root, tuple(entries), commit, (*warnings, *left_out))


def list_names(root: Path) -> set[str]:
    """The names of the files that `scan` would list, without reading them; the first 20,000 without git.

    Raises:
        WorktreeError: git fails or is missing, or a folder can't be read.
    """
    if repository_root(root) is not None:
        return _list_git_files(root).names
    return set(islice(_walk_files(root), WITHOUT_GIT.files))


def parse_status(output: bytes) -> Commit:
    """Read `git status --porcelain=v2 --branch -z`."""
    sha: str | None = None
    branch: str | None = None
    dirty = False
    for record in output.split(b"\0"):
        if record.startswith(b"# branch.oid "):
            value = record.removeprefix(b"# branch.oid ").decode()
            sha = None if value == "(initial)" else value
        elif record.startswith(b"# branch.head "):
            head = record.removeprefix(b"# branch.head ").decode(errors="replace")
            branch = None if head == "(detached)" else head
        elif record and not record.startswith(b"# "):
            dirty = True
    return Commit(sha, branch, dirty)


def changed_since(root: Path, revision: str) -> tuple[str, ...]:
    """The files below `root` that changed since the merge base with `revision`: committed, uncommitted or new.

    Deleted files are included, and renamed ones with both names. Bytes that are not UTF-8 are replaced.

    Raises:
        WorktreeError: there is no git, no such revision, or no common commit.
    """
    if repository_root(root) is None:
        raise WorktreeError(f"{root} is not a git repository, so its changes since {revision} are not known")
    names: set[str] = set()
    from workbench.submit.git import open_git

    with open_git(root) as git:
        base = _merge_base(git, root, revision)
        differ = ("diff", "--name-only", "-z", "--no-renames", "--relative", "--no-ext-diff", "--no-textconv")
        for arguments in (
            (*differ, _IGNORE_SUBMODULES, base, "--"),
            ("ls-files", "-z", "--others", "--exclude-standard"),
        ):
            output = git.output(git.start(*arguments))
            names |= {name.decode(errors="replace") for name in output.split(b"\0") if name}
    changed = _list_git_files(root).changed_repositories
    names |= {os.fsencode(prefix.rstrip("/")).decode(errors="replace") for prefix in changed}
    return tuple(sorted(names))


def _merge_base(git: Git, root: Path, revision: str) -> str:
    process = git.start("merge-base", "--end-of-options", f"{revision}^{{commit}}", "HEAD")
    base, errors = git.communicate(process)
    if process.returncode != 0:
        reason = errors.decode(errors="replace").strip()
        if "Not a valid" in reason:
            reason = "there is no such commit here; name another one, or fetch it with `git fetch`"
        reason = reason or "it has no commit in common with HEAD"
        raise WorktreeError(f"can't list the changes in {root} since {revision}: {reason}")
    return base.decode().strip()


def link_stays_inside(name: str, target: str) -> bool:
    """Whether a link at `name` leads to a path below the root, whatever else is there.

    `..` is allowed only at the start, up to the root, because a `..` after a name could
    pass through another link. The agent that unpacks the archive rejects other links.
    """
    if not target or target.startswith("/"):
        return False
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    return up <= name.count("/") and ".." not in steps[up:]


@dataclass
class _GitListing:
    """What git lists of a repository and of the repositories nested in it."""

    commit: Commit
    names: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    changed_repositories: list[str] = field(default_factory=list)
    """The paths of nested repositories with changes, each with a `/`."""


def _list_git_files(root: Path) -> _GitListing:
    listing = _GitListing(Commit(None, None, False))
    repositories = [""]
    while repositories:
        prefix = repositories.pop()
        # git itself would apply the configuration of a submodule, so its changes are read here.
        commit, listed = _read_repository(root / prefix)
        if not prefix:
            listing.commit = commit
        elif commit.dirty:
            listing.changed_repositories.append(prefix)
        for name in listed:
            path = prefix + name.rstrip("/")
            if not (root / path).is_dir() or (root / path).is_symlink():
                listing.names.add(path)
            elif (root / path / ".git").exists():
                repositories.append(path + "/")
            elif not any((root / path).iterdir()):
                listing.warnings.append(f"{path}: the submodule is not checked out (`git submodule update --init`)")
    return listing


def _read_repository(folder: Path) -> tuple[Commit, set[str]]:
    """The commit of a repository, and the names of its files."""
    from workbench.submit.git import open_git

    with open_git(folder) as git:
        # Both take a while, so they run side by side.
        status = git.start("status", "--porcelain=v2", "--branch", "-z", _IGNORE_SUBMODULES, "--", ".")
        files = git.start("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        with status, files:
            output = git.output(files)
            commit = parse_status(git.output(status))
    # A file with a merge conflict is listed once for each side.
    return commit, {os.fsdecode(name) for name in output.split(b"\0") if name}


def _walk_files(root: Path) -> Iterator[str]:
    """Every file below a folder without git, except the `.git` folders of nested repositories."""

    def fail(error: OSError) -> None:
        raise WorktreeError(f"can't read the folder {error.filename}: {error.strerror}") from error

    for folder, folders, files in os.walk(root, onerror=fail):
        folders[:] = sorted(name for name in folders if name != ".git")
        prefix = os.path.relpath(folder, root)
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 - names may be no UTF-8
        for name in (*files, *links):
            yield name if prefix == "." else f"{prefix}/{name}"


def _read_entries(root: Path, names: Iterable[str], limits: SizeLimits) -> tuple[list[Entry], list[str]]:
    found: list[Entry] = []
    warnings: list[str] = []
    size = 0
    real_folders: dict[str, bool] = {"": True}
    for name in names:
        if not _really_inside(root, os.path.dirname(name), real_folders):  # noqa: PTH120 - a name, not a file
            continue
        try:
            entry = _entry(root, name)
        except FileNotFoundError:
            continue  # Deleted.
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
                raise WorktreeError(f"can't read {name} in {root}: {error.strerror}") from error
            warnings.append(f"{name}: skipped, {error.strerror}")
            continue
        if isinstance(entry, str):
            warnings.append(entry)
            continue
        found.append(entry)
        size += entry.size
        if len(found) > limits.files or size > limits.bytes:
            raise _too_large_error(root, found, limits)
    return sorted(found, key=lambda entry: os.fsencode(entry.name)), sorted(warnings)


def _really_inside(root: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether every part of `folder` is a folder, not a link."""
    if folder not in known:
        parent = os.path.dirname(folder)  # noqa: PTH120 - a name, not a file
        try:
            is_folder = stat.S_ISDIR(os.lstat(f"{root}/{folder}").st_mode)
        except OSError:
            is_folder = False
        known[folder] = is_folder and _really_inside(root, parent, known)
    return known[folder]


def _entry(root: Path, name: str) -> Entry | str:
    """The entry at `name`, or a warning that says why it is skipped."""
    path = f"{root}/{name}"
    found = os.lstat(path)
    if stat.S_ISREG(found.st_mode):
        if not os.access(path, os.R_OK):
            return f"{name}: skipped, permission denied"
        stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        return Entry(name, found.st_size, bool(found.st_mode & stat.S_IXUSR), stamp=stamp)
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(path)  # noqa: PTH115 - may be no UTF-8
        if not link_stays_inside(name, target):
            return f"{name}: skipped, the link leads out of the tree (to {target})"
        return Entry(name, 0, target=target, stamp=(found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
    return f"{name}: skipped, it is not a file, folder or link"


def _too_large_error(root: Path, found: list[Entry], limits: SizeLimits) -> WorktreeError:
    totals: dict[str, int] = {}
    for entry in found:
        top = entry.name.split("/", 1)[0]
        totals[top] = totals.get(top, 0) + entry.size
    largest = ", ".join(sorted(totals, key=lambda top: -totals[top])[:3])
    return WorktreeError(
        f"{root} is too large to upload: the limits are {limits.files:,} files and {limits.bytes // 1024**2:,} MiB. "
        f"The largest parts are: {largest}. Add what the steps don't need to .gitignore"
        + ("." if limits is WITH_GIT else " in a git repository (`git init`); without git, everything is uploaded.")
    )
