"""No value of a Secret and no token is in any answer, header or log line, whatever route is called and however."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from controller.kube import PIPELINE_RUNS
from tests.unit.controller.api.auth.test_permissions import HTTP
from tests.unit.controller.api.fakes import ANN, BOB, FakeCapability, run_api

VALUE = "hunter2-and-more"
STOLEN, CAPABILITY = "token-that-nobody-has", "capability-of-hello-1"
HIDDEN = [VALUE, base64.b64encode(VALUE.encode()).decode().rstrip("="), STOLEN, ANN, BOB, CAPABILITY]
BODIES: list[object] = [None, {"data": {"k": VALUE}}, {"data": VALUE}, {"password": VALUE, "pipeline": VALUE}, [VALUE]]


@pytest.mark.parametrize("token", [None, ANN, BOB, STOLEN, CAPABILITY])
async def test_no_route_tells_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture, token: str | None) -> None:
    caplog.set_level(logging.DEBUG)
    called = 0
    async with run_api(tmp_path) as api:
        await api.call("PUT", "/api/v1/namespaces/a/secrets/db", json={"data": {"password": VALUE}})
        spec = {"pipeline": {"name": "hello", "steps": [{"name": "say", "secrets": [{"secretRef": "db"}]}]}}
        made = {"metadata": {"name": "hello-1", "namespace": "a"}, "spec": spec}
        run = await api.kubernetes.create(PIPELINE_RUNS, made, "a")
        steps = [{"name": "say", "slug": "say", "phase": "Running", "attempts": [{"number": 1}]}]
        api.kubernetes.status("a", "hello-1", phase="Running", steps=steps)
        api.capabilities[CAPABILITY] = FakeCapability("a", "hello-1", run["metadata"]["uid"], "say")
        for method, path, _ in HTTP:
            if path.endswith(("/watch", "/runs")) and method == "GET":
                # Its stream goes on; what is in it are runs, which the list shows too.
                path += "?limit=5"
            if "watch" in path:
                continue
            for body in BODIES[:1] if method in ("GET", "HEAD") else BODIES:
                answer = await api.call(method, path, token=token, json=body)
                called += 1
                response = answer.body.decode("utf-8", "replace") + str(answer.headers)
                assert [hidden for hidden in HIDDEN if hidden in response] == [], (method, path, body)
    assert called > 60
    ours = [record.getMessage() + str(record.__dict__) for record in caplog.records if record.name.startswith("c8s")]
    assert [hidden for hidden in HIDDEN if any(hidden in line for line in ours)] == []
