"""The workbench on a bundle: what it shows, and what keys that need a controller say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.bundles import AS_OF, FakeSource, decoded, export_unfinished, moment, rewrite, sample_run
from tests.support.tui.driver import WIDE, sees, until
from workbench.bundle.controller import BundleController
from workbench.bundle.write import ExportOptions, write_bundle
from workbench.tui.app import Workbench
from workbench.tui.startup import bundle_options

HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold]x[/bold]\u202e\x00"


async def bundle_at(path: Path, source: FakeSource | None = None) -> Path:
    with path.open("wb") as file:
        await write_bundle(source or FakeSource(), decoded(), file, ExportOptions(1_000_000, "test"))
    return path


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Pilot[Any]]:
    with BundleController(path) as bundle:
        app = Workbench(lambda _: bundle, bundle_options(bundle, path.name))
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, sees(app, path.name, bundle.only_run.phase))
            yield pilot
            assert not app.failures
            assert app.crash is None


async def test_a_run_is_shown_with_its_log_and_why_it_failed(tmp_path: Path) -> None:
    async with opened(await bundle_at(tmp_path / "a.c8srun")) as pilot:
        await until(pilot, sees(pilot.app, "build", "check", "after", "AssertionError: 2 != 3", "1 failed"))
        await pilot.press("T")
        await until(pilot, sees(pilot.app, "test_a", "2 != 3"))
        await pilot.press("escape", "d")
        await until(pilot, sees(pilot.app, "failing line", "param target"))


async def test_time_stands_still_in_a_run_that_had_not_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.c8srun"
    await asyncio.to_thread(export_unfinished, path)
    async with opened(path) as pilot:
        await until(pilot, sees(pilot.app, "as of 2026-01-01 12:00:30 UTC", "30.0s", "AssertionError: 2 != 3"))
        assert pilot.app.now() == AS_OF
        await pilot.press("less_than_sign")
        await until(pilot, sees(pilot.app, "of 30.0s"))


@pytest.mark.parametrize(("key", "said"), [("R", "can't run it again"), ("F", "can't run it again")])
async def test_keys_that_need_a_controller_say_so(key: str, said: str, tmp_path: Path) -> None:
    async with opened(await bundle_at(tmp_path / "a.c8srun")) as pilot:
        await pilot.press(key)
        await until(pilot, sees(pilot.app, "Not started", said))


async def test_every_key_is_survived(tmp_path: Path) -> None:
    async with opened(await bundle_at(tmp_path / "a.c8srun")) as pilot:
        for key in ("ctrl+x", "S", "M", "r", "L", "C", "K", "P", "equals_sign", "c", "b", "B", "U", "o", "D", "H"):
            await pilot.press(key)
            await pilot.pause(0.05)
            await pilot.press("escape")
            await pilot.pause(0.05)


async def test_hostile_content_stays_inert(tmp_path: Path) -> None:
    raw = sample_run()
    raw |= {"branch": HOSTILE, "event": HOSTILE, "commit": HOSTILE, "params": {HOSTILE: HOSTILE}}
    raw["status"]["message"] = HOSTILE
    for step in raw["status"]["steps"]:
        step |= {"message": HOSTILE, "reason": HOSTILE}
        step["name"] = step["name"] + HOSTILE
        step["dependsOn"] = [each + HOSTILE for each in step["dependsOn"]]
    source = FakeSource()
    source.logs["check", 2, "step"] = f"{moment(9)} {HOSTILE}\n".encode() * 50
    path = rewrite(await bundle_at(tmp_path / "a", source), tmp_path / "b.c8srun", {"run.json": raw})
    async with opened(path) as pilot:
        for key in ("T", "escape", "d", "tab", "escape", "2", "down", "down", "W"):
            await pilot.press(key)
            await pilot.pause(0.1)
        text = "".join(segment.text for strip in pilot.app.screen._compositor.render_strips() for segment in strip)
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\x00"}
