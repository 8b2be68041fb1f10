"""The pictures of the documentation: their text and times, and that they load nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tools.pictures import images
from tools.pictures.camera import text_of, with_fixed_text, without_fonts
from tools.pictures.fixed_times import created_at, with_fixed_times

SVG = """
<style>
@font-face { font-family: "Fira Code"; src: url("https://fonts.example.org/fira.woff2"); }
.matrix { font-family: Fira Code, monospace; font-size: 20px; }
</style>
<text class="r1" x="12" y="20" textLength="9">two&#160;words</text><text class="r2" x="0" y="20">&lt;</text>
<text class="r1" x="0" y="44.4">below</text>
"""


def attempt(**times: str) -> dict[str, Any]:
    return {"number": 1, "phase": "Succeeded", "times": times, "usage": {"cpu": 7}}


STATUS = {
    "phase": "Succeeded",
    "startTime": "2026-11-01T00:00:00Z",
    "completionTime": "2026-11-01T00:00:09Z",
    "criticalPath": ["last"],
    "steps": [
        {"name": "last", "dependsOn": ["test"], "attempts": [attempt(created="x", running="x", finished="x")]},
        {"name": "test (1)", "matrixOf": "test", "attempts": [attempt(created="x", running="x", finished="x")]},
        {"name": "test (2)", "matrixOf": "test", "attempts": [attempt(created="x", running="x")]},
        {"name": "skipped", "dependsOn": ["last"], "completionTime": "x"},
    ],
}


def test_the_text_of_a_picture_is_read_row_by_row() -> None:
    assert text_of(SVG) == "<two words\nbelow"


def test_fonts_of_other_hosts_are_removed() -> None:
    picture = without_fonts(SVG)
    assert "fonts.example.org" not in picture
    assert "Fira Code" not in picture
    assert "font-size: 20px" in picture


def test_what_differs_between_two_pictures_of_the_same_is_replaced() -> None:
    one, two = (
        f'<g class="terminal-{number}-r1"><text>Ran&#160;3&#160;tests&#160;in&#160;0.00{number}s</text></g>'
        for number in (3, 7)
    )
    assert one != two
    assert with_fixed_text(one, "a") == with_fixed_text(two, "a") != with_fixed_text(one, "b")


def test_times_are_those_of_a_schedule_and_nothing_else_changes() -> None:
    fixed = with_fixed_times("ci-1", STATUS, created_at(0))
    again = with_fixed_times("ci-1", {**STATUS, "startTime": "2027-01-01T00:00:00Z"}, created_at(0))
    assert fixed == again
    steps = {step["name"]: step for step in fixed["steps"]}
    assert list(steps) == ["last", "test (1)", "test (2)", "skipped"]
    times = {name: step["attempts"][0]["times"] for name, step in steps.items() if "attempts" in step}
    assert set(times["test (1)"]) == {"created", "running", "finished"}
    assert set(times["test (2)"]) == {"created", "running"}, "one that goes on has no end"
    assert times["test (1)"]["created"] < times["test (1)"]["running"] < times["test (1)"]["finished"]
    assert max(times["test (1)"]["finished"], times["test (2)"]["running"]) < times["last"]["created"]
    assert steps["skipped"]["completionTime"] == fixed["completionTime"] > times["last"]["finished"]
    assert "attempts" not in steps["skipped"]
    assert {step["attempts"][0]["phase"] for step in fixed["steps"] if "attempts" in step} == {"Succeeded"}
    assert "criticalPath" not in fixed, "it follows from the times"
    assert "usage" not in steps["last"]["attempts"][0], "it is measured"


def test_runs_were_created_one_after_another() -> None:
    assert created_at(3) - created_at(0) == 3 * (created_at(1) - created_at(0)) > timedelta(minutes=3)


def test_a_digest_changes_with_what_is_drawn_and_not_with_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "ROOT", tmp_path)
    monkeypatch.setattr(images, "SOURCES", {"a.svg": ("*.py", "style.css")})
    (tmp_path / "draw.py").write_text("x = 1\n")
    (tmp_path / "style.css").write_text("a { color: red }\n")
    before = images.digest("a.svg")
    (tmp_path / "draw.py").write_text("# Why.\n\nx = 1\n")
    (tmp_path / "other.css").write_text("unrelated")
    assert images.digest("a.svg") == before
    (tmp_path / "style.css").write_text("a { color: blue }\n")
    assert images.digest("a.svg") != before
    (tmp_path / "style.css").unlink()
    with pytest.raises(FileNotFoundError, match=r"style\.css"):
        images.digest("a.svg")


@pytest.mark.parametrize("name", [name for name in images.SOURCES if name.endswith(".svg")])
def test_a_committed_picture_loads_nothing(name: str) -> None:
    picture = (images.FOLDER / name).read_text()
    assert re.findall(r"url\(['\"]?http|@import|@font-face|<script|<image|xlink:href", picture) == []


@pytest.mark.parametrize("name", images.SOURCES)
def test_a_picture_is_shown_on_a_page_and_described(name: str) -> None:
    pages = [images.ROOT / "README.md", *(images.ROOT / "docs").glob("*.md")]
    found = [text for page in pages for text in re.findall(rf"!\[([^\]]*)\]\([\w/]*images/{name}\)", page.read_text())]
    assert found, f"no page shows {name}"
    assert all(len(text) > 20 for text in found), "without the picture, its description says what it shows"


def test_there_is_no_other_picture() -> None:
    assert {path.name for path in images.FOLDER.iterdir()} - {images.DIGESTS.name} == set(images.SOURCES)


def test_no_picture_is_older_than_what_it_shows() -> None:
    assert images.outdated() == [], (
        "these pictures show an earlier version of the program: run `just pictures` (python -m tools.pictures; needs "
        "Chromium), look at docs/images, and commit them"
    )


def test_a_picture_is_outdated_when_its_sources_or_itself_are_not_those_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROOT", "FOLDER"):
        monkeypatch.setattr(images, name, tmp_path)
    monkeypatch.setattr(images, "DIGESTS", tmp_path / "sources.json")
    monkeypatch.setattr(images, "SOURCES", {"a.svg": ("style.css",), "b.svg": ("page.html",)})
    for name in ("style.css", "page.html", "a.svg", "b.svg"):
        (tmp_path / name).write_text(name)
    assert images.outdated() == ["a.svg", "b.svg"], "never taken"
    images.record()
    assert images.outdated() == []
    (tmp_path / "style.css").write_text("other")
    assert images.outdated() == ["a.svg"]
    images.record()
    (tmp_path / "b.svg").unlink()
    assert images.outdated() == ["b.svg"]
