"""A receiver on a Kubernetes in memory."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.kube import (
    PIPELINE_RUNS,
    REPOSITORY_CONNECTIONS,
    SECRETS,
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
)
from controller.provenance import DeliveryProofs, derive_webhook_key
from controller.webhooks.history import DeliveryHistory
from controller.webhooks.providers import PROVIDERS
from controller.webhooks.receiver import Answer, Receiver, Request
from controller.webhooks.run_creator import RunCreator
from controller.webhooks.secrets import SecretCache
from tests.support.forges.payloads import Delivery, encode

Json = dict[str, Any]

KEY = b"k" * 32
SECRET = b"webhook secret"
NOW = datetime(2026, 11, 29, 11, tzinfo=UTC)
REPOSITORIES = {
    "github": "https://github.com/octo/hello",
    "gitlab": "https://gitlab.example.org/octo/hello.git",
    "bitbucket": "https://bitbucket.org/octo/hello",
    "bitbucket-server": "https://bitbucket.example.org/scm/octo/hello.git",
    "gitea": "https://gitea.example.org/octo/hello",
}


class FakeCluster:
    """Objects by resource, namespace and name. `failure` is raised by every request."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Any, str, str], Json] = {}
        self.requests = 0
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        """What the creation of a run is answered with."""

    def put(self, resource: Any, namespace: str, name: str, **content: Any) -> Json:
        metadata = {"namespace": namespace, "name": name, "uid": f"uid-of-{name}", "generation": 1}
        metadata |= {"resourceVersion": "1", **content.pop("metadata", {})}
        self.objects[resource, namespace, name] = {"metadata": metadata, **content}
        return self.objects[resource, namespace, name]

    async def get(self, resource: Any, name: str, namespace: str) -> Json:
        self._count()
        try:
            return copy.deepcopy(self.objects[resource, namespace, name])
        except KeyError:
            raise NotFoundError("none", status=404) from None

    async def create(self, resource: Any, obj: Json, namespace: str) -> Json:
        self._count()
        if self.refusal is not None:
            raise self.refusal
        key = (resource, namespace, obj["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExistsError("there", status=409)
        self.objects[key] = copy.deepcopy(obj)
        return obj

    async def patch(self, resource: Any, name: str, patch: Json, *, namespace: str, subresource: str) -> Json:
        self._count()
        found = self.objects[resource, namespace, name]
        if patch["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        found["metadata"]["resourceVersion"] += "1"
        found[subresource] = {**found.get(subresource, {}), **patch[subresource]}
        return found

    def _count(self) -> None:
        self.requests += 1
        if self.failure is not None:
            raise self.failure


class Objects:
    """The objects of one resource, as an informer has them."""

    def __init__(self, cluster: FakeCluster, resource: Any) -> None:
        self._cluster = cluster
        self._resource = resource

    def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self._cluster.objects.get((self._resource, namespace, name))

    def list(self, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        return [obj for (resource, _, _), obj in self._cluster.objects.items() if resource is self._resource]


class World:
    """A cluster with a receiver; `connect` adds a connection, `deliver` sends it a signed delivery."""

    def __init__(self) -> None:
        from controller.kube import PIPELINE_CONFIGS

        self.cluster = FakeCluster()
        self.now, self.seconds = NOW, 1000.0
        client: Any = self.cluster
        self.history = DeliveryHistory(client, lambda: self.now, lambda each: f"https://ci/{each.name}")
        self.secrets = SecretCache(client, lambda: self.seconds)
        self.configs = PIPELINE_CONFIGS
        creator = RunCreator(
            client, Objects(self.cluster, PIPELINE_CONFIGS), DeliveryProofs(derive_webhook_key(KEY), NOW.timestamp)
        )
        connections = Objects(self.cluster, REPOSITORY_CONNECTIONS)
        self.receiver = Receiver(connections, self.secrets, creator, self.history, lambda: self.now)

    def connect(
        self,
        provider: str = "github",
        name: str = "hello",
        namespace: str = "team",
        *,
        secret: bytes = SECRET,
        **spec: Any,
    ) -> None:
        spec = {
            "repository": REPOSITORIES[provider],
            "provider": provider,
            "webhookSecretRef": {"name": f"{name}-webhook"},
            **spec,
        }
        self.cluster.put(REPOSITORY_CONNECTIONS, namespace, name, spec=spec)
        self.set_secret(f"{name}-webhook", secret, namespace=namespace)

    def set_secret(self, name: str, *values: bytes, namespace: str = "team", label: str = "true") -> None:
        data = {f"v{index}": base64.b64encode(value).decode() for index, value in enumerate(values)}
        labels = {"labels": {"c8s.dev/forge-secret": label}}
        self.cluster.put(SECRETS, namespace, name, data=data, metadata=labels)

    def pipeline(self, name: str, **spec: Any) -> None:
        self.cluster.put(self.configs, "team", name, spec={"steps": [], **spec})

    async def deliver(
        self,
        delivery: Delivery,
        provider: str = "github",
        *,
        secret: bytes = SECRET,
        target: tuple[str, str] | None = ("team", "hello"),
        path: str = "",
        **headers: str,
    ) -> Answer:
        given, document = delivery
        return await self.send(
            {**given, **headers}, encode(document), provider, secret=secret, target=target, path=path
        )

    async def send(
        self,
        headers: dict[str, str],
        body: bytes,
        provider: str = "github",
        *,
        secret: bytes = SECRET,
        target: tuple[str, str] | None = ("team", "hello"),
        path: str = "",
    ) -> Answer:
        signed = PROVIDERS[provider].sign(secret, body, self.now.timestamp())
        request = Request(path or PROVIDERS[provider].path, {**headers, **signed}, body, target)
        return await self.receiver.receive(request)

    @property
    def runs(self) -> list[Json]:
        return [obj for (resource, _, _), obj in self.cluster.objects.items() if resource is PIPELINE_RUNS]

    async def deliveries(self, name: str = "hello", namespace: str = "team") -> list[Json]:
        """Those in the status of the connection."""
        await self.history.flush()
        found = self.cluster.objects[REPOSITORY_CONNECTIONS, namespace, name]
        listed: list[Json] = found.get("status", {}).get("deliveries", [])
        return listed

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)
