"""GitLab: the secret token in `X-Gitlab-Token`, or a signature by the Standard Webhooks specification.

Source: https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.webhooks.event import Ignored, Parsed, PullRequest, RepositoryEvent
from controller.webhooks.payload import MAX_URL_LENGTH, Payload, changed_files
from controller.webhooks.signature import Headers, is_standard_signed, is_token, standard_headers, standard_key

_URLS = ("web_url", "git_http_url", "git_ssh_url", "http_url", "ssh_url")


def verify(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> bool:
    """Whether it has the secret token, or is signed by a signing token (`whsec_…`), which is never accepted as text."""
    if "webhook-signature" in headers:
        return is_standard_signed(headers, secrets, body, now)
    return is_token(headers.get("x-gitlab-token", ""), [secret for secret in secrets if not standard_key(secret)])


def sign(secret: bytes, body: bytes, now: float) -> Mapping[str, str]:
    """The header with the secret token, or those of a signature with a signing token."""
    if standard_key(secret):
        return standard_headers(secret, body, now)
    return {"x-gitlab-token": secret.decode("utf-8", "replace")}


def delivery_id(headers: Headers) -> str:
    """The id that stays the same when GitLab tries again; older versions have only the event's."""
    return headers.get("idempotency-key") or headers.get("webhook-id") or headers.get("x-gitlab-event-uuid", "")


def event_name(headers: Headers) -> str:
    """The event."""
    return headers.get("x-gitlab-event", "")


def parse(headers: Headers, payload: Payload) -> Sequence[Parsed]:
    """What a payload says. Raises PayloadError."""
    return [_parse(headers, payload)]


def _parse(headers: Headers, payload: Payload) -> Parsed:
    kind = payload.text("object_kind", "")
    if kind == "push":
        return _push(payload, is_tag=False)
    if kind == "tag_push":
        return _push(payload, is_tag=True)
    if kind == "merge_request":
        return _merge_request(payload)
    return Ignored(f"the event {kind or event_name(headers) or 'without a name'} starts no run", *_project(payload))


def _project(payload: Payload) -> tuple[str, tuple[str, ...]]:
    project = payload.object("project")
    return project.text("path_with_namespace", limit=MAX_URL_LENGTH), project.urls(*_URLS)


def _push(payload: Payload, *, is_tag: bool) -> Parsed:
    name, urls = _project(payload)
    ref = payload.ref("ref")
    prefix = "refs/tags/" if is_tag else "refs/heads/"
    if not ref.startswith(prefix):
        return Ignored(f"{ref} is neither a branch nor a tag", name, urls)
    after, before = payload.commit("after"), payload.commit("before")
    commits = payload.objects("commits")
    total = payload.count("total_commits_count")
    is_listed = bool(before) and bool(after) and not is_tag and total == len(commits)
    message = next((each.message("message") for each in commits if each.text("id", "") == after), "")
    return RepositoryEvent(
        kind="tag" if is_tag else "push",
        repository=name,
        urls=urls,
        # Of an annotated tag, `after` is the tag itself.
        commit=(payload.optional_commit("checkout_sha") or after) if after else "",
        ref=ref,
        branch="" if is_tag else ref.removeprefix(prefix),
        tag=ref.removeprefix(prefix) if is_tag else "",
        base="" if is_tag else before,
        changed=changed_files(commits) if is_listed and commits else None,
        message=message,
        sender=payload.text("user_username", ""),
        deleted=not after,
    )


def _merge_request(payload: Payload) -> Parsed:
    name, urls = _project(payload)
    request = payload.object("object_attributes")
    number = request.number("iid")
    action = request.text("action", "")
    # `update` is any change; only one of the commits has `oldrev`.
    if action not in ("open", "reopen", "update") or (action == "update" and not request.has("oldrev")):
        return Ignored(f"the action {action or 'unknown'} of merge request !{number} starts no run", name, urls)
    head = request.text("source.path_with_namespace", "", limit=MAX_URL_LENGTH)
    return RepositoryEvent(
        kind="pull_request",
        repository=name,
        urls=urls,
        commit=request.commit("last_commit.id"),
        ref=f"refs/merge-requests/{number}/head",
        branch=request.ref("target_branch"),
        base="",
        message=request.message("title") + "\n" + request.message("last_commit.message"),
        sender=payload.text("user.username", ""),
        pull_request=PullRequest(
            number,
            request.message("title"),
            request.ref("source_branch"),
            head,
            from_fork=head.lower() != name.lower(),
        ),
        occurred=request.time("updated_at"),
    )
