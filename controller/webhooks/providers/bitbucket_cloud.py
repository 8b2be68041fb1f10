"""Bitbucket Cloud: `X-Hub-Signature` over the body; repo:push and pullrequest:*.

Source: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.webhooks.event import Ignored, Parsed, PayloadError, PullRequest, RepositoryEvent
from controller.webhooks.payload import MAX_CHANGES, MAX_URL_LENGTH, Payload
from controller.webhooks.signature import Headers, hex_digest, is_signed

_PREFIX = "sha256="
_ACTIONS = ("pullrequest:created", "pullrequest:updated")


def verify(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> bool:
    """Whether the body is signed with one of the secrets."""
    given = headers.get("x-hub-signature", "")
    return given.startswith(_PREFIX) and is_signed(given.removeprefix(_PREFIX), secrets, body)


def sign(secret: bytes, body: bytes, now: float) -> Mapping[str, str]:
    """The header of the signature."""
    return {"x-hub-signature": _PREFIX + hex_digest(secret, body)}


def delivery_id(headers: Headers) -> str:
    """The UUID of the request, which its retries keep."""
    return headers.get("x-request-uuid", "")


def event_name(headers: Headers) -> str:
    """The event."""
    return headers.get("x-event-key", "")


def parse(headers: Headers, payload: Payload) -> Sequence[Parsed]:
    """What a payload says; a push may change several branches and tags. Raises PayloadError."""
    name = event_name(headers)
    if name == "repo:push":
        return _push(payload)
    if name.startswith("pullrequest:"):
        return [_pull_request(name, payload)]
    return [Ignored(f"the event {name or 'without a name'} starts no run", *_repository(payload))]


def _repository(payload: Payload) -> tuple[str, tuple[str, ...]]:
    repository = payload.object("repository")
    return repository.text("full_name", limit=MAX_URL_LENGTH), repository.urls("links.html.href")


def _push(payload: Payload) -> Sequence[Parsed]:
    name, urls = _repository(payload)
    changes = payload.objects("push.changes")
    if not 1 <= len(changes) <= MAX_CHANGES:
        return [Ignored(f"the push changes {len(changes)} branches and tags, not 1 to {MAX_CHANGES}", name, urls)]
    sender = payload.text("actor.nickname", "")
    return [_change(change, name, urls, sender) for change in changes]


def _change(change: Payload, name: str, urls: tuple[str, ...], sender: str) -> Parsed:
    deleted = not change.has("new")
    side = change.object("old" if deleted else "new")
    kind = side.text("type", "branch")
    if kind not in ("branch", "tag", "annotated_tag"):
        return Ignored(f"a {kind} is neither a branch nor a tag", name, urls)
    short, is_tag = side.ref("name"), kind != "branch"
    return RepositoryEvent(
        kind="tag" if is_tag else "push",
        repository=name,
        urls=urls,
        commit="" if deleted else side.commit("target.hash"),
        ref=f"refs/{'tags' if is_tag else 'heads'}/{short}",
        branch="" if is_tag else short,
        tag=short if is_tag else "",
        base="" if is_tag or deleted else change.optional_commit("old.target.hash"),
        message=side.message("target.message"),
        sender=sender,
        deleted=deleted,
    )


def _pull_request(name: str, payload: Payload) -> Parsed:
    repository, urls = _repository(payload)
    request = payload.object("pullrequest")
    number = request.number("id")
    if name not in _ACTIONS:
        return Ignored(f"the event {name} of pull request #{number} starts no run", repository, urls)
    head = request.text("source.repository.full_name", "", limit=MAX_URL_LENGTH)
    commit = request.text("source.commit.hash")
    if not (7 <= len(commit) <= 64) or not all(digit in "0123456789abcdef" for digit in commit):
        raise PayloadError("pullrequest.source.commit.hash is not a commit")
    return RepositoryEvent(
        kind="pull_request",
        repository=repository,
        urls=urls,
        # Bitbucket Cloud shortens the commits of pull requests to 12 digits.
        commit=commit,
        ref=f"refs/heads/{request.ref('source.branch.name')}",
        branch=request.ref("destination.branch.name"),
        message=request.message("title"),
        sender=payload.text("actor.nickname", ""),
        pull_request=PullRequest(
            number,
            request.message("title"),
            request.ref("source.branch.name"),
            head,
            from_fork=head.lower() != repository.lower(),
        ),
        occurred=request.time("updated_on"),
    )
