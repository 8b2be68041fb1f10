"""Images are pulled by the rules of a kubelet, with its words."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest

from embedded.api.scheme import PODS, SECRETS, ObjectRef
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from tests.integration.embedded.conftest import Cluster
from tests.support.engine import root_file_system
from tests.support.registry import Registry, run_registry

Json = dict[str, Any]
LOGIN = "me:secret"


@pytest.fixture
async def registry(engine: FoundEngine, request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
    """A registry with the image `app:1`; what was pulled is removed from the engine afterwards."""
    if engine.info.name == "podman":
        pytest.skip("Podman pulls over HTTP only from registries that its configuration names")
    busybox = shutil.which("busybox")
    assert busybox is not None
    with run_registry(root_file_system(busybox), name="app", login=getattr(request, "param", "")) as made:
        yield made
        async with EngineClient(engine.address) as client:
            await client.delete(f"/images/{made.address}/app:1", force="1")


def create(cluster: Cluster, image: str, name: str = "p", policy: str = "IfNotPresent", **spec: Any) -> None:
    container = {"name": "main", "image": image, "imagePullPolicy": policy}
    pod = {"restartPolicy": "Never", "containers": [container], **spec}
    cluster.registry.create(PODS, {"metadata": {"name": name}, "spec": pod}, namespace="default")


def waiting(pod: Json) -> Json:
    statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
    return dict(statuses[0]["state"].get("waiting") or {})


async def test_an_image_is_pulled_once_unless_the_policy_says_always(
    engine_cluster: Cluster, registry: Registry
) -> None:
    image = f"{registry.address}/app:1"
    create(engine_cluster, image)
    pod = await engine_cluster.wait_until_finished()
    assert await engine_cluster.log() == b"pulled\n"
    assert pod["status"]["containerStatuses"][0]["imageID"].startswith(f"{registry.address}/app@sha256:")
    events = {event["reason"]: event["message"] for event in await engine_cluster.wait_for_events("Pulling", "Pulled")}
    assert events["Pulling"] == f'Pulling image "{image}"'
    assert events["Pulled"].startswith(f'Successfully pulled image "{image}" in ')
    asked = len(registry.requests)
    create(engine_cluster, image, "again")
    await engine_cluster.wait_until_finished("again")
    assert len(registry.requests) == asked
    create(engine_cluster, image, "always", policy="Always")
    await engine_cluster.wait_until_finished("always")
    assert len(registry.requests) > asked


async def test_a_missing_image_is_reported_as_by_a_kubelet(engine_cluster: Cluster, registry: Registry) -> None:
    image = f"{registry.address}/app:2"
    create(engine_cluster, image)
    pod = await engine_cluster.wait_for(lambda pod: waiting(pod).get("reason") == "ImagePullBackOff")
    assert waiting(pod)["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    assert pod["status"]["phase"] == "Pending"
    messages = [event["message"] for event in await engine_cluster.wait_for_events("BackOff", "Failed")]
    assert f'Back-off pulling image "{image}"' in messages
    assert {"Error: ErrImagePull", "Error: ImagePullBackOff"} <= set(messages)
    assert any(message.startswith(f'Failed to pull image "{image}": ') for message in messages)
    engine_cluster.registry.delete(ObjectRef(PODS, "default", "p"))
    await engine_cluster.wait_until_deleted()


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [("none.invalid/app:1", "Never", "ErrImageNeverPull"), ("Not A Name", "IfNotPresent", "InvalidImageName")],
)
async def test_an_image_that_can_never_be_pulled_says_why(
    engine_cluster: Cluster, image: str, policy: str, reason: str
) -> None:
    create(engine_cluster, image, policy=policy)
    pod = await engine_cluster.wait_for(lambda pod: waiting(pod).get("reason") == reason)
    assert image in waiting(pod)["message"]
    engine_cluster.registry.delete(ObjectRef(PODS, "default", "p"))
    await engine_cluster.wait_until_deleted()


@pytest.mark.parametrize("registry", [LOGIN], indirect=True)
async def test_the_login_comes_from_the_pods_secrets(engine_cluster: Cluster, registry: Registry) -> None:
    create(engine_cluster, f"{registry.address}/app:1")
    await engine_cluster.wait_for(lambda pod: waiting(pod).get("reason") == "ImagePullBackOff")
    auths = {"auths": {registry.address: {"auth": base64.b64encode(LOGIN.encode()).decode()}}}
    data = {".dockerconfigjson": base64.b64encode(json.dumps(auths).encode()).decode()}
    secret = {"metadata": {"name": "login"}, "type": "kubernetes.io/dockerconfigjson", "data": data}
    engine_cluster.registry.create(SECRETS, secret, namespace="default")
    create(engine_cluster, f"{registry.address}/app:1", "q", imagePullSecrets=[{"name": "login"}, {"name": "none"}])
    assert (await engine_cluster.wait_until_finished("q"))["status"]["phase"] == "Succeeded"
    engine_cluster.registry.delete(ObjectRef(PODS, "default", "p"))
    await engine_cluster.wait_until_deleted()
