"""Capability tokens are valid for the run and the time they were minted for, and for nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.capability import Capability, mint, verify

KEY = b"the key of this controller"
names = st.text(max_size=20)
roles = st.sampled_from(["step", "source"])
capabilities = st.builds(Capability, names, names, names, names, st.integers(1, 1000), roles)


@given(capability=capabilities, key=st.binary(min_size=1))
def test_token_stands_for_its_capability(capability: Capability, key: bytes) -> None:
    assert verify(key, mint(key, capability, expires=100), now=99) == capability


def test_format_of_tokens_is_stable() -> None:
    """Pods hold tokens across an upgrade of the controller."""
    token = "WzIsIm5zIiwicnVuLTEiLCJ1IiwiYnVpbGQiLDEsImZldGNoIiwxMDBd.dDP3CTtgxLm6bFFZE6D6iBnMYLHmGvJI04tRTjPmsqQ"
    assert verify(KEY, token, now=99) == Capability("ns", "run-1", "u", "build", 1, "step"), "of an earlier version"
    token = "WzIsIm5zIiwicnVuLTEiLCJ1IiwiYnVpbGQiLDEsInN0ZXAiLDEwMF0.2IGEfLpWOApJ7SJgrJjJGY7aQdIZUjAdv6NgROPUbCo"
    assert mint(KEY, Capability("ns", "run-1", "u", "build", 1, "step"), expires=100) == token


def test_token_for_a_whole_run_is_invalid() -> None:
    """Earlier versions minted such tokens."""
    token = "WyJucyIsInJ1bi0xIiwidSIsMTAwXQ.DeUBebkUtnwOLvkOx5mnABh7RRzgzH36DBqCjFAjBzU"
    assert verify(KEY, token, now=1) is None


@given(capability=capabilities, late=st.integers(0, 10**6))
def test_expired_token_is_invalid(capability: Capability, late: int) -> None:
    assert verify(KEY, mint(KEY, capability, expires=100), now=100 + late) is None


@given(capability=capabilities, other=st.binary(min_size=1))
def test_token_of_another_key_is_invalid(capability: Capability, other: bytes) -> None:
    if other != KEY:
        assert verify(KEY, mint(other, capability, expires=100), now=1) is None


@given(capability=capabilities, data=st.data())
def test_changing_any_character_invalidates_a_token(capability: Capability, data: st.DataObject) -> None:
    token = mint(KEY, capability, expires=100)
    index = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.characters())
    if put != token[index]:
        assert verify(KEY, token[:index] + put + token[index + 1 :], now=1) is None


@given(st.text())
def test_any_other_text_is_not_a_token(text: str) -> None:
    assert verify(KEY, text, now=1) is None
