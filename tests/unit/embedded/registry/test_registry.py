"""Objects live as they do on a real server: versions, generations, finalizers, graceful ends."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.api.scheme import CONFIG_MAPS, JOBS, NAMESPACES, PODS, SECRETS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore


def _config(name: str = "one", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def _pod(name: str = "p") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}


def _code(raised: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return raised.value.code, raised.value.reason


def test_new_object_gets_server_fields(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(k="v"), namespace="default").object
    metadata = created["metadata"]
    assert (created["kind"], created["apiVersion"], metadata["namespace"]) == ("ConfigMap", "v1", "default")
    assert metadata["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert metadata["uid"]
    assert registry.get(ObjectRef(CONFIG_MAPS, "default", "one")) == created


def test_generated_name_ends_in_five_characters(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, {"metadata": {"generateName": "gen-"}}, namespace="default").object
    assert created["metadata"]["name"] == "gen-abcde"


def test_generated_name_that_is_taken_is_replaced(store: SqliteStore) -> None:
    suffixes = iter(["aaaaa", "aaaaa", "aaaaa", "bbbbb"])
    registry = Registry(store, name_suffix=lambda: next(suffixes, "aaaaa"))
    registry.create(NAMESPACES, {"metadata": {"name": "default"}})

    def create() -> str:
        made = registry.create(CONFIG_MAPS, {"metadata": {"generateName": "gen-"}}, namespace="default").object
        return str(made["metadata"]["name"])

    assert [create(), create()] == ["gen-aaaaa", "gen-bbbbb"]
    with pytest.raises(ApiError) as raised:
        create()
    assert _code(raised) == (409, "AlreadyExists")


def test_existing_name_is_refused(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError) as raised:
        registry.create(CONFIG_MAPS, _config(), namespace="default")
    assert _code(raised) == (409, "AlreadyExists")


def test_create_needs_an_active_namespace(registry: Registry) -> None:
    with pytest.raises(ApiError) as raised:
        registry.create(CONFIG_MAPS, _config(), namespace="nowhere")
    assert _code(raised) == (404, "NotFound")
    registry.create(NAMESPACES, {"metadata": {"name": "going"}})
    assert registry.delete(ObjectRef(NAMESPACES, None, "going"))["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError) as raised:
        registry.create(CONFIG_MAPS, _config(), namespace="going")
    assert _code(raised) == (403, "Forbidden")


def test_update_of_an_older_version_conflicts(registry: Registry) -> None:
    first = registry.create(CONFIG_MAPS, _config(k="1"), namespace="default").object
    registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"data": {"k": "2"}})
    with pytest.raises(ApiError) as raised:
        registry.update(ObjectRef(CONFIG_MAPS, "default", "one"), first)
    assert _code(raised) == (409, "Conflict")
    assert registry.get(ObjectRef(CONFIG_MAPS, "default", "one"))["data"] == {"k": "2"}


def test_update_without_change_keeps_the_version(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(k="1"), namespace="default").object
    revision = registry.store.revision
    assert registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"data": {"k": "1"}}).object == created
    assert registry.store.revision == revision


def test_dry_run_changes_nothing(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default", options=WriteOptions(dry_run=True))
    with pytest.raises(ApiError) as raised:
        registry.get(ObjectRef(CONFIG_MAPS, "default", "one"))
    assert raised.value.code == 404


def test_server_fields_survive_a_patch(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(), namespace="default").object
    changed = registry.patch(
        ObjectRef(CONFIG_MAPS, "default", "one"), {"metadata": {"generation": 7, "selfLink": "/x"}}
    ).object
    assert changed["metadata"].get("generation") is None
    assert changed["metadata"]["uid"] == created["metadata"]["uid"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("creationTimestamp", "1999-01-01T00:00:00Z"),
        ("deletionTimestamp", "1999-01-01T00:00:00Z"),
        ("uid", "5b0b9a3a-0000-0000-0000-000000000000"),
    ],
)
def test_patch_of_immutable_metadata_is_invalid(registry: Registry, field: str, value: str) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError) as raised:
        registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"metadata": {field: value}})
    assert (raised.value.code, (raised.value.details or {})["causes"][0]["field"]) == (422, f"metadata.{field}")


@pytest.mark.parametrize("metadata", [{"name": "two"}, {"namespace": "other"}])
def test_patch_cannot_change_name_or_namespace(registry: Registry, metadata: dict[str, str]) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError, match="does not match"):
        registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"metadata": metadata})


def test_generation_counts_spec_changes_only(registry: Registry) -> None:
    job = registry.create(
        JOBS,
        {
            "metadata": {"name": "j"},
            "spec": {
                "suspend": True,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "b"}]}},
            },
        },
        namespace="default",
    ).object
    assert job["metadata"]["generation"] == 1
    job["status"] = {"active": 1}
    job["spec"]["suspend"] = False
    job = registry.update(ObjectRef(JOBS, "default", "j"), job, subresource="status").object
    assert (job["metadata"]["generation"], job["spec"]["suspend"], job["status"]["active"]) == (1, True, 1)
    job = registry.patch(ObjectRef(JOBS, "default", "j"), {"spec": {"suspend": False}, "status": {"active": 9}}).object
    assert (job["metadata"]["generation"], job["status"]["active"]) == (2, 1)


def test_finalizer_holds_a_deleted_object(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, {"metadata": {"name": "f", "finalizers": ["example.com/hold"]}}, namespace="default")
    assert "deletionTimestamp" in registry.delete(ObjectRef(CONFIG_MAPS, "default", "f"))["metadata"]
    assert registry.find(ObjectRef(CONFIG_MAPS, "default", "f")) is not None
    registry.patch(ObjectRef(CONFIG_MAPS, "default", "f"), {"metadata": {"finalizers": None}})
    assert registry.find(ObjectRef(CONFIG_MAPS, "default", "f")) is None


def test_delete_with_wrong_precondition_is_refused(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError) as raised:
        registry.delete(ObjectRef(CONFIG_MAPS, "default", "one"), preconditions={"uid": "another"})
    assert _code(raised) == (409, "Conflict")


def test_only_scheduled_pods_get_a_grace_period(registry: Registry) -> None:
    registry.create(PODS, _pod("waits"), namespace="default")
    registry.delete(ObjectRef(PODS, "default", "waits"))
    assert registry.find(ObjectRef(PODS, "default", "waits")) is None
    registry.create(PODS, _pod("runs"), namespace="default")
    registry.bind_pod(ObjectRef(PODS, "default", "runs"), "embedded", {"phase": "Running"})
    assert registry.delete(ObjectRef(PODS, "default", "runs"))["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (
        registry.delete(ObjectRef(PODS, "default", "runs"), grace_period=5)["metadata"]["deletionGracePeriodSeconds"]
        == 5
    )
    registry.delete(ObjectRef(PODS, "default", "runs"), grace_period=0)
    assert registry.find(ObjectRef(PODS, "default", "runs")) is None


def test_immutable_secret_keeps_its_data(registry: Registry) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True}
    assert registry.create(SECRETS, secret, namespace="default").object["data"] == {"a": "Yg=="}
    with pytest.raises(ApiError) as raised:
        registry.patch(ObjectRef(SECRETS, "default", "s"), {"data": {"a": "Yw=="}})
    assert _code(raised) == (422, "Invalid")


def test_returned_objects_belong_to_the_caller(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(k="v"), namespace="default").object
    subscription = registry.watch(CONFIG_MAPS, since=registry.store.revision - 1)
    created["data"]["k"] = "changed by the caller"
    (event,) = subscription.drain()
    subscription.close()
    assert event.object["data"] == {"k": "v"}


async def test_watcher_gets_each_change_once_with_previous_state(registry: Registry) -> None:
    subscription = registry.watch(CONFIG_MAPS)
    registry.create(CONFIG_MAPS, _config(k="1"), namespace="default")
    registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"data": {"k": "2"}})
    registry.create(SECRETS, {"metadata": {"name": "s"}}, namespace="default")
    registry.delete(ObjectRef(CONFIG_MAPS, "default", "one"))
    await subscription.wait()
    seen = [
        (e.type, e.object["data"]["k"], e.previous["data"]["k"] if e.previous else None) for e in subscription.drain()
    ]
    subscription.close()
    assert seen == [("ADDED", "1", None), ("MODIFIED", "2", "1"), ("DELETED", "2", "2")]
