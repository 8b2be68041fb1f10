"""A run with a step, and the bytes that users and agents send and fetch."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from controller.kube import PIPELINE_RUNS
from controller.storage.sources import SourceId, period_at
from tests.unit.controller.api.fakes import ApiServer, FakeCapability

TREE = b"\x1f\x8b" + b"tree" * 1000
HEX = hashlib.sha256(TREE).hexdigest()
SOURCES = "/api/v1/namespaces/a/sources"
AGENT = "/api/v1/agent"


def stored_objects(api: ApiServer) -> list[Path]:
    """Everything that is in the store's folder, half-written files included."""
    return [path for path in api.store._root.rglob("*") if path.is_file()]


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100):
        yield data[start : start + 100]


def source_key(api: ApiServer, periods_ago: int = 0) -> str:
    """The key of `TREE` in the namespace `a`, as it was stored some periods ago."""
    period = period_at(api.state.utc_now()) - periods_ago
    return SourceId("a", api.kubernetes.namespace_uids["a"], HEX).key(period)


PIPELINE = {
    "name": "ci",
    "steps": [
        {
            "name": "build",
            "image": "b:1",
            "commands": ["make"],
            "artifacts": ["dist/**"],
            "cache": [{"key": "go-1", "paths": ["p"]}, {"key": "go-{{run.branch}}-{{hash go.sum}}", "paths": ["q"]}],
        },
        {"name": "later", "image": "b:1", "commands": ["make"], "dependsOn": ["build"]},
        {"name": "aside", "image": "b:1", "commands": ["make"]},
    ],
}
AGENTS = [
    ("build", "build", "step"),
    ("clone", "build", "source"),
    ("later", "later", "step"),
    ("aside", "aside", "step"),
]


async def run_with_step(api: ApiServer, name: str = "ci-1", **spec: Any) -> str:
    """A run with a source and a step `build` in its first attempt; the token of its agent, `build`.

    `clone` is one of another role, `later` and `aside` are those of the agents of other steps.
    """
    await api.store.put(source_key(api), TREE)
    given = {"pipeline": PIPELINE, "source": {"archive": {"digest": f"sha256:{HEX}"}}, **spec}
    run = await api.kubernetes.create(PIPELINE_RUNS, {"metadata": {"name": name, "namespace": "a"}, "spec": given}, "a")
    steps = [{"name": "build", "slug": "build", "attempts": [{"number": 1}]}, {"name": "later", "slug": "later"}]
    api.kubernetes.status("a", name, phase="Running", steps=steps)
    for token, slug, role in AGENTS:
        api.capabilities[token] = FakeCapability("a", name, run["metadata"]["uid"], slug, 1, role)
    return "build"


def manifest(data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {
        "files": [{"path": "dist/a", "size": 1, "sha256": "0" * 64, "mode": 0o644}],
        "archive": {"size": len(data), "sha256": digest},
    }


async def save_cache(api: ApiServer, key: str = "go-1") -> int:
    """The status of the last answer."""
    body = {"key": key, "size": len(TREE), "sha256": HEX}
    answer = await api.call("POST", f"{AGENT}/caches", token="build", json=body)
    if answer.status == 200:
        assert (await api.call("PUT", answer.json["url"], token=None, data=TREE)).status == 201
        answer = await api.call("PUT", f"{AGENT}/caches/manifest", token="build", json=body)
    return answer.status


async def finds_cache(api: ApiServer, key: str = "go-1") -> bool:
    return (await api.call("POST", f"{AGENT}/caches/lookup", token="build", json={"key": key})).status == 200


ENDED = {"number": 1, "phase": "Succeeded", "times": {"ended": "2026-01-01T00:00:00Z"}}
