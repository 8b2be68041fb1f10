"""Runs that take their pipeline from the repository, on the embedded cluster with a git server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.integration.api.conftest import ADMIN, Caller, Sandbox
from tests.integration.api.test_whole_path import ended
from tests.support.forges.git_server import GitServer, Repository, git_server

pytestmark = pytest.mark.xdist_group("controller")
RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
FILE = """\
version: v1alpha1
name: from-file
branches: [main]
steps:
  - {name: a, image: "busybox:1.36", commands: ["cat a.txt"]}
"""


@pytest.fixture
def cluster(sandbox: Sandbox, http: aiohttp.ClientSession) -> Caller:
    """Kubernetes itself."""
    return Caller(sandbox.cluster_url, http, ADMIN)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as found:
        yield found


async def create(cluster: Caller, name: str, repository: Repository, commit: str, **more: Any) -> None:
    spec = {"pipelineFrom": "repository", "source": {"git": {"url": repository.url, "revision": commit}}}
    spec |= {"commit": commit, "branch": "main", "event": "push", **more}
    run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec}
    status, answer = await cluster("POST", RUNS, json=run)
    assert status == 201, answer


async def test_the_pipeline_comes_from_the_commit_and_is_frozen_in_the_run(
    api: Caller, cluster: Caller, server: GitServer
) -> None:
    repository = server.repository("octo/one")
    commit = repository.commit({".c8s.yaml": FILE, "a.txt": "hello from the repository\n"})
    repository.commit({".c8s.yaml": FILE.replace("cat a.txt", "exit 1")})
    await create(cluster, "frozen-1", repository, commit)
    run = await ended(api, "frozen-1")
    assert (run["status"]["phase"], run["status"]["message"]) == ("Succeeded", "2 of 2 steps succeeded")
    assert [step["name"] for step in run["status"]["steps"]] == ["source", "a"]
    assert run["pipeline"] == "from-file"
    _, log = await api("GET", "runs/frozen-1/steps/a/logs")
    assert b"hello from the repository" in log
    _, found = await cluster("GET", f"{RUNS}/frozen-1")
    assert found["spec"]["pipeline"]["name"] == "from-file"
    assert found["metadata"]["labels"]["c8s.dev/pipeline"] == "from-file"


async def test_an_invalid_file_fails_the_run_with_its_position(api: Caller, cluster: Caller, server: GitServer) -> None:
    repository = server.repository("octo/two")
    commit = repository.commit({".c8s.yaml": FILE + "stepz: []\n"})
    await create(cluster, "invalid-1", repository, commit)
    status = (await ended(api, "invalid-1"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidPipeline")
    assert status["message"].startswith(".c8s.yaml:6:1: ")
    assert status["problems"][0]["line"] == 6
    assert [step["phase"] for step in status["steps"]] == ["Succeeded"]


async def test_a_branch_that_does_not_match_ends_the_run_with_the_reason(
    api: Caller, cluster: Caller, server: GitServer
) -> None:
    repository = server.repository("octo/three")
    commit = repository.commit({".c8s.yaml": FILE}, branch="topic")
    await create(cluster, "unmatched-1", repository, commit, branch="topic")
    status = (await ended(api, "unmatched-1"))["status"]
    assert (status["phase"], status["reason"]) == ("Cancelled", "NotTriggered")
    assert "the branch topic matches none of: main" in status["message"]


async def test_paths_are_compared_with_what_git_says_has_changed(
    api: Caller, cluster: Caller, server: GitServer
) -> None:
    repository = server.repository("octo/four")
    before = repository.commit({".c8s.yaml": FILE + 'paths: ["src/**"]\n', "a.txt": "1"})
    docs = repository.commit({"docs/a": "1"})
    source = repository.commit({"src/a": "1"})
    await create(cluster, "paths-1", repository, docs, trigger={"base": before})
    await create(cluster, "paths-2", repository, source, trigger={"base": docs})
    assert (await ended(api, "paths-1"))["status"]["reason"] == "NotTriggered"
    assert (await ended(api, "paths-2"))["status"]["phase"] == "Succeeded"
    _, found = await cluster("GET", f"{RUNS}/paths-2")
    assert found["spec"]["changedFiles"] == ["src/a"]


async def test_a_file_that_is_missing_fails_the_run(api: Caller, cluster: Caller, server: GitServer) -> None:
    repository = server.repository("octo/five")
    commit = repository.commit({"a.txt": "1"})
    await create(cluster, "missing-1", repository, commit)
    status = (await ended(api, "missing-1"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidPipeline")
    assert "the repository has no .c8s.yaml" in status["message"]


async def test_the_clone_steps_name_is_taken(api: Caller, cluster: Caller, server: GitServer) -> None:
    repository = server.repository("octo/six")
    commit = repository.commit({".c8s.yaml": FILE.replace("name: a,", "name: source,"), "a.txt": "1"})
    await create(cluster, "reserved-1", repository, commit)
    status = (await ended(api, "reserved-1"))["status"]
    assert status["reason"] == "InvalidPipeline"
    assert "`source`" in status["message"]


async def test_secrets_and_groups_of_the_file_work_like_those_of_any_run(
    api: Caller, cluster: Caller, server: GitServer
) -> None:
    await api("PUT", "secrets/word", json={"data": {"key": "abracadabra"}})
    text = FILE + "concurrency: {group: one, policy: queue}\n"
    text = text.replace(
        'commands: ["cat a.txt"]', 'commands: ["echo $W"], secrets: [{secretRef: word, key: key, envVar: W}]'
    )
    repository = server.repository("octo/seven")
    commit = repository.commit({".c8s.yaml": text, "a.txt": "1"})
    await create(cluster, "grouped-1", repository, commit)
    await create(cluster, "grouped-2", repository, commit)
    first, second = await ended(api, "grouped-1"), await ended(api, "grouped-2")
    assert [run["status"]["phase"] for run in (first, second)] == ["Succeeded", "Succeeded"]
    _, log = await api("GET", "runs/grouped-1/steps/a/logs")
    assert b"***" in log
    (one, two) = (
        next(step for step in run["status"]["steps"] if step["name"] == "a")["attempts"][0]["times"]
        for run in (first, second)
    )
    spans = sorted([(one["created"], one["finished"]), (two["created"], two["finished"])])
    assert spans[0][1] <= spans[1][0], "they did not run at the same time"


async def test_what_a_run_is_for_can_not_be_changed(cluster: Caller, server: GitServer) -> None:
    repository = server.repository("octo/eight")
    commit = repository.commit({"a.txt": "1"})
    await create(cluster, "fixed-1", repository, commit, trigger={"pullRequest": 3})
    headers = {"Content-Type": "application/merge-patch+json"}
    for change in ({"trigger": {"pullRequest": 4}}, {"pipelineFrom": None}, {"pipelineFile": "x"}, {"commit": "1"}):
        status, _ = await cluster("PATCH", f"{RUNS}/fixed-1", json={"spec": change}, headers=headers)
        assert status == 422, change
    spec = {"pipelineFrom": "repository"}
    run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "x"}, "spec": spec}
    assert (await cluster("POST", RUNS, json=run))[0] == 422, "there is no repository"
