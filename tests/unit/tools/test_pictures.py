"""The pictures of the documentation: their text, and that they load nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.pictures import IMAGES, text_of, without_fonts

SVG = """
<style>
@font-face { font-family: "Fira Code"; src: url("https://fonts.example.org/fira.woff2"); }
.matrix { font-family: Fira Code, monospace; font-size: 20px; }
</style>
<text class="r1" x="12" y="20" textLength="9">two&#160;words</text><text class="r2" x="0" y="20">&lt;</text>
<text class="r1" x="0" y="44.4">below</text>
"""


def test_the_text_of_a_picture_is_read_row_by_row() -> None:
    assert text_of(SVG) == "<two words\nbelow"


def test_fonts_of_other_hosts_are_removed() -> None:
    picture = without_fonts(SVG)
    assert "fonts.example.org" not in picture
    assert "Fira Code" not in picture
    assert "font-size: 20px" in picture


@pytest.mark.parametrize("name", ["workbench", "editor", "failed-run"])
def test_a_committed_picture_loads_nothing(name: str) -> None:
    picture = (IMAGES / f"{name}.svg").read_text()
    assert re.findall(r"url\(['\"]?http|@import|@font-face|<script|<image|xlink:href", picture) == []


def test_every_picture_is_shown_on_a_page() -> None:
    root = Path(__file__).parents[3]
    pages = (root / "README.md").read_text() + (root / "docs" / "index.md").read_text()
    assert [path.name for path in IMAGES.iterdir() if f"images/{path.name}" not in pages] == []
