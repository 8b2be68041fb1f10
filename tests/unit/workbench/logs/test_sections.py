"""Commands and groups of a log, found however the log grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client.models import CommandStarted, StreamKey
from workbench.logs.log_file import LogFile
from workbench.logs.sections import GroupScanner, Section, command_sections, merge_sections

KEY = StreamKey("build", 1, "step")


def groups_of(*lines: bytes) -> list[tuple[int, int | None, str]]:
    with LogFile() as log:
        log.extend(b"".join(line + b"\n" for line in lines))
        scanner = GroupScanner(log)
        while scanner.advance():
            pass
        return [(group.first, group.end, group.title) for group in scanner.groups()]


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ([b"a", b"::group::Install", b"b", b"::endgroup::", b"c"], [(1, 4, "Install")]),
        ([b"::group::one", b"a", b"::group::two", b"b"], [(0, 2, "one"), (2, None, "two")]),
        ([b"::endgroup::", b"a"], []),
        (
            [b"--- :npm: Build", b"a", b"+++ Test", b"~~~ Clean"],
            [(0, 2, ":npm: Build"), (2, 3, "Test"), (3, None, "Clean")],
        ),
        ([b"--- a/x.py", b"+++ b/x.py", b"@@ -1 +1 @@"], []),
        ([b"a --- b", b" ::group::x", b"----", b"--- "], [(3, None, "")]),
        (
            [b"\x1b[0Ksection_start:1560896352:out[collapsed=true]\r\x1b[0KOuter", b"section_start:1:in\r\x1b[0K", b"a",
             b"\x1b[0Ksection_end:1560896353:out\r\x1b[0K", b"b"],
            [(0, 4, "Outer"), (1, 4, "in")],
        ),
    ],
)  # fmt: skip
def test_groups_of_other_systems_are_found(lines: list[bytes], groups: list[tuple[int, int | None, str]]) -> None:
    assert groups_of(*lines) == groups


@given(st.lists(st.sampled_from([b"x", b"::group::a", b"::endgroup::", b"--- b", b"+++ c"]), max_size=20), st.data())
def test_groups_are_the_same_however_the_log_grows(lines: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(lines)))
    with LogFile() as log:
        scanner = GroupScanner(log)
        for part in (lines[:cut], lines[cut:]):
            log.extend(b"".join(line + b"\n" for line in part))
            while scanner.advance():
                pass
        found = [(group.first, group.end, group.title) for group in scanner.groups()]
    assert found == groups_of(*lines)


def test_command_ends_where_the_next_one_starts() -> None:
    started = [CommandStarted(KEY, 0, 1, 10, "make"), CommandStarted(KEY, 1, 4, 20, "make test")]
    running = command_sections(started, ended=False, stop=None, exit_code=None)
    assert running == [
        Section("command", 0, 3, "make", start=10, stop=20, exit_code=0),
        Section("command", 3, None, "make test", start=20),
    ]
    ended = command_sections(started, ended=True, stop=50, exit_code=2)
    assert ended[1] == Section("command", 3, None, "make test", start=20, stop=50, exit_code=2)


def test_group_ends_at_the_latest_with_its_command() -> None:
    commands = [Section("command", 0, 5, "a"), Section("command", 5, None, "b")]
    groups = [Section("group", 2, None, "g"), Section("group", 5, 9, "h")]
    assert merge_sections(commands, groups) == [
        commands[0],
        Section("group", 2, 5, "g"),
        commands[1],
        groups[1],
    ]
