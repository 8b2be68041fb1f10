"""What a delivery says, in the same words for every forge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.pipeline.match import Event, EventKind


class PayloadError(Exception):
    """A payload is not what its forge documents; the message names the field and what is wrong with it."""


@dataclass(frozen=True)
class PullRequest:
    """The pull request (or merge request) of an event.

    Attributes:
        number: its number in the repository, from 1.
        head_repository: the name of the repository that the change comes from; empty if it was deleted.
        from_fork: whether that is another repository, or an unknown one.
    """

    number: int
    title: str
    head_branch: str
    head_repository: str
    from_fork: bool


@dataclass(frozen=True)
class RepositoryEvent:
    """A push, a tag or a pull request.

    Attributes:
        repository: the repository's name at the forge, such as `org/project`.
        urls: the URLs under which the forge knows the repository, for people and for git.
        commit: the commit to run on, 40 or 64 hexadecimal digits; empty for a deletion.
        ref: the full name of the reference that has the commit.
        base: the commit to compare with for the changed files; empty if there is none.
        sender: the user who caused the event, as the forge names them.
        occurred: when it happened, where the payload says so.
    """

    kind: EventKind
    repository: str
    urls: tuple[str, ...]
    commit: str
    ref: str
    branch: str = ""
    tag: str = ""
    base: str = ""
    changed: tuple[str, ...] | None = None
    message: str = ""
    sender: str = ""
    deleted: bool = False
    pull_request: PullRequest | None = None
    occurred: datetime | None = None

    def __post_init__(self) -> None:
        """Raises PayloadError for an event without a commit that is no deletion."""
        if not self.commit and not self.deleted:
            raise PayloadError(f"the {self.describe()} has no commit")

    def matched(self) -> Event:
        """The part that decides which pipelines run."""
        return Event(self.kind, self.branch, self.tag, self.changed, self.message, self.deleted)

    def describe(self) -> str:
        """In a few words: `push to main`, `tag v1.0`, `pull request #12`."""
        if self.pull_request is not None:
            return f"pull request #{self.pull_request.number}"
        if self.kind == "tag":
            return f"tag {self.tag}"
        return f"push to {self.branch}"


@dataclass(frozen=True)
class Ignored:
    """A delivery that asks for nothing. `is_ping`: the forge only tries the connection."""

    reason: str
    repository: str = ""
    urls: tuple[str, ...] = ()
    is_ping: bool = False


Parsed = RepositoryEvent | Ignored
