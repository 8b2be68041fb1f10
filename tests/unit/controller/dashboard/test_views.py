"""What pages show, as pure functions: the graph, bars, lines of logs, folded commands, and lists."""

from __future__ import annotations

import array
import unicodedata
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import labels
from controller.dashboard.pages.artifacts import as_text, picture_type
from controller.dashboard.pages.tests import in_order
from controller.dashboard.rendering import plain
from controller.dashboard.views.graph_svg import draw_graph, edges_of, place
from controller.dashboard.views.log_html import basic_colour, line_html, rows_html
from controller.dashboard.views.log_view import MAX_HITS, PAGE_LINES, build_log, read_range, search_lines
from controller.dashboard.views.run_rows import PAGE_SIZE, pipeline_rows, select_runs
from controller.dashboard.views.run_view import BAR_WIDTH, RunView, build_run
from controller.dashboard.views.usage_view import HEIGHT, build_usage
from controller.logs import Block, Line, LogHub, LogReader, Stream
from controller.logs.archive.writer import ArchiveWriter
from controller.storage import DirectoryStore
from tests.unit.controller.dashboard.browser import step

NOW = datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "a\u202egnp.exe",
    "\x1b]0;title\x07\x1b[2J",
    "]]>",
    "&lt;",
    "javascript:alert(1)",
    "x" * 5000,
    "\x00",
    "日本語 🎉",
]
STREAM = Stream("a", "uid", "build", 1, "step")
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def run_object(steps: list[dict[str, Any]], name: str = "ci-1", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "a", "resourceVersion": "7",
                     "creationTimestamp": "2026-01-01T00:00:00Z",
                     "labels": {labels.RUN_NUMBER: name.rpartition("-")[2]}},
        "spec": {"pipeline": {"name": name.rpartition("-")[0]}, "branch": "main"},
        "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "steps": steps, **status},
    }  # fmt: skip


def view(steps: list[dict[str, Any]]) -> RunView:
    return build_run(run_object(steps), NOW)


def svg(run: RunView) -> ET.Element:
    """The drawing, which must be well-formed XML."""
    return ET.fromstring(f"<svg>{''.join(draw_graph(run).nodes.values())}</svg>")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_name_is_only_text_in_the_graph(name: str) -> None:
    found = svg(view([step(name, slug="s", message=name), step("b", dependsOn=[name])]))
    tags = {each.tag for each in found.iter()}
    assert tags == {"svg", "a", "title", "rect", "text"}
    attributes = {key for each in found.iter() for key in each.attrib}
    assert attributes <= {"id", "class", "href", "x", "y", "width", "height", "rx"}
    assert {each.get("href") for each in found.iter("a")} == {"ci-1/steps/s", "ci-1/steps/b"}


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_any_names_make_a_sound_graph(names: list[str]) -> None:
    steps = [step(name, slug=f"s{at}", dependsOn=names[:at][-2:]) for at, name in enumerate(names)]
    found = draw_graph(view(steps))
    ET.fromstring(f"<svg>{''.join(found.nodes.values())}</svg>")
    boxes = list(found.placement.boxes.values())
    assert len(set(boxes)) == len(boxes)
    assert all(x >= 0 and x + width <= found.placement.width for x, _, width in boxes)


def test_dependencies_lead_from_left_to_right() -> None:
    run = view([step("build"), step("test", dependsOn=["build"]), step("deploy", dependsOn=["test", "build"])])
    boxes = draw_graph(run).placement.boxes
    assert boxes["build"][0] < boxes["test"][0] < boxes["deploy"][0]
    assert edges_of(run.steps) == [("build", "test"), ("test", "deploy"), ("build", "deploy")]


def test_dependency_on_a_matrix_is_one_on_all_its_steps_and_large_ones_are_one_node() -> None:
    steps = [step(f"test (py={n})", slug=f"test-{n}", matrixOf="test") for n in range(5)]
    run = view([*steps, step("deploy", dependsOn=["test"])])
    assert edges_of(run.steps) == [(f"test (py={n})", "deploy") for n in range(5)]
    found = draw_graph(run)
    assert list(found.placement.boxes) == ["test ×5", "deploy"]
    assert 'href="#s0"' in found.nodes["n0"]


def test_layout_is_made_once_for_a_run() -> None:
    place.cache_clear()
    for phase in ("Pending", "Running", "Succeeded"):
        draw_graph(view([step("a", phase), step("b", phase, dependsOn=["a"])]))
    assert (place.cache_info().misses, place.cache_info().hits) == (1, 2)


def test_bars_are_where_the_attempts_were() -> None:
    times = {"created": "2026-01-01T00:00:00Z", "running": "2026-01-01T00:00:15Z", "finished": "2026-01-01T00:00:45Z"}
    attempt = {"number": 1, "phase": "Failed", "times": times}
    found = view([step("a", "Failed", attempts=[attempt])]).steps[0].bars
    assert [(bar.part, bar.x, bar.width) for bar in found] == [
        ("waiting", 0, BAR_WIDTH // 4),
        ("running", BAR_WIDTH // 4, BAR_WIDTH // 2),
    ]


def test_allowed_failure_is_no_alarm() -> None:
    found = view([step("lint", "Failed", allowFailure=True), step("test", "Failed")]).steps
    assert [each.shown for each in found] == ["Allowed", "Failed"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_line_is_only_text(text: str) -> None:
    found = ET.fromstring(f"<div>{rows_html([Line(1, None, text.encode('utf-8', 'replace'))], 'x')}</div>")
    assert {each.tag for each in found.iter()} <= {"div", "a", "code", "span"}
    assert {key for each in found.iter() for key in each.attrib} <= {"id", "href", "class"}


@given(st.binary(max_size=300))
def test_any_bytes_make_a_sound_line(data: bytes) -> None:
    line = data.replace(b"\n", b"")
    shown = "".join(ET.fromstring(f"<p>{line_html(line)}</p>").itertext())
    assert not {unicodedata.category(char) for char in shown} & HIDDEN


def test_colours_are_classes() -> None:
    assert line_html(b"\x1b[1;31mred\x1b[0m <b>") == '<span class="bold f1">red</span> &lt;b&gt;'
    assert [basic_colour(each) for each in (9, 196, 21, 255, (0, 0, 0))] == [9, 9, 4, 7, 0]


def test_failing_line_is_marked_and_each_number_links_to_itself() -> None:
    found = rows_html([Line(7, None, b"ok"), Line(8, None, b"boom")], "lint", 8)
    assert '<div id="L7"><a href="lint?line=7#L7">7</a><code>ok</code></div>' in found
    assert '<div id="L8" class="failing">' in found


def command(text: str, line: int, code: int | None = 0) -> dict[str, Any]:
    return {"text": text, "line": line, "startTime": None, "endTime": None, "exitCode": code}


def lines(first: int, last: int) -> list[Line]:
    return [Line(number, None, b"x") for number in range(first, last + 1)]


def test_commands_are_folded_but_for_what_matters() -> None:
    commands = [command("one", 1), command("two", 3), command("quiet", 5), command("last", 5, 1)]
    found = build_log(lines(1, 6), commands, base="", failing=6, wanted=None, total=6, has_more=False)
    assert [(each.title, each.open, each.html.count("<code>")) for each in found.sections] == [
        ("one", False, 2), ("two", False, 2), ("quiet", False, 0), ("last", True, 2),
    ]  # fmt: skip
    wanted = build_log(lines(1, 6), commands, base="", failing=6, wanted=3, total=6, has_more=False)
    assert [each.open for each in wanted.sections] == [False, True, False, True]


def test_command_without_output_at_the_end_is_shown() -> None:
    found = build_log(lines(1, 2), [command("a", 1), command("b", 3)], base="", failing=None, wanted=None, total=2,
                      has_more=False)  # fmt: skip
    assert [each.title for each in found.sections] == ["a", "b"]


def test_range_within_a_command_has_its_part_only() -> None:
    found = build_log(lines(4, 6), [command("a", 1), command("b", 3), command("c", 9)], base="", failing=None,
                      wanted=None, total=20, has_more=True)  # fmt: skip
    assert [(each.title, each.html.count("<code>")) for each in found.sections] == [("b", 3)]


@given(st.lists(st.integers(1, 40), max_size=6), st.integers(1, 30), st.integers(0, 12))
def test_every_line_is_shown_once(begins: list[int], first: int, count: int) -> None:
    commands = [command(str(at), begin) for at, begin in enumerate(sorted(begins))]
    found = build_log(lines(first, first + count), commands, base="", failing=None, wanted=None, total=None,
                      has_more=True)  # fmt: skip
    text = "".join(each.html for each in found.sections)
    assert [f'id="L{number}"' in text for number in range(first, first + count + 1)] == [True] * (count + 1)
    assert text.count("<code>") == count + 1


async def archived(folder: Path, count: int) -> LogReader:
    store = DirectoryStore(folder, b"k" * 32, "http://127.0.0.1")
    writer = ArchiveWriter(store, STREAM)
    data = b"".join(b"line %d\n" % number for number in range(1, count + 1))
    writer.add(Block(1, array.array("q", [0] * count), data))
    await writer.finish(None, None)
    return LogReader(LogHub(), store)


@pytest.mark.parametrize(("first", "tail", "expected", "more"), [
    (1, None, (1, PAGE_LINES), True), (900, None, (900, 1200), False), (701, None, (701, 1200), False),
    (700, None, (700, 1199), True), (1, PAGE_LINES, (701, 1200), False), (5000, None, None, False),
])  # fmt: skip
async def test_ranges_of_a_log(
    tmp_path: Path, first: int, tail: int | None, expected: tuple[int, int] | None, more: bool
) -> None:
    found, has_more = await read_range(await archived(tmp_path, 1200), STREAM, first, tail)
    assert has_more is more
    assert ((found[0].number, found[-1].number) if found else None) == expected
    assert all(line.data == b"line %d" % line.number for line in found)


async def test_search_finds_text_in_any_case_and_stops(tmp_path: Path) -> None:
    logs = await archived(tmp_path, 1200)
    found, more = await search_lines(logs.blocks(STREAM), "LINE 119")
    assert [line.number for line in found] == [119, *range(1190, 1200)]
    assert not more
    found, more = await search_lines(logs.blocks(STREAM), "line")
    assert (len(found), more) == (MAX_HITS, True)
    # It is text, not a pattern.
    assert await search_lines(logs.blocks(STREAM), "line .") == ([], False)


def test_filters_are_those_of_the_workbench() -> None:
    runs = [run_object([], f"ci-{number}", phase="Failed" if number % 2 else "Succeeded") for number in range(1, 121)]
    found = select_runs(runs, "status:failed", None, 1, NOW)
    assert (found.total, len(found.rows), found.has_next) == (60, PAGE_SIZE, True)
    assert found.rows[0].name == "ci-119"
    assert [row.name for row in select_runs(runs, "status:failed", None, 2, NOW).rows][-1] == "ci-1"
    assert select_runs(runs, "statsu:failed", None, 1, NOW).problems == (
        "there is no field 'statsu'; did you mean status?",
    )
    assert select_runs(runs, "", "other", 1, NOW).rows == []


def test_trend_has_the_last_runs_of_each_pipeline() -> None:
    runs = [run_object([], f"{name}-{number}", phase="Succeeded") for name in ("b", "a") for number in range(1, 20)]
    found = pipeline_rows(runs, ["saved"])
    assert [(row.name, row.total, row.saved) for row in found] == [
        ("a", 19, False),
        ("b", 19, False),
        ("saved", 0, True),
    ]
    assert [row.number for row in found[0].recent] == list(range(8, 20))


def test_only_pictures_without_scripts_are_pictures() -> None:
    assert picture_type(b"\x89PNG\r\n\x1a\n...") == "image/png"
    assert picture_type(b"RIFF....WEBP") == "image/webp"
    for other in (b"<svg xmlns='http://www.w3.org/2000/svg'>", b"<html>", b"BM", b"", b"RIFF....WAVE"):
        assert picture_type(other) is None


def test_text_may_be_cut_within_a_character() -> None:
    assert as_text("aé".encode()[:2], cut=True) == "a"
    assert as_text("aé".encode()[:2], cut=False) is None
    assert as_text(b"\xff\xfe", cut=True) is None
    assert as_text(b"a\0b", cut=False) is None


@given(st.text())
def test_plain_text_is_printable(text: str) -> None:
    assert not {unicodedata.category(char) for char in plain(text)} & HIDDEN


def test_usage_is_peaks_and_bars_of_what_was_asked_for() -> None:
    usage = {"memory": 300 * 2**20, "cpu": 1500, "samples": 3, "interval": 2, "every": 1,
             "memoryOverTime": [100, 300, 150], "cpuOverTime": [0, 750, 1500]}  # fmt: skip
    memory, cpu = build_usage({"usage": usage}, {"resources": {"memory": "2Gi"}})
    assert (memory.peak, memory.requested, memory.heights) == ("300.0 MiB", "2Gi", (13, HEIGHT, HEIGHT // 2))
    assert (cpu.peak, cpu.requested, cpu.heights) == ("1.50 cores", "", (0, HEIGHT // 2, HEIGHT))
    assert memory.label == "memory: at most 300.0 MiB of 2Gi, each bar 2.00s"
    assert build_usage({"usage": {"memory": 1}}, {}) == build_usage(None, {}) == build_usage({}, {}) == []
    assert build_usage({"usage": {"samples": 1}}, {})[0].heights == ()


def test_tests_that_failed_are_first_whatever_their_step() -> None:
    listed = [{"name": name, "outcome": outcome} for name, outcome in
              (("a", "failed"), ("b", "skipped"), ("c", "passed"), ("d", "skipped"), ("e", "error"))]  # fmt: skip
    # Those beyond the limit of the list are in the list of failures.
    failed = [listed[0], listed[4], {"name": "z", "outcome": "failed"}]
    assert "".join(each["name"] for each in in_order(failed, listed)) == "aezbdc"
