"""Modules that are imported once they are needed."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator

import pytest

from controller.runtime.deferred_imports import DeferredImports


@pytest.fixture(autouse=True)
def _module_is_forgotten() -> Iterator[None]:
    sys.modules.pop("this", None)
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


async def test_modules_are_imported_when_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    imports = DeferredImports(["this"])
    async with asyncio.TaskGroup() as group:
        group.create_task(imports.run())
        await asyncio.sleep(0)
        assert "this" not in sys.modules
        await asyncio.wait_for(imports.wait(), 60)
    assert "this" in sys.modules
    assert "Zen" in capsys.readouterr().out


async def test_first_modules_are_not_held_up_by_the_others() -> None:
    """A module that takes long to import: what waits for the first ones goes on before it is there."""
    imported: list[str] = []
    imports = DeferredImports(["this"], ["no.such.module"])

    async def use() -> None:
        await imports.wait_for_first()
        imported.append("this")

    using = asyncio.create_task(use())
    with pytest.raises(ModuleNotFoundError):
        await imports.run()
    await using
    assert imported == ["this"]


async def test_failing_import_ends_the_run() -> None:
    imports = DeferredImports(["no.such.module"])
    imports.request()
    with pytest.raises(ModuleNotFoundError):
        await imports.run()
