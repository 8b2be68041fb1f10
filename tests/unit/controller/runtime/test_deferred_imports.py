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


async def test_modules_are_imported_when_requested(capsys: pytest.CaptureFixture[str]) -> None:
    imports = DeferredImports({"first": ["this"], "last": []})
    running, waiting = asyncio.create_task(imports.run()), asyncio.create_task(imports.wait("first"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "this" not in sys.modules, "who waits does not request it"
    imports.request()
    await asyncio.wait_for(waiting, 60)
    assert "this" in sys.modules
    assert "Zen" in capsys.readouterr().out
    imports.request(all_at_once=True)
    await asyncio.wait_for(running, 60)


async def test_the_last_stage_is_imported_also_if_nobody_requests_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runtime.deferred_imports._PAUSE", 0.001)
    imports = DeferredImports({"first": [], "last": ["this"]})
    imports.request()
    await asyncio.wait_for(imports.run(), 60)
    assert "this" in sys.modules


async def test_a_stage_is_not_held_up_by_the_next_one() -> None:
    """A module of the next stage that can't be imported: what waits for the first stage goes on all the same."""
    imports = DeferredImports({"first": ["this"], "second": ["no.such.module"]})
    imports.request(all_at_once=True)
    waiting = asyncio.create_task(imports.wait("second"))
    with pytest.raises(ModuleNotFoundError):
        await imports.run()
    await asyncio.wait_for(imports.wait("first"), 60)
    assert not waiting.done()
    waiting.cancel()


async def test_garbage_is_collected_after_the_last_stage() -> None:
    gc.disable()
    imports = DeferredImports({"first": ["this"], "second": []})
    imports.request(all_at_once=True)
    await imports.run()
    assert gc.isenabled()
