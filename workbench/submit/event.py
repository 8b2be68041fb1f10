"""An event of the repository around a folder, as its forge would send it: for `c8s trigger`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.pipeline.match import Event, EventKind
from workbench.submit.git import Git, open_git
from workbench.submit.repository import WorktreeError, repository_root
from workbench.submit.worktree import changed_since


@dataclass(frozen=True)
class LocalEvent:
    """The event, and the revision that its changed files were compared with; empty if they are unknown."""

    event: Event
    base: str


def local_event(root: Path, kind: EventKind, *, branch: str | None, tag: str | None, base: str | None) -> LocalEvent:
    """The event that a push of the checked-out commit, with the uncommitted changes, would be.

    Args:
        branch: the pushed branch, by default the checked-out one; of a pull request the branch that it is to be
            merged into, by default that of the remote's HEAD.
        tag: of a tag: its name, by default one of the checked-out commit.
        base: the revision to compare with; by default the upstream of the branch for a push, and the branch that a
            pull request is to be merged into.

    Raises:
        WorktreeError: there is no repository, no commit, or a name that does not follow from it.
    """
    if repository_root(root) is None:
        raise WorktreeError(f"{root} is not in a git repository, so there is no event; use `c8s run`")
    with open_git(root) as git:
        message = _message(git, root)
        if kind == "tag":
            return LocalEvent(Event("tag", tag=tag or _tag(git), message=message), "")
        target = branch or (_default_branch(git) if kind == "pull_request" else _branch(git))
        wanted = [base] if base else _bases(kind, target)
        found = next((each for each in wanted if _exists(git, each)), "")
    if base and not found:
        raise WorktreeError(f"there is no revision {base} to compare with")
    changed = changed_since(root, found) if found else None
    if changed is not None and len(changed) > MAX_CHANGED_FILES:
        changed, found = None, ""
    return LocalEvent(Event(kind, target, changed=changed, message=message), found)


def _bases(kind: EventKind, branch: str) -> list[str]:
    if kind == "pull_request":
        return [f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"]
    return [f"refs/remotes/origin/{branch}", "HEAD~1"]


def _try(git: Git, *arguments: str) -> str:
    """The output of a command in one line; empty if it fails."""
    process = git.start(*arguments)
    output, _ = git.communicate(process)
    return output.decode(errors="replace").strip() if process.returncode == 0 else ""


def _exists(git: Git, revision: str) -> bool:
    return bool(_try(git, "rev-parse", "-q", "--verify", "--end-of-options", f"{revision}^{{commit}}"))


def _message(git: Git, root: Path) -> str:
    if not _exists(git, "HEAD"):
        raise WorktreeError(f"the repository of {root} has no commit yet, so there is nothing to push")
    return _try(git, "log", "-1", "--format=%B", "HEAD")


def _branch(git: Git) -> str:
    found = _try(git, "symbolic-ref", "-q", "--short", "HEAD")
    if not found:
        raise WorktreeError("no branch is checked out; name the pushed one with --branch")
    return found


def _default_branch(git: Git) -> str:
    found = _try(git, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/")
    if not found:
        raise WorktreeError("the branch to merge into is not known; name it with --branch, for example --branch main")
    return found


def _tag(git: Git) -> str:
    found = _try(git, "describe", "--tags", "--exact-match", "HEAD")
    if not found:
        raise WorktreeError("the checked-out commit has no tag; name one with --tag")
    return found
