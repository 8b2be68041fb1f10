"""GitHub: `X-Hub-Signature-256` over the body; the events push, pull_request and ping.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.webhooks.event import Ignored, Parsed, PullRequest, RepositoryEvent
from controller.webhooks.payload import MAX_URL_LENGTH, Payload, changed_files
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
        return _pull_request(payload)
    # Events of organizations and of apps have no repository.
    about = _repository(payload) if payload.has("repository") else ("", ())
    if name == "ping":
        return Ignored("GitHub tries the connection", *about, is_ping=True)
    return Ignored(f"the event {name or 'without a name'} starts no run", *about)


def _repository(payload: Payload) -> tuple[str, tuple[str, ...]]:
    repository = payload.object("repository")
    return repository.text("full_name", limit=MAX_URL_LENGTH), repository.urls(*_URLS)


def _push(payload: Payload) -> Parsed:
    name, urls = _repository(payload)
    ref = payload.ref("ref")
    kind, _, short = ref.removeprefix("refs/").partition("/")
    if kind not in ("heads", "tags") or not ref.startswith("refs/"):
        return Ignored(f"{ref} is neither a branch nor a tag", name, urls)
    deleted = payload.flag("deleted")
    commits = payload.objects("commits")
    # Of a new branch and of a forced push, the commits do not tell what differs from before.
    is_listed = not payload.flag("created") and not payload.flag("forced") and len(commits) < _MAX_COMMITS
    return RepositoryEvent(
        kind="push" if kind == "heads" else "tag",
        repository=name,
        urls=urls,
        # Of an annotated tag, `after` is the tag itself.
        commit="" if deleted else payload.optional_commit("head_commit.id") or payload.commit("after"),
        ref=ref,
        branch=short if kind == "heads" else "",
        tag=short if kind == "tags" else "",
        base=payload.commit("before") if kind == "heads" else "",
        changed=changed_files(commits) if is_listed and kind == "heads" else None,
        message=payload.message("head_commit.message"),
        sender=payload.text("sender.login", ""),
        deleted=deleted,
        occurred=payload.time("repository.pushed_at"),
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
        base=request.commit("base.sha"),
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
