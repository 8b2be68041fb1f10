"""Where the API of a repository's forge is, and what a run looks like there."""

from __future__ import annotations

from typing import Any

import pytest

from controller.forges.report import MAX_DESCRIPTION, Report, State, reports_of
from controller.forges.requests import ForgeAddressError, repository_of, status_request

COMMIT = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
ADDRESSES = [
    ("github", "https://github.com/octo/hello.git", "https://api.github.com/repos/octo/hello/statuses/"),
    ("github", "git@github.com:octo/hello.git", "https://api.github.com/repos/octo/hello/statuses/"),
    ("github", "https://ghe.example.org/octo/hello", "https://ghe.example.org/api/v3/repos/octo/hello/statuses/"),
    ("gitlab", "https://gitlab.com/a/b/c.git", "https://gitlab.com/api/v4/projects/a%2Fb%2Fc/statuses/"),
    ("gitlab", "ssh://git@git.example.org:2222/a/b", "https://git.example.org/api/v4/projects/a%2Fb/statuses/"),
    ("gitea", "http://localhost:3000/octo/hello", "http://localhost:3000/api/v1/repos/octo/hello/statuses/"),
    ("bitbucket", "https://bitbucket.org/ws/r", "https://api.bitbucket.org/2.0/repositories/ws/r/commit/"),
    (
        "bitbucket-server",
        "https://bb.example.org/git/scm/proj/r.git",
        "https://bb.example.org/git/rest/api/latest/projects/proj/repos/r/commits/",
    ),
    (
        "bitbucket-server",
        "ssh://git@bb.example.org:7999/proj/r.git",
        "https://bb.example.org/rest/api/latest/projects/proj/repos/r/commits/",
    ),
]


@pytest.mark.parametrize(("provider", "url", "expected"), ADDRESSES)
def test_the_address_of_the_api_follows_from_the_repository(provider: str, url: str, expected: str) -> None:
    report = Report(COMMIT, "c8s/x", State.SUCCESS, "done", "https://ci/1")
    request = status_request(repository_of(provider, url, ""), report, "t")
    assert request.url.startswith(expected + COMMIT)


def test_another_address_can_be_set() -> None:
    found = repository_of("github", "https://github.com/octo/hello", "https://proxy.example.org/gh/")
    assert found.api == "https://proxy.example.org/gh"


@pytest.mark.parametrize("url", ["https://github.com/hello", "https://github.com", "file:///x", "http://[::1/x/y"])
def test_a_url_that_names_no_repository_of_an_owner_is_refused(url: str) -> None:
    with pytest.raises(ForgeAddressError):
        repository_of("github", url, "")


def run(phase: str = "Running", *, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    trigger = {"connection": "hello"}
    metadata = {"name": "a", "namespace": "team", "uid": "uid-a"}
    return {
        "metadata": metadata,
        "spec": {"trigger": trigger, "commit": COMMIT, **(spec or {})},
        "status": {"phase": phase, **status},
    }


def report(found: dict[str, Any], policy: str = "run", was_reported: bool = False) -> list[Report]:
    return reports_of(found, policy, "https://ci/1", was_reported=was_reported)


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("Pending", "pending"),
        ("Queued", "pending"),
        ("Running", "running"),
        ("Succeeded", "success"),
        ("Failed", "failure"),
        ("Cancelled", "cancelled"),
        ("SomethingNew", "pending"),
    ],
)
def test_each_phase_has_a_state(phase: str, state: str) -> None:
    (found,) = report(run(phase, message="why"))
    assert (found.state, found.context, found.commit) == (state, "c8s/hello", COMMIT)


def test_a_pipeline_by_reference_has_a_status_of_its_own() -> None:
    assert report(run(spec={"pipelineConfigRef": {"name": "docs"}}))[0].context == "c8s/hello/docs"


def test_the_sentence_says_why_in_one_short_line() -> None:
    (found,) = report(run("Failed", message="a failed:\x1b[31m\nexit 1 " + "x" * 500))
    assert len(found.description) == MAX_DESCRIPTION
    assert found.description.startswith("a failed: [31m exit 1 xxx")
    assert report(run(summary={"progress": "3/12"}))[0].description == "3/12 steps done"


def test_an_event_that_asks_for_nothing_is_no_check() -> None:
    ignored = run("Cancelled", reason="NotTriggered", message="pipeline ci does not run")
    assert report(ignored) == []
    assert report(ignored, was_reported=True)[0].state == "success"


def test_steps_are_reported_if_they_are_asked_for() -> None:
    steps = [{"name": "a", "phase": "Succeeded", "message": "ok"}, {"name": "b (os=x)", "phase": "Skipped"}]
    found = report(run("Succeeded", steps=steps, message="done"), "step")
    assert [(each.context, each.state) for each in found] == [
        ("c8s/hello", "success"),
        ("c8s/hello/a", "success"),
        ("c8s/hello/b (os=x)", "success"),
    ]


def test_nothing_is_reported_where_it_is_off_or_there_is_no_connection() -> None:
    assert report(run(), "off") == []
    assert report(run(spec={"trigger": {}})) == []


def test_the_commit_that_was_cloned_counts() -> None:
    short = run(spec={"commit": COMMIT[:12]}, source={"commit": COMMIT})
    assert report(short)[0].commit == COMMIT


def test_a_failure_names_the_lines_of_files_that_are_in_the_repository() -> None:
    def failed(name: str, file: str, line: int = 3) -> dict[str, Any]:
        failure = {"line": 10, "text": "boom", "file": file, "fileLine": line}
        return {"name": name, "phase": "Failed", "firstFailure": failure}

    steps = [
        failed("a", "src/a.py"),
        failed("b", "./src/b.py"),
        failed("c", "/workspace/src/c.py"),
        failed("d", "/usr/lib/python3/site.py"),
        failed("e", "../outside.py"),
        failed("f", "C:\\work\\f.cs"),
        failed("g", "src/g.py", 0),
        {"name": "h", "phase": "Failed"},
    ]
    problems = [{"file": ".c8s.yaml", "line": 7, "column": 2, "message": "no"}]
    (found,) = report(run("Failed", steps=steps, problems=problems, message="x"))
    assert [(each.path, each.line, each.title) for each in found.annotations] == [
        (".c8s.yaml", 7, "Pipeline file"),
        ("src/a.py", 3, "a"),
        ("src/b.py", 3, "b"),
        ("src/c.py", 3, "c"),
    ]
    assert report(run("Succeeded", steps=steps))[0].annotations == ()
