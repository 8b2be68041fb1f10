"""The rules find what a real server would refuse, in requests like those of the controller."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.conversation.rules import find_problems
from tests.support.recording_proxy import Request, parse_requests

Json = dict[str, Any]
NS = "/api/v1/namespaces/default"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
EXEC = f"{NS}/pods/p/exec?command=sh&stdin=true&stdout=true"
HEADERS = {"host": "127.0.0.1", "authorization": "Bearer x", "accept": "application/json"}
UPGRADE = {
    **HEADERS,
    "accept": "*/*",
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-protocol": "v5.channel.k8s.io, v4.channel.k8s.io",
}
CONTAINER = {"name": "main", "image": "busybox", "command": ["true"]}
JOB: Json = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j", "labels": {"app": "x"}},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}},
}
CONFIG: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}
RUN: Json = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "r"}, "spec": {}}


def _request(
    method: str, target: str, body: Any = None, content_type: str = "application/json", **headers: str | None
) -> Request:
    given: dict[str, str | None] = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if data:
        given["content-type"] = content_type
    return Request(method, target, tuple((name, value) for name, value in given.items() if value is not None), data)


def _exec(target: str = EXEC, **headers: str | None) -> Request:
    changed = {**UPGRADE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request("GET", target, tuple((name, value) for name, value in changed.items() if value is not None))


def _merge(path: str, patch: Any) -> Request:
    return _request("PATCH", path, patch, "application/merge-patch+json")


def _job(**metadata: Any) -> Json:
    return {**JOB, "metadata": {**JOB["metadata"], **metadata}}


def _job_with(spec: Json) -> Json:
    return {**JOB, "spec": {**JOB["spec"], **spec}}


@pytest.mark.parametrize(
    "request_",
    [
        _request("GET", "/version"),
        _request("GET", f"{NS}/pods?labelSelector=a%3Db%2Cc+in+(d%2Ce)%2C!f&limit=500"),
        _request("GET", f"{NS}/pods?watch=true&resourceVersion=12&allowWatchBookmarks=true&timeoutSeconds=300"),
        _request("GET", "/api/v1/events?fieldSelector=involvedObject.kind%3DPod"),
        _request("GET", f"{NS}/pods/p/log?container=main&follow=true&sinceTime=2026-01-01T00:00:00Z"),
        _request("POST", JOBS, JOB),
        _request("PUT", f"{NS}/configmaps/c", CONFIG),
        _request("DELETE", f"{NS}/configmaps/c", {"kind": "DeleteOptions", "apiVersion": "v1"}),
        _request("DELETE", f"{NS}/configmaps/c"),
        _merge(f"{NS}/configmaps/c", {"data": {"k": None}, "metadata": {"labels": {"a": None}}}),
        _request("PATCH", f"{NS}/configmaps/c?fieldManager=c8s&force=true", CONFIG, "application/apply-patch+yaml"),
        _request(
            "PATCH", f"{RUNS}/r/status", [{"op": "add", "path": "/status", "value": {}}], "application/json-patch+json"
        ),
        _exec(),
        _exec(sec_websocket_protocol=None),
    ],
)
def test_valid_requests_have_no_problems(request_: Request) -> None:
    assert find_problems(request_) == []


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        # The handshake that a kubelet answered with 406.
        (_exec(accept="application/json"), "406: a kubelet needs */*"),
        (_exec(sec_websocket_protocol="v9.channel.k8s.io"), "unable to negotiate protocol"),
        (_exec(upgrade=None), "Upgrade request required"),
        (_exec(sec_websocket_version="8"), "the version of WebSocket is 13"),
        (_exec(sec_websocket_key="short"), "Sec-WebSocket-Key"),
        (_exec(f"{NS}/pods/p/exec?stdout=true"), "you must specify a command"),
        (_exec(f"{NS}/pods/p/exec?command=sh"), "at least 1 of stdin, stdout, stderr"),
        (_exec(f"{EXEC}&stderr=true&tty=true"), "tty and stderr cannot both be true"),
        (_request("GET", f"{NS}/pods", authorization=None), "401"),
        (_request("GET", f"{NS}/pods", accept="text/html"), "406"),
        (_request("GET", f"{NS}/pods", b"{}"), "a GET has a body"),
        (_request("GET", f"{NS}/pods?labelSelectors=a"), "labelSelectors is not known"),
        (_request("GET", f"{NS}/pods?labelSelector=a%3Db%2C"), "no requirement"),
        (_request("GET", f"{NS}/pods?labelSelector=a%3D-b"), "is not the value of a label"),
        (_request("GET", f"{NS}/pods?fieldSelector=spec.priority%3D1"), "can't be selected"),
        (_request("GET", f"{NS}/pods?limit=all"), "is not a number"),
        (_request("GET", f"{NS}/pods?watch=yes"), "is not a boolean"),
        (_request("GET", f"{NS}/pods?resourceVersion=abc"), "is not one of a server"),
        (_request("GET", f"{NS}/pods?continue=x&resourceVersion=1"), "not allowed when using continue"),
        (_request("GET", f"{NS}/pods?resourceVersionMatch=Exact"), "forbidden unless resourceVersion"),
        (_request("GET", f"{NS}/pods?watch=true&sendInitialEvents=true"), "resourceVersionMatch=NotOlderThan"),
        (_request("GET", f"{NS}/pods/p/log?sinceTime=yesterday"), "is not a time"),
        (_request("GET", "/api/v1/namespaces/default/pod"), "is not among the resources"),
        (_request("GET", f"{NS}/nodes"), "is in no namespace"),
        (_request("GET", "/api/v1/pods/p"), "is in a namespace"),
        (_request("PUT", f"{NS}/pods/p/log", CONFIG), "405"),
        (_request("PUT", f"{NS}/configmaps", CONFIG), "405"),
        (_request("POST", JOBS, JOB, "text/plain"), "415"),
        (_request("POST", JOBS, b"{"), "is not JSON"),
        (_request("POST", JOBS, b'{"kind":"Job","kind":"Job"}'), 'duplicate field "kind"'),
        (_request("POST", JOBS), "there is no body"),
        (_request("POST", JOBS, CONFIG), "not a batch/v1 Job"),
        (_request("POST", JOBS, _job(name="Upper")), "is not the name of a Job"),
        (_request("POST", JOBS, _job(name="j" * 64)), "is not the name of a Job"),
        (_request("POST", JOBS, _job(namespace="other")), "does not match the namespace"),
        (_request("POST", JOBS, _job(labels={"a": "b c"})), "is not a label"),
        (_request("POST", JOBS, _job(labels={"a": "x" * 64})), "is not a label"),
        (_request("POST", JOBS, _job(annotations={"a": "x" * (257 << 10)})), "larger than 256 KiB"),
        (_request("POST", JOBS, _job(finalizers=["no finalizer"])), "is not a finalizer"),
        (_request("POST", JOBS, _job(ownerReferences=[{"name": "a"}])), "uid"),
        (_request("POST", JOBS, _job(resourceVersion="1")), "should not be set on objects to be created"),
        (_request("POST", JOBS, _job_with({"backOffLimit": 1})), "'backOffLimit' was unexpected"),
        (_request("POST", JOBS, _job_with({"backoffLimit": "1"})), "is not of type 'integer'"),
        (_request("POST", JOBS, _job_with({"backoffLimit": 1 << 31})), "is not a 'int32'"),
        (_request("POST", f"{NS}/configmaps", {**CONFIG, "binaryData": {"k": "_"}}), "is not a 'byte'"),
        (_request("POST", f"{NS}/configmaps", {**CONFIG, "data": {"k": "x" * (4 << 20)}}), "413"),
        (_request("POST", f"{NS}/configmaps", {**CONFIG, "data": {"k": "x" * (2 << 20)}}), "larger than 1.5 MiB"),
        (_request("PUT", f"{NS}/configmaps/other", CONFIG), "does not match the name on the URL"),
        (_request("PUT", f"{RUNS}/r", RUN), "must be specified for an update"),
        (_request("POST", RUNS, {**RUN, "spec": {"pipelin": {}}}), "'pipelin' was unexpected"),
        (_merge(JOBS + "/j", {"spec": {"suspended": True}}), "'suspended' was unexpected"),
        (_merge(JOBS + "/j?force=true", {"spec": {"suspend": True}}), "may not be specified for non-apply patch"),
        (_merge(LEASE, {"spec": {"renewTime": "2026-01-01T00:00:00Z"}}), "is not a MicroTime"),
        (_request("PATCH", f"{RUNS}/r", {}, "application/strategic-merge-patch+json"), "no strategic merge patch"),
        (_request("PATCH", f"{NS}/configmaps/c", {}, "application/json"), "415"),
        (_request("PATCH", f"{NS}/configmaps/c", CONFIG, "application/apply-patch+yaml"), "fieldManager is required"),
        (
            _request("PATCH", f"{NS}/configmaps/c?fieldManager={'x' * 129}", CONFIG, "application/apply-patch+yaml"),
            "at most 128 characters",
        ),
        (
            _request("PATCH", f"{NS}/configmaps/c", [{"op": "set", "path": "/data"}], "application/json-patch+json"),
            "is not an operation",
        ),
        (_request("DELETE", f"{NS}/configmaps/c?propagationPolicy=background"), "Background or Foreground"),
        (
            _request("DELETE", f"{NS}/configmaps/c", {"kind": "DeleteOptions", "gracePeriod": 1}),
            "'gracePeriod' was unexpected",
        ),
    ],
)
def test_requests_that_a_real_server_refuses_are_found(request_: Request, problem: str) -> None:
    assert any(problem in found for found in find_problems(request_)), find_problems(request_)


def test_a_recorded_connection_is_split_into_its_requests() -> None:
    first = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
    second = b"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
    third = b"GET /c HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n\x81\x00\r\n\r\n"
    found = [(each.method, each.target, each.body) for each in parse_requests(first + second + third)]
    assert found == [("POST", "/a", b"abc"), ("POST", "/b", b"def"), ("GET", "/c", b"")]
    assert list(parse_requests(first[:-1])) == []
