"""The page of a run: what it has, that nothing in it acts, and that it stays small."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bundles import FakeSource, export_sample, moment, rewrite, sample_run
from workbench.bundle.controller import BundleController
from workbench.bundle.page import MAX_BYTES, build_page

HOSTILE = (
    "</style></title></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>"
    "<a href=javascript:alert(1)>x</a>\x1b]8;;http://evil\x07\x1b[2J\u202e\x00]]>&lt;"
)
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "dl", "div", "dt", "dd",
    "span", "table", "thead", "tbody", "tr", "th", "td", "pre", "b", "ul", "li", "details", "summary", "svg", "g",
    "rect", "text", "path",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "tabindex", "xmlns", "role", "width", "height",
    "viewbox", "d", "x", "y", "rx",
}  # fmt: skip


class Reader(HTMLParser):
    """Collects tags, attributes and text as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(path: Path) -> str:
    with BundleController(path) as bundle:
        return asyncio.run(build_page(bundle))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_a_page_has_the_graph_the_times_and_the_failing_log(tmp_path: Path) -> None:
    export_sample(tmp_path / "a", max_artifacts=0)
    page = page_of(tmp_path / "a")
    text = "".join(read(page).text)
    for wanted in (
        "shop-3", "target", "AssertionError: 2 != 3", "exit code 1", "check failed", "test_a", "out/note.txt",
        "1a2b3c4d5e", "busybox:1.36", "not asked for", "Log of check",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert page.count("<svg") == 2
    assert 'class="node Failed"' in page
    assert 'class="bar running Failed"' in page
    assert 'class="marked"' in page


def test_nothing_is_loaded_and_only_its_own_style_is_allowed(tmp_path: Path) -> None:
    export_sample(tmp_path / "a")
    page = page_of(tmp_path / "a")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert policy in read(page).attributes["content"]
    assert not re.search(r"url\(|@import|http(?!-equiv|://www\.w3\.org/2000/svg)", style[1])
    found = read(page)
    assert not {"script", "link", "img", "iframe", "object", "a", "form", "base"} & found.tags
    assert not {"src", "href", "style", "xlink:href"} & set(found.attributes)


def hostile_run(text: str) -> dict[str, Any]:
    raw = sample_run()
    raw |= {"branch": text, "commit": text, "event": text, "params": {text: text}, "pipeline": text}
    raw["status"] |= {"message": text, "reason": text}
    for at, step in enumerate(raw["status"]["steps"]):
        step |= {"message": text, "reason": text, "name": f"{step['name']}{text}{at}", "dependsOn": []}
    raw["definition"]["description"] = text
    return raw


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.just(HOSTILE), st.text(max_size=60), st.text("<>&\"'/=!-[]{}%;\\ a", max_size=80)))
def test_hostile_text_stays_text(text: str, tmp_path: Path) -> None:
    source = FakeSource()
    line = text.replace("\n", "").replace("\r", "")
    source.logs["check", 2, "step"] = f"{moment(9)} {line}\n".encode(errors="replace") * 3
    source.files = {("build", text): b""}
    export_sample(tmp_path / "a", source, max_artifacts=0)
    path = rewrite(tmp_path / "a", tmp_path / "b", {"run.json": hostile_run(text)})
    found = read(page_of(path))
    assert found.tags <= TAGS
    assert set(found.attributes) <= ATTRIBUTES
    assert not set("".join(found.text)) & set("\x1b\x07\u202e\x00")


def test_a_page_of_the_largest_run_stays_below_its_limit(tmp_path: Path) -> None:
    raw = sample_run()
    step = raw["status"]["steps"][1]
    wide = "é<&" * 400
    raw["status"]["steps"] = [
        {**step, "name": f"s{n}-{'x' * 60}", "slug": f"s{n}", "message": wide, "dependsOn": [f"s{m}-{'x' * 60}" for m in
         range(max(n - 40, 0), n)]} for n in range(300)
    ]  # fmt: skip
    raw["definition"]["description"] = "<" * 300_000
    export_sample(tmp_path / "a")
    content = (f"{moment(9)} {wide}\n" * 3000).encode()
    logs = {
        "format": "c8s-run-bundle", "version": 1, "producer": "x", "cluster": {}, "files": [],
        "leftOut": [{"what": wide, "why": wide}] * 200, "leftOutCount": 10**6,
        "logs": [{"step": f"s{n}", "attempt": 2, "container": "step",
                  "chunks": [{"entry": f"logs/{n:06}", "lines": 3000, "bytes": 16_000_000}]} for n in range(24)],
    }  # fmt: skip
    contents = {f"logs/{n:06}": content for n in range(24)}
    path = rewrite(tmp_path / "a", tmp_path / "b", {"run.json": raw, "bundle.json": logs, **contents})
    page = page_of(path)
    assert 300_000 < len(page.encode()) < MAX_BYTES


@pytest.mark.parametrize("line", [1, 700, 1400])
def test_a_long_log_is_cut_around_the_failing_line(line: int, tmp_path: Path) -> None:
    raw = sample_run()
    raw["status"]["steps"][1]["firstFailure"]["line"] = line
    source = FakeSource()
    source.logs["check", 2, "step"] = "".join(f"{moment(9)} line {n}\n" for n in range(1, 1401)).encode()
    export_sample(tmp_path / "a", source)
    page = page_of(rewrite(tmp_path / "a", tmp_path / "b", {"run.json": raw}))
    assert re.search(rf'class="marked"><b> *{line} </b>line {line}\n', page)
    assert page.count("</b>line ") <= 301
    assert "of 1,400" in page
