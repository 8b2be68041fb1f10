"""Which runs and stored objects are deleted, and which are retained."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.kube import KubeError, NotFoundError
from controller.operator.effects.retention import (
    RetentionSweeper,
    expired_watched_runs,
    is_expired,
    retained_objects,
    runs_over_limit,
)
from controller.storage.sources import SourceId, period_at
from tests.unit.controller.operator.world import SETTINGS, T0, build_run, step

Json = dict[str, Any]

MONTH = timedelta(days=30)


def run(name: str, phase: str = "Succeeded", *, days: float = 0, pipeline: str = "ci", **spec: Any) -> Json:
    found = build_run([step("a")], spec=spec)
    found["spec"]["pipeline"]["name"] = pipeline
    created = (T0 - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found["metadata"] |= {"name": name, "uid": f"uid-{name}", "creationTimestamp": created}
    return {**found, "status": {"phase": phase}}


def test_the_oldest_ended_runs_of_a_pipeline_go_first() -> None:
    runs = [run(f"ci-{n}", days=10 - n) for n in range(5)]
    runs += [run("ci-live", "Running", days=20), run("other-1", days=30, pipeline="other")]
    assert [each["metadata"]["name"] for each in runs_over_limit(runs, 3)] == ["ci-0", "ci-1"]
    assert runs_over_limit(runs, 5) == []


@dataclass(frozen=True)
class Info:
    key: str
    modified: datetime


class FakeStore:
    def __init__(self, *infos: Info) -> None:
        self.infos = list(infos)
        self.deleted: list[str] = []

    async def list(self, prefix: str = "") -> AsyncIterator[Info]:
        for info in self.infos:
            if info.key.startswith(prefix):
                yield info

    async def delete(self, key: str) -> None:
        self.deleted.append(key)


class DeletingClient:
    def __init__(self, error: KubeError | None = None) -> None:
        self.error, self.deleted = error, list[str]()

    async def delete(self, resource: Any, name: str, *, namespace: str, uid: str) -> None:
        if self.error is not None:
            raise self.error
        self.deleted.append(f"{namespace}/{name}/{uid}")


def source_key(byte: str, periods_ago: int = 3) -> str:
    return SourceId("team", "uid-of-team", byte * 32).key(period_at(T0) - periods_ago)


def test_source_is_not_swept_before_runs_that_may_use_it_are_known() -> None:
    """Whatever its date is: runs begin to use the sources of the last two periods only."""
    needs, modified = retained_objects([], T0, MONTH), T0 - timedelta(days=60)
    expired = [is_expired(source_key("aa", periods), modified, needs, T0, MONTH) for periods in range(5)]
    assert expired == [False, False, False, True, True]


def test_upload_that_is_never_committed_is_swept() -> None:
    needs, key = retained_objects([], T0, MONTH), "uploads/artifacts/team/uid-ci-1/a/1.tar.gz"
    assert not is_expired(key, T0 - timedelta(minutes=59), needs, T0, MONTH)
    assert is_expired(key, T0 - timedelta(minutes=61), needs, T0, MONTH)


def old(key: str) -> Info:
    return Info(key, T0 - timedelta(days=31))


async def test_the_sweep_removes_what_is_old_and_spares_what_runs_need() -> None:
    live = run("ci-9", "Running", days=40, source={"archive": {"digest": "sha256:" + "aa" * 32}}, reuseFrom="ci-3")
    earlier = run("ci-3", days=50)
    store = FakeStore(
        old(source_key("aa")),
        old(source_key("bb")),
        old("artifacts/team/uid-ci-3/a/1.tar.gz"),
        old("artifacts/team/uid-ci-2/a/1.tar.gz"),
        old("artifacts/team/uid-ci-2/a/1.json"),
        old("logs/team/uid-ci-9/a/1.log"),
        Info("logs/team/uid-ci-1/a/1.log", T0 - timedelta(days=29)),
        old("caches/team/ci/cc.json"),
        old("caches/team/ci/cc.00.tar.gz"),
        Info("caches/team/ci/dd.json", T0 - timedelta(days=1)),
        old("caches/team/ci/dd.00.tar.gz"),
    )
    assert (
        await RetentionSweeper(
            DeletingClient(), store, SETTINGS, lambda: [live, earlier], lambda: T0
        ).delete_expired_objects()
        == 5
    )  # type: ignore[arg-type]
    manifest, archive = "artifacts/team/uid-ci-2/a/1.json", "artifacts/team/uid-ci-2/a/1.tar.gz"
    unused = {"caches/team/ci/cc.json", "caches/team/ci/cc.00.tar.gz"}
    assert set(store.deleted) == {manifest, archive, source_key("bb"), *unused}
    assert store.deleted.index(manifest) < store.deleted.index(archive), "nobody may be promised what is gone"


def test_objects_stay_a_day_longer_than_their_run_can_be_reused() -> None:
    """A run that reuses steps at the last moment is known to every cache before anything is deleted."""
    key, age = "artifacts/team/uid-ci-1/a/1.json", MONTH + timedelta(hours=23)
    needs = retained_objects([run("ci-1", days=30)], T0, MONTH)
    assert not is_expired(key, T0 - age, needs, T0, MONTH)


@pytest.mark.parametrize("reference", [{"reuseFrom": "ci-2", "reuseFromUid": "uid-ci-2"}, {"reuseFrom": "ci-2"}])
def test_active_run_retains_all_that_it_may_reuse(reference: dict[str, str]) -> None:
    """Also what the earlier run has reused itself, and its source."""
    reused = {"run": "ci-1", "uid": "uid-ci-1", "slug": "a", "attempt": 1}
    earlier = run("ci-2", days=50, source={"archive": {"digest": "sha256:" + "aa" * 32}})
    earlier["status"]["steps"] = [{"name": "a", "slug": "a", "reused": reused}]
    needs = retained_objects([run("ci-3", "Queued", days=40, **reference), earlier], T0, MONTH)
    assert needs.run_uids >= {"uid-ci-1", "uid-ci-2", "uid-ci-3"}
    assert needs.sources == {"aa" * 32}


def test_run_that_an_active_run_reuses_is_not_over_the_limit() -> None:
    runs = [run("ci-1", days=3), run("ci-2", days=2), run("ci-3", days=1)]
    active = run("ci-4", "Queued", reuseFrom="ci-1", reuseFromUid="uid-ci-1")
    assert [each["metadata"]["name"] for each in runs_over_limit([*runs, active], 1)] == ["ci-2"]


def test_an_ended_run_needs_its_source_only_while_it_is_young() -> None:
    source = {"archive": {"digest": "sha256:" + "aa" * 32}}
    for days, stays in ((29, True), (31, False)):
        needs = retained_objects([run("ci-1", days=days, source=source)], T0, MONTH)
        assert is_expired(source_key("aa"), T0 - timedelta(days=60), needs, T0, MONTH) is not stays


def test_what_is_no_kind_of_ours_stays() -> None:
    assert not is_expired("else/x", T0 - timedelta(days=99), retained_objects([], T0, MONTH), T0, MONTH)


@pytest.mark.parametrize(("error", "count"), [(None, 1), (NotFoundError("gone", status=404), 0)])
async def test_runs_beyond_the_limit_are_deleted_by_their_uid(error: KubeError | None, count: int) -> None:
    runs, client = [run("ci-1", days=2), run("ci-2", days=1)], DeletingClient(error)
    settings = replace(SETTINGS, history_limit=1)
    sweeper = RetentionSweeper(client, FakeStore(), settings, lambda: runs, lambda: T0)  # type: ignore[arg-type]
    assert await sweeper.delete_old_runs() == count
    assert client.deleted == ["team/ci-1/uid-ci-1"][:count]


DAY = timedelta(days=1)


def test_runs_by_watching_are_counted_apart() -> None:
    runs = [run(f"ci-{n}", days=9 - n, watch=n % 2 == 0) for n in range(6)]
    assert [each["metadata"]["name"] for each in runs_over_limit(runs, 2)] == ["ci-0", "ci-1"]


def test_runs_by_watching_expire_sooner() -> None:
    runs = [
        run("ci-1", days=2),
        run("ci-2", days=2, watch=True),
        run("ci-3", days=1, watch=True),
        run("ci-4", "Running", days=2, watch=True, reuseFrom="ci-5"),
        run("ci-5", days=2, watch=True),
    ]
    assert [each["metadata"]["name"] for each in expired_watched_runs(runs, T0, DAY)] == ["ci-2"]


async def test_what_a_run_by_watching_has_stored_goes_with_it_unless_it_is_reused() -> None:
    gone, taken, young = run("ci-1", days=2, watch=True), run("ci-2", days=2, watch=True), run("ci-3", watch=True)
    made = {"run": "ci-2", "uid": "uid-ci-2", "slug": "a", "attempt": 1}
    young["status"]["steps"] = [{"name": "a", "slug": "a", "phase": "Succeeded", "reused": made}]
    keys = [
        f"{kind}/team/uid-ci-{n}/a/1.{end}" for n in (1, 2, 3) for kind, end in (("logs", "log"), ("artifacts", "json"))
    ]
    store, client = FakeStore(*(Info(key, T0) for key in keys)), DeletingClient()
    sweeper = RetentionSweeper(client, store, SETTINGS, lambda: [gone, taken, young], lambda: T0)  # type: ignore[arg-type]
    assert await sweeper.delete_watched_runs() == 2
    assert [name.split("/")[1] for name in client.deleted] == ["ci-1", "ci-2"]
    assert sorted(store.deleted) == ["artifacts/team/uid-ci-1/a/1.json", "logs/team/uid-ci-1/a/1.log"]
