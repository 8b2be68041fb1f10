"""Capability tokens let in whom they were made for, for as long as they were made for, and nobody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.capability import Capability, mint, verify

KEY = b"the key of this controller"
capabilities = st.builds(Capability, st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))


@given(capability=capabilities, key=st.binary(min_size=1))
def test_a_token_stands_for_what_it_was_made_for(capability: Capability, key: bytes) -> None:
    assert verify(key, mint(key, capability, expires=100), now=99) == capability


@given(capability=capabilities, late=st.integers(0, 10**6))
def test_an_expired_token_is_worth_nothing(capability: Capability, late: int) -> None:
    assert verify(KEY, mint(KEY, capability, expires=100), now=100 + late) is None


@given(capability=capabilities, other=st.binary(min_size=1))
def test_a_token_of_another_key_is_worth_nothing(capability: Capability, other: bytes) -> None:
    if other != KEY:
        assert verify(KEY, mint(other, capability, expires=100), now=1) is None


@given(capability=capabilities, data=st.data())
def test_a_token_with_any_character_changed_is_worth_nothing(capability: Capability, data: st.DataObject) -> None:
    token = mint(KEY, capability, expires=100)
    place = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.characters())
    if put != token[place]:
        assert verify(KEY, token[:place] + put + token[place + 1 :], now=1) is None


@given(st.text())
def test_any_other_text_is_no_token(text: str) -> None:
    assert verify(KEY, text, now=1) is None
