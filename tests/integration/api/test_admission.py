"""What Kubernetes refuses because the controller says so, over TLS on the embedded cluster."""

from __future__ import annotations

import signal
from typing import Any

import aiohttp
import pytest

from tests.integration.api.conftest import ADMIN, SECONDS, WORKBENCH, Caller, Sandbox
from tests.support.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.xdist_group("controller")
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/c8s"
STEP = {"name": "a", "image": "busybox:1.36", "commands": ["true"]}


def kinds(plural: str, namespace: str = "default") -> str:
    return f"/apis/c8s.dev/v1alpha1/namespaces/{namespace}/{plural}"


def config(name: str, spec: Any) -> Any:
    return {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineConfig", "metadata": {"name": name}, "spec": spec}


async def has_webhook(cluster: Caller) -> Any:
    status, found = await cluster("GET", CONFIGURATION)
    return found if status == 200 else None


async def test_a_pipeline_with_errors_is_refused_with_all_of_them(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    cluster = Caller(sandbox.cluster_url, http, ADMIN)
    await wait_until_async(lambda: has_webhook(cluster), SECONDS, what="the webhook is registered")
    # Each of a kind that a schema can't express.
    wrong = {"steps": [{**STEP, "dependsOn": ["b"]}, {**STEP, "name": "c", "dependsOn": ["c"]}]}
    body = config("wrong", wrong)
    status, answer = await cluster("POST", kinds("pipelineconfigs"), json=body)
    assert (status, answer["reason"]) == (422, "Invalid"), answer
    assert 'admission webhook "pipelineconfigs.c8s.dev" denied the request: ' in answer["message"]
    assert "steps[0].dependsOn" in answer["message"]
    assert "steps[1]" in answer["message"]
    run = {**config("wrong-1", {"pipeline": {"name": "wrong", **wrong}}), "kind": "PipelineRun"}
    assert (await cluster("POST", kinds("pipelineruns"), json=run))[0] == 422
    body["spec"] = {"steps": [STEP]}
    assert (await cluster("POST", kinds("pipelineconfigs"), json=body))[0] == 201
    status, answer = await cluster(
        "PATCH",
        f"{kinds('pipelineconfigs')}/wrong",
        json={"spec": wrong},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert status == 422, answer


async def test_a_run_that_can_not_fit_or_is_one_too_many_is_refused_with_the_numbers(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    cluster = Caller(sandbox.cluster_url, http, ADMIN)
    namespace: Any = {"apiVersion": "v1", "kind": "Namespace"}
    namespace |= {"metadata": {"name": "limited", "annotations": {"c8s.dev/max-active-runs": "1"}}}
    assert (await cluster("POST", "/api/v1/namespaces", json=namespace))[0] == 201
    quota: Any = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}}
    quota |= {"spec": {"hard": {"requests.cpu": "1"}}}
    assert (await cluster("POST", "/api/v1/namespaces/limited/resourcequotas", json=quota))[0] == 201
    api = Caller(sandbox.url, http, WORKBENCH, namespace="limited")
    pipeline = {"version": "v1alpha1", "name": "big", "steps": [{**STEP, "resources": {"cpu": "2"}}]}
    status, answer = await api("POST", "runs", json={"pipeline": pipeline})
    assert (status, answer["type"]) == (409, "urn:c8s:problem:conflict"), answer
    assert (
        answer["detail"] == "the step a asks for cpu 2, and the quota small has requests.cpu 1 in all: it can never fit"
    )
    pipeline["steps"] = [{**STEP, "commands": ["sleep 60"], "resources": {"cpu": "100m"}}]
    status, first = await api("POST", "runs", json={"pipeline": pipeline})
    assert status == 201, first
    status, answer = await api("POST", "runs", json={"pipeline": pipeline})
    assert (status, "the namespace limited has 1 of at most 1 active runs" in answer["detail"]) == (409, True)
    assert (await api("POST", f"runs/{first['name']}/cancel"))[0] == 202

    async def is_admitted() -> bool:
        return bool((await api("POST", "runs", json={"pipeline": pipeline}))[0] == 201)

    await wait_until_async(is_admitted, SECONDS, what="there is room again")
    assert (await cluster("DELETE", "/api/v1/namespaces/limited"))[0] == 200


async def test_a_webhook_that_is_away_stops_nobody_and_comes_back_elsewhere(
    fresh_sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    sandbox = fresh_sandbox
    sandbox.start_cluster()
    sandbox.start_controller()
    wait_until(sandbox.ready, SECONDS, what="the controller is ready")
    cluster = Caller(sandbox.cluster_url, http, ADMIN)
    before = await wait_until_async(lambda: has_webhook(cluster), SECONDS, what="the webhook is registered")
    assert {each["failurePolicy"] for each in before["webhooks"]} == {"Ignore"}
    assert sandbox.controller is not None
    sandbox.controller.send_signal(signal.SIGKILL)
    sandbox.controller.wait(SECONDS)
    body = config("meanwhile", {"steps": [{**STEP, "dependsOn": ["b"]}]})
    assert (await cluster("POST", kinds("pipelineconfigs"), json=body))[0] == 201
    sandbox.start_controller()
    body["metadata"]["name"] = "later"

    async def is_refused() -> bool:
        dry_run = {"dryRun": "All"}
        status, _ = await cluster("POST", kinds("pipelineconfigs"), json=body, params=dry_run)
        return bool(status == 422)

    await wait_until_async(is_refused, SECONDS, what="the webhook is there again")
    after = await has_webhook(cluster)
    changed = [each["clientConfig"]["url"] for each in after["webhooks"]]
    assert changed != [each["clientConfig"]["url"] for each in before["webhooks"]], "it has another port"
    bundles = {each["clientConfig"]["caBundle"] for each in [*before["webhooks"], *after["webhooks"]]}
    assert len(bundles) == 1, "the certificate is kept"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"a":' * 60_000, b"\xff", b'{"apiVersion": "admission.k8s.io/v1"}']
)
async def test_what_is_no_review_is_refused_without_a_traceback(
    sandbox: Sandbox, http: aiohttp.ClientSession, body: bytes
) -> None:
    cluster = Caller(sandbox.cluster_url, http, ADMIN)
    found = await wait_until_async(lambda: has_webhook(cluster), SECONDS, what="the webhook is registered")
    url = found["webhooks"][0]["clientConfig"]["url"]
    async with http.post(url, data=body, ssl=False) as answer:
        assert answer.status == 400
    async with http.get(url, ssl=False) as answer:
        assert answer.status == 404
    assert "a review failed" not in sandbox.log
