"""Recordings of a run that is played: what the terminal shows at a moment of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bundles import FakeSource, moment, rewrite, sample_run
from tests.tui.test_bundle import HOSTILE, bundle_at
from workbench.bundle.controller import BundleController
from workbench.bundle.errors import BundleError
from workbench.tui import recording
from workbench.tui.recording import record


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two a second: each takes the time in which a log waits for more lines."""
    monkeypatch.setattr(recording, "_FRAME", 0.5)


async def test_a_recording_shows_the_run_second_by_second(tmp_path: Path) -> None:
    steps: list[tuple[float, float]] = []
    with BundleController(await bundle_at(tmp_path / "a.c8srun")) as bundle:
        found = await record(bundle, (100, 30), lambda done, of: steps.append((done, of)))
    header, *events = (json.loads(line) for line in found.splitlines())
    assert {key: header[key] for key in ("version", "width", "height", "title")} == {
        "version": 2, "width": 100, "height": 30, "title": "shop-3",
    }  # fmt: skip
    times = [time for time, _, _ in events]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(14, abs=0.5), "12 s, and the end for two more"
    assert {kind for _, kind, _ in events} == {"o"}

    def until(seconds: float) -> str:
        return "".join(data for time, _, data in events if time <= seconds)

    assert "first try" not in until(4.9)
    assert "first try" in until(5.5)
    assert "2 != 3" not in until(9.9)
    assert "2 != 3" in until(10.5)
    assert "Failed" in until(13)
    assert steps[-1] == (12, 12)


async def test_hostile_text_is_inert_in_a_recording(tmp_path: Path) -> None:
    source = FakeSource()
    source.logs["check", 2, "step"] = f"{moment(9)} {HOSTILE}\n".encode()
    raw = sample_run()
    raw["status"]["message"] = HOSTILE
    path = rewrite(await bundle_at(tmp_path / "a", source), tmp_path / "b", {"run.json": raw})
    with BundleController(path) as bundle:
        found = await record(bundle, (100, 30))
    text = "".join(json.loads(line)[2] for line in found.splitlines()[1:])
    assert "\x1b]0;owned" not in text
    assert "\u202e" not in text
    assert "\x1b[2J" not in text


async def test_an_interrupted_recording_ends_at_once(tmp_path: Path) -> None:
    with BundleController(await bundle_at(tmp_path / "a.c8srun")) as bundle:
        begun = asyncio.Event()
        task = asyncio.create_task(record(bundle, (100, 30), lambda done, of: begun.set()))
        await asyncio.wait_for(begun.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 3)


async def test_a_run_without_times_can_not_be_recorded(tmp_path: Path) -> None:
    with BundleController(await bundle_at(tmp_path / "a.c8srun")) as bundle:
        bundle._run = replace(bundle.only_run, created_at=None, start_time=None, completion_time=None, steps=())
        with pytest.raises(BundleError, match="no times"):
            await record(bundle, (100, 30))
