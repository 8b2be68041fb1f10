"""The documents say what the program does: links lead somewhere, and lists are whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from embedded.kubelet.config.environment import INHERITED_VARIABLES

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "samples").glob("**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_every_inherited_variable_is_in_the_table() -> None:
    table = (ROOT / "docs" / "embedded.md").read_text()
    missing = [name for name in INHERITED_VARIABLES if f"`{name}`" not in table and f"`{name.upper()}`" not in table]
    assert missing == []


def test_every_sample_is_in_the_list() -> None:
    listed = (ROOT / "samples" / "README.md").read_text()
    samples = [path.name for path in (ROOT / "samples").iterdir() if path.suffix == ".yaml"]
    assert [name for name in samples if f"`{name}`" not in listed] == []


def test_no_version_is_pinned_twice_and_no_host_is_named() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)
    names = [line.partition("==")[0].lower() for line in lines]
    assert len(names) == len(set(names))


def test_every_code_of_lint_is_explained() -> None:
    source = ROOT / "controller" / "pipeline"
    text = "\n".join(path.read_text() for path in source.rglob("*.py"))
    page = (ROOT / "docs" / "format.md").read_text()
    used = set(re.findall(r'Problem\([^"]*"[^"]*", "(?:error|warning|hint)", "([a-z-]+)"', text))
    used |= set(re.findall(r'problem\(\s*[^"]*?"([a-z]+(?:-[a-z]+)+)"', text))
    assert len(used) > 20
    assert sorted(code for code in used if f"`{code}`" not in page) == []
