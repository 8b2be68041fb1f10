"""Which keys a store takes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.storage import InvalidKeyError, check_key, check_prefix


@pytest.mark.parametrize("key", ["sources/ab12.tar.gz", "logs/ns/run-1/build/1.svc-db.log.d/000001", "a", "_/b@1"])
def test_valid_keys_are_accepted(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "..", "a/../b", "a/.", ".hidden", "a/-x", "a\\b", "a b", "a\n", "é", "a\0", "x" * 1025,
     "x" * 201, "a/%2e%2e/b", "~/a", "a:b"],
)  # fmt: skip
def test_unsafe_keys_are_rejected(key: str) -> None:
    with pytest.raises(InvalidKeyError):
        check_key(key)


@given(st.text(max_size=30))
def test_accepted_keys_stay_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except InvalidKeyError:
        return
    root = Path("/root/of/store")
    assert (root / key).resolve().is_relative_to(root)
    assert (root / key).resolve() != root


@pytest.mark.parametrize("prefix", ["", "logs/", "logs/ns/run-1/build/1", "a"])
def test_valid_prefixes_are_accepted(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "../", "a//", ".", "a/../"])
def test_invalid_prefixes_are_rejected(prefix: str) -> None:
    with pytest.raises(InvalidKeyError):
        check_prefix(prefix)
