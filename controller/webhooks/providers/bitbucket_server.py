"""Bitbucket Data Center: signed as Bitbucket Cloud; repo:refs_changed, pr:opened, pr:from_ref_updated, pr:reopened.

Source: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.webhooks.event import Ignored, Parsed, PullRequest, RepositoryEvent
from controller.webhooks.payload import MAX_CHANGES, Payload
from controller.webhooks.providers.bitbucket_cloud import event_name
from controller.webhooks.signature import Headers

_ACTIONS = ("pr:opened", "pr:from_ref_updated", "pr:reopened")


def delivery_id(headers: Headers) -> str:
    """The UUID of the request."""
    return headers.get("x-request-id", "")


def parse(headers: Headers, payload: Payload) -> Sequence[Parsed]:
    """What a payload says; a push may change several branches and tags. Raises PayloadError."""
    name = event_name(headers)
    if name == "diagnostics:ping":
        return [Ignored("Bitbucket tries the connection", is_ping=True)]
    if name == "repo:refs_changed":
        return _push(payload)
    if name.startswith("pr:"):
        return [_pull_request(name, payload)]
    return [Ignored(f"the event {name or 'without a name'} starts no run", *_repository(payload.object("repository")))]


def _repository(repository: Payload) -> tuple[str, tuple[str, ...]]:
    name = f"{repository.text('project.key')}/{repository.text('slug')}"
    links = (*repository.objects("links.clone"), *repository.objects("links.self"))
    return name, tuple(url for link in links for url in link.urls("href"))


def _push(payload: Payload) -> Sequence[Parsed]:
    name, urls = _repository(payload.object("repository"))
    changes = payload.objects("changes")
    if not 1 <= len(changes) <= MAX_CHANGES:
        return [Ignored(f"the push changes {len(changes)} branches and tags, not 1 to {MAX_CHANGES}", name, urls)]
    return [_change(change, name, urls, payload) for change in changes]


def _change(change: Payload, name: str, urls: tuple[str, ...], payload: Payload) -> Parsed:
    is_tag = change.text("ref.type") == "TAG"
    deleted = change.text("type") == "DELETE"
    short, commit = change.ref("ref.displayId"), change.commit("toHash")
    # The message is that of one commit, whatever else was pushed.
    is_told = payload.optional_commit("toCommit.id") == commit
    return RepositoryEvent(
        kind="tag" if is_tag else "push",
        repository=name,
        urls=urls,
        commit="" if deleted else commit,
        ref=change.ref("ref.id"),
        branch="" if is_tag else short,
        tag=short if is_tag else "",
        base="" if is_tag or deleted else change.commit("fromHash"),
        message=payload.message("toCommit.message") if is_told else "",
        sender=payload.text("actor.name", ""),
        deleted=deleted,
        occurred=payload.time("date"),
    )


def _pull_request(name: str, payload: Payload) -> Parsed:
    request = payload.object("pullRequest")
    repository, urls = _repository(request.object("toRef.repository"))
    number = request.number("id")
    if name not in _ACTIONS:
        return Ignored(f"the event {name} of pull request #{number} starts no run", repository, urls)
    head, _ = _repository(request.object("fromRef.repository"))
    return RepositoryEvent(
        kind="pull_request",
        repository=repository,
        urls=urls,
        commit=request.commit("fromRef.latestCommit"),
        ref=f"refs/pull-requests/{number}/from",
        branch=request.ref("toRef.displayId"),
        base=request.commit("toRef.latestCommit"),
        message=request.message("title"),
        sender=payload.text("actor.name", ""),
        pull_request=PullRequest(
            number,
            request.message("title"),
            request.ref("fromRef.displayId"),
            head,
            from_fork=head.lower() != repository.lower(),
        ),
        occurred=payload.time("date"),
    )
