"""Deliveries from the request to the run: verified, understood, decided, created once."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from controller.kube import REPOSITORY_CONNECTIONS, ApiError, UnreachableError
from controller.provenance import verified_creator
from tests.support.forges import payloads as payloads
from tests.support.forges.payloads import NEW, OLD
from tests.unit.controller.webhooks.providers.test_mutations import damage, mutate
from tests.unit.controller.webhooks.world import KEY, SECRET, World

Json = dict[str, Any]

PUSHES = {
    "github": payloads.github_push,
    "gitlab": payloads.gitlab_push,
    "bitbucket": payloads.bitbucket_push,
    "bitbucket-server": payloads.server_push,
    "gitea": payloads.gitea_push,
}


def github_push(**more: Any) -> payloads.Delivery:
    return payloads.github_push(pushed_at=int(World().now.timestamp()), **more)


@pytest.mark.parametrize("provider", PUSHES)
async def test_a_push_becomes_a_run_of_the_repositorys_own_pipeline(provider: str) -> None:
    world = World()
    world.connect(provider)
    delivery = github_push() if provider == "github" else PUSHES[provider]()
    answer = await world.deliver(delivery, provider)
    (run,) = world.runs
    assert answer.status == 202, answer
    assert answer.document == {"outcome": "Started", "runs": [run["metadata"]["name"]]}
    spec = run["spec"]
    assert (spec["pipelineFrom"], spec["commit"], spec["branch"], spec["event"]) == ("repository", NEW, "main", "push")
    assert spec["source"]["git"]["revision"] == NEW
    assert spec["trigger"]["base"] == OLD
    assert spec["trigger"]["connection"] == "hello"
    assert spec["triggeredBy"] == f"mona at {provider}"


async def test_the_run_is_signed_so_that_the_operator_knows_where_it_comes_from() -> None:
    world = World()
    world.connect()
    await world.deliver(github_push())
    (run,) = world.runs
    created = {**run, "metadata": {**run["metadata"], "creationTimestamp": world.now.isoformat()}}
    assert verified_creator(KEY, created) == "c8s-webhook"
    forged = {**created, "spec": {**created["spec"], "commit": OLD}}
    assert verified_creator(KEY, forged) is None


@pytest.mark.parametrize("provider", PUSHES)
async def test_a_wrong_signature_is_refused_before_the_body_is_read(provider: str) -> None:
    world = World()
    world.connect(provider)
    answer = await world.send({}, b"this is no JSON", provider, secret=b"another")
    assert (answer.status, world.runs) == (401, [])
    assert await world.deliveries() == [], "nobody knows who sent it"


async def test_what_is_wrong_is_not_told_to_who_does_not_know_the_secret() -> None:
    world = World()
    world.connect()
    world.connect(name="locked")
    world.set_secret("locked-webhook", SECRET, label="false")
    wrong = await world.deliver(github_push(), secret=b"another")
    missing = await world.deliver(github_push(), target=("team", "nobody"))
    elsewhere = await world.deliver(github_push(), target=("another", "hello"))
    unusable = await world.deliver(github_push(), target=("team", "locked"))
    assert wrong == missing == elsewhere == unusable


async def test_a_delivery_that_comes_twice_makes_one_run() -> None:
    world = World()
    world.connect()
    first = await world.deliver(github_push())
    again = await world.deliver(github_push())
    assert first == again
    at_once = await asyncio.gather(*(world.deliver(github_push(), **{"x-github-delivery": "other"}) for _ in range(9)))
    assert all(answer == at_once[0] for answer in at_once)
    assert len(world.runs) == 2


async def test_the_name_of_a_run_depends_on_the_controllers_key() -> None:
    world = World()
    world.connect()
    await world.deliver(github_push())
    name = world.runs[0]["metadata"]["name"]
    assert name.startswith("hello-")
    assert len(name.rpartition("-")[2]) == 16


async def test_a_delivery_without_an_id_is_told_by_its_body() -> None:
    world = World()
    world.connect()
    for changed in ("a", "a", "b"):
        headers, document = github_push(changed=[changed])
        del headers["x-github-delivery"]
        await world.deliver((headers, document))
    assert len(world.runs) == 2


async def test_pipelines_by_reference_are_matched_at_once_and_say_why_not() -> None:
    world = World()
    world.connect(pipelines=[{"name": "build"}, {"name": "docs"}, {"name": "none"}])
    world.pipeline("build", branches=["main"])
    world.pipeline("docs", paths=["docs/**"])
    answer = await world.deliver(github_push(changed=["src/a"]))
    (run,) = world.runs
    assert run["spec"]["pipelineConfigRef"] == {"name": "build"}
    assert run["metadata"]["labels"]["c8s.dev/pipeline"] == "build"
    assert run["spec"]["changedFiles"] == ["src/a"]
    reason = str(answer.document["reason"])
    assert "pipeline docs: no changed file matches any of: docs/**" in reason
    assert "there is no PipelineConfig none" in reason


async def test_no_pipeline_that_matches_is_no_run_and_a_reason() -> None:
    world = World()
    world.connect(pipelines=[{"name": "build"}])
    world.pipeline("build", branches=["main"])
    answer = await world.deliver(github_push(branch="topic"))
    assert (answer.status, answer.document["outcome"], world.runs) == (200, "Ignored", [])
    (listed,) = await world.deliveries()
    assert "the branch topic matches none of: main" in listed["reason"]


@pytest.mark.parametrize(
    ("delivery", "word"),
    [
        (github_push(deleted=True), "was deleted"),
        (github_push(message="Fix [skip ci]"), "[skip ci]"),
        (payloads.github_pull_request("closed"), "closed"),
    ],
)
async def test_what_starts_no_run_says_so(delivery: payloads.Delivery, word: str) -> None:
    world = World()
    world.connect()
    answer = await world.deliver(delivery)
    assert (answer.status, world.runs) == (200, [])
    assert word in str(answer.document["reason"])
    assert word in (await world.deliveries())[0]["reason"]


async def test_a_ping_is_answered_and_listed() -> None:
    world = World()
    world.connect()
    assert (await world.deliver(payloads.github_ping())).status == 200
    assert (await world.deliveries())[0]["event"] == "ping"


async def test_a_delivery_about_another_repository_is_ignored_and_says_so() -> None:
    world = World()
    world.connect()
    answer = await world.deliver(github_push(name="octo/another"))
    assert (answer.status, world.runs) == (200, [])
    assert "octo/another" in str(answer.document["reason"])


async def test_an_event_that_is_too_old_is_refused() -> None:
    world = World()
    world.connect()
    answer = await world.deliver(payloads.github_push(pushed_at=int(world.now.timestamp()) - 5 * 86_400))
    assert (answer.status, world.runs) == (400, [])
    assert "5 days ago" in str(answer.document["reason"])


async def test_the_url_of_a_provider_finds_the_connections_by_secret_and_repository() -> None:
    world = World()
    world.connect(name="one")
    world.connect(name="two", secret=b"another secret")
    world.connect(name="three", repository="https://github.com/octo/another")
    world.connect("gitea", name="four")
    answer = await world.deliver(github_push(), target=None)
    assert answer.status == 202
    assert [run["spec"]["trigger"]["connection"] for run in world.runs] == ["one"]


async def test_the_two_products_of_bitbucket_share_a_url() -> None:
    world = World()
    world.connect("bitbucket", name="cloud")
    world.connect("bitbucket-server", name="server")
    assert (await world.deliver(payloads.bitbucket_push(), "bitbucket", target=None)).status == 202
    assert (await world.deliver(payloads.server_push(), "bitbucket-server", target=None)).status == 202
    assert [run["spec"]["trigger"]["connection"] for run in world.runs] == ["cloud", "server"]


async def test_forgejo_is_gitea_under_another_name() -> None:
    world = World()
    world.connect("gitea")
    headers, document = payloads.gitea_push()
    headers = {name.replace("gitea", "forgejo"): value for name, value in headers.items()}
    assert (await world.deliver((headers, document), "gitea", path="forgejo")).status == 202


async def test_several_branches_of_one_push_are_several_runs() -> None:
    world = World()
    world.connect("bitbucket")
    await world.deliver(payloads.bitbucket_push(more=["a", "b"]), "bitbucket")
    assert sorted(run["spec"]["branch"] for run in world.runs) == ["a", "b", "main"]


@pytest.mark.parametrize(("policy", "needs"), [("approve", True), ("always", False), ("never", None)])
async def test_pull_requests_from_forks_follow_the_connections_policy(policy: str, needs: bool | None) -> None:
    world = World()
    world.connect(forks={"run": policy})
    answer = await world.deliver(payloads.github_pull_request(head="stranger/hello"))
    triggers = [run["spec"]["trigger"] for run in world.runs]
    if needs is None:
        assert triggers == []
        assert "comes from a fork" in str(answer.document["reason"])
    else:
        assert [(trigger["fork"], trigger["needsApproval"]) for trigger in triggers] == [(True, needs)]


async def test_a_pull_request_of_the_repository_itself_is_trusted() -> None:
    world = World()
    world.connect()
    await world.deliver(payloads.github_pull_request())
    (run,) = world.runs
    assert "fork" not in run["spec"]["trigger"]
    assert run["spec"]["source"]["git"]["ref"] == "refs/pull/2/head"
    assert (run["spec"]["trigger"]["pullRequest"], run["spec"]["branch"]) == (2, "main")


async def test_a_renewed_secret_works_at_once_and_the_old_one_beside_it() -> None:
    world = World()
    world.connect()
    assert (await world.deliver(github_push())).status == 202
    world.pass_time(5)
    world.set_secret("hello-webhook", b"new", SECRET)
    assert (await world.deliver(github_push(), secret=b"new")).status == 202
    assert (await world.deliver(github_push())).status == 202


async def test_wrong_signatures_do_not_make_the_receiver_ask_for_the_secret_each_time() -> None:
    world = World()
    world.connect()
    for _ in range(50):
        await world.deliver(github_push(), secret=b"wrong")
    assert world.cluster.requests < 3


async def test_a_cluster_that_is_away_makes_the_forge_try_again() -> None:
    world = World()
    world.connect()
    world.cluster.failure = UnreachableError("gone")
    answer = await world.deliver(github_push())
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    world.cluster.failure = None
    assert (await world.deliver(github_push())).status == 202


async def test_a_run_that_the_cluster_refuses_is_a_reason() -> None:
    world = World()
    world.connect()
    world.cluster.refusal = ApiError("exceeded quota: count/pipelineruns", status=403)
    answer = await world.deliver(github_push())
    assert "exceeded quota" in str(answer.document["reason"])


async def test_the_status_has_the_last_twenty_deliveries_newest_first() -> None:
    world = World()
    world.connect()
    for number in range(25):
        await world.deliver(github_push(branch=f"b{number}"), **{"x-github-delivery": str(number)})
    listed = await world.deliveries()
    assert [each["id"] for each in listed] == [str(number) for number in range(24, 4, -1)]
    assert listed[0]["about"] == "push to b24"
    assert listed[0]["runs"]
    await world.deliver(github_push(), **{"x-github-delivery": "24"})
    assert len({each["id"] for each in await world.deliveries()}) == 20, "one that comes again has one place"


async def test_two_replicas_do_not_lose_each_others_deliveries() -> None:
    world = World()
    world.connect()
    await world.deliver(github_push(), **{"x-github-delivery": "one"})
    original = world.cluster.get

    async def get_and_lose_the_race(resource: Any, name: str, namespace: str) -> Json:
        found = await original(resource, name, namespace)
        if resource is REPOSITORY_CONNECTIONS:
            world.cluster.get = original  # type: ignore[method-assign]
            live = world.cluster.objects[resource, namespace, name]
            live["metadata"]["resourceVersion"] = "9"
            live["status"] = {"deliveries": [{"id": "two", "time": "", "event": "push", "outcome": "Ignored"}]}
        return found

    world.cluster.get = get_and_lose_the_race  # type: ignore[method-assign]
    assert [each["id"] for each in await world.deliveries()] == ["one", "two"]


async def test_hostile_headers_are_harmless() -> None:
    world = World()
    world.connect()
    headers, document = github_push()
    await world.deliver((headers | {"x-github-delivery": "\x1b[2J" + "x" * 5000}, document))
    (run,) = world.runs
    assert len(run["spec"]["trigger"]["delivery"]) <= 255
    assert "\x1b" not in json.dumps(run, ensure_ascii=False)
    assert "\x1b" not in json.dumps(await world.deliveries(), ensure_ascii=False)


@pytest.mark.parametrize("provider", PUSHES)
async def test_damaged_deliveries_that_are_not_signed_make_no_run(provider: str) -> None:
    """Two thousand for each provider; unsigned ones never, signed ones never an error."""
    world, chance = World(), random.Random(provider)
    world.connect(provider)
    deliveries = [build() for build in payloads.EVERY[provider]]
    for number in range(2_000):
        headers, document = deliveries[number % len(deliveries)]
        body = payloads.encode(mutate(document, chance))
        body = damage(body, chance) if chance.random() < 0.2 else body
        answer = await world.send(headers, body, provider, secret=b"another")
        assert answer.status == 401
    assert world.runs == []
    for number in range(500):
        headers, document = deliveries[number % len(deliveries)]
        answer = await world.send(headers, payloads.encode(mutate(document, chance)), provider)
        assert answer.status in (200, 202, 400)
        assert answer.document.get("outcome")
