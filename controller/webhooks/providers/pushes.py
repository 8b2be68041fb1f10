"""What the payloads of GitHub and of Gitea, which took them over, have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from controller.webhooks.event import Ignored, Parsed, PullRequest, RepositoryEvent
from controller.webhooks.payload import MAX_URL_LENGTH, Payload

NamedRepository = tuple[str, tuple[str, ...]]
"""The name of a repository, and the URLs under which its forge knows it."""


def read_repository(payload: Payload, urls: Sequence[str]) -> NamedRepository:
    """The repository of a payload. `urls`: the fields that have its URLs. Raises PayloadError."""
    repository = payload.object("repository")
    return repository.text("full_name", limit=MAX_URL_LENGTH), repository.urls(*urls)


def read_ref(payload: Payload, repository: NamedRepository) -> tuple[str, str, bool] | Ignored:
    """(the reference of a push, its short name, whether it is a branch); Ignored for what is no branch and no tag."""
    ref = payload.ref("ref")
    kind, _, short = ref.removeprefix("refs/").partition("/")
    if kind not in ("heads", "tags") or not ref.startswith("refs/"):
        return Ignored(f"{ref} is neither a branch nor a tag", *repository)
    return ref, short, kind == "heads"


def read_pull_request(
    payload: Payload, repository: NamedRepository, actions: Sequence[str], read_base: Callable[[Payload], str]
) -> Parsed:
    """The event of a pull request. Raises PayloadError.

    Args:
        actions: those that start runs.
        read_base: returns the commit to compare with, of a pull request; empty if there is none.
    """
    name, urls = repository
    action = payload.text("action", "")
    request = payload.object("pull_request")
    number = request.number("number")
    if action not in actions:
        return Ignored(f"the action {action} of pull request #{number} starts no run", name, urls)
    head = request.text("head.repo.full_name", "", limit=MAX_URL_LENGTH)
    return RepositoryEvent(
        kind="pull_request",
        repository=name,
        urls=urls,
        commit=request.commit("head.sha"),
        ref=f"refs/pull/{number}/head",
        branch=request.ref("base.ref"),
        base=read_base(request),
        message=request.message("title"),
        sender=payload.text("sender.login", ""),
        pull_request=PullRequest(
            number,
            request.message("title"),
            request.ref("head.ref"),
            head,
            from_fork=head.lower() != name.lower(),
        ),
        occurred=request.time("updated_at"),
    )
