"""What random use is played on: a controller that follows a script, and the apps that it is seen with."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from textual.app import App

from tests.support.bundles import export_sample
from tests.support.tui.fakes import NOW, FakeController, FakeLauncher, FakeWorkbench, hello, run, step, webshop
from workbench.bundle.controller import BundleController
from workbench.client import (
    BacklogEnd,
    ComponentHealth,
    Frame,
    Health,
    LinePart,
    Lines,
    LogLine,
    Pod,
    Quota,
    Run,
    RunEnd,
    RunsListed,
    SavedPipeline,
    SecretNames,
    StreamEnd,
    StreamKey,
)
from workbench.client.connections import Connection, Delivery, DeliveryRun
from workbench.client.endpoint import Endpoint
from workbench.client.errors import ClientError
from workbench.client.models import FirstFailure, TestCounts
from workbench.client.statistics import PipelineTrend, Slower, StepTrend
from workbench.client.test_results import StepTests, TestHistory, TestReport, TestResult
from workbench.pipeline_file.load import LintOutcome
from workbench.session.startup_progress import ProgressEvent, StepEvent
from workbench.session.view_state import ViewState
from workbench.tui.options import AppOptions
from workbench.tui.setup.app import SetupApp
from workbench.tui.setup.providers import Requirement, SandboxStartError

PIPELINE = "version: v1alpha1\nname: shop\nsteps:\n- name: one\n  image: busybox:1.36\n  commands: [echo]\n"
DEFINITION = {
    "name": "shop",
    "steps": [
        {"name": "build", "commands": ["make"], "secrets": [{"secretRef": "npm", "key": "token"}]},
        {"name": "unit", "dependsOn": ["build"], "commands": ["pytest"]},
        {"name": "deploy", "dependsOn": ["unit"], "secrets": [{"secretRef": "ssh", "key": "key"}]},
    ],
}
_DELAYED = (
    "cluster", "health", "pipelines", "secrets", "put_secret", "delete_secret", "connections", "replay", "approve",
    "commands", "delete", "rerun", "set_breakpoints", "continue_step", "explain_step", "events", "artifacts",
    "list_tests", "read_test_history", "list_statistics", "statistics", "download_file", "create_run",
)  # fmt: skip


class ScriptedController(FakeController):
    """Answers after random delays, and now and then with an error; logs of running steps grow."""

    def __init__(self, runs: Iterable[Run], random: Random) -> None:
        super().__init__(runs)
        self.random = random
        self.grown = asyncio.Event()

    async def delay(self) -> None:
        await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.01, 0.03, 0.2)))
        if self.random.random() < 0.05:
            raise ClientError("the controller does not answer")

    def grow(self, slug: str, count: int) -> None:
        """Add lines to a log."""
        lines = self.lines.setdefault(slug, [])
        kinds = (
            "line {} of {}: \x1b[31mERROR\x1b[0m 漢字",
            "line {} of {}",
            "::group::{} of {}",
            "::endgroup::",
            "--- {}",
        )
        lines += [self.random.choice(kinds).format(len(lines) + n, slug) for n in range(count)]
        self.grown.set()

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        await self.delay()
        async for block in super().log_blocks(run, step, attempt=attempt, container=container, timestamps=timestamps):
            yield block

    async def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        await self.delay()
        sent = {slug: (after or {}).get(StreamKey(slug, 1, "step"), 0) for slug in steps}
        while True:
            for slug, have in sent.items():
                lines = self.lines.get(slug, [])
                if lines[have:]:
                    yield Lines(StreamKey(slug, 1, "step"), have + 1, tuple(LogLine(None, t) for t in lines[have:]))
                    sent[slug] = len(lines)
                yield BacklogEnd(StreamKey(slug, 1, "step"))
                if partial_lines and self.random.random() < 0.5:
                    state = f"{self.random.randrange(100)}% of {slug}"
                    yield LinePart(StreamKey(slug, 1, "step"), sent[slug] + 1, LogLine(None, state))
            known = next((one for one in self.listed if one.name == run), None)
            if known is None or known.ended:
                break
            self.grown.clear()
            await self.grown.wait()
            await self.delay()
        for slug, have in sent.items():
            yield StreamEnd(StreamKey(slug, 1, "step"), have)
        yield RunEnd()

    async def run(self, name: str) -> Run:
        await self.delay()
        found = next((one for one in self.listed if one.name == name), None)
        if found is None:
            raise ClientError(f"there is no run {name}")
        return found

    async def cancel(self, name: str) -> Run:
        return await self.run(name)


def _delayed(name: str) -> Callable[..., Awaitable[Any]]:
    method = getattr(FakeController, name)

    async def call(self: ScriptedController, *arguments: Any, **options: Any) -> Any:
        await self.delay()
        return await method(self, *arguments, **options)

    return call


for _name in _DELAYED:
    setattr(ScriptedController, _name, _delayed(_name))


class ScriptedSaves:
    """Stands in for the watch of files: the names that a user reports."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    def __call__(self, tree: Path, file: Path, report: Callable[[str], None]) -> AsyncGenerator[frozenset[str], None]:
        return self._changes()

    async def _changes(self) -> AsyncGenerator[frozenset[str], None]:
        while True:
            yield await self.queue.get()


class RandomWorkbench(FakeWorkbench):
    """Saves what the user saves."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.saves = ScriptedSaves()
        self.file_changes = self.saves


class ScriptedProvider:
    """A way to start a sandbox that takes its time, and fails now and then."""

    title, description = "Scripted", "Made of nothing."

    def __init__(self, random: Random) -> None:
        self._random = random

    async def requirements(self) -> Sequence[Requirement]:
        await asyncio.sleep(self._random.choice((0, 0.01, 0.5)))
        return [Requirement("nothing", "ok", "it is there"), Requirement("docker", "error", "absent", "Install it.")]

    def steps(self) -> Sequence[tuple[str, str]]:
        return [("first", "Do the first"), ("second", "Do the second")]

    async def start(self, on_event: Callable[[StepEvent], None]) -> Endpoint:
        on_event(ProgressEvent("first", "started", "", 0.0))
        await asyncio.sleep(self._random.choice((0, 0.01, 0.5)))
        on_event(ProgressEvent("first", "done", "made", 0.1))
        on_event(ProgressEvent("second", "started", "", 0.0))
        for number in range(self._random.randrange(30)):
            on_event(ProgressEvent("second", "said", f"pulling \x1b]2;x\x07layer {number}", 0.1))
            await asyncio.sleep(self._random.choice((0, 0.01, 0.5)))
        on_event(ProgressEvent("second", "failed", "no room", 1.0))
        raise SandboxStartError("Do the second: no room", "Make room.")


@dataclass
class Scene:
    """An app, and what stands behind it where that follows the script."""

    app: App[Any]
    controller: ScriptedController | None = None
    saves: ScriptedSaves | None = None
    reset: Callable[[], None] = lambda: None
    """Makes what stands behind the app as it was at first."""
    close: Callable[[], None] = lambda: None
    """Called when the app has ended."""


def reset_scene(scene: Scene, seed: int) -> None:
    """Make everything as it is for the sequence of this seed, but for what the app itself remembers."""
    if scene.controller is not None:
        scene.controller.random = Random(f"controller {seed}")
        scene.reset()
        scene.controller.changes.put_nowait(RunsListed(scene.controller.listed))


def workbench_scene(folder: Path, random: Random) -> Scene:
    file = folder / ".c8s.yaml"
    launcher = FakeLauncher(hello(8, "Running"), file)
    definition = random.choice(({"name": "shop"}, {"name": "shop", "params": [{"name": "WHO"}]}, DEFINITION))
    launcher.pipeline = LintOutcome((), definition)
    options = AppOptions(ascii_only=random.random() < 0.1, view_state=ViewState(folder / "state", file))
    shown = random.choice((None, None, None, None, "webshop-42", "shop-3"))
    app = RandomWorkbench([], launcher=launcher, folder=folder, options=options, open_run=shown)
    app.controller = controller = ScriptedController([], random)
    runs = sample_runs(random)

    def reset() -> None:
        file.write_text(PIPELINE)
        fill_controller(controller, runs)

    reset()
    return Scene(app, controller, app.saves, reset)


def empty_scene(folder: Path, random: Random) -> Scene:
    """The first start: no run, and a pipeline file only once it is written."""
    file = folder / ".c8s.yaml"
    app = RandomWorkbench([], folder=folder, find_pipeline=lambda: file if file.is_file() else None)
    app.controller = controller = ScriptedController([], random)

    def reset() -> None:
        file.unlink(missing_ok=True)
        controller.listed, controller.lines = (), {}

    return Scene(app, controller, app.saves, reset)


def bundle_scene(folder: Path, random: Random) -> Scene:
    """A run that was opened from a file."""
    path = folder / "a.c8srun"
    path.write_bytes(sample_bundle())
    bundle = BundleController(path)
    app = RandomWorkbench([], folder=folder, open_run=bundle.only_run.name)
    app.controller = bundle  # type: ignore[assignment]
    return Scene(app, close=bundle.close)


@cache
def sample_bundle() -> bytes:
    """A run as a file. To be called before there is an event loop."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.c8srun"
        export_sample(path)
        return path.read_bytes()


def start_scene(folder: Path, random: Random) -> Scene:
    """The screen that starts a sandbox."""
    return Scene(SetupApp([ScriptedProvider(random), ScriptedProvider(random)], starts_at_once=random.random() < 0.3))


def sample_runs(random: Random) -> tuple[Run, ...]:
    """Runs in several states; `shop-3` has ended with failed tests."""
    many = [
        step("test (py3.11)", ("build",), "Running"),
        *(step(f"shard ({n})", ("build",), random.choice(("Succeeded", "Failed", "Pending"))) for n in range(1, 13)),
    ]
    return (
        webshop(),
        hello(7),
        _tested_run(),
        run("shop-2", "Succeeded", [step("build", (), "Succeeded"), step("unit", ("build",), "Succeeded")]),
        run("wide-1", "Running", [step("build", (), "Succeeded"), *many], created_ago=300),
        run("empty-1", "Succeeded", [step("hello", (), "Succeeded")]),
    )


def fill_controller(controller: FakeController, runs: tuple[Run, ...]) -> None:
    """Give every screen something to show."""
    controller.listed = runs
    controller.lines = {"unit": ["one", "two", "three", "four"] * 20, "build-web": [f"line {n}" for n in range(400)]}
    controller.artifact_files = {"out/report.txt": b"all good", "out/page.md": b"# Title\n\n* a\n"}
    controller.saved_pipelines = (SavedPipeline("nightly", {"name": "nightly", "steps": []}),)
    controller.stored_secrets = (SecretNames("npm", ("token",)), SecretNames("aws", ("id", "key")))
    controller.known_connections = _connections()
    controller.test_report = TestReport((_UNIT_TESTS,), _TESTS)
    controller.test_histories = {"unit": TestHistory(("shop-1", "shop-2"), {"k1": "PF", "k2": "FP"}, frozenset({"k2"}))}
    slower = Slower(1.0, 50, "shop-2", "1a2b3c4d5e6f")
    steps = (StepTrend("unit", 9, 1, (1.0, 1.0, None, 10.0), 1.0, 10.0, slower),)
    controller.trends = {"shop": PipelineTrend("shop", 9, 1, (1.0, 1.0, None, 10.0), 1.0, 10.0, slower, steps=steps)}
    controller.health_report = Health(
        (ComponentHealth("store", False, "can't write: \x1b]2;x\x07the disk is full"),),
        3,
        95.0,
        (Quota("team", "pods", "9", "10"),),
        (Pod("shop-1-build-1", "build", "shop-1", "Running", "node-1", NOW),),
    )


_UNIT_TESTS = StepTests("unit", "unit", 1, 3, 1, 1, 1.76, True, False, ("broken.xml:3: it is not valid XML",))
_TESTS = (
    TestResult("unit", "k1", "test_total", "tests.test_cart", "failed", 0.5, "tests/test_cart.py", 9,
               "assert 41 == 42", "def test_total():\n>   assert total() == 42\nE   - 42\nE   + 41", "adding up"),
    TestResult("unit", "k2", "test_network", "tests.test_cart", "passed", 1.25),
    TestResult("unit", "k3", "test_later", "tests.test_cart", "skipped", None, message="not yet"),
)  # fmt: skip


def _tested_run() -> Run:
    failure = FirstFailure(3, "tests/test_cart.py:9: AssertionError")
    failed = step("unit", ("build",), "Failed", message="exit code 1", first_failure=failure)
    attempt = replace(failed.attempts[0], tests=TestCounts(3, 1, 1))
    steps = [step("build", (), "Succeeded"), replace(failed, attempts=(attempt,)), step("deploy", ("unit",), "Skipped")]
    return replace(run("shop-3", "Failed", steps, created_ago=600), definition=DEFINITION)


def _connections() -> tuple[Connection, ...]:
    deliveries = (
        Delivery("app", "d1", "2026-11-29T10:00:00Z", "push", "Started", "push to main", "a" * 40,
                 runs=(DeliveryRun("hello-7", "Failed", "StepFailed", "count failed: exit code 1"),)),
        Delivery("app", "d2", "2026-11-29T10:01:00Z", "push", "Ignored", "push to topic", reason="no branch matches"),
        Delivery("app", "d3", "2026-11-29T10:02:00Z", "pull_request", "Started", "pull request 12", "b" * 40,
                 runs=(DeliveryRun("shop-2", "Queued", "ApprovalRequired", "waits for an approval"),)),
    )  # fmt: skip
    return (Connection("app", "https://git.example.org/octo/app", "gitea", "approve", "run", deliveries=deliveries),)
