"""The history of a repository for steps with `git: full`: a `.git` with the commits and tags of the checked-out commit.

It is made from the objects of the user's repository and holds nothing else of it: no configuration, which may have
passwords, no hooks, no stash and no other branches.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from workbench.submit.git import Git, open_git
from workbench.submit.repository import WorktreeError, repository_root
from workbench.submit.worktree import Entry, Worktree

REFERENCES = (".git/HEAD", ".git/packed-refs")
"""The files that tell one history from another; those of equal histories are equal."""


@contextmanager
def with_history(tree: Worktree) -> Iterator[Worktree]:
    """The tree with the files of a new `.git`, which are deleted after the `with`.

    Raises:
        WorktreeError: the tree is not a whole repository, has no commit, or git fails.
    """
    if repository_root(tree.root) != tree.root.resolve() or tree.commit is None or tree.commit.sha is None:
        raise WorktreeError(
            f"a step has `git: full`, but {tree.root} is not a git repository with a commit. "
            "Run in the folder of the repository, or commit first."
        )
    with tempfile.TemporaryDirectory(prefix="c8s-git-") as temporary:
        folder = Path(temporary)
        with open_git(tree.root) as git:
            _write_repository(git, folder, tree.commit.sha, tree.commit.branch)
        entries = [*tree.entries, *_entries(folder)]
        yield replace(tree, entries=tuple(sorted(entries, key=lambda entry: os.fsencode(entry.name))))


def _write_repository(git: Git, folder: Path, sha: str, branch: str | None) -> None:
    tags = _tags(git)
    (folder / "objects" / "pack").mkdir(parents=True)
    (folder / "refs").mkdir()
    # git knows a repository by this folder, and an archive of files has no empty one.
    (folder / "refs" / ".keep").touch()
    wanted = "".join(f"{name}\n" for name in dict.fromkeys([sha, *(name for name, _ in tags)]))
    pack = str(folder / "objects" / "pack" / "pack")
    # Otherwise git writes the pack into the user's repository and moves it, which fails from one disk to another.
    objects = str(Path(git.environment["GIT_COMMON_DIR"], "objects"))
    elsewhere = {"GIT_OBJECT_DIRECTORY": str(folder / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects)}
    words = ("pack-objects", "--revs", "--delta-base-offset", "--threads=1", "-q", pack)
    git.read(*words, given=wanted.encode(), environment=elsewhere)
    (folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n" if branch else f"{sha}\n")
    references = [*([(sha, f"refs/heads/{branch}")] if branch else []), *tags]
    lines = [
        "# pack-refs with: sorted\n",
        *(f"{name} {reference}\n" for name, reference in sorted(references, key=_name)),
    ]
    (folder / "packed-refs").write_text("".join(lines))
    (folder / "config").write_text(_config(sha))
    shallow = Path(git.environment["GIT_COMMON_DIR"], "shallow")
    if shallow.exists():
        shutil.copyfile(shallow, folder / "shallow")
    own = {"GIT_DIR": str(folder), "GIT_COMMON_DIR": str(folder)}
    git.read("read-tree", sha, environment=own)


def _quoted(path: str) -> str:
    """A path as git takes it in a list of paths, which colons divide."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _name(reference: tuple[str, str]) -> bytes:
    return reference[1].encode(errors="surrogateescape")


def _config(sha: str) -> str:
    if len(sha) == 40:
        return "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
    return "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectFormat = sha256\n"


def _tags(git: Git) -> list[tuple[str, str]]:
    """The object and the name of each tag of a commit in the history."""
    listed = git.read("for-each-ref", "--merged=HEAD", "--format=%(objectname) %(refname)", "refs/tags")
    lines = listed.decode("utf-8", "surrogateescape").splitlines()
    return [(name, reference) for name, _, reference in (line.partition(" ") for line in lines)]


def _entries(folder: Path) -> Iterator[Entry]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield Entry(f".git/{path.relative_to(folder)}", path.stat().st_size, path=path)
