"""What the CustomResourceDefinitions refuse, from any client: runs may be created without the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.operator.manifests import crds
from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore

Json = dict[str, Any]
PIPELINE: Json = {"name": "demo", "steps": [{"name": "a", "image": "busybox:1", "commands": ["true"]}]}


class RegistryClient:
    """Creates and changes objects of c8s.dev in one namespace, as kubectl does."""

    def __init__(self, registry: Registry, namespace: str) -> None:
        self.registry, self.namespace = registry, namespace

    def create(
        self, object_name: str = "demo-1", /, *, plural: str = "pipelineruns", status: Json | None = None, **spec: Any
    ) -> Json:
        obj = {"metadata": {"name": object_name}, "spec": spec} | ({} if status is None else {"status": status})
        return self.registry.create(self._resource(plural), obj, namespace=self.namespace).object

    def patch(self, *changes: Json, name: str = "demo-1") -> Json:
        ref = ObjectRef(self._resource("pipelineruns"), self.namespace, name)
        return self.registry.patch(ref, list(changes), patch_type="json").object

    def set_status(self, name: str = "demo-1") -> Json:
        ref = ObjectRef(self._resource("pipelineruns"), self.namespace, name)
        return self.registry.update(
            ref, {**self.registry.get(ref), "status": {"phase": "Running"}}, subresource="status"
        ).object

    def _resource(self, plural: str) -> ResourceType:
        found = self.registry.scheme.find(crds.GROUP, crds.VERSION, plural)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One for all tests: it takes longer to create the definitions than to use them."""
    store = SqliteStore(tmp_path_factory.mktemp("registry") / "cluster.db")
    made = Registry(store, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    for definition in (crds.pipeline_run(), crds.pipeline_config()):
        made.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
    yield made
    store.close()


@pytest.fixture
def client(registry: Registry) -> RegistryClient:
    """A client with a namespace that no other test has."""
    made = registry.create(NAMESPACES, {"metadata": {"generateName": "test-"}}).object
    return RegistryClient(registry, made["metadata"]["name"])


def refusal(raised: pytest.ExceptionInfo[ApiError]) -> str:
    assert raised.value.code == 422
    return str(raised.value)


def test_a_file_is_taken_as_it_is_with_its_version(client: RegistryClient) -> None:
    made = client.create(pipeline={"version": "v1alpha1", **PIPELINE})
    assert made["spec"]["pipeline"]["version"] == "v1alpha1"
    config = client.create("demo", plural="pipelineconfigs", version="v1alpha1", **PIPELINE)
    assert (config["spec"]["name"], config["spec"]["version"]) == ("demo", "v1alpha1")


def test_an_unknown_version_is_refused(client: RegistryClient) -> None:
    with pytest.raises(ApiError) as raised:
        client.create(pipeline={"version": "v2", **PIPELINE})
    assert 'supported values: "v1alpha1"' in refusal(raised)


def test_a_pipeline_config_has_one_name(client: RegistryClient) -> None:
    with pytest.raises(ApiError) as raised:
        client.create("other", plural="pipelineconfigs", **PIPELINE)
    assert "spec.name must be the object's name, or absent" in refusal(raised)


@pytest.mark.parametrize("name", ["a.b.c", "n" * 64, "n" * 64 + "-" + "m" * 100])
@pytest.mark.parametrize("plural", ["pipelineruns", "pipelineconfigs"])
def test_names_that_can_not_work_are_refused_with_the_reason(client: RegistryClient, name: str, plural: str) -> None:
    spec = {"pipeline": PIPELINE} if plural == "pipelineruns" else {"steps": PIPELINE["steps"]}
    with pytest.raises(ApiError) as raised:
        client.create(name, plural=plural, **spec)
    assert "must be a DNS label: at most 63 characters" in refusal(raised)


def test_a_status_in_a_new_object_does_not_pass_the_rules(client: RegistryClient) -> None:
    with pytest.raises(ApiError) as raised:
        client.create("a.b", status={"phase": "Running"}, pipeline=PIPELINE)
    assert "must be a DNS label" in refusal(raised)


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [
        ("pipeline", PIPELINE, {**PIPELINE, "name": "other"}),
        ("source", {"git": {"url": "https://example.org/a"}}, {"git": {"url": "https://example.org/b"}}),
        ("commit", "abc", "def"),
        ("branch", "main", "other"),
        ("params", {"a": "1"}, {"a": "2"}),
        ("triggeredBy", "ann", "cfo"),
        ("reuseFrom", "demo-0", "demo-9"),
        ("changedFiles", ["a"], ["b"]),
        ("event", "push", "tag"),
        ("priority", "low", "high"),
    ],
)
def test_the_spec_of_a_run_can_not_be_changed(client: RegistryClient, field: str, value: Any, other: Any) -> None:
    path = f"/spec/{field}"
    client.create(**{"pipeline": PIPELINE, "pipelineConfigRef": {"name": "demo"}, field: value})
    client.create("bare-1", pipelineConfigRef={"name": "demo"})
    changes = [("demo-1", {"op": "replace", "path": path, "value": other}), ("demo-1", {"op": "remove", "path": path})]
    if field != "pipeline":
        changes.append(("bare-1", {"op": "add", "path": path, "value": value}))
    for name, change in changes:
        with pytest.raises(ApiError) as raised:
            client.patch(change, name=name)
        assert f"a run's {field} can't be changed" in refusal(raised)


def test_the_pipeline_is_filled_in_once(client: RegistryClient) -> None:
    client.create(pipelineConfigRef={"name": "demo"})
    filled = client.patch({"op": "add", "path": "/spec/pipeline", "value": PIPELINE})
    assert filled["spec"]["pipeline"] == PIPELINE
    client.set_status()


def test_a_run_is_cancelled_once_and_for_all(client: RegistryClient) -> None:
    client.create(pipeline=PIPELINE)
    client.patch({"op": "add", "path": "/spec/cancel", "value": True})
    with pytest.raises(ApiError) as raised:
        client.patch({"op": "replace", "path": "/spec/cancel", "value": False})
    assert "a cancellation can't be taken back" in refusal(raised)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "either an archive or a git revision"),
        ({"git": {"url": "ext::sh -c id"}}, "spec.source.git.url in body should match"),
        ({"git": {"url": "--upload-pack=id"}}, "spec.source.git.url in body should match"),
        ({"git": {"url": "-oProxyCommand=id"}}, "spec.source.git.url in body should match"),
        ({"git": {"url": "https://example.org/" + "a" * 2048}}, "spec.source.git.url"),
        ({"git": {"url": "http://user:pw@127.0.0.1:1/x"}}, "url must not contain a password"),
        ({"git": {"url": "https://token@example.org/x"}}, "url must not contain a password"),
        ({"git": {"url": "ssh://git:pw@example.org/x"}}, "url must not contain a password"),
        ({"git": {"url": "https://example.org/a", "revision": "-x"}}, "spec.source.git.revision in body should match"),
        ({"git": {"url": "https://example.org/a", "secretRef": "../b"}}, "spec.source.git.secretRef in body"),
        ({"kept": {"run": "../team-b/app-1", "step": "bad", "attempt": 1}}, "spec.source.kept.run in body"),
        ({"kept": {"run": "vict-1", "step": "../../x", "attempt": 1}}, "spec.source.kept.step in body"),
        ({"kept": {"run": "vict-1", "step": "bad", "attempt": 99999999}}, "spec.source.kept.attempt in body"),
    ],
)
def test_sources_that_the_api_refuses_are_refused_here(client: RegistryClient, source: Json, message: str) -> None:
    with pytest.raises(ApiError) as raised:
        client.create(pipeline=PIPELINE, source=source)
    assert message in refusal(raised)


@pytest.mark.parametrize(
    "url", ["https://example.org:8443/a/b.git", "ssh://git@example.org/a", "git@example.org:a/b.git", "file:///srv/a"]
)
def test_urls_of_repositories_are_taken(client: RegistryClient, url: str) -> None:
    assert client.create(pipeline=PIPELINE, source={"git": {"url": url, "revision": "main"}})


@pytest.mark.parametrize("field", ["commit", "branch", "triggeredBy"])
@pytest.mark.parametrize("text", ["a\nb", "\x1b[2Jroot", "x" * 256])
def test_texts_are_one_line_without_control_characters(client: RegistryClient, field: str, text: str) -> None:
    with pytest.raises(ApiError) as raised:
        client.create(**{"pipeline": PIPELINE, field: text})
    assert f"spec.{field}" in refusal(raised)


def test_a_run_without_a_pipeline_is_refused(client: RegistryClient) -> None:
    with pytest.raises(ApiError) as raised:
        client.create(branch="main")
    assert "give either pipeline, pipelineConfigRef or pipelineFrom" in refusal(raised)
