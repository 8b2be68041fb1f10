"""The history of run changes: what a watch that broke off is owed."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.api.streaming.watch_cache import Change, WatchCache


def run(name: str, version: int, namespace: str = "a") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": name, "resourceVersion": str(version)},
        "spec": {},
    }


def synced_cache(version: int = 10, **limits: int) -> WatchCache:
    watch_cache = WatchCache(**limits)
    watch_cache.mark_synced(str(version))
    return watch_cache


def names(changes: list[Change] | None) -> list[tuple[str, int | None]]:
    assert changes is not None
    return [(change.name, change.version) for change in changes]


def after(watch_cache: WatchCache, version: int) -> list[tuple[str, int | None]] | None:
    position = watch_cache.cursor_after(version)
    return None if position is None else names(watch_cache.read(position))


def test_the_first_list_is_no_change() -> None:
    watch_cache = WatchCache()
    watch_cache.record("added", run("x", 7))
    watch_cache.mark_synced("9")
    assert watch_cache.end == 0
    assert watch_cache.latest == 9


def test_who_knows_a_version_is_given_everything_after_it() -> None:
    watch_cache = synced_cache()
    for version in (11, 13, 17):
        watch_cache.record("modified", run("x", version))
    assert after(watch_cache, 10) == [("x", 11), ("x", 13), ("x", 17)]
    assert after(watch_cache, 13) == [("x", 17)]
    assert after(watch_cache, 14) == [("x", 17)]
    assert after(watch_cache, 17) == []


def test_a_version_from_before_the_first_list_is_too_old() -> None:
    assert synced_cache(10).cursor_after(9) is None


def test_a_version_that_fell_out_of_the_history_is_too_old() -> None:
    watch_cache = synced_cache(max_changes=2)
    for version in (11, 12, 13):
        watch_cache.record("modified", run("x", version))
    assert after(watch_cache, 10) is None
    assert after(watch_cache, 11) == [("x", 12), ("x", 13)]


def test_large_changes_push_old_ones_out_by_their_size() -> None:
    watch_cache = synced_cache(max_bytes=700)
    for version in range(11, 31):
        watch_cache.record("modified", run("x", version))
    assert watch_cache.cursor_after(11) is None
    assert after(watch_cache, 30) == []


def test_changes_found_by_listing_again_follow_the_last_id() -> None:
    watch_cache = synced_cache()
    watch_cache.record("modified", run("x", 20))
    watch_cache.record("deleted", run("y", 12))
    watch_cache.mark_synced("30")
    watch_cache.record("modified", run("x", 31))
    assert after(watch_cache, 20) == [("y", None), ("x", 31)]
    assert after(watch_cache, 31) == []


def test_id_is_too_old_once_later_changes_are_dropped() -> None:
    watch_cache = synced_cache(max_changes=2)
    watch_cache.record("modified", run("x", 20))
    for name in ("a", "b", "c"):
        watch_cache.record("deleted", run(name, 12))
    assert after(watch_cache, 20) is None


def test_dropped_position_is_reported() -> None:
    watch_cache = synced_cache(max_changes=2)
    position = watch_cache.end
    for version in range(11, 20):
        watch_cache.record("modified", run("x", version))
    assert watch_cache.read(position) is None


async def test_a_waiting_reader_is_woken_by_a_change() -> None:
    watch_cache = synced_cache()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(watch_cache.wait_for_change(watch_cache.end, 5))
        await asyncio.sleep(0)
        watch_cache.record("added", run("x", 11))
    assert waiting.result()


async def test_waiting_ends_with_its_time_and_with_the_history() -> None:
    watch_cache = synced_cache()
    assert not await watch_cache.wait_for_change(watch_cache.end, 0.001)
    watch_cache.close()
    assert await watch_cache.wait_for_change(watch_cache.end, 5)


@given(
    st.lists(st.integers(min_value=1, max_value=60), max_size=60),
    st.integers(min_value=1, max_value=8),
    st.integers(0, 60),
)
def test_a_resumed_reader_never_misses_a_change(versions: list[int], kept: int, cut: int) -> None:
    """A client that stops after any change and resumes from the last id they saw is given all later ones, or told
    to start again.
    """
    watch_cache = WatchCache(max_changes=kept)
    watch_cache.mark_synced("0")
    seen_id, owed = 0, []
    for index, version in enumerate(versions):
        known = watch_cache.latest
        watch_cache.record("modified", run(f"r{index}", version))
        if index < cut:
            seen_id = version if version > known else seen_id
        else:
            owed.append(f"r{index}")
    given_ = after(watch_cache, seen_id)
    if given_ is not None:
        assert [name for name, _ in given_][-len(owed) :] == owed or not owed
    else:
        assert len(versions) > kept
