"""A run as one HTML page for a review or an issue: no script, no network, under 2 MB.

Whatever a run says is text in it: the page is built as a tree, and its policy forbids everything but its own style.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from xml.etree.ElementTree import Element

from controller.run_query import run_duration
from workbench.bundle.manifest import Manifest
from workbench.bundle.markup import element, shorten_texts, write_html, written_size
from workbench.bundle.page_drawings import PHASE_SIGNS, draw_chart, draw_graph
from workbench.bundle.page_style import STYLE
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Artifact, Run, RunEvent, Step
from workbench.client.test_results import TestReport
from workbench.report.report import build_report
from workbench.text.format import format_duration, format_size, plural
from workbench.text.sanitize import sanitize_label, sanitize_line

MAX_BYTES = 2_000_000
_LOG_BUDGET = 900_000
"""Bytes of all excerpts of logs."""
_LINES_BEFORE, _LINES_AFTER = 150, 150
"""Lines around the first failing one."""
_MAX_LINE = 1_000
_MAX_LOGS, _MAX_STEPS, _MAX_TESTS, _MAX_ARTIFACTS, _MAX_EVENTS = 20, 500, 50, 100, 50
_MAX_DEFINITION = 100_000
_MAX_TEXT = 2_000
_SHORTER_TEXTS = (500, 200, 80, 20)


class PageSource(Protocol):
    """What a page is made from; a bundle has it."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def only_run(self) -> Run: ...

    async def list_tests(self, run: str, *, step: str | None = None, failed: bool = False) -> TestReport: ...

    async def artifacts(
        self, run: str, *, step: str | None = None, limit: int | None = None
    ) -> tuple[Artifact, ...]: ...

    async def events(self, name: str) -> tuple[RunEvent, ...]: ...

    def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]: ...


@dataclass(frozen=True)
class Excerpt:
    """Lines of a log around its failure. `first` is the number of the first one; `marked` that of the failing one."""

    title: str
    lines: tuple[str, ...] = field(repr=False)
    first: int
    total: int
    marked: int | None = None


async def build_page(source: PageSource) -> str:
    """The page of a run. Raises ClientError."""
    run, now = source.only_run, source.manifest.as_of or datetime.now(UTC)
    excerpts = [excerpt async for excerpt in _excerpts(source, run)]
    report = await source.list_tests(run.name, failed=True)
    artifacts = await source.artifacts(run.name)
    warnings = [event for event in await source.events(run.name) if event.type == "Warning"]
    parts = [
        *_head(run, source.manifest, now),
        *_section("Steps", _graph(run)),
        *_section("Times", draw_chart(run, run.completion_time or now)),
        *_section("Why", _step_table(run, now)),
        *(part for excerpt in excerpts for part in _section(excerpt.title, *_log(excerpt))),
        *_section("Failed tests", *_tests(report)),
        *_section("Artifacts", *_artifacts(artifacts)),
        *_section("Warnings of the cluster", *_events(warnings)),
        *_section("Pipeline", _definition(run)),
        *_section("Not in the export", *_left_out(source.manifest)),
    ]
    return _write(_document(f"{run.name}: {run.phase}", parts))


def _write(document: Element) -> str:
    """The page. Where texts that grow when they are escaped would make it too large, the long ones are cut."""
    page = write_html(document)
    for limit in _SHORTER_TEXTS:
        if len(page.encode()) < MAX_BYTES:
            break
        shorten_texts(document, limit)
        page = write_html(document)
    return page


def _document(title: str, parts: Iterable[Element]) -> Element:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        element("title", {}, _text(title, 200)),
        element("style", {}, STYLE),
    )
    return element("html", {"lang": "en"}, head, element("body", {}, element("main", {}, *parts)))


def _section(title: str, *content: Element | None) -> Iterable[Element]:
    """A heading and what is below it; nothing if that is nothing."""
    found = [each for each in content if each is not None]
    return [element("section", {}, element("h2", {}, _text(title, 200)), *found)] if found else []


def _text(text: str, limit: int = _MAX_TEXT) -> str:
    """Text without control characters, on one line."""
    return sanitize_label(text, limit)


# -- the run


def _head(run: Run, manifest: Manifest, now: datetime) -> list[Element]:
    sign = PHASE_SIGNS.get(run.phase, "·")
    phase = run.phase if run.phase in PHASE_SIGNS else "Pending"
    facts = [
        ("pipeline", run.pipeline),
        ("branch", run.branch),
        ("commit", run.commit),
        ("event", run.event),
        ("started", _moment(run.start_time)),
        ("duration", format_duration(run_duration(run, run.completion_time or now))),
        ("runtime", run.runtime),
        *((f"parameter {name}", value) for name, value in run.params.items()),
        ("exported by", manifest.producer),
    ]
    rows = [
        element("div", {}, element("dt", {}, _text(name, 100)), element("dd", {}, _text(value)))
        for name, value in facts
        if value
    ]
    unfinished = f" It had not ended when it was exported, at {_moment(manifest.as_of)}." if manifest.as_of else ""
    return [
        element("h1", {}, element("span", {"class": f"sign {phase}"}, sign), " ", _text(run.name, 200)),
        element("p", {"class": phase}, _text(f"{run.phase}. {run.message or ''}{unfinished}")),
        element("dl", {}, *rows[:60]),
    ]


def _graph(run: Run) -> Element | None:
    if not run.steps:
        return None
    drawing = draw_graph(run)
    if drawing is None:
        return element("p", {"class": "muted"}, "The graph has too many lines to be drawn.")
    return element("div", {"class": "wide"}, drawing)


def _step_table(run: Run, now: datetime) -> Element | None:
    rows = [
        element(
            "tr",
            {},
            element("td", {"class": row.phase if row.phase in PHASE_SIGNS else ""}, PHASE_SIGNS.get(row.phase, "·")),
            element("td", {}, _text(row.name, 200)),
            element("td", {}, _text(row.phase, 20)),
            element("td", {"class": "number"}, format_duration(row.duration)),
            element("td", {"class": "number"}, str(row.attempts or "")),
            element("td", {}, _text(step.message or step.reason or "", 500)),
        )
        for row, step in zip(build_report(run, now).steps[:_MAX_STEPS], run.steps, strict=False)
    ]
    heads = ("", "step", "status", "time", "attempts", "why")
    head = element("tr", {}, *(element("th", {}, name) for name in heads))
    table = element("table", {}, element("thead", {}, head), element("tbody", {}, *rows))
    return element("div", {"class": "wide"}, table) if rows else None


# -- logs


async def _excerpts(source: PageSource, run: Run) -> AsyncGenerator[Excerpt, None]:
    """The logs of failed steps, then of those that run, as far as the page has room."""
    budget, phases = _LOG_BUDGET, ("Failed", "Running")
    shown = sorted((step for step in run.steps if step.phase in phases), key=lambda step: phases.index(step.phase))
    for step in shown[:_MAX_LOGS]:
        attempt = step.last_attempt
        if attempt is None or budget <= 0:
            continue
        try:
            excerpt = await _read_excerpt(source, run, step, attempt.number, budget // 2)
        except NotFoundError:
            continue
        except ClientError as error:
            excerpt = Excerpt(f"Log of {step.name}", (f"The log can't be read: {error}",), 1, 1)
        budget -= sum(written_size(line) + 40 for line in excerpt.lines)
        yield excerpt


async def _read_excerpt(source: PageSource, run: Run, step: Step, attempt: int, budget: int) -> Excerpt:
    """The lines around the first failing one, or the last ones, in at most `budget` bytes."""
    failure = step.first_failure
    marked = failure.line if failure is not None and failure.line > 0 else None
    kept: list[str] = []
    first, total = 1, 0
    blocks = source.log_blocks(run.name, step.slug, attempt=attempt, container="step")
    async with aclosing(blocks) as found:
        async for block in found:
            lines = block.split(b"\n")[:-1]
            at, total = total + 1, total + len(lines)
            if marked is not None:
                low, high = marked - _LINES_BEFORE, marked + _LINES_AFTER
                wanted = lines[max(low - at, 0) : max(high - at + 1, 0)]
                if wanted and not kept:
                    first = max(low, at)
                kept += [_line(line) for line in wanted]
            else:
                kept += [_line(line) for line in lines[-_LINES_BEFORE:]]
                kept = kept[-_LINES_BEFORE:]
                first = total - len(kept) + 1
    title = f"Log of {sanitize_label(step.name, 100)}"
    while kept and sum(written_size(line) + 40 for line in kept) > budget:
        drop = len(kept) // 4 + 1
        if marked is not None and marked - first < len(kept) // 2:
            kept = kept[:-drop]
        else:
            kept, first = kept[drop:], first + drop
    return Excerpt(title, tuple(kept), first, total, marked)


def _line(line: bytes) -> str:
    return sanitize_line(line[: 4 * _MAX_LINE].decode(errors="replace"), colour=False, limit=_MAX_LINE)


def _log(excerpt: Excerpt) -> list[Element]:
    last = excerpt.first + len(excerpt.lines) - 1
    note = f"Lines {excerpt.first:,} to {last:,} of {excerpt.total:,}"
    rows = [
        element(
            "span",
            {"class": "marked"} if number == excerpt.marked else {},
            element("b", {}, f"{number:>6} "),
            f"{line}\n",
        )
        for number, line in enumerate(excerpt.lines, excerpt.first)
    ]
    shown = element("p", {"class": "muted"}, note) if len(excerpt.lines) < excerpt.total else None
    return [each for each in (shown, element("pre", {"tabindex": "0"}, *rows)) if each is not None]


# -- what else there is


def _tests(report: TestReport) -> Iterable[Element]:
    for test in report.tests[:_MAX_TESTS]:
        place = f" ({_text(test.file, 200)}:{test.line or 1})" if test.file else ""
        details = (test.details or "")[: 4 * _MAX_TEXT].split("\n")[:40]
        yield element(
            "details",
            {},
            element("summary", {}, f"{_text(test.suite, 100)} {_text(test.name, 200)}{place}"),
            element("p", {}, _text(test.message or "")),
            element("pre", {}, "\n".join(sanitize_line(line, colour=False, limit=_MAX_LINE) for line in details)),
        )
    if (more := len(report.tests) - _MAX_TESTS) > 0:
        yield element("p", {"class": "muted"}, f"and {plural(more, 'more test')}")


def _artifacts(artifacts: tuple[Artifact, ...]) -> Iterable[Element]:
    if not artifacts:
        return
    rows = [
        element("li", {}, f"{_text(each.path, 300)} ", element("span", {"class": "muted"}, format_size(each.size)))
        for each in artifacts[:_MAX_ARTIFACTS]
    ]
    yield element("ul", {}, *rows)
    if (more := len(artifacts) - _MAX_ARTIFACTS) > 0:
        yield element("p", {"class": "muted"}, f"and {more:,} more")


def _events(events: list[RunEvent]) -> Iterable[Element]:
    if events:
        rows = [f"{_moment(each.last_time) or ''} {each.reason}: {each.message}" for each in events[:_MAX_EVENTS]]
        yield element("ul", {}, *(element("li", {}, _text(row, 500)) for row in rows))


def _definition(run: Run) -> Element | None:
    if run.definition is None:
        return None
    text = json.dumps(run.definition, indent=2, ensure_ascii=False)
    lines = text[:_MAX_DEFINITION].split("\n")
    shown = "\n".join(sanitize_line(line, colour=False, limit=_MAX_LINE) for line in lines)
    cut = "\n…" if len(text) > _MAX_DEFINITION else ""
    return element("details", {}, element("summary", {}, "The definition"), element("pre", {}, shown + cut))


def _left_out(manifest: Manifest) -> Iterable[Element]:
    if manifest.left_out:
        yield element("ul", {}, *(element("li", {}, _text(f"{o.what}: {o.why}", 500)) for o in manifest.left_out[:50]))
    if (more := manifest.left_out_count - len(manifest.left_out[:50])) > 0:
        yield element("p", {"class": "muted"}, f"and {more:,} more")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
