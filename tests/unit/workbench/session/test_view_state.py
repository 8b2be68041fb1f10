"""The saved view of each folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.session.view_state import SavedView, ThemeChoice, ViewState

VIEW = SavedView(
    "default", "run", "shop-1", "/home/me/.c8s.yaml", {"runs": {"filter": "x", "preview": False, "row": 3}}
)


def test_each_folder_has_its_own_view(tmp_path: Path) -> None:
    here, there = ViewState(tmp_path / "state", tmp_path / "a"), ViewState(tmp_path / "state", tmp_path / "b")
    here.save_view(VIEW)
    assert ViewState(tmp_path / "state", tmp_path / "a").load_view() == (VIEW, None)
    assert there.load_view() == (SavedView(), None)


def test_view_state_files_are_private(tmp_path: Path) -> None:
    state = ViewState(tmp_path / "state", tmp_path)
    state.save_view(VIEW)
    state.save_theme(ThemeChoice("nord", None))
    kept = tmp_path / "state"
    assert [path.stat().st_mode & 0o077 for path in (kept, *kept.rglob("*"))] == [0, 0, 0, 0]


def test_theme_is_shared_by_all_folders(tmp_path: Path) -> None:
    ViewState(tmp_path / "state", tmp_path / "a").save_theme(ThemeChoice("nord", "c8s-light"))
    assert ViewState(tmp_path / "state", tmp_path / "b").load_theme() == (ThemeChoice("nord", "c8s-light"), None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 50_000,
        b'"' + b"x" * 70_000 + b'"',
        json.dumps({"place": "", "screen": "moon", "run": None, "file": None, "layout": {}}).encode(),
        json.dumps({"place": "", "screen": "run", "run": 3, "file": None, "layout": {}}).encode(),
        json.dumps({"place": "", "screen": "run", "run": None, "file": None, "layout": {"runs": 3}}).encode(),
    ],
)
def test_invalid_file_is_reported_and_replaced(tmp_path: Path, data: bytes) -> None:
    state = ViewState(tmp_path / "state", tmp_path)
    state.save_view(VIEW)
    (file,) = (tmp_path / "state" / "views").iterdir()
    file.write_bytes(data)
    view, problem = state.load_view()
    assert view == SavedView()
    assert problem is not None
    assert str(file) in problem
    state.save_view(VIEW)
    assert state.load_view() == (VIEW, None)


def test_value_of_unknown_type_is_dropped(tmp_path: Path) -> None:
    state = ViewState(tmp_path / "state", tmp_path)
    state.save_view(VIEW)
    (file,) = (tmp_path / "state" / "views").iterdir()
    raw = json.loads(file.read_text())
    raw["layout"]["runs"]["more"] = [1]
    file.write_text(json.dumps(raw))
    assert state.load_view() == (VIEW, None)


def test_oldest_views_are_deleted(tmp_path: Path) -> None:
    for number in range(205):
        ViewState(tmp_path / "state", tmp_path / str(number)).save_view(VIEW)
    assert len(list((tmp_path / "state" / "views").iterdir())) == 200
