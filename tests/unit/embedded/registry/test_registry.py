"""Objects live as they do on a real server: versions, generations, finalizers, graceful ends."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.api.scheme import CONFIG_MAPS, JOBS, NAMESPACES, PODS, SECRETS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry


def _config(name: str = "one", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def _pod(name: str = "p") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}


def _code(told: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return told.value.code, told.value.reason


def test_a_new_object_gets_what_only_the_server_gives(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(k="v"), namespace="default").object
    metadata = created["metadata"]
    assert (created["kind"], created["apiVersion"], metadata["namespace"]) == ("ConfigMap", "v1", "default")
    assert metadata["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert metadata["uid"]
    assert registry.get(ObjectRef(CONFIG_MAPS, "default", "one")) == created


def test_a_generated_name_ends_in_five_characters(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, {"metadata": {"generateName": "gen-"}}, namespace="default").object
    assert created["metadata"]["name"] == "gen-abcde"


def test_a_taken_name_is_refused(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError) as told:
        registry.create(CONFIG_MAPS, _config(), namespace="default")
    assert _code(told) == (409, "AlreadyExists")


def test_nothing_is_made_in_a_namespace_that_is_not_there_or_is_going(registry: Registry) -> None:
    with pytest.raises(ApiError) as told:
        registry.create(CONFIG_MAPS, _config(), namespace="nowhere")
    assert _code(told) == (404, "NotFound")
    registry.create(NAMESPACES, {"metadata": {"name": "going"}})
    assert registry.delete(ObjectRef(NAMESPACES, None, "going"))["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError) as told:
        registry.create(CONFIG_MAPS, _config(), namespace="going")
    assert _code(told) == (403, "Forbidden")


def test_a_write_that_knows_an_older_version_conflicts(registry: Registry) -> None:
    first = registry.create(CONFIG_MAPS, _config(k="1"), namespace="default").object
    registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"data": {"k": "2"}})
    with pytest.raises(ApiError) as told:
        registry.update(ObjectRef(CONFIG_MAPS, "default", "one"), first)
    assert _code(told) == (409, "Conflict")
    assert registry.get(ObjectRef(CONFIG_MAPS, "default", "one"))["data"] == {"k": "2"}


def test_a_write_without_change_makes_no_new_version(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(k="1"), namespace="default").object
    revision = registry.store.revision
    assert registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"data": {"k": "1"}}).object == created
    assert registry.store.revision == revision


def test_a_dry_run_changes_nothing(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default", options=WriteOptions(dry_run=True))
    with pytest.raises(ApiError) as told:
        registry.get(ObjectRef(CONFIG_MAPS, "default", "one"))
    assert told.value.code == 404


def test_what_a_client_cannot_change_stays(registry: Registry) -> None:
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
def test_a_patch_of_what_nobody_can_change_is_invalid(registry: Registry, field: str, value: str) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError) as told:
        registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"metadata": {field: value}})
    assert (told.value.code, (told.value.details or {})["causes"][0]["field"]) == (422, f"metadata.{field}")


@pytest.mark.parametrize("metadata", [{"name": "two"}, {"namespace": "other"}])
def test_a_patch_makes_no_other_object_of_one(registry: Registry, metadata: dict[str, str]) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError, match="does not match"):
        registry.patch(ObjectRef(CONFIG_MAPS, "default", "one"), {"metadata": metadata})


def test_the_generation_counts_changes_of_the_wish_and_not_of_the_status(registry: Registry) -> None:
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


def test_a_finalizer_holds_a_deleted_object_until_it_is_taken_off(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, {"metadata": {"name": "f", "finalizers": ["example.com/hold"]}}, namespace="default")
    assert "deletionTimestamp" in registry.delete(ObjectRef(CONFIG_MAPS, "default", "f"))["metadata"]
    assert registry.find(ObjectRef(CONFIG_MAPS, "default", "f")) is not None
    registry.patch(ObjectRef(CONFIG_MAPS, "default", "f"), {"metadata": {"finalizers": None}})
    assert registry.find(ObjectRef(CONFIG_MAPS, "default", "f")) is None


def test_a_deletion_meant_for_another_object_of_that_name_is_refused(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, _config(), namespace="default")
    with pytest.raises(ApiError) as told:
        registry.delete(ObjectRef(CONFIG_MAPS, "default", "one"), preconditions={"uid": "another"})
    assert _code(told) == (409, "Conflict")


def test_a_pod_on_a_node_is_given_time_and_one_without_goes_at_once(registry: Registry) -> None:
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


def test_an_immutable_secret_keeps_its_data(registry: Registry) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True}
    assert registry.create(SECRETS, secret, namespace="default").object["data"] == {"a": "Yg=="}
    with pytest.raises(ApiError) as told:
        registry.patch(ObjectRef(SECRETS, "default", "s"), {"data": {"a": "Yw=="}})
    assert _code(told) == (422, "Invalid")


def test_what_a_caller_is_given_is_its_own(registry: Registry) -> None:
    created = registry.create(CONFIG_MAPS, _config(k="v"), namespace="default").object
    subscription = registry.watch(CONFIG_MAPS, since=registry.store.revision - 1)
    created["data"]["k"] = "changed by the caller"
    (event,) = subscription.drain()
    subscription.close()
    assert event.object["data"] == {"k": "v"}


async def test_a_watcher_sees_each_change_once_with_what_was_before(registry: Registry) -> None:
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
