"""A run to export, without a controller, and archives that are put together by hand."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.bundle.controller import BundleController
from workbench.bundle.page import MAX_BYTES, build_page
from workbench.bundle.timeline import run_at, status_changes
from workbench.bundle.write import ExportOptions, write_bundle
from workbench.client import decode
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Run

SECOND = "2026-01-01T12:00:{:09.6f}Z"


def moment(seconds: float) -> str:
    """A time of the run, some seconds after its creation."""
    return SECOND.format(seconds)


def attempt(
    number: int, phase: str, running: float, finished: float, *, containers: tuple[str, ...] = ("step",), **more: Any
) -> dict[str, Any]:
    times = {"queued": running - 1, "created": running - 0.75, "scheduled": running - 0.5, "running": running}
    log = {"lines": 3, "bytes": 90, "archived": True}
    return {
        "number": number,
        "phase": phase,
        "times": {name: moment(at) for name, at in {**times, "finished": finished}.items()},
        "containers": list(containers),
        "log": log,
        **more,
    }


def sample_run() -> dict[str, Any]:
    """A failed run of three steps, as the API sends it: `check` failed twice, `after` was skipped."""
    failure = {"line": 2, "text": "AssertionError: 2 != 3", "file": "test_a.py", "fileLine": 7}
    attempts = [
        attempt(1, "Failed", 5, 6, exitCode=1),
        attempt(2, "Failed", 9, 12, exitCode=1, message="exit code 1"),
    ]
    attempts[1]["log"] = {**attempts[1]["log"], "firstFailure": failure}
    steps = [
        {
            "name": "build", "slug": "build", "dependsOn": [], "phase": "Succeeded", "startTime": moment(1.25),
            "completionTime": moment(4), "artifacts": {"files": 2},
            "attempts": [attempt(1, "Succeeded", 2, 4, containers=("step", "agent"), exitCode=0)],
        },
        {
            "name": "check", "slug": "check", "dependsOn": ["build"], "phase": "Failed", "startTime": moment(4.25),
            "completionTime": moment(12), "message": "exit code 1", "firstFailure": failure, "attempts": attempts,
        },
        {"name": "after", "slug": "after", "dependsOn": ["check"], "phase": "Skipped", "message": "check failed"},
    ]  # fmt: skip
    definition = {
        "version": "v1alpha1",
        "name": "shop",
        "steps": [
            {"name": name, "image": "busybox:1.36", "commands": ["true"], "dependsOn": needs}
            for name, needs in (("build", []), ("check", ["build"]), ("after", ["check"]))
        ],
    }
    return {
        "name": "shop-3", "namespace": "default", "uid": "u-3", "number": 3, "pipeline": "shop",
        "createdAt": moment(0), "params": {"target": "dev"}, "branch": "main", "commit": "1a2b3c4d5e", "event": "push",
        "definition": definition, "resourceVersion": "77",
        "status": {
            "phase": "Failed", "startTime": moment(1), "completionTime": moment(12), "message": "check failed",
            "steps": steps, "summary": {"total": 3, "succeeded": 1, "failed": 1, "skipped": 1},
            "runtime": {"images": "ignored", "name": "process://0.1"}, "criticalPath": ["build", "check"],
        },
    }  # fmt: skip


def sample_logs() -> dict[tuple[str, int, str], bytes]:
    lines = {
        ("build", 1, "step"): [(2.1, "building"), (3.0, "*** is masked"), (3.9, "built")],
        ("build", 1, "agent"): [(1.9, "fetched the source")],
        ("check", 1, "step"): [(5.1, "first try"), (5.5, "AssertionError")],
        ("check", 2, "step"): [(9.1, "looking"), (10.0, "AssertionError: 2 != 3"), (11.0, "1 failed")],
    }
    return {key: "".join(f"{moment(at)} {text}\n" for at, text in found).encode() for key, found in lines.items()}


@dataclass
class FakeSource:
    """Answers what an export asks for. `missing`: what the controller has no more."""

    logs: dict[tuple[str, int, str], bytes] = field(default_factory=sample_logs)
    files: dict[tuple[str, str], bytes] = field(
        default_factory=lambda: {("build", "out/app.bin"): b"\x00" * 5000, ("build", "out/note.txt"): b"a note\n"}
    )
    missing: set[str] = field(default_factory=set)
    block: int = 40
    hangs: bool = False

    def _have(self, what: str) -> None:
        if what in self.missing:
            raise NotFoundError("gone")

    async def cluster_document(self) -> Mapping[str, Any]:
        return {
            "runtime": "process://0.1",
            "images": "ignored",
            "version": "v1.36.2",
            "namespaces": ["default", "other"],
        }

    async def event_documents(self, run: str) -> list[Mapping[str, Any]]:
        self._have("events")
        about = {"kind": "Job", "name": "check-1"}
        times = {"firstTime": moment(4.3), "lastTime": moment(5)}
        return [{"type": "Normal", "reason": "Pulled", "message": "image", "count": 1, **times, "object": about}]

    async def command_documents(self, run: str, step: str, attempt: int) -> list[Mapping[str, Any]]:
        return (
            [{"index": 0, "text": "make", "line": 1, "startTime": moment(2), "exitCode": 0}] if step == "build" else []
        )

    async def artifact_documents(self, run: str, limit: int) -> list[Mapping[str, Any]]:
        return [{"step": step, "path": path, "size": len(data)} for (step, path), data in sorted(self.files.items())]

    async def test_documents(self, run: str) -> dict[str, Any]:
        step = {"step": "check", "name": "check", "attempt": 2, "total": 2, "failed": 1, "skipped": 0, "seconds": 0.5}
        tests = [
            {"step": "check", "key": "k1", "name": "test_a", "suite": "s", "outcome": "failed", "message": "2 != 3"},
            {"step": "check", "key": "k2", "name": "test_b", "suite": "s", "outcome": "passed"},
        ]
        return {"steps": [step], "items": tests}

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int:
        self._have(path)
        return target.write_bytes(self.files[step, path])

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        assert timestamps
        self._have(f"{step}/{attempt}")
        if (step, attempt, container) not in self.logs:
            raise NotFoundError("there is no such log")
        lines = self.logs[step, attempt, container].splitlines(keepends=True)
        for line in lines:
            yield line
            if self.hangs:
                await asyncio.sleep(3600)


def decoded(raw: dict[str, Any] | None = None) -> Run:
    return decode.decode_run(raw if raw is not None else sample_run())


def export_sample(path: Path, source: FakeSource | None = None, *, max_artifacts: int = 1_000_000) -> Any:
    """Write the sample to a file; its manifest."""
    return _export(path, decoded(), source or FakeSource(), ExportOptions(max_artifacts, "c8s test"))


AS_OF = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
"""When the sample that has not ended is exported: in its 30th second."""


def unfinished_run() -> dict[str, Any]:
    """The sample in the second attempt of `check`, which hangs, and whose agent has no log yet."""
    run = sample_run()
    build, check, _ = run["status"]["steps"]
    last = {**check["attempts"][1], "phase": "Running", "containers": ["step", "agent"]}
    last["times"] = {name: time for name, time in last["times"].items() if name != "finished"}
    for name in ("exitCode", "message", "log"):
        last.pop(name, None)
    kept = {name: check[name] for name in ("name", "slug", "dependsOn", "startTime")}
    check = {**kept, "phase": "Running", "attempts": [check["attempts"][0], last]}
    steps = [build, check, {"name": "after", "slug": "after", "dependsOn": ["check"], "phase": "Pending"}]
    status = {key: run["status"][key] for key in ("startTime", "runtime")}
    summary = {"total": 3, "succeeded": 1, "running": 1, "pending": 1}
    return {**run, "status": {**status, "phase": "Running", "steps": steps, "summary": summary}}


def export_unfinished(path: Path, now: datetime = AS_OF) -> Any:
    """Write that sample to a file; its manifest."""
    options = ExportOptions(1_000_000, "c8s test", lambda: now)
    return _export(path, decoded(unfinished_run()), FakeSource(), options)


def _export(path: Path, run: Run, source: FakeSource, options: ExportOptions) -> Any:
    async def export() -> Any:
        with path.open("wb") as file:
            return await write_bundle(source, run, file, options)

    return asyncio.run(export())


def rewrite(path: Path, target: Path, changes: Mapping[str, Any]) -> Path:
    """Copy a bundle with other content of some entries: bytes, or what becomes JSON; None leaves one out."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in dict.fromkeys([*source.namelist(), *changes]):
            content = changes[name] if name in changes else source.read(name)
            if content is not None:
                copy.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return target


async def read_bundle(path: Path, folder: Path) -> None:
    """Read everything that the workbench can ask for. Raises ClientError for what is refused."""
    with BundleController(path) as bundle:
        run = bundle.only_run
        changes = status_changes(run)
        for change in changes[:: len(changes) // 50 + 1]:
            run_at(run, change.time)
        await bundle.cluster()
        with suppress(ClientError):
            assert len((await build_page(bundle)).encode()) < MAX_BYTES
        for call in (bundle.events(run.name), bundle.artifacts(run.name), bundle.list_tests(run.name)):
            with suppress(ClientError):
                await call
        for step in run.steps:
            for attempt in step.attempts:
                with suppress(ClientError):
                    await bundle.commands(run.name, step.slug, attempt=attempt.number)
        for log in bundle.manifest.logs:
            with suppress(ClientError):
                blocks = bundle.log_blocks(run.name, log.step, attempt=log.attempt, container=log.container)
                assert sum([len(block) async for block in blocks]) <= 64 * 1024 * 1024
        for file in bundle.manifest.files:
            with suppress(ClientError):
                await bundle.download_file(run.name, file.step, file.path, folder / "artifact")


def value_paths(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of each value in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [at, *(path for key, value in inner for path in value_paths(value, (*at, key)))]


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = replaced(document[path[0]], path[1:], value)
    return copy
