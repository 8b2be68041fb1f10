"""Gitea and Forgejo: `X-Gitea-Signature` over the body, payloads much like GitHub's.

Source: https://docs.gitea.com/usage/webhooks and the package `modules/structs` of Gitea (`hook.go`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.webhooks.event import Ignored, Parsed, RepositoryEvent
from controller.webhooks.payload import Payload, changed_files
from controller.webhooks.providers.pushes import NamedRepository, read_pull_request, read_ref, read_repository
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
    name, repository = event_name(headers), read_repository(payload, _URLS)
    if name == "push":
        return _push(payload, repository)
    # Gitea names a push to a pull request `pull_request_sync` in another header, and `pull_request` in this one.
    if name in ("pull_request", "pull_request_sync"):
        return read_pull_request(payload, repository, _ACTIONS, _base)
    if name in ("create", "delete"):
        return Ignored(f"the event {name} starts no run: the push does", *repository)
    return Ignored(f"the event {name or 'without a name'} starts no run", *repository)


def _base(request: Payload) -> str:
    return request.optional_commit("merge_base") or request.optional_commit("base.sha")


def _push(payload: Payload, repository: NamedRepository) -> Parsed:
    found = read_ref(payload, repository)
    if isinstance(found, Ignored):
        return found
    ref, short, is_branch = found
    after, before = payload.commit("after"), payload.commit("before")
    commits = payload.objects("commits")
    total = payload.count("total_commits")
    is_listed = bool(before) and bool(after) and is_branch and (total is None or total == len(commits))
    return RepositoryEvent(
        kind="push" if is_branch else "tag",
        repository=repository[0],
        urls=repository[1],
        commit=(payload.optional_commit("head_commit.id") or after) if after else "",
        ref=ref,
        branch=short if is_branch else "",
        tag="" if is_branch else short,
        base=before if is_branch else "",
        changed=changed_files(commits) if is_listed and commits else None,
        message=payload.message("head_commit.message"),
        sender=payload.text("sender.login", ""),
        deleted=not after,
    )
