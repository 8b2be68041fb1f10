"""Random use of the app with a fake controller; `bench/workbench/random_use.py` plays more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tui.random_use import play_sequences


@pytest.mark.parametrize("seed", [2, 3, 15])
async def test_random_use_finds_no_failure(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await play_sequences(tmp_path, seed, sequences=2)
