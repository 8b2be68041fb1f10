"""The user's working tree: finds the pipeline file and its tree, and lists the files to upload.

A tree holds what git would add: tracked and untracked files, without ignored or deleted
ones and without `.git`, including submodules. `archive` packs it.
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
# Variables that git sets for its hooks; they would point git to another repository or index.
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
    """The working tree cannot be found or uploaded; the message says why and what to do."""


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


def repository_root(folder: Path) -> Path | None:
    """The nearest parent folder with a `.git`, or None. It starts no process."""
    folder = folder.resolve()
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


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
        with _git(root, "status", "--porcelain=v2", "--branch", "-z", "--ignore-submodules=none", "--", ".") as status:
            names, warnings = _list_git_files(root)
            commit = parse_status(_output(status, root))
        limits = WITH_GIT
    else:
        if root.parent == root or (home is not None and root == home.resolve()):
            raise WorktreeError(
                f"{root} is not a git repository and too large to upload. Move the pipeline to its own "
                "folder, run `git init` there, or use --no-source if its steps need no files."
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
    """The files below `root` that changed since the merge base with `revision`: committed, uncommitted or new.

    Deleted files are included, and renamed ones with both names. Bytes that are not UTF-8 are replaced.

    Raises:
        WorktreeError: there is no git, no such revision, or no common commit.
    """
    if repository_root(root) is None:
        raise WorktreeError(f"{root} is not a git repository, so its changes since {revision} are not known")
    with _git(root, "merge-base", "--end-of-options", f"{revision}^{{commit}}", "HEAD") as found:
        base, errors = _communicate(found, root)
    if found.returncode != 0:
        reason = errors.decode(errors="replace").strip() or "it has no commit in common with HEAD"
        raise WorktreeError(f"can't list the changes in {root} since {revision}: {reason}")
    differ = ("diff", "--name-only", "-z", "--no-renames", "--relative", "--no-ext-diff", base.decode().strip(), "--")
    names: set[str] = set()
    for arguments in (differ, ("ls-files", "-z", "--others", "--exclude-standard")):
        with _git(root, *arguments) as process:
            names |= {name.decode(errors="replace") for name in _output(process, root).split(b"\0") if name}
    return tuple(sorted(names))


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


def _git(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_LOCAL}
    # Do not lock the index: the user may be using git at the same time.
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
            f"{root} is in a git repository, but git is not installed. "
            "Install git, or use --no-source if the steps need no files."
        ) from error


def _communicate(process: subprocess.Popen[bytes], root: Path) -> tuple[bytes, bytes]:
    """The standard output and standard error of git."""
    try:
        return process.communicate(timeout=_GIT_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise WorktreeError(f"git took more than {_GIT_TIMEOUT:.0f} s in {root}") from error


def _output(process: subprocess.Popen[bytes], root: Path) -> bytes:
    output, errors = _communicate(process, root)
    if process.returncode != 0:
        raise WorktreeError(f"git can't list the files of {root}: {errors.decode(errors='replace').strip()}")
    return output


def _list_git_files(root: Path) -> tuple[set[str], list[str]]:
    """The files that git lists, including those of nested repositories, and warnings."""
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
    # A file with a merge conflict is listed once for each side.
    return {os.fsdecode(name) for name in output.split(b"\0") if name}


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
        return Entry(name, found.st_size, bool(found.st_mode & stat.S_IXUSR))
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(path)  # noqa: PTH115 - may be no UTF-8
        if not link_stays_inside(name, target):
            return f"{name}: skipped, the link leads out of the tree (to {target})"
        return Entry(name, 0, target=target)
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
