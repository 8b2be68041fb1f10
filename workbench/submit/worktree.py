"""The developer's working tree: which file is the pipeline, which folder is its tree, and what of it is sent.

A tree is what git would take: tracked and untracked files, not ignored, not
deleted, submodules included, `.git` left out. It makes no archive; see `packing`.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PIPELINE_FILES = (".c8s.yaml", ".c8s.yml")
_GIT_TIMEOUT = 120.0
# What git sets for its hooks; in another repository, or for another index, it would mislead us.
_GIT_LOCAL = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
)


class WorktreeError(Exception):
    """The working tree can't be found or sent; the message says why and what to do."""


@dataclass(frozen=True)
class SizeLimits:
    """What a tree may be at most. Where there is no git to say what belongs to it, a mistake is likelier."""

    files: int
    bytes: int


WITH_GIT = SizeLimits(files=200_000, bytes=2 * 1024**3)
WITHOUT_GIT = SizeLimits(files=20_000, bytes=512 * 1024**2)


@dataclass(frozen=True)
class Commit:
    """What is checked out. `sha` is None before the first commit, `branch` on a detached head."""

    sha: str | None
    branch: str | None
    dirty: bool

    @property
    def label(self) -> str | None:
        """The commit as steps see it: it ends in `-dirty` when the tree differs from it."""
        return f"{self.sha}-dirty" if self.sha and self.dirty else self.sha


@dataclass(frozen=True)
class Entry:
    """A regular file, or a symbolic link when `target` is set. `name` is relative, with `/`.

    Bytes of a name that are no UTF-8 are surrogates, as `os.fsdecode` makes them.
    """

    name: str
    size: int
    executable: bool = False
    target: str | None = None


@dataclass(frozen=True)
class Worktree:
    """A folder and what of it is sent, sorted by name. `warnings` tell what is left out, and why."""

    root: Path
    entries: tuple[Entry, ...]
    commit: Commit | None
    """None where there is no git."""
    warnings: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries)


def find_pipeline(start: Path) -> Path | None:
    """The nearest pipeline file from `start` up to its repository's root; without one, in `start` only."""
    start = start.resolve()
    top = repository_root(start) or start
    for folder in (start, *start.parents):
        for name in PIPELINE_FILES:
            if (folder / name).is_file():
                return folder / name
        if folder == top:
            break
    return None


def repository_root(folder: Path) -> Path | None:
    """The nearest folder upward that holds a `.git`. The answer of the file system: no process is started."""
    folder = folder.resolve()
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def tree_root(pipeline: Path | None, cwd: Path) -> Path:
    """What to send with a pipeline file: its repository, else the one we are in, else the file's own folder.

    `pipeline` is None for a file that has no place (standard input).
    """
    beside = pipeline.resolve().parent if pipeline is not None else cwd.resolve()
    return repository_root(beside) or repository_root(cwd) or beside


def scan(root: Path, home: Path | None = None) -> Worktree:
    """Find out what of `root` is to be sent: a repository, a folder in one, or a folder without git.

    `home` is the home directory: without a repository it is never sent, nor is `/`.

    Raises:
        WorktreeError: git fails or is missing, or the tree is larger than the limits.
    """
    names: Iterable[str]
    if repository_root(root) is not None:
        with _git(root, "status", "--porcelain=v2", "--branch", "-z", "--ignore-submodules=none", "--", ".") as status:
            names, warnings = _list_git_files(root)
            commit = parse_status(_output(status, root))
        limits = WITH_GIT
    else:
        if root.parent == root or (home is not None and root == home.resolve()):
            raise WorktreeError(
                f"{root} is no git repository and too much to send as a whole. Put the pipeline into a "
                "folder of its own, run `git init` there, or use --no-source if its steps need no files."
            )
        names, warnings, commit, limits = _walk_files(root), [], None, WITHOUT_GIT
    entries, left_out = _read_entries(root, names, limits)
    return Worktree(root, tuple(entries), commit, (*warnings, *left_out))


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
    """The files below `root` that differ from where the branch left `revision`: committed, uncommitted or new.

    Deleted ones count, and a renamed one counts under both names. Bytes that are no UTF-8 are replaced.

    Raises:
        WorktreeError: there is no git, no such revision, or nothing that it has in common with what is checked out.
    """
    if repository_root(root) is None:
        raise WorktreeError(f"{root} is no git repository, so nobody knows what changed in it since {revision}")
    with _git(root, "merge-base", "--end-of-options", f"{revision}^{{commit}}", "HEAD") as found:
        base, complaints = _communicate(found, root)
    if found.returncode != 0:
        why = complaints.decode(errors="replace").strip() or "it has no commit in common with what is checked out"
        raise WorktreeError(f"can't tell what changed in {root} since {revision}: {why}")
    differ = ("diff", "--name-only", "-z", "--no-renames", "--relative", "--no-ext-diff", base.decode().strip(), "--")
    names: set[str] = set()
    for arguments in (differ, ("ls-files", "-z", "--others", "--exclude-standard")):
        with _git(root, *arguments) as process:
            names |= {name.decode(errors="replace") for name in _output(process, root).split(b"\0") if name}
    return tuple(sorted(names))


def link_stays_inside(name: str, target: str) -> bool:
    """Whether a link at `name` leads to a place below the root, whatever else lies there.

    It may go up at its beginning, as far as the root, and then only down: a `..` after a name could
    pass through another link. What unpacks the archive refuses any other link.
    """
    if not target or target.startswith("/"):
        return False
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    return up <= name.count("/") and ".." not in steps[up:]


def _git(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_LOCAL}
    # No lock on the index: the developer may be using git at this moment.
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise WorktreeError(
            f"{root} is in a git repository, but there is no git on this machine to list its files. "
            "Install git, or use --no-source if the steps need no files."
        ) from error


def _communicate(process: subprocess.Popen[bytes], root: Path) -> tuple[bytes, bytes]:
    """What git printed, and what it complained about."""
    try:
        return process.communicate(timeout=_GIT_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise WorktreeError(f"git took more than {_GIT_TIMEOUT:.0f} s to look at {root}") from error


def _output(process: subprocess.Popen[bytes], root: Path) -> bytes:
    output, complaints = _communicate(process, root)
    if process.returncode != 0:
        said = complaints.decode(errors="replace").strip()
        raise WorktreeError(f"git can't list the files of {root}: {said}")
    return output


def _list_git_files(root: Path) -> tuple[set[str], list[str]]:
    """The names that git lists, of the repositories inside this one too."""
    names: set[str] = set()
    warnings: list[str] = []
    repositories = [""]
    while repositories:
        prefix = repositories.pop()
        for name in _git_names(root / prefix):
            path = prefix + name.rstrip("/")
            if not (root / path).is_dir() or (root / path).is_symlink():
                names.add(path)
            elif (root / path / ".git").exists():
                repositories.append(path + "/")
            elif not any((root / path).iterdir()):
                warnings.append(f"{path}: the submodule is not checked out (`git submodule update --init`)")
    return names, warnings


def _git_names(repository: Path) -> Iterable[str]:
    arguments = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    with _git(repository, *arguments) as process:
        output = _output(process, repository)
    # A file in conflict is listed once for each side.
    return {os.fsdecode(name) for name in output.split(b"\0") if name}


def _walk_files(root: Path) -> Iterator[str]:
    """Every file below a folder without git, but nothing of a repository's own."""

    def complain(error: OSError) -> None:
        raise WorktreeError(f"can't look into {error.filename}: {error.strerror}") from error

    for folder, folders, files in os.walk(root, onerror=complain):
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
            continue  # Deleted, and maybe just now.
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
                raise WorktreeError(f"can't read {name} in {root}: {error.strerror}") from error
            warnings.append(f"{name}: left out, {error.strerror}")
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
    """Whether every part of `folder` is a folder itself, not a link that leads elsewhere."""
    if folder not in known:
        parent = os.path.dirname(folder)  # noqa: PTH120 - a name, not a file
        try:
            is_folder = stat.S_ISDIR(os.lstat(f"{root}/{folder}").st_mode)
        except OSError:
            is_folder = False
        known[folder] = is_folder and _really_inside(root, parent, known)
    return known[folder]


def _entry(root: Path, name: str) -> Entry | str:
    """What lies at `name`, or why it is left out."""
    path = f"{root}/{name}"
    found = os.lstat(path)
    if stat.S_ISREG(found.st_mode):
        if not os.access(path, os.R_OK):
            return f"{name}: left out, you may not read it"
        return Entry(name, found.st_size, bool(found.st_mode & stat.S_IXUSR))
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(path)  # noqa: PTH115 - may be no UTF-8
        if not link_stays_inside(name, target):
            return f"{name}: left out, the link does not stay inside the tree (to {target})"
        return Entry(name, 0, target=target)
    return f"{name}: left out, it is no file, folder or link"


def _too_large_error(root: Path, found: list[Entry], limits: SizeLimits) -> WorktreeError:
    totals: dict[str, int] = {}
    for entry in found:
        top = entry.name.split("/", 1)[0]
        totals[top] = totals.get(top, 0) + entry.size
    largest = ", ".join(sorted(totals, key=lambda top: -totals[top])[:3])
    return WorktreeError(
        f"{root} is too large to send: at most {limits.files:,} files and {limits.bytes // 1024**2:,} MiB. "
        f"The most is in: {largest}. Name what the steps don't need in .gitignore"
        + ("." if limits is WITH_GIT else " of a git repository (`git init`): without one, all is sent.")
    )
