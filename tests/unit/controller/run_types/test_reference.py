"""The committed page of status reasons."""

from __future__ import annotations

from pathlib import Path

from controller.run_types import reference

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "status-reasons.md"


def test_committed_page_has_the_generated_tables() -> None:
    page = PAGE.read_text()
    start, end = page.index("<!-- reasons: begin -->"), page.index("<!-- reasons: end -->")
    committed = page[start:end].partition("\n")[2].strip()
    assert committed == reference.render(), "run `python -m controller.run_types.reference` and insert its output"
