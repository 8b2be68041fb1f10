"""What an earlier run offers for reuse: only the run that was meant, and only while its objects are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller import labels
from controller.kube import NAMESPACES, PIPELINE_RUNS, NotFoundError
from controller.operator.effects.reuse_loader import ReusableRun, ReuseLoader
from controller.run_types.summary import summarize_run

Json = dict[str, Any]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
RETENTION = timedelta(days=30)


def earlier_run(*, uid: str = "uid-1", days_ago: int = 1) -> Json:
    created = (NOW - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = {"phase": "Succeeded", "inputs": "digest", "artifacts": {"files": 1, "bytes": 1}}
    step = {"name": "a", "slug": "a", "attempts": [{"number": 2, "phase": "Succeeded"}], **made}
    metadata = {"name": "ci-1", "namespace": "team", "uid": uid, "creationTimestamp": created}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Failed", "steps": [step]}}


class FakeReuseSources:
    """The earlier run, or none, and the keys of stored objects."""

    def __init__(self, run: Json | None, *keys: str) -> None:
        self.run, self.keys = run, keys

    async def get(self, resource: Any, name: str, namespace: str = "") -> Json:
        if resource == NAMESPACES:
            return {"metadata": {"name": name, "uid": "uid-of-team"}}
        assert (resource, name, namespace) == (PIPELINE_RUNS, "ci-1", "team")
        if self.run is None:
            raise NotFoundError("no run", status=404)
        return self.run

    async def list(self, prefix: str) -> AsyncIterator[Any]:
        for key in self.keys:
            if key.startswith(prefix):
                yield key

    async def head(self, key: str) -> object | None:
        return key if key in self.keys else None


async def load(cluster: FakeReuseSources, **spec: Any) -> ReusableRun:
    loader = ReuseLoader(cluster, cluster, RETENTION, lambda: NOW)  # type: ignore[arg-type]
    created = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": "ci-2", "namespace": "team", "uid": "uid-2", "creationTimestamp": created}
    run: Any = {"metadata": metadata, "spec": {"reuseFrom": "ci-1", **spec}}
    return await loader.load(run)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"digest": "sha256:" + "b" * 64, "contents": "sha256:" + "c" * 64},
            "of the run ci-2, its source is no longer stored",
        ),
        ({"digest": "sha256:" + "a" * 64, "contents": "sha256:" + "d" * 64}, ""),
        ({"digest": "sha256:" + "b" * 64}, ""),
    ],
)
async def test_contents_count_only_as_far_as_they_can_be_checked(other: Json, words: str) -> None:
    """Of one archive they need no check; without them, another archive is another source."""
    earlier = earlier_run()
    earlier["spec"] = {"source": {"archive": {"digest": "sha256:" + "a" * 64, "contents": "sha256:" + "c" * 64}}}
    found = await load(FakeReuseSources(earlier, STORED), reuseFromUid="uid-1", source={"archive": other})
    assert (bool(found.steps), words in found.problem) == (not words, True)


STORED = "artifacts/team/uid-1/a/2.json"


async def test_succeeded_steps_with_stored_artifacts_are_offered() -> None:
    found = await load(FakeReuseSources(earlier_run(), STORED), reuseFromUid="uid-1")
    assert found.problem == ""
    assert found.steps["digest"].reused == {"run": "ci-1", "uid": "uid-1", "slug": "a", "attempt": 2}


async def test_step_whose_artifacts_are_deleted_is_not_offered() -> None:
    assert await load(FakeReuseSources(earlier_run()), reuseFromUid="uid-1") == ReusableRun()


@pytest.mark.parametrize(
    ("run", "spec", "words"),
    [
        (None, {"reuseFromUid": "uid-1"}, "no longer exists"),
        (earlier_run(uid="uid-9"), {"reuseFromUid": "uid-1"}, "another run has its name now"),
        (earlier_run(days_ago=-1), {}, "was created after this one"),
        (earlier_run(days_ago=30), {"reuseFromUid": "uid-1"}, "more than 30 days ago"),
    ],
)
async def test_nothing_of_another_or_an_expired_run_is_offered(
    run: Json | None, spec: dict[str, str], words: str
) -> None:
    found = await load(FakeReuseSources(run, STORED, STORED.replace("uid-1", "uid-9")), **spec)
    assert (found.steps, words in found.problem) == ({}, True)


def ended(name: str, *, made: str = "k1", hours_ago: int = 1, summarized: bool = True, **spec: Any) -> Json:
    """A run of the pipeline ci with one step that succeeded with the input digest `made`."""
    created = (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    step = {"name": "a", "slug": "a", "phase": "Succeeded", "inputs": made}
    step["attempts"] = [{"number": 1, "phase": "Succeeded"}]
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "creationTimestamp": created}
    metadata["labels"] = {labels.PIPELINE: spec.pop("pipeline", "ci"), labels.RUN_NUMBER: name.rpartition("-")[2]}
    run: Json = {"metadata": metadata, "spec": spec, "status": {"phase": "Failed", "steps": [step]}}
    return summarize_run(run) if summarized else run


async def find(*runs: Json, wanted: str = "k1", **spec: Any) -> str | None:
    """The run whose step is found."""
    loader = ReuseLoader(
        FakeReuseSources(None),
        FakeReuseSources(None),
        RETENTION,
        lambda: NOW,
        lambda: runs,
        timedelta(hours=24),  # type: ignore[arg-type]
    )
    asking: Any = ended("ci-99", summarized=False, **spec)
    found = await loader.find(asking, {wanted})
    return found[wanted].reused["run"] if found else None


async def test_newest_equal_step_of_the_pipeline_is_found() -> None:
    runs = [ended("ci-1", hours_ago=3), ended("ci-2", hours_ago=2), ended("ci-3", made="k2")]
    assert await find(*runs) == "ci-2"
    assert await find(*runs, wanted="k3") is None
    same_second = [ended("ci-9"), ended("ci-11"), ended("ci-10")]
    assert await find(*same_second) == "ci-11"
    assert await find(ended("ci-1", summarized=False)) == "ci-1", "a run that is still active"


@pytest.mark.parametrize(
    "other",
    [
        {"pipeline": "other"},
        {"trigger": {"fork": True}},
        {"source": {"kept": {"run": "ci-0", "step": "a", "attempt": 1}}},
        {"hours_ago": 31 * 24},
        {"watch": True, "hours_ago": 25},
    ],
)
async def test_runs_that_offer_nothing(other: dict[str, Any]) -> None:
    assert await find(ended("ci-1", **other)) is None


async def test_run_by_watching_offers_its_results_for_a_day() -> None:
    assert await find(ended("ci-1", watch=True, hours_ago=23)) == "ci-1"


async def test_result_of_a_fork_is_not_resumed_by_others() -> None:
    earlier = {**earlier_run(), "spec": {"trigger": {"fork": True}}}
    found = await load(FakeReuseSources(earlier, STORED), reuseFromUid="uid-1")
    assert (found.steps, "from a fork" in found.problem) == ({}, True)
    assert (await load(FakeReuseSources(earlier, STORED), reuseFromUid="uid-1", trigger={"fork": True})).steps
