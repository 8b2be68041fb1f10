"""The mask against secrets that somebody else has written into a log: 320 cases; `bench/mask_fuzz.py` runs more."""

from __future__ import annotations

import random
from types import ModuleType

import pytest

from bench import mask_fuzz
from controller.logs.masking import encodings, mask, text_forms


@pytest.mark.parametrize("seed", range(8))
def test_no_secret_is_seen_and_nothing_else_is_changed(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        assert (mask_fuzz.wrong(mask_fuzz.make(chance), chance)) is None


@pytest.mark.parametrize(
    ("module", "form"),
    [(encodings, "base64_forms"), *((text_forms, f"_{name}_forms") for name in ("url", "json", "shell"))],
)
def test_a_mask_that_does_not_know_a_form_would_be_found(
    module: ModuleType, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, form, lambda _: ())
    chance = random.Random(1)
    assert any(mask_fuzz.wrong(mask_fuzz.make(chance), chance, cuts=0) for _ in range(250))


def test_fuzzer_finds_a_mask_that_holds_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask.SecretPatterns, "pending_start", lambda self, data: len(data))
    chance = random.Random(1)
    assert any(mask_fuzz.wrong(mask_fuzz.make(chance), chance) for _ in range(5))
