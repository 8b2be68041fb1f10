"""The edges of the API, faked: a Kubernetes in a dictionary, a log reader with a script, and the server around them."""

import asyncio
import copy
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from fastapi import FastAPI

from controller.api.app import create_app
from controller.api.auth.authenticator import Authenticator, Tickets
from controller.api.auth.permissions import HANDLER_TIMEOUT
from controller.api.metrics import ApiMetrics
from controller.api.readiness import Readiness
from controller.api.server import serve
from controller.api.state import ApiSettings, AppState
from controller.api.streaming.watch_cache import WatchCache
from controller.kube import NAMESPACES, PIPELINE_RUNS, AlreadyExistsError, ApiError, ConflictError, NotFoundError
from controller.logs import LogHub, LogReader
from controller.operator.gate import Opening
from controller.provenance import CreatorProofs
from controller.storage import DirectoryStore

ANN, BOB = "token-of-ann", "token-of-bob"
OPS = "token-of-ops"
CREATED_AT = "2026-01-01T00:00:00Z"
RIGHTS = {ANN: ("ann", {"a"}), BOB: ("bob", {"b"}), OPS: ("ops", {"/metrics"})}


class FakeKubernetes:
    """Objects by resource, namespace and name, with resourceVersions and conflicts; reviews by the table `RIGHTS`."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Any, str | None, str], dict[str, Any]] = {}
        self.created: list[tuple[Any, str | None, str]] = []
        self.namespace_uids = {"a": "uid-of-a", "b": "uid-of-b"}
        self.version = 100
        self.history = WatchCache()
        self.history.mark_synced("100")
        self.cache: dict[tuple[str, str], dict[str, Any]] = {}
        self.lagging = False
        self.questions: list[Mapping[str, Any]] = []
        self.failure: Exception | None = None
        self.refuse: tuple[Any, Exception] | None = None

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> dict[str, Any]:
        self._fail()
        if resource == NAMESPACES and name in self.namespace_uids:
            return {"metadata": {"name": name, "uid": self.namespace_uids[name]}}
        try:
            return copy.deepcopy(self.objects[(resource, namespace, name)])
        except KeyError:
            raise NotFoundError(f"no {name}") from None

    async def list(self, resource: Any, namespace: str | None = None, *, label_selector: str = "") -> dict[str, Any]:
        self._fail()
        wanted = dict(part.split("=") for part in label_selector.split(",") if part)
        items = [
            copy.deepcopy(found)
            for (kind, space, _), found in self.objects.items()
            if kind == resource
            and namespace in (None, space)
            and wanted.items() <= (found["metadata"].get("labels") or {}).items()
        ]
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}

    async def create(self, resource: Any, body: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        self._fail()
        if self.refuse is not None and self.refuse[0] == resource:
            raise self.refuse[1]
        await asyncio.sleep(0)
        key = (resource, namespace, body["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExistsError("there")
        found = copy.deepcopy(dict(body))
        again = self.created.count(key)
        self.created.append(key)
        uid = f"uid-of-{key[2]}" + (f"-again-{again}" if again else "")
        found["metadata"] |= {"uid": uid, "creationTimestamp": CREATED_AT}
        return self._store(key, found, "added")

    async def update(self, resource: Any, body: Mapping[str, Any]) -> dict[str, Any]:
        self._fail()
        meta = body["metadata"]
        key = (resource, meta.get("namespace"), meta["name"])
        if key not in self.objects:
            raise NotFoundError("gone")
        if self.objects[key]["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise ConflictError("changed")
        return self._store(key, copy.deepcopy(dict(body)), "modified")

    async def patch(
        self,
        resource: Any,
        name: str,
        patch: Any,
        namespace: str | None = None,
        patch_type: str = "merge",
    ) -> dict[str, Any]:
        found = await self.get(resource, name, namespace)
        if isinstance(patch, list):
            assert patch_type == "json"
            return self._store((resource, namespace, name), apply_json_patch(found, patch), "modified")
        for part, fields in patch.items():
            found[part] = {**found.get(part, {}), **fields}
        return self._store((resource, namespace, name), found, "modified")

    async def delete(self, resource: Any, name: str, namespace: str | None = None) -> None:
        self._fail()
        found = self.objects.pop((resource, namespace, name), None)
        if found is None:
            raise NotFoundError(f"no {name}")
        self._changed((resource, namespace, name), found, "deleted")

    async def review(self, review: Mapping[str, Any], /) -> Mapping[str, Any]:
        self._fail()
        self.questions.append(review)
        spec = review["spec"]
        if review["kind"] == "TokenReview":
            if spec["token"] not in RIGHTS:
                return {"authenticated": False}
            return {"authenticated": True, "user": {"username": RIGHTS[spec["token"]][0]}}
        namespaces = next(allowed for name, allowed in RIGHTS.values() if name == spec["user"])
        asked = spec.get("resourceAttributes", {}).get("namespace") or spec["nonResourceAttributes"]["path"]
        return {"allowed": asked in namespaces}

    def status(self, namespace: str, run: str, **status: Any) -> None:
        """The operator's part: writes the run's status."""
        key = (PIPELINE_RUNS, namespace, run)
        self._store(key, {**self.objects[key], "status": status}, "modified")

    def _store(self, key: tuple[Any, str | None, str], found: dict[str, Any], kind: str) -> dict[str, Any]:
        self.objects[key] = found
        self._changed(key, found, kind)
        return copy.deepcopy(found)

    def _changed(self, key: tuple[Any, str | None, str], found: dict[str, Any], kind: Any) -> None:
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        if key[0] != PIPELINE_RUNS or self.lagging:
            return
        place = (str(key[1]), key[2])
        if kind == "deleted":
            self.cache.pop(place, None)
        else:
            self.cache[place] = copy.deepcopy(found)
        self.history.record(kind, copy.deepcopy(found))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def apply_json_patch(found: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """The operations `test` and `add` of RFC 6902 on members of objects and lists."""
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place: Any = found
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if operation["op"] == "add":
            place[last] = operation["value"]
        elif place[last] != operation["value"]:
            raise ApiError("the test of the patch failed", status=422)
    return found


@dataclass
class FakeRunCache:
    """The informer's cache over the fake Kubernetes."""

    kubernetes: FakeKubernetes

    def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.kubernetes.cache.get((namespace, name))

    def list(self, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        return [run for (space, _), run in self.kubernetes.cache.items() if namespace in (None, space)]


@dataclass
class FakeCapability:
    namespace: str
    run: str
    uid: str
    slug: str = "build"
    attempt: int = 1
    role: str = "step"


@dataclass
class ApiServer:
    """A served API with everything behind it, and a client in front."""

    url: str
    kubernetes: FakeKubernetes
    store: DirectoryStore
    state: AppState
    http: aiohttp.ClientSession
    hub: LogHub
    stop: asyncio.Event
    capabilities: dict[str, FakeCapability] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, *, token: str | None = ANN, headers: Mapping[str, str] | None = None, **more: Any
    ) -> "ApiResponse":
        """One request as `token`'s user."""
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        url = path if path.startswith("http") else self.url + path
        async with self.http.request(method, url, headers=sent, **more) as answer:
            return ApiResponse(answer.status, dict(answer.headers), await answer.read())


@dataclass
class ApiResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the name of the problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.status, self.json["type"].removeprefix("urn:c8s:problem:")


class FakeGates:
    """Gates by namespace, Job and uid: the opening, or None for a closed one."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Opening | None] = {}

    async def wait(self, namespace: str, job: str, uid: str, seconds: float) -> Opening | None:
        assert 0 < seconds < HANDLER_TIMEOUT
        if (namespace, job, uid) not in self.known:
            raise NotFoundError(f"no {job}", status=404)
        return self.known[namespace, job, uid]


@asynccontextmanager
async def run_api(
    folder: Path,
    kubernetes: FakeKubernetes | None = None,
    extend: Callable[[FastAPI, AppState], None] = lambda *_: None,
    **settings: Any,
) -> AsyncIterator[ApiServer]:
    """The API on a loopback port, with fakes behind it; `extend` adds routes to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    kubernetes = kubernetes or FakeKubernetes()
    hub = LogHub()
    store = DirectoryStore(folder / "store", b"k" * 32, url)
    capabilities: dict[str, FakeCapability] = {}

    async def version() -> str | None:
        return "v1.36.2"

    clock = asyncio.get_running_loop().time
    state = AppState(
        client=kubernetes,  # type: ignore[arg-type]
        runs=FakeRunCache(kubernetes),
        watch_cache=kubernetes.history,
        logs=LogReader(hub, store),
        store=store,
        authenticator=Authenticator(kubernetes.review, clock),
        tickets=Tickets(clock),
        settings=ApiSettings(public_url=url, **{"heartbeat_seconds": 5.0, **settings}),
        readiness=Readiness(),
        metrics=ApiMetrics(),
        capability=capabilities.get,
        creator_proofs=CreatorProofs(b"key", lambda: datetime.fromisoformat(CREATED_AT).timestamp()),
        kubernetes_version=version,
        gates=FakeGates(),
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as http:
        served = group.create_task(
            serve(create_app(state, lambda app: extend(app, state)), listener, kubernetes.history, stop)
        )
        try:
            yield ApiServer(url, kubernetes, store, state, http, hub, stop, capabilities)
        finally:
            stop.set()
            await served
