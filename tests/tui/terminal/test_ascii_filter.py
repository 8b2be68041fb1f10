"""ASCII-only output and the signs of phases."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import busy_app
from workbench.text.width import cell_width
from workbench.tui.options import AppOptions
from workbench.tui.terminal.ascii_filter import supports_unicode, to_ascii
from workbench.tui.theme import PHASE_SIGNS, phase_sign


async def test_ascii_only_app_draws_ascii() -> None:
    app = busy_app(open_run="webshop-42", options=AppOptions(ascii_only=True))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed", "v clone", "x unit", "* build-web", "o image", "~ publish"))
        assert shown(app).isascii()
        await pilot.press("question_mark")
        await until(pilot, sees(app, "Keyboard shortcuts", "Anywhere"))
        assert shown(app).isascii()


@pytest.mark.parametrize(
    ("environ", "takes"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "de_DE.utf8", "TERM": "xterm"}, True),
        ({}, True),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LC_ALL": "", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, False),
    ],
)
def test_unicode_support_is_detected(environ: dict[str, str], takes: bool) -> None:
    assert supports_unicode(environ) is takes


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30))
def test_ascii_text_keeps_its_width(text: str) -> None:
    assert to_ascii(text).isascii()
    assert cell_width(to_ascii(text)) == cell_width(text)


def test_phase_signs_are_distinct() -> None:
    ends = [phase_sign(phase) for phase in PHASE_SIGNS if phase != "Queued"]
    ends.append(phase_sign("Failed", allowed=True))
    assert len(set(ends)) == len(ends)
    assert len({to_ascii(each) for each in ends}) == len(ends)
    assert set(PHASE_SIGNS.values()) < set(ends)


def test_every_sign_of_the_workbench_has_one_in_ascii() -> None:
    texts = _literals(Path(workbench.__file__).parent / "tui") | _literals(Path(workbench.__file__).parent / "report")
    signs = {char for text in texts for char in text if not char.isascii()}
    assert {"✓", "▸", "↳", "≠"} <= signs
    # The lens is in Textual's table; a question mark is a good sign for it.
    assert {sign for sign in signs if to_ascii(sign) == "?"} == {"⌕"}


def test_folded_and_unfolded_sections_differ_in_ascii() -> None:
    assert to_ascii("▸") != to_ascii("▾")


def _literals(folder: Path) -> set[str]:
    """The strings of all modules below a folder, without documentation."""
    found = set()
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
        }
    return found
