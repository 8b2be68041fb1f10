"""GitHub: `X-Hub-Signature-256` over the body; the events push, pull_request and ping.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.webhooks.event import Ignored, Parsed, RepositoryEvent
from controller.webhooks.payload import Payload, changed_files
from controller.webhooks.providers.pushes import read_pull_request, read_ref, read_repository
from controller.webhooks.signature import Headers, hex_digest, is_signed

_PREFIX = "sha256="
_MAX_COMMITS = 2048
"""What GitHub lists of a push at most; with as many, some may be missing."""
_URLS = ("html_url", "clone_url", "ssh_url", "git_url")
_ACTIONS = ("opened", "synchronize", "reopened")


def verify(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> bool:
    """Whether the body is signed with one of the secrets."""
    given = headers.get("x-hub-signature-256", "")
    return given.startswith(_PREFIX) and is_signed(given.removeprefix(_PREFIX), secrets, body)


def sign(secret: bytes, body: bytes, now: float) -> Mapping[str, str]:
    """The header of the signature."""
    return {"x-hub-signature-256": _PREFIX + hex_digest(secret, body)}


def delivery_id(headers: Headers) -> str:
    """The GUID of the delivery, which a redelivery keeps."""
    return headers.get("x-github-delivery", "")


def event_name(headers: Headers) -> str:
    """The event."""
    return headers.get("x-github-event", "")


def parse(headers: Headers, payload: Payload) -> Sequence[Parsed]:
    """What a payload says. Raises PayloadError."""
    return [_parse(headers, payload)]


def _parse(headers: Headers, payload: Payload) -> Parsed:
    name = event_name(headers)
    if name == "push":
        return _push(payload)
    if name == "pull_request":
        return read_pull_request(payload, read_repository(payload, _URLS), _ACTIONS, _base)
    # Events of organizations and of apps have no repository.
    about = read_repository(payload, _URLS) if payload.has("repository") else ("", ())
    if name == "ping":
        return Ignored("GitHub tries the connection", *about, is_ping=True)
    return Ignored(f"the event {name or 'without a name'} starts no run", *about)


def _base(request: Payload) -> str:
    return request.commit("base.sha")


def _push(payload: Payload) -> Parsed:
    repository = read_repository(payload, _URLS)
    found = read_ref(payload, repository)
    if isinstance(found, Ignored):
        return found
    ref, short, is_branch = found
    deleted = payload.flag("deleted")
    commits = payload.objects("commits")
    # Of a new branch and of a forced push, the commits do not tell what differs from before.
    is_listed = not payload.flag("created") and not payload.flag("forced") and len(commits) < _MAX_COMMITS
    return RepositoryEvent(
        kind="push" if is_branch else "tag",
        repository=repository[0],
        urls=repository[1],
        # Of an annotated tag, `after` is the tag itself.
        commit="" if deleted else payload.optional_commit("head_commit.id") or payload.commit("after"),
        ref=ref,
        branch=short if is_branch else "",
        tag="" if is_branch else short,
        base=payload.commit("before") if is_branch else "",
        changed=changed_files(commits) if is_listed and is_branch else None,
        message=payload.message("head_commit.message"),
        sender=payload.text("sender.login", ""),
        deleted=deleted,
        occurred=payload.time("repository.pushed_at"),
    )
