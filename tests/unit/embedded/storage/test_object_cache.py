from hypothesis import given
from hypothesis import strategies as st

from embedded.storage.object_cache import SizedCache


def test_the_values_used_longest_ago_are_dropped_first() -> None:
    cache: SizedCache[str, str] = SizedCache(8)
    for key in "abcd":
        cache.put(key, key.upper(), 2)
    assert cache.get("a") == "A"
    cache.put("e", "E", 2)
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]


def test_a_large_value_is_not_kept_and_drops_the_earlier_one() -> None:
    cache: SizedCache[str, str] = SizedCache(8)
    cache.put("a", "small", 1)
    cache.put("b", "other", 1)
    cache.put("a", "large", 3)
    assert cache.get("a") is None
    assert cache.get("b") == "other"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5) | st.none())))
def test_what_is_kept_is_current_and_within_the_size(changes: list[tuple[str, int | None]]) -> None:
    cache: SizedCache[str, int] = SizedCache(12)
    current: dict[str, int] = {}
    for key, size in changes:
        if size is None:
            cache.remove(key)
            current.pop(key, None)
        else:
            cache.put(key, size, size)
            current[key] = size
    found = {key: cache.get(key) for key in "abcdef"}
    kept = {key: value for key, value in found.items() if value is not None}
    assert kept.items() <= current.items()
    assert sum(kept.values()) <= 12
