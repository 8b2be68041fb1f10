"""Gitea and Forgejo: `X-Gitea-Signature` over the body, payloads much like GitHub's.

Source: https://docs.gitea.com/usage/webhooks and the package `modules/structs` of Gitea (`hook.go`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.webhooks.event import Ignored, Parsed, PullRequest, RepositoryEvent
from controller.webhooks.payload import MAX_URL_LENGTH, Payload, changed_files
from controller.webhooks.signature import Headers, hex_digest, is_signed

_URLS = ("html_url", "clone_url", "ssh_url")
_ACTIONS = ("opened", "synchronized", "reopened")


def verify(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> bool:
    """Whether the body is signed with one of the secrets."""
    return is_signed(_header(headers, "signature"), secrets, body)


def sign(secret: bytes, body: bytes, now: float) -> Mapping[str, str]:
    """The header of the signature."""
    return {"x-gitea-signature": hex_digest(secret, body)}


def delivery_id(headers: Headers) -> str:
    """The UUID of the delivery, which a redelivery keeps."""
    return _header(headers, "delivery")


def event_name(headers: Headers) -> str:
    """The event."""
    return _header(headers, "event")


def _header(headers: Headers, name: str) -> str:
    return headers.get(f"x-gitea-{name}") or headers.get(f"x-forgejo-{name}") or ""


def parse(headers: Headers, payload: Payload) -> Sequence[Parsed]:
    """What a payload says. Raises PayloadError."""
    return [_parse(headers, payload)]


def _parse(headers: Headers, payload: Payload) -> Parsed:
    name = event_name(headers)
    if name == "push":
        return _push(payload)
    # Gitea names a push to a pull request `pull_request_sync` in another header, and `pull_request` in this one.
    if name in ("pull_request", "pull_request_sync"):
        return _pull_request(payload)
    if name in ("create", "delete"):
        return Ignored(f"the event {name} starts no run: the push does", *_repository(payload))
    return Ignored(f"the event {name or 'without a name'} starts no run", *_repository(payload))


def _repository(payload: Payload) -> tuple[str, tuple[str, ...]]:
    repository = payload.object("repository")
    return repository.text("full_name", limit=MAX_URL_LENGTH), repository.urls(*_URLS)


def _push(payload: Payload) -> Parsed:
    name, urls = _repository(payload)
    ref = payload.ref("ref")
    kind, _, short = ref.removeprefix("refs/").partition("/")
    if kind not in ("heads", "tags") or not ref.startswith("refs/"):
        return Ignored(f"{ref} is neither a branch nor a tag", name, urls)
    after, before = payload.commit("after"), payload.commit("before")
    commits = payload.objects("commits")
    total = payload.count("total_commits")
    is_listed = bool(before) and bool(after) and kind == "heads" and (total is None or total == len(commits))
    return RepositoryEvent(
        kind="push" if kind == "heads" else "tag",
        repository=name,
        urls=urls,
        commit=(payload.optional_commit("head_commit.id") or after) if after else "",
        ref=ref,
        branch=short if kind == "heads" else "",
        tag=short if kind == "tags" else "",
        base=before if kind == "heads" else "",
        changed=changed_files(commits) if is_listed and commits else None,
        message=payload.message("head_commit.message"),
        sender=payload.text("sender.login", ""),
        deleted=not after,
    )


def _pull_request(payload: Payload) -> Parsed:
    name, urls = _repository(payload)
    action = payload.text("action", "")
    request = payload.object("pull_request")
    number = request.number("number")
    if action not in _ACTIONS:
        return Ignored(f"the action {action} of pull request #{number} starts no run", name, urls)
    head = request.text("head.repo.full_name", "", limit=MAX_URL_LENGTH)
    return RepositoryEvent(
        kind="pull_request",
        repository=name,
        urls=urls,
        commit=request.commit("head.sha"),
        ref=f"refs/pull/{number}/head",
        branch=request.ref("base.ref"),
        base=request.optional_commit("merge_base") or request.optional_commit("base.sha"),
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
