"""A reconciler on an API server in memory, which refuses requests where a test says so."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    UnreachableError,
)
from controller.operator.cache.resource_cache import ResourceCache
from controller.operator.effects.event_recorder import EventRecorder
from controller.operator.reconciler import Dependencies, Reconciler, Result
from controller.run_types.keys import RunKey
from tests.unit.controller.operator.world import SETTINGS, T0, build_run, step

Json = dict[str, Any]

KEY = RunKey("team", "ci-1")


Loss = Literal["request", "answer"]
"""What is lost of a request: itself, or its answer, after it was carried out."""


class FakeApiServer:
    """Objects by resource and name, with versions; `refuse` answers the creation of Jobs instead.

    `lose` says of a verb, a resource and a name what is lost; None for nothing.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[Any, str], Json] = {}
        self.version = 10
        self.refuse: Exception | None = None
        self.lose: Callable[[str, Any, str], Loss | None] = lambda verb, resource, name: None
        self.created: list[str] = []
        self.deletes: list[tuple[Any, str]] = []

    def put(self, resource: Any, obj: Json) -> Json:
        self.version += 1
        made = {"uid": f"uid-{self.version}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        metadata = {**made, **obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[resource, metadata["name"]] = {**obj, "metadata": metadata}
        return copy.deepcopy(self.objects[resource, metadata["name"]])

    def _carry_out(self, verb: str, resource: Any, name: str, work: Callable[[], Any]) -> Any:
        lost = self.lose(verb, resource, name)
        if lost == "request":
            raise UnreachableError("the connection was refused")
        answer = work()
        if lost == "answer":
            raise UnreachableError("the connection broke off")
        return answer

    def _find(self, resource: Any, name: str) -> Json:
        if (resource, name) not in self.objects:
            raise NotFoundError(f"no {name}", status=404)
        return copy.deepcopy(self.objects[resource, name])

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> Json:
        found: Json = self._carry_out("get", resource, name, lambda: self._find(resource, name))
        return found

    async def list(self, resource: Any, namespace: str | None = None, *, label_selector: str = "") -> Json:
        wanted = dict(each.split("=", 1) for each in label_selector.split(",") if each)

        def find() -> Json:
            objects = [obj for (of, _), obj in self.objects.items() if of is resource]
            items = [each for each in objects if wanted.items() <= (each["metadata"].get("labels") or {}).items()]
            return {"items": copy.deepcopy(items)}

        found: Json = self._carry_out("list", resource, "", find)
        return found

    async def create(self, resource: Any, obj: Json, namespace: str | None = None) -> Json:
        def create() -> Json:
            if resource is JOBS and self.refuse is not None:
                raise self.refuse
            if (resource, obj["metadata"]["name"]) in self.objects:
                raise AlreadyExistsError("there", status=409, reason="AlreadyExists")
            self.created.append(obj["metadata"]["name"])
            return self.put(resource, obj)

        made: Json = self._carry_out("create", resource, obj["metadata"]["name"], create)
        return made

    async def patch(self, resource: Any, name: str, patch: Any, **more: Any) -> Json:
        patched: Json = self._carry_out("patch", resource, name, lambda: self._patch(resource, name, patch))
        return patched

    def _patch(self, resource: Any, name: str, patch: Any) -> Json:
        found = self._find(resource, name)
        if resource is PIPELINE_RUNS and isinstance(patch, list):
            version, *changes = patch
            if version["value"] != found["metadata"]["resourceVersion"]:
                raise ConflictError("changed", status=409)
            for change in changes:
                *folders, last = [part.replace("~1", "/") for part in change["path"].split("/")[1:]]
                functools.reduce(operator.getitem, folders, found)[last] = change["value"]
        elif resource is JOBS and isinstance(patch, list):
            test, added = patch
            if test != {"op": "test", "path": "/metadata/uid", "value": found["metadata"]["uid"]}:
                raise ApiError("the test failed", status=422)
            annotation = added["path"].removeprefix("/metadata/annotations/").replace("~1", "/")
            found["metadata"].setdefault("annotations", {})[annotation] = added["value"]
        else:
            found["spec"] |= patch["spec"]
        return self.put(resource, found)

    async def delete(
        self,
        resource: Any,
        name: str,
        *,
        namespace: str,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        def delete() -> None:
            self.deletes.append((resource, name))
            found = self._find(resource, name)
            if uid not in (None, found["metadata"]["uid"]):
                raise ConflictError("another", status=409)
            if resource_version not in (None, found["metadata"]["resourceVersion"]):
                raise ConflictError("changed", status=409)
            del self.objects[resource, name]

        self._carry_out("delete", resource, name, delete)


class ArchivedLogs:
    """All logs are archived and empty; counts what was asked for."""

    def __init__(self) -> None:
        self.followed: list[tuple[str, tuple[bytes, ...]]] = []
        self.forgotten = 0

    def follow(self, *, slug: str, secrets: Iterable[bytes], **_: Any) -> None:
        self.followed.append((slug, tuple(secrets)))

    def result(self, **_: Any) -> Json | None:
        return {"lines": 0}

    def mask(self, _namespace: str, _run_uid: str, text: str, _secrets: Iterable[bytes]) -> str:
        return text

    def forget(self, *_: str) -> None:
        self.forgotten += 1


class EmptyStore:
    """Has no object."""

    async def get(self, key: str) -> bytes:
        raise AssertionError(key)

    async def head(self, key: str) -> None:
        return None


class ReconcilerHarness:
    """A reconciler, the cluster it works on, and the run."""

    def __init__(self, *steps: Json, spec: Json | None = None) -> None:
        self.cluster, self.logs = FakeApiServer(), ArchivedLogs()
        self.run = self.cluster.put(PIPELINE_RUNS, build_run(steps or [step("a")], spec=spec))
        self.scheduled_writes: list[tuple[tuple[str, str], float]] = []
        self.now, self.monotonic = T0, 1000.0
        self.leads = True
        self.restart()

    def restart(self) -> None:
        """Another process begins, with nothing but what the cluster has."""
        client: Any = self.cluster
        self.cache = ResourceCache(lambda: self.now)
        self.reconciler = Reconciler(
            Dependencies(
                client,
                self.logs,
                EmptyStore(),
                SETTINGS,
                EventRecorder(client, lambda: self.now),
                lambda: self.now,
                lambda: self.monotonic,
                is_leader=lambda: self.leads,
            ),
            self.cache,
            lambda key, seconds: self.scheduled_writes.append((key, seconds)),
            lambda: [obj for (resource, _), obj in self.cluster.objects.items() if resource is PIPELINE_RUNS],
        )
        self.run = self.stored
        self._shown: dict[str, Json] = {}
        self.catch_up()

    @property
    def stored(self) -> Json:
        return copy.deepcopy(self.cluster.objects[PIPELINE_RUNS, "ci-1"])

    def step(self, index: int = 0) -> Json:
        found: Json = self.stored["status"]["steps"][index]
        return found

    async def reconcile(self) -> Result:
        return await self.reconciler.reconcile(self.run)

    def catch_up(self) -> None:
        """The informers show what Jobs there are, and which were deleted."""
        there = {name: obj for (resource, name), obj in self.cluster.objects.items() if resource is JOBS}
        for name, known in self._shown.items():
            if name not in there or there[name]["metadata"]["uid"] != known["metadata"]["uid"]:
                self.cache.on_job(known, deleted=True)
        for obj in there.values():
            self.cache.on_job(copy.deepcopy(obj), deleted=False)
        self._shown = copy.deepcopy(there)

    def pod(
        self,
        name: str,
        state: Json,
        *,
        phase: str = "Running",
        gone: bool = False,
        spec: Json | None = None,
        **forged: Any,
    ) -> None:
        """A pod of the Job of attempt 1 has changed, as its informer shows; `forged` replaces what its metadata has."""
        self.cache.on_pod(self.pod_object(name, state, phase, spec, forged), deleted=gone)

    def pod_object(
        self, name: str, state: Json, phase: str, spec: Json | None = None, forged: Json | None = None
    ) -> Json:
        labels = {"c8s.dev/run": "ci-1", "c8s.dev/step": name, "c8s.dev/attempt": "1"}
        job_uid = self.cluster.objects[JOBS, f"ci-1--{name}-1"]["metadata"]["uid"]
        owner = {"kind": "Job", "name": f"ci-1--{name}-1", "uid": job_uid, "controller": True}
        metadata = {"name": name, "namespace": "team", "uid": f"pod-{name}", "labels": labels}
        metadata |= {"annotations": {"c8s.dev/run-uid": "uid-1"}, "ownerReferences": [owner], **(forged or {})}
        status = {"phase": phase, "containerStatuses": [{"name": "step", "state": state}]}
        return {"metadata": metadata, "spec": spec or {}, "status": status}
