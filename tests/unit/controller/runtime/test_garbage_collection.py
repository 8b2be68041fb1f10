"""Full collections look only at what is new, and at everything once much has grown."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from controller.runtime import garbage_collection
from controller.runtime.garbage_collection import SurvivorFreezer, begin_collections


class Cycle:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _collections_are_restored() -> Iterator[None]:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_survives_a_full_collection_is_left_out_of_the_next_ones() -> None:
    begin_collections()
    cycle = Cycle()
    alive = weakref.ref(cycle)
    before = gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() > before
    del cycle
    gc.collect()
    assert alive() is not None


def test_what_becomes_garbage_before_is_freed() -> None:
    begin_collections()
    alive = weakref.ref(Cycle())
    gc.collect()
    assert alive() is None


def test_a_full_collection_looks_at_everything_once_much_was_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_collections()
    cycle = Cycle()
    alive = weakref.ref(cycle)
    gc.collect()
    del cycle
    limit = gc.get_freeze_count() + 10_000
    monkeypatch.setattr(garbage_collection, "_limit", lambda _: limit)
    monkeypatch.setattr(garbage_collection, "_COUNTED_EVERY", 2)
    gc.callbacks[:] = [SurvivorFreezer()]
    gc.collect()
    gc.collect()
    assert alive() is not None
    kept = [[] for _ in range(20_000)]  # type: list[list[int]]
    # Of these, the second one counts, and the third one looks at everything.
    for _ in range(3):
        gc.collect()
    assert alive() is None
    assert len(kept) == 20_000
    # From here on, survivors are frozen again.
    assert gc.get_freeze_count() > len(kept)


@pytest.mark.parametrize(("phase", "generation"), [("start", 2), ("stop", 0), ("stop", 1)])
def test_other_collections_freeze_nothing(phase: str, generation: int) -> None:
    before = gc.get_freeze_count()
    SurvivorFreezer()(phase, {"generation": generation})
    assert gc.get_freeze_count() == before
