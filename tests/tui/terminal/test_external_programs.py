"""Opening files with external programs."""

from __future__ import annotations

from workbench.tui.terminal.external_programs import viewer_command


def test_viewer_is_the_desktop_or_a_pager() -> None:
    assert viewer_command({"DISPLAY": ":0"}, "linux", lambda _: "there") == (["xdg-open"], False)
    assert viewer_command({"DISPLAY": ":0", "PAGER": "most -s"}, "linux", lambda it: it if it == "most" else None) == (
        ["most", "-s"], True,
    )  # fmt: skip
    assert viewer_command({}, "linux", lambda _: None) == (["more"], True)
    assert viewer_command({}, "darwin", lambda _: None) == (["open"], False)
