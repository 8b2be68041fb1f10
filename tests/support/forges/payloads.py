"""Payloads in the shapes that the forges publish, with the fields that matter and some that do not.

Each builder returns the headers (lower-case names) and the JSON document of one delivery, unsigned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
Delivery = tuple[dict[str, str], Json]

OLD = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
NEW = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
ZEROS = "0" * 40
NAME = "octo/hello"


def encode(document: Json) -> bytes:
    """The body of a delivery."""
    return json.dumps(document).encode()


def _github_repository(name: str) -> Json:
    return {
        "id": 35129377,
        "name": name.split("/")[1],
        "full_name": name,
        "private": False,
        "html_url": f"https://github.com/{name}",
        "clone_url": f"https://github.com/{name}.git",
        "git_url": f"git://github.com/{name}.git",
        "ssh_url": f"git@github.com:{name}.git",
        "default_branch": "main",
    }


def _github_headers(event: str) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-github-hook-id": "292430182",
        "user-agent": "GitHub-Hookshot/044aadd",
    }


def github_push(
    branch: str = "main",
    *,
    ref: str = "",
    changed: Sequence[str] = ("README.md",),
    message: str = "Update the readme",
    before: str = OLD,
    after: str = NEW,
    deleted: bool = False,
    forced: bool = False,
    pushed_at: int = 1_796_000_000,
    name: str = NAME,
) -> Delivery:
    commit = {
        "id": after,
        "message": message,
        "timestamp": "2026-11-29T10:00:00+01:00",
        "author": {"name": "Mona", "email": "mona@example.org", "username": "mona"},
        "added": [],
        "removed": [],
        "modified": list(changed),
    }
    after = ZEROS if deleted else after
    return _github_headers("push"), {
        "ref": ref or f"refs/heads/{branch}",
        "before": before,
        "after": after,
        "created": before == ZEROS,
        "deleted": deleted,
        "forced": forced,
        "base_ref": None,
        "compare": f"https://github.com/{name}/compare/{before[:12]}...{after[:12]}",
        "commits": [] if deleted else [commit],
        "head_commit": None if deleted else commit,
        "repository": _github_repository(name) | {"pushed_at": pushed_at},
        "pusher": {"name": "mona", "email": "mona@example.org"},
        "sender": {"login": "mona", "id": 21031067, "type": "User"},
    }


def github_tag(tag: str = "v1.0", **more: Any) -> Delivery:
    return github_push(ref=f"refs/tags/{tag}", before=ZEROS, **more)


def github_pull_request(
    action: str = "opened", *, head: str = NAME, base: str = "main", number: int = 2, title: str = "Update the readme"
) -> Delivery:
    return _github_headers("pull_request"), {
        "action": action,
        "number": number,
        "pull_request": {
            "number": number,
            "state": "open",
            "title": title,
            "user": {"login": "mona"},
            "updated_at": "2026-11-29T10:00:00Z",
            "draft": False,
            "head": {"ref": "changes", "sha": NEW, "repo": _github_repository(head) if head else None},
            "base": {"ref": base, "sha": OLD, "repo": _github_repository(NAME)},
        },
        "repository": _github_repository(NAME),
        "sender": {"login": "mona"},
    }


def github_ping() -> Delivery:
    return _github_headers("ping"), {
        "zen": "Non-blocking is better than blocking.",
        "hook_id": 30,
        "hook": {"type": "Repository", "id": 30, "events": ["push"], "active": True},
        "repository": _github_repository(NAME),
    }


def _gitlab_project() -> Json:
    return {
        "id": 15,
        "name": "Hello",
        "web_url": f"https://gitlab.example.org/{NAME}",
        "git_ssh_url": f"git@gitlab.example.org:{NAME}.git",
        "git_http_url": f"https://gitlab.example.org/{NAME}.git",
        "path_with_namespace": NAME,
        "default_branch": "main",
    }


def _gitlab_headers(event: str) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-gitlab-event": event,
        "x-gitlab-instance": "https://gitlab.example.org",
        "x-gitlab-webhook-uuid": "02affd2d-2cba-4033-917d-ec22d5dc4b38",
        "x-gitlab-event-uuid": "13792a34-cac6-4fda-95a8-c58e00a3954e",
        "idempotency-key": "f5e57ebe-2c3b-4f5f-9b8b-2d2f7d9d8a5e",
    }


def gitlab_push(
    branch: str = "main",
    *,
    changed: Sequence[str] = ("README.md",),
    message: str = "Update the readme",
    deleted: bool = False,
    total: int | None = None,
) -> Delivery:
    commit = {
        "id": NEW,
        "message": message,
        "title": message,
        "timestamp": "2026-11-29T10:00:00+00:00",
        "added": list(changed),
        "modified": [],
        "removed": [],
    }
    return _gitlab_headers("Push Hook"), {
        "object_kind": "push",
        "event_name": "push",
        "before": OLD,
        "after": ZEROS if deleted else NEW,
        "ref": f"refs/heads/{branch}",
        "checkout_sha": None if deleted else NEW,
        "user_username": "mona",
        "project": _gitlab_project(),
        "commits": [] if deleted else [commit],
        "total_commits_count": total if total is not None else 0 if deleted else 1,
    }


def gitlab_tag(tag: str = "v1.0") -> Delivery:
    headers, document = gitlab_push()
    changes = {"object_kind": "tag_push", "event_name": "tag_push", "ref": f"refs/tags/{tag}", "before": ZEROS}
    # An annotated tag is an object of its own.
    return headers | {"x-gitlab-event": "Tag Push Hook"}, document | changes | {"after": OLD, "checkout_sha": NEW}


def gitlab_merge_request(action: str = "open", *, head: str = NAME, oldrev: str = "", iid: int = 1) -> Delivery:
    return _gitlab_headers("Merge Request Hook"), {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": {"id": 1, "username": "mona"},
        "project": _gitlab_project(),
        "object_attributes": {
            "id": 99,
            "iid": iid,
            "target_branch": "main",
            "source_branch": "changes",
            "title": "Update the readme",
            "updated_at": "2026-11-29 10:00:00 UTC",
            "state": "opened",
            "action": action,
            "source": _gitlab_project() | {"path_with_namespace": head},
            "target": _gitlab_project(),
            "last_commit": {"id": NEW, "message": "Update the readme", "title": "Update the readme"},
            **({"oldrev": oldrev} if oldrev else {}),
        },
    }


def _bitbucket_repository(name: str) -> Json:
    return {
        "type": "repository",
        "full_name": name,
        "name": name.split("/")[1],
        "links": {"html": {"href": f"https://bitbucket.org/{name}"}},
        "scm": "git",
    }


def _bitbucket_headers(event: str) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-event-key": event,
        "x-hook-uuid": "{9f9a3a3b-1e4f-4a3a-9b3c-2d2f7d9d8a5e}",
        "x-request-uuid": "3dd2bbd4-1a8c-4f6c-9b0a-0d6f7d9d8a5e",
        "x-attempt-number": "1",
    }


def _bitbucket_side(name: str, commit: str, kind: str, message: str) -> Json:
    return {"type": kind, "name": name, "target": {"type": "commit", "hash": commit, "message": message}}


def bitbucket_push(
    branch: str = "main",
    *,
    kind: str = "branch",
    message: str = "Update the readme",
    deleted: bool = False,
    more: Sequence[str] = (),
) -> Delivery:
    old, new = _bitbucket_side(branch, OLD, kind, "Begin"), _bitbucket_side(branch, NEW, kind, message)
    first = {"old": old, "new": None if deleted else new, "created": False, "closed": deleted, "forced": False}
    others = [{"old": None, "new": _bitbucket_side(each, NEW, "branch", message), "created": True} for each in more]
    return _bitbucket_headers("repo:push"), {
        "actor": {"type": "user", "nickname": "mona", "display_name": "Mona"},
        "repository": _bitbucket_repository(NAME),
        "push": {"changes": [first, *others]},
    }


def bitbucket_pull_request(event: str = "pullrequest:created", *, head: str = NAME) -> Delivery:
    return _bitbucket_headers(event), {
        "actor": {"type": "user", "nickname": "mona"},
        "repository": _bitbucket_repository(NAME),
        "pullrequest": {
            "id": 3,
            "title": "Update the readme",
            "state": "OPEN",
            "updated_on": "2026-11-29T10:00:00.000000+00:00",
            "source": {
                "branch": {"name": "changes"},
                "commit": {"hash": NEW[:12], "type": "commit"},
                "repository": _bitbucket_repository(head),
            },
            "destination": {
                "branch": {"name": "main"},
                "commit": {"hash": OLD[:12], "type": "commit"},
                "repository": _bitbucket_repository(NAME),
            },
        },
    }


def _server_repository(name: str) -> Json:
    project, slug = name.split("/")
    url = f"https://bitbucket.example.org/scm/{project.lower()}/{slug}.git"
    return {
        "slug": slug,
        "id": 84,
        "scmId": "git",
        "project": {"key": project, "id": 84, "type": "NORMAL"},
        "links": {
            "clone": [{"href": url, "name": "http"}],
            "self": [{"href": f"https://bitbucket.example.org/projects/{project}/repos/{slug}/browse"}],
        },
    }


def _server_headers(event: str) -> dict[str, str]:
    return {
        "content-type": "application/json; charset=utf-8",
        "x-event-key": event,
        "x-request-id": "f3a1c7f0-1a8c-4f6c-9b0a-0d6f7d9d8a5e",
    }


def server_push(branch: str = "main", *, kind: str = "UPDATE", message: str = "Update the readme") -> Delivery:
    return _server_headers("repo:refs_changed"), {
        "eventKey": "repo:refs_changed",
        "date": "2026-11-29T10:00:00+0100",
        "actor": {"name": "mona", "emailAddress": "mona@example.org"},
        "repository": _server_repository("OCTO/hello"),
        "changes": [
            {
                "ref": {"id": f"refs/heads/{branch}", "displayId": branch, "type": "BRANCH"},
                "refId": f"refs/heads/{branch}",
                "fromHash": OLD,
                "toHash": ZEROS if kind == "DELETE" else NEW,
                "type": kind,
            }
        ],
        "toCommit": {"id": NEW, "message": message},
    }


def server_pull_request(event: str = "pr:opened", *, head: str = "OCTO/hello") -> Delivery:
    return _server_headers(event), {
        "eventKey": event,
        "date": "2026-11-29T10:00:00+0100",
        "actor": {"name": "mona"},
        "pullRequest": {
            "id": 4,
            "title": "Update the readme",
            "fromRef": {
                "id": "refs/heads/changes",
                "displayId": "changes",
                "latestCommit": NEW,
                "repository": _server_repository(head),
            },
            "toRef": {
                "id": "refs/heads/main",
                "displayId": "main",
                "latestCommit": OLD,
                "repository": _server_repository("OCTO/hello"),
            },
        },
    }


def _gitea_repository(name: str) -> Json:
    return {
        "id": 140,
        "full_name": name,
        "html_url": f"https://gitea.example.org/{name}",
        "clone_url": f"https://gitea.example.org/{name}.git",
        "ssh_url": f"ssh://git@gitea.example.org:2222/{name}.git",
        "default_branch": "main",
    }


def _gitea_headers(event: str) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-gitea-event": event,
        "x-gitea-event-type": event,
        "x-gitea-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
        # Gitea sends them too, for tools that know only GitHub's.
        "x-github-event": event,
        "x-github-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
    }


def gitea_push(
    branch: str = "main",
    *,
    changed: Sequence[str] = ("README.md",),
    message: str = "Update the readme",
    deleted: bool = False,
    total: int = 1,
) -> Delivery:
    commit = {"id": NEW, "message": message, "added": [], "removed": [], "modified": list(changed)}
    return _gitea_headers("push"), {
        "ref": f"refs/heads/{branch}",
        "before": OLD,
        "after": ZEROS if deleted else NEW,
        "compare_url": "https://gitea.example.org/octo/hello/compare/a...b",
        "commits": [] if deleted else [commit],
        "total_commits": 0 if deleted else total,
        "head_commit": None if deleted else commit,
        "repository": _gitea_repository(NAME),
        "sender": {"login": "mona", "username": "mona"},
    }


def gitea_pull_request(action: str = "opened", *, head: str = NAME) -> Delivery:
    return _gitea_headers("pull_request"), {
        "action": action,
        "number": 5,
        "pull_request": {
            "number": 5,
            "title": "Update the readme",
            "updated_at": "2026-11-29T10:00:00Z",
            "head": {"label": "changes", "ref": "changes", "sha": NEW, "repo": _gitea_repository(head)},
            "base": {"label": "main", "ref": "main", "sha": OLD, "repo": _gitea_repository(NAME)},
            "merge_base": OLD,
        },
        "repository": _gitea_repository(NAME),
        "sender": {"login": "mona"},
    }


EVERY: dict[str, Sequence[Callable[[], Delivery]]] = {
    "github": (github_push, github_tag, github_pull_request, github_ping),
    "gitlab": (gitlab_push, gitlab_tag, gitlab_merge_request),
    "bitbucket": (bitbucket_push, bitbucket_pull_request),
    "bitbucket-server": (server_push, server_pull_request),
    "gitea": (gitea_push, gitea_pull_request),
}
"""Builders of deliveries by provider."""
