"""The place that runs run on, the pipelines that can be run there, and the way into a step."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.tui.fakes import NOW, FakeLauncher, Scene, busy_app, hello, run, step
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.client import ComponentHealth, CopyOf, Health, Pod, Quota, SavedPipeline, SavedWorkspace, Step
from workbench.client.errors import ServerError
from workbench.tui.screens.cluster import ClusterScreen
from workbench.tui.services.interfaces import LaunchResult
from workbench.tui.terminal.external_programs import temporary_folder, viewer_command

HEALTH = Health(
    (
        ComponentHealth("watch of runs", True, None),
        ComponentHealth("store", False, "can't write: \x1b]2;x\x07the disk is full"),
    ),
    3,
    95.0,
    (Quota("team", "pods", "9", "10"), Quota("team", "requests.cpu", "500m", "4")),
    (Pod("shop-1-build-1", "build", "shop-1", "Running", "node-1", NOW),),
)


@dataclass(frozen=True)
class Status:
    name: str = "default"
    state: str = "unhealthy"
    temporary: bool = True
    components: tuple[object, ...] = ()


async def status() -> Status:
    return Status()


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_the_cluster_screen_tells_what_is_well_and_what_is_not(size: tuple[int, int]) -> None:
    scene = Scene([hello(1)], sandbox=status)
    scene.controller.health_report = HEALTH
    async with scene.app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-1"))
        await pilot.press("C")
        await until(pilot, sees(scene, "✗ default", "unhealthy", "✓ watch of runs", "✗ store", "the disk is full"))
        assert "3 runs, the first for 1m35s" in shown(scene)
        assert "9 of 10 (90 %)" in shown(scene)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(scene.app.screen, ClusterScreen))


async def test_a_cluster_that_does_not_answer_says_so_and_the_sandbox_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene([hello(1)], sandbox=status)

    async def refuse() -> Health:
        raise ServerError("it is out of order")

    monkeypatch.setattr(scene.controller, "health", refuse)
    async with scene.app.run_test(size=WIDE) as pilot:
        await until(pilot, sees(scene, "hello-1"))
        await pilot.press("C")
        await until(pilot, sees(scene, "unhealthy", "it is out of order"))


async def test_the_last_lines_of_what_failed_are_shown_beside_the_list() -> None:
    scene = busy_app()
    async with scene.app.run_test(size=WIDE) as pilot:
        await until(pilot, sees(scene, "✗ unit", "FAILED tests/test_cart.py::test_total", "1 failed, 26 passed"))


async def test_pipelines_of_the_folder_and_of_the_cluster_are_run_from_beside_the_list() -> None:
    launcher = FakeLauncher(LaunchResult(hello(8, "Running")))
    scene = Scene([hello(7)], launcher=launcher)
    scene.controller.saved_pipelines = (SavedPipeline("nightly", {"name": "nightly", "steps": []}),)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "PIPELINES", ".c8s.yaml", "folder", "nightly", "cluster"))
        await pilot.press("p", "end", "enter")
        await until(pilot, sees(scene, "runs › hello-8"))
        assert scene.controller.created_runs[0].pipeline["name"] == "nightly"
        assert scene.controller.created_runs[0].source is None
        assert launcher.launches == 0


async def test_a_failed_run_goes_on_with_the_mended_pipeline() -> None:
    launcher = FakeLauncher(LaunchResult(hello(8, "Running")))
    scene = Scene([hello(7, "Failed")], launcher=launcher, open_run="hello-7")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ greet"))
        await pilot.press("M")
        await until(pilot, lambda: launcher.launches == 1)
        assert launcher.options["reuse_from"] == "hello-7"


async def test_a_shell_needs_a_running_step_and_a_terminal() -> None:
    asked: list[tuple[str, str, str]] = []

    def command(*about: str) -> list[str]:
        asked.append(about)  # type: ignore[arg-type]
        return [sys.executable, "-c", ""]

    made = run("shop-1", "Running", [step("work", (), "Running"), step("later", ("work",))])
    scene = Scene([made], open_run="shop-1", shell=command)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "◐ work"))
        await pilot.press("2", "end", "S")
        await until(pilot, sees(scene, "later is pending; a shell needs a running one"))
        assert asked == []
        await pilot.press("home", "S")
        await until(pilot, sees(scene, "can't be handed over"))
        assert asked == [("shop-1", "work", "step")]


async def test_a_failed_step_that_was_kept_is_entered_like_a_running_one() -> None:
    asked: list[tuple[str, ...]] = []

    def command(*about: str) -> list[str]:
        asked.append(about)
        return [sys.executable, "-c", ""]

    def tried(name: str, kept: SavedWorkspace | None) -> Step:
        made = step(name, (), "Failed", message="exit code 1")
        return replace(made, attempts=(replace(made.attempts[0], saved_workspace=kept),))

    steps = [tried("kept", SavedWorkspace(12 << 20, 340)), tried("large", SavedWorkspace(problem="it has too much")),
             tried("plain", None)]  # fmt: skip
    scene = Scene([run("shop-1", "Failed", steps)], open_run="shop-1", shell=command)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ kept"))
        await pilot.press("2", "home", "S")
        await until(pilot, sees(scene, "can't be handed over"))
        assert asked == [("shop-1", "kept", "step")]
        await pilot.press("d")
        await until(pilot, sees(scene, "kept (12.0 MiB packed, 340 files): S opens a shell in it"))
        await pilot.press("escape", "2", "down", "S")
        await until(pilot, sees(scene, "The workspace of large could not be kept: it has too much"))
        await pilot.press("end", "S")
        await until(pilot, sees(scene, "its workspace was not kept"))
        assert len(asked) == 1


async def test_a_copy_that_somebody_looks_around_in_is_in_no_list() -> None:
    copy = replace(run("shop-debug-1", "Running", [step("kept", (), "Running")]), copy_of=CopyOf("shop-1", "kept", 1))
    scene = Scene([run("shop-1", "Failed", [step("kept", (), "Failed")]), copy])
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "shop-1"))
        assert "shop-debug" not in shown(scene)


async def test_the_log_of_a_service_is_one_of_those_that_c_goes_through() -> None:
    work = step("work", (), "Running", containers=("step", "svc-db"))
    scene = Scene([run("shop-1", "Running", [work])], open_run="shop-1")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "◐ work"))
        await pilot.press("2", "c")
        await until(pilot, sees(scene, "svc-db"))


async def test_an_artifact_is_opened_from_a_private_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/seen\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("DISPLAY", ":0")
    from workbench.client import Artifact

    made = replace(step("build", (), "Succeeded"), artifacts=(Artifact("build", "out/report.txt", 5, None),))
    scene = Scene([run("shop-1", "Succeeded", [made])], open_run="shop-1")
    scene.controller.artifacts["out/report.txt"] = b"hello"
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(scene, "out/report.txt"))
        await pilot.press("tab", "o")
        await until(pilot, sees(scene, "Opened report.txt"))
    assert (tmp_path / "seen").read_bytes() == b"hello"
    assert temporary_folder().stat().st_mode & 0o077 == 0


def test_a_file_is_shown_by_the_desktop_or_by_a_pager() -> None:
    assert viewer_command({"DISPLAY": ":0"}, "linux", lambda _: "there") == (["xdg-open"], False)
    assert viewer_command({"DISPLAY": ":0", "PAGER": "most -s"}, "linux", lambda it: it if it == "most" else None) == (
        ["most", "-s"], True,
    )  # fmt: skip
    assert viewer_command({}, "linux", lambda _: None) == (["more"], True)
    assert viewer_command({}, "darwin", lambda _: None) == (["open"], False)
