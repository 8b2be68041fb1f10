"""Validating webhooks have their say about writes, and one that can't be asked is treated as its policy says."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.contract.embedded.conftest import Api
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.needs("openssl")

_HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
_CONFIGS = "/api/v1/namespaces/default/configmaps"
Json = dict[str, Any]


class Hook:
    """A webhook that allows everything except what it is set to deny, and records its requests."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.response: Json = {"allowed": True}
        self.url, self.bundle = "", ""
        self.hangs = False

    async def answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.asked.append(review["request"])
        if self.hangs:
            await asyncio.sleep(20)
        response = {"uid": review["request"]["uid"], **self.response}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[Hook]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command.split(), *names], check=True, capture_output=True, timeout=60)
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(certificate, key)
    hook = Hook()
    runner = web.ServerRunner(web.Server(hook.answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
    await site.start()
    hook.url = f"https://127.0.0.1:{runner.addresses[0][1]}/check"
    hook.bundle = base64.b64encode(certificate.read_bytes()).decode()
    try:
        yield hook
    finally:
        await runner.cleanup()


@contextmanager
def _configured(api: Api, hook: Hook, **more: Any) -> Iterator[None]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}
    webhook = {
        "name": "check.example.com",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": hook.url, "caBundle": hook.bundle},
        "rules": [rule],
        "timeoutSeconds": 1,
        **more,
    }
    status, body = api("POST", _HOOKS, {"metadata": {"name": "check"}, "webhooks": [webhook]})
    assert status == 201, body
    try:
        yield
    finally:
        assert api("DELETE", f"{_HOOKS}/check")[0] == 200


async def _call(api: Api, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
    return await asyncio.to_thread(api, method, path, body, **more)


async def test_a_webhook_reviews_and_denies_a_write(api: Api, tmp_path: Path) -> None:
    async with _serving(tmp_path) as hook:
        with _configured(api, hook):
            assert (await _call(api, "POST", _CONFIGS, {"metadata": {"name": "seen"}, "data": {"k": "v"}}))[0] == 201
            merge = "application/merge-patch+json"
            assert (await _call(api, "PATCH", f"{_CONFIGS}/seen", {"data": {"k": "w"}}, content_type=merge))[0] == 200
            hook.response = {"allowed": False, "status": {"message": "not on my watch", "code": 403}}
            status, body = await _call(api, "DELETE", f"{_CONFIGS}/seen")
            assert (status, body["message"]) == (
                403,
                'admission webhook "check.example.com" denied the request: not on my watch',
            )
        assert [(asked["operation"], asked["name"]) for asked in hook.asked] == [
            ("CREATE", "seen"),
            ("UPDATE", "seen"),
            ("DELETE", "seen"),
        ]
        created, updated, deleted = hook.asked
        assert created["object"]["data"] == {"k": "v"}
        assert created["oldObject"] is None
        assert (updated["oldObject"]["data"], updated["object"]["data"]) == ({"k": "v"}, {"k": "w"})
        assert (deleted["object"], deleted["userInfo"]["username"]) == (None, "admin")
        assert (await _call(api, "DELETE", f"{_CONFIGS}/seen"))[0] == 200


async def test_a_denied_object_is_not_stored_and_dry_runs_are_marked(api: Api, tmp_path: Path) -> None:
    async with _serving(tmp_path) as hook:
        with _configured(api, hook):
            hook.response = {"allowed": False}
            status, body = await _call(api, "POST", f"{_CONFIGS}?dryRun=All", {"metadata": {"name": "denied"}})
            assert (status, body["message"]) == (
                400,
                'admission webhook "check.example.com" denied the request without explanation',
            )
            assert hook.asked[0]["dryRun"] is True
            assert (await _call(api, "POST", _CONFIGS, {"metadata": {"name": "denied"}}))[0] == 400
        assert (await _call(api, "GET", f"{_CONFIGS}/denied"))[0] == 404


@pytest.mark.parametrize(("policy", "expected"), [("Fail", 500), ("Ignore", 201)])
async def test_a_hanging_webhook_ends_after_its_timeout(api: Api, tmp_path: Path, policy: str, expected: int) -> None:
    async with _serving(tmp_path) as hook:
        hook.hangs = True
        with _configured(api, hook, failurePolicy=policy):
            status, body = await _call(api, "POST", _CONFIGS, {"metadata": {"name": f"late-{policy.lower()}"}})
            assert status == expected
            if policy == "Fail":
                assert 'failed calling webhook "check.example.com"' in body["message"]
                assert body["message"].endswith("context deadline exceeded")


@pytest.mark.parametrize(
    "more",
    [
        {"objectSelector": {"matchLabels": {"watched": "yes"}}},
        {"namespaceSelector": {"matchExpressions": [{"key": "watched", "operator": "Exists"}]}},
        {"rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}]},
        {"matchConditions": [{"name": "not-free", "expression": "!object.metadata.name.startsWith('free')"}]},
    ],
    ids=["object", "namespace", "rules", "condition"],
)
async def test_requests_that_no_rule_matches_are_not_reviewed(api: Api, tmp_path: Path, more: Json) -> None:
    async with _serving(tmp_path) as hook:
        hook.response = {"allowed": False}
        with _configured(api, hook, **more):
            assert (await _call(api, "POST", _CONFIGS, {"metadata": {"generateName": "free-"}}))[0] == 201
        assert hook.asked == []


async def test_a_response_with_another_uid_is_rejected(api: Api, tmp_path: Path) -> None:
    async with _serving(tmp_path) as hook:
        hook.response = {"allowed": True, "uid": "other"}
        with _configured(api, hook):
            status, body = await _call(api, "POST", _CONFIGS, {"metadata": {"name": "odd"}})
            assert (status, body["reason"]) == (500, "InternalError")


async def test_a_webhook_with_an_untrusted_certificate_fails(api: Api, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with _serving(tmp_path) as hook, _serving(tmp_path / "other") as other:
        hook.bundle = other.bundle
        with _configured(api, hook):
            status, body = await _call(api, "POST", _CONFIGS, {"metadata": {"name": "untrusted"}})
            assert (status, hook.asked) == (500, [])
            assert "certificate verify failed" in body["message"]


async def test_pods_of_a_job_are_created_after_their_review(api: Api, tmp_path: Path) -> None:
    container = {"name": "m", "image": "x", "command": ["sh", "-c", "true"]}
    spec = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    job, jobs = {"metadata": {"name": "asked"}, "spec": spec}, "/apis/batch/v1/namespaces/default/jobs"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    async with _serving(tmp_path) as hook:
        hook.response = {"allowed": False, "status": {"message": "not this one"}}
        with _configured(api, hook, rules=[rule]):
            assert (await _call(api, "POST", jobs, job))[0] == 201
            body = await _wait_for(
                api, f"/api/v1/namespaces/default/events?fieldSelector={_OF_JOB}", lambda b: b["items"]
            )
            assert body["items"][0]["reason"] == "FailedCreate"
            assert body["items"][0]["message"].endswith("denied the request: not this one")
            hook.response = {"allowed": True}
            done = await _wait_for(api, f"{jobs}/asked", lambda found: found["status"].get("succeeded") == 1)
            assert "failed" not in done["status"]
        assert {asked["userInfo"]["username"] for asked in hook.asked} == {
            "system:serviceaccount:kube-system:job-controller"
        }
        pods = (await _call(api, "GET", "/api/v1/namespaces/default/pods?labelSelector=job-name%3Dasked"))[1]["items"]
        assert len(pods) == 1
    assert (await _call(api, "DELETE", f"{jobs}/asked"))[0] == 200


_OF_JOB = "involvedObject.name%3Dasked,reason%3DFailedCreate"


async def _wait_for(api: Api, path: str, holds: Callable[[Json], Any]) -> Json:
    async def read() -> Json | None:
        found = (await _call(api, "GET", path))[1]
        return dict(found) if holds(found) else None

    return await wait_until_async(read, 60) or {}
