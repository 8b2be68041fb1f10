"""Payloads of every forge, read into the same words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controller.webhooks.event import Ignored, Parsed, PayloadError, PullRequest, RepositoryEvent
from controller.webhooks.payload import parse_body
from controller.webhooks.providers import PROVIDERS
from tests.support.forges import payloads as payloads
from tests.support.forges.payloads import NAME, NEW, OLD, ZEROS, Delivery


def parse(provider: str, delivery: Delivery) -> Sequence[Parsed]:
    headers, document = delivery
    return PROVIDERS[provider].parse(headers, parse_body(payloads.encode(document), headers["content-type"]))


def event(provider: str, delivery: Delivery) -> RepositoryEvent:
    (found,) = parse(provider, delivery)
    assert isinstance(found, RepositoryEvent)
    return found


def ignored(provider: str, delivery: Delivery) -> Ignored:
    (found,) = parse(provider, delivery)
    assert isinstance(found, Ignored)
    return found


PUSHES = [
    ("github", payloads.github_push, NAME),
    ("gitlab", payloads.gitlab_push, NAME),
    ("bitbucket", payloads.bitbucket_push, NAME),
    ("bitbucket-server", payloads.server_push, "OCTO/hello"),
    ("gitea", payloads.gitea_push, NAME),
]


@pytest.mark.parametrize(("provider", "build", "name"), PUSHES)
def test_a_push_says_branch_and_commits(provider: str, build: type, name: str) -> None:
    found = event(provider, build("feature/x"))
    assert (found.kind, found.repository, found.branch, found.ref) == (
        "push",
        name,
        "feature/x",
        "refs/heads/feature/x",
    )
    assert (found.commit, found.base, found.message, found.sender) == (NEW, OLD, "Update the readme", "mona")
    assert not found.deleted
    assert found.pull_request is None


@pytest.mark.parametrize(("provider", "build"), [("github", payloads.github_push), ("gitlab", payloads.gitlab_push)])
def test_a_push_lists_the_changed_files(provider: str, build: type) -> None:
    assert event(provider, build(changed=["b", "a", "b"])).changed == ("a", "b")


def test_gitea_lists_the_changed_files_of_small_pushes_only() -> None:
    assert event("gitea", payloads.gitea_push(changed=["a"])).changed == ("a",)
    assert event("gitea", payloads.gitea_push(changed=["a"], total=99)).changed is None


def test_files_are_unknown_where_the_commits_do_not_tell_them() -> None:
    assert event("github", payloads.github_push(forced=True)).changed is None
    assert event("github", payloads.github_push(before=ZEROS)).changed is None
    assert event("gitlab", payloads.gitlab_push(total=40)).changed is None
    assert event("bitbucket", payloads.bitbucket_push()).changed is None
    assert event("github", payloads.github_push(changed=[f"{n}" for n in range(3001)])).changed is None
    assert event("github", payloads.github_push(changed=["x" * 1025])).changed is None


@pytest.mark.parametrize(
    ("provider", "delivery"),
    [
        ("github", payloads.github_tag()),
        ("gitlab", payloads.gitlab_tag()),
        ("bitbucket", payloads.bitbucket_push("v1.0", kind="tag")),
        ("bitbucket", payloads.bitbucket_push("v1.0", kind="annotated_tag")),
    ],
)
def test_a_tag_leads_to_its_commit(provider: str, delivery: Delivery) -> None:
    found = event(provider, delivery)
    assert (found.kind, found.tag, found.branch, found.commit) == ("tag", "v1.0", "", NEW)
    assert (found.ref, found.base, found.changed) == ("refs/tags/v1.0", "", None)


@pytest.mark.parametrize(
    ("provider", "delivery"),
    [
        ("github", payloads.github_push("old", deleted=True)),
        ("gitlab", payloads.gitlab_push("old", deleted=True)),
        ("bitbucket", payloads.bitbucket_push("old", deleted=True)),
        ("bitbucket-server", payloads.server_push("old", kind="DELETE")),
        ("gitea", payloads.gitea_push("old", deleted=True)),
    ],
)
def test_a_deletion_names_the_branch_and_no_commit(provider: str, delivery: Delivery) -> None:
    found = event(provider, delivery)
    assert (found.deleted, found.branch, found.commit) == (True, "old", "")


REQUESTS = [
    ("github", payloads.github_pull_request, NAME, "refs/pull/2/head", 2),
    ("gitlab", payloads.gitlab_merge_request, NAME, "refs/merge-requests/1/head", 1),
    ("bitbucket", payloads.bitbucket_pull_request, NAME, "refs/heads/changes", 3),
    ("bitbucket-server", payloads.server_pull_request, "OCTO/hello", "refs/pull-requests/4/from", 4),
    ("gitea", payloads.gitea_pull_request, NAME, "refs/pull/5/head", 5),
]


@pytest.mark.parametrize(("provider", "build", "name", "ref", "number"), REQUESTS)
def test_a_pull_request_is_about_the_branch_it_is_merged_into(
    provider: str, build: type, name: str, ref: str, number: int
) -> None:
    found = event(provider, build())
    assert (found.kind, found.branch, found.ref) == ("pull_request", "main", ref)
    assert NEW.startswith(found.commit)
    assert found.pull_request == PullRequest(number, "Update the readme", "changes", name, from_fork=False)


@pytest.mark.parametrize(("provider", "build", "name", "ref", "number"), REQUESTS)
def test_a_pull_request_from_another_repository_is_from_a_fork(
    provider: str, build: type, name: str, ref: str, number: int
) -> None:
    found = event(provider, build(head="stranger/hello"))
    assert found.pull_request is not None
    assert (found.pull_request.from_fork, found.pull_request.head_repository) == (True, "stranger/hello")


def test_a_pull_request_from_a_deleted_repository_counts_as_from_a_fork() -> None:
    found = event("github", payloads.github_pull_request(head=""))
    assert found.pull_request is not None
    assert found.pull_request.from_fork


@pytest.mark.parametrize(
    ("provider", "delivery", "word"),
    [
        ("github", payloads.github_pull_request("closed"), "closed"),
        ("github", payloads.github_pull_request("labeled"), "labeled"),
        ("gitlab", payloads.gitlab_merge_request("merge"), "merge"),
        ("gitlab", payloads.gitlab_merge_request("update"), "update"),
        ("bitbucket", payloads.bitbucket_pull_request("pullrequest:fulfilled"), "fulfilled"),
        ("bitbucket-server", payloads.server_pull_request("pr:merged"), "pr:merged"),
        ("gitea", payloads.gitea_pull_request("label_updated"), "label_updated"),
    ],
)
def test_other_actions_start_no_run_and_say_so(provider: str, delivery: Delivery, word: str) -> None:
    found = ignored(provider, delivery)
    assert word in found.reason
    assert "starts no run" in found.reason
    assert not found.is_ping


def test_new_commits_of_a_merge_request_have_the_old_one() -> None:
    assert event("gitlab", payloads.gitlab_merge_request("update", oldrev=OLD)).commit == NEW


def test_a_ping_is_a_ping() -> None:
    assert ignored("github", payloads.github_ping()).is_ping
    found = ignored("bitbucket-server", ({**payloads.server_push()[0], "x-event-key": "diagnostics:ping"}, {}))
    assert found.is_ping


def test_a_push_of_several_branches_is_several_events() -> None:
    found = parse("bitbucket", payloads.bitbucket_push("main", more=["a", "b"]))
    assert [each.branch for each in found if isinstance(each, RepositoryEvent)] == ["main", "a", "b"]
    (refused,) = parse("bitbucket", payloads.bitbucket_push(more=[f"b{n}" for n in range(20)]))
    assert isinstance(refused, Ignored)
    assert "21" in refused.reason


def test_a_form_with_the_payload_is_read_like_json() -> None:
    from urllib.parse import urlencode

    headers, document = payloads.github_push()
    body = urlencode({"payload": payloads.encode(document).decode()}).encode()
    payload = parse_body(body, "application/x-www-form-urlencoded")
    (found,) = PROVIDERS["github"].parse(headers, payload)
    assert isinstance(found, RepositoryEvent)
    assert found.branch == "main"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b"\x00" * 100]
)
def test_a_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        with pytest.raises(PayloadError):
            parse_body(body, content_type)


@pytest.mark.parametrize("branch", ["-x", "a..b", "a b", "a\nb", "x~1", "a:b", "x.lock", "", "a\\b", "\u0000", "a@{1}"])
def test_a_branch_that_git_would_not_accept_is_refused(branch: str) -> None:
    with pytest.raises(PayloadError):
        event("github", payloads.github_pull_request(base=branch))


@pytest.mark.parametrize("commit", ["main", "0d1a26", "-" * 40, NEW.upper(), NEW + "\n"])
def test_a_commit_that_is_none_is_refused(commit: str) -> None:
    headers, document = payloads.gitlab_push()
    with pytest.raises(PayloadError, match="commit"):
        parse("gitlab", (headers, document | {"after": commit}))
