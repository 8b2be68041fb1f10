"""Bundles that were made to harm, in every way there is to open them; `bench/workbench/bundle_fuzz.py` has more."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.support.hostile_bundles.archive import Entry, pack
from tests.support.hostile_bundles.make import base_bundles, hostile_bundle
from tests.support.tui.hostile_bundle_use import use_hostile_bundle
from tests.support.tui.styles import parsed_styles
from workbench.bundle.controller import BundleController


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[list[Entry]]:
    return base_bundles(tmp_path_factory.mktemp("bases"))


def test_a_seed_makes_one_file_and_seeds_make_all_changes(bases: list[list[Entry]]) -> None:
    made = [hostile_bundle(seed, bases) for seed in range(60)]
    assert made[7] == hostile_bundle(7, bases)
    changes = Counter(change for _, done in made for change in done)
    assert len(changes) >= 11, changes


def test_without_changes_the_file_is_a_good_one(bases: list[list[Entry]], tmp_path: Path) -> None:
    for base in bases:
        (tmp_path / "a").write_bytes(pack(base))
        with BundleController(tmp_path / "a") as bundle:
            assert bundle.only_run.name == "shop-3"


def test_each_is_shown_or_refused_in_words(bases: list[list[Entry]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.setenv(name, os.environ[name])  # Put back afterwards.
    with parsed_styles():
        outcomes = [use_hostile_bundle(seed, bases, length=6) for seed in (1, 2, 3, 4, 6, 8, 9, 12)]
    assert any(each.refused for each in outcomes)
    assert any("RunScreen" in each.screens for each in outcomes)
