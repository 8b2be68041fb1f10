"""Rows of a log with folded and unfolded sections."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.folding import Folding
from workbench.logs.sections import Section, merge_sections

LINES = 12


@st.composite
def sections(draw: st.DrawFn) -> list[Section]:
    starts = sorted(draw(st.lists(st.integers(0, LINES), max_size=4)))
    commands = [
        Section("command", start, end, f"c{start}") for start, end in zip(starts, [*starts[1:], None], strict=False)
    ]
    marks = sorted(draw(st.sets(st.integers(0, LINES - 1), max_size=4)))
    groups = [Section("group", start, end, f"g{start}") for start, end in zip(marks, [*marks[1:], None], strict=False)]
    longer = [group.end is not None and group.end > group.first + 1 for group in groups]
    groups = [
        replace(group, has_end_marker=is_longer and draw(st.booleans()))
        for group, is_longer in zip(groups, longer, strict=True)
    ]
    return merge_sections(commands, groups)


def naive_rows(found: list[Section], folded: set[tuple[str, int]]) -> list[Section | int]:
    """Each row: a section for its heading, or a line."""
    rows: list[Section | int] = []
    hidden_until = 0
    for line in range(LINES + 1):
        for section in (each for each in found if each.first == line and line >= hidden_until):
            if hidden_until > line:
                break
            rows.append(section)
            if (section.kind, section.first) in folded:
                hidden_until = LINES + 1 if section.end is None else section.end
        is_marker = any(
            (section.kind == "group" and section.first == line) or (section.has_end_marker and section.end == line + 1)
            for section in found
        )
        if line < LINES and line >= hidden_until and not is_marker:
            rows.append(line)
    return rows


@given(sections(), st.data())
def test_rows_are_headings_and_the_lines_that_are_not_folded(found: list[Section], data: st.DataObject) -> None:
    keys = [(section.kind, section.first) for section in found]
    folded = set(data.draw(st.lists(st.sampled_from(keys), max_size=3))) if keys else set()
    folding = Folding(found, folded)
    rows = naive_rows(found, folded)
    count = folding.row_count(LINES)
    shown: list[Section | int] = [folding.section_at(row) or folding.line_at(row) for row in range(count)]
    assert shown == rows
    for row, shown_row in enumerate(rows):
        if isinstance(shown_row, int):
            assert folding.row_of(shown_row) == row
    for line in range(LINES):
        row = folding.row_of(line)
        assert 0 <= row < count
        assert folding.line_at(row) <= line


def test_running_section_that_is_folded_hides_what_comes() -> None:
    folding = Folding([Section("command", 2, None, "make")], {("command", 2)})
    assert folding.row_count(5) == folding.row_count(500) == 3
    assert folding.row_of(400) == 2


def test_markers_of_groups_have_no_rows() -> None:
    outer = Section("group", 1, 6, "outer", has_end_marker=True)
    folding = Folding([outer, Section("group", 2, 5, "inner", has_end_marker=True)], set())
    rows = [folding.section_at(row) or folding.line_at(row) for row in range(folding.row_count(8))]
    assert [row if isinstance(row, int) else row.title for row in rows] == [0, "outer", "inner", 3, 6, 7]
    assert (folding.row_of(4), folding.row_of(5), folding.row_of(6)) == (3, 3, 4)
