"""The mask against secrets that somebody else has written into a log: 2,000 cases; `bench/mask_fuzz.py` runs more."""

from __future__ import annotations

import random

import pytest

from bench import mask_fuzz
from controller.logs.masking import encodings, mask


@pytest.mark.parametrize("seed", range(8))
def test_no_secret_is_seen_and_nothing_else_is_changed(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(250):
        assert (mask_fuzz.wrong(mask_fuzz.make(chance))) is None


@pytest.mark.parametrize("form", ["_base64_forms", "_url_forms", "_json_forms", "_shell_forms"])
def test_a_mask_that_does_not_know_a_form_would_be_found(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, form, lambda _: ())
    chance = random.Random(1)
    assert any(mask_fuzz.wrong(mask_fuzz.make(chance)) for _ in range(250))


def test_fuzzer_finds_a_mask_that_holds_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask.SecretPatterns, "pending_length", lambda self, data: 0)
    chance = random.Random(1)
    assert any(mask_fuzz.wrong(mask_fuzz.make(chance)) for _ in range(5))
