"""The preview of an artifact."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from pathlib import Path

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, run, step
from workbench.tui.screens.artifacts.preview import PreviewPane, PreviewScreen
from workbench.tui.screens.details import DetailsScreen
from workbench.tui.terminal.external_programs import temporary_folder


def shop(**files: bytes) -> FakeWorkbench:
    app = FakeWorkbench([run("shop-1", "Succeeded", [step("build", (), "Succeeded")])], open_run="shop-1")
    app.controller.artifact_files = {name.replace("_", "."): content for name, content in files.items()}
    return app


async def test_a_text_is_shown_and_searched_like_a_log() -> None:
    app = shop(report_txt=b"\n".join(b"line %d" % n for n in range(1, 501)))
    before = set(temporary_folder().iterdir())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "report.txt"))
        await pilot.press("enter")
        await until(pilot, sees(app, "report.txt", "text, 4 KiB", "1  line 1"))
        await pilot.press("slash", *"line 400", "enter")
        await until(pilot, sees(app, "1 of 1 found", "line 400"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DetailsScreen))
    assert set(temporary_folder().iterdir()) <= before, "the copy that was shown is deleted"


async def test_json_is_indented_and_hostile_text_is_harmless() -> None:
    app = shop(a_json=b'{"title":"\\u001b[2Jx\\u202e","n":1}')
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "a.json"))
        await pilot.press("enter")
        await until(pilot, sees(app, "JSON", '"n": 1'))
        assert "\u202e" not in shown(app)


async def test_what_is_too_large_is_not_downloaded() -> None:
    app = shop(x_log=b"")
    app.controller.artifact_sizes = {"x.log": 5 << 30}
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "x.log"))
        await pilot.press("enter")
        await until(pilot, sees(app, "are too much to be shown here; ctrl+s saves the file."))
        assert app.controller.downloaded == []
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.controller.downloaded == ["x.log"])


async def test_leaving_while_it_loads_is_no_failure() -> None:
    app = shop(x_gz=gzip.compress(b"hello\n" * 1000))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "x.gz"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PreviewScreen))
        await pilot.press("escape", "enter")
        await until(pilot, sees(app, "gz file", "hello"))


async def test_keys_that_are_typed_before_it_has_loaded_are_for_it() -> None:
    app, loaded = shop(report_txt=b"\n".join(b"line %d" % n for n in range(1, 501))), asyncio.Event()
    download = app.controller.download_file

    async def wait(run: str, step: str, path: str, target: Path) -> int:
        await loaded.wait()
        return await download(run, step, path, target)

    app.controller.download_file = wait  # type: ignore[method-assign]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "report.txt"))
        await pilot.press("tab", "enter", "ampersand", *"line 400", "enter")
        await until(pilot, lambda: app.screen.query_one(PreviewPane).search.filter is not None)
        loaded.set()
        await until(pilot, sees(app, "1 of 500 lines", "400  line 400"))


async def test_artifacts_have_the_names_of_their_steps() -> None:
    built = replace(step("unit (py=3.12)", (), "Succeeded"), slug="unit-py-3-12")
    app = FakeWorkbench([run("shop-1", "Succeeded", [built])], open_run="shop-1")
    app.controller.artifact_files = {"report.txt": b"x"}
    app.controller.artifact_step = built.slug
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ unit"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "unit (py=3.12)", "report.txt"))
        await pilot.press("tab", "enter")
        await until(pilot, sees(app, "unit (py=3.12) › report.txt"))
