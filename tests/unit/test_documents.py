"""The documents say what the program does: links lead somewhere, and lists are whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller import labels
from embedded.kubelet.config.environment import INHERITED_VARIABLES

ROOT = Path(__file__).parent.parent.parent
CONTROLLER = ROOT / "controller"
FIRST_PARTS = (
    "controller",
    "embedded",
    "kind",
    "workbench",
    "tests",
    "docs",
    "tools",
    "bench",
    "api",
    "logs",
    "operator",
)
FOLDERS = ("docs", "samples", "bench")
PAGES = [*sorted(ROOT.glob("*.md")), *(page for name in FOLDERS for page in sorted((ROOT / name).rglob("*.md")))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_every_decision_record_is_in_the_index_and_the_site() -> None:
    index, site = (ROOT / "docs" / "adr" / "README.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    records = [path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")]
    assert [name for name in records if f"]({name})" not in index or f"adr/{name}" not in site] == []


def test_decision_records_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_decision_record_has_the_four_sections() -> None:
    wanted = ["Status", "Context", "Decision", "Consequences"]
    paths = list((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert paths
    for path in paths:
        assert re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE) == wanted, path.name


def test_every_inherited_variable_is_in_the_table() -> None:
    table = (ROOT / "docs" / "embedded.md").read_text()
    missing = [name for name in INHERITED_VARIABLES if f"`{name}`" not in table and f"`{name.upper()}`" not in table]
    assert missing == []


def test_every_sample_is_in_the_list() -> None:
    listed = (ROOT / "samples" / "README.md").read_text()
    samples = [path.name for path in (ROOT / "samples").iterdir() if path.suffix == ".yaml"]
    assert [name for name in samples if f"`{name}`" not in listed] == []


def _pinned(file: str) -> list[tuple[str, str]]:
    """Names and versions of a file that names nothing but exact versions."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)
    return [(name.lower().replace("-", "_"), version) for name, _, version in (line.partition("==") for line in lines)]


@pytest.mark.parametrize("file", ["constraints.txt", "tests/contract/clients/requirements.txt"])
def test_no_version_is_pinned_twice_and_no_host_is_named(file: str) -> None:
    names = [name for name, _ in _pinned(file)]
    assert len(names) == len(set(names))


def test_the_clients_share_the_versions_of_the_project() -> None:
    ours, theirs = dict(_pinned("constraints.txt")), dict(_pinned("tests/contract/clients/requirements.txt"))
    assert {name: version for name, version in theirs.items() if ours.get(name, version) != version} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_a_page_names_exists(page: Path) -> None:
    """Paths in backticks that start with a folder of the project, or with one of the controller's packages."""
    missing = [path for path in _named_paths(page) if not any((top / path).exists() for top in (ROOT, CONTROLLER))]
    assert missing == []


def test_paths_are_found_in_pages() -> None:
    assert len(_named_paths(ROOT / "CONTRIBUTING.md")) > 20


def _named_paths(page: Path) -> list[str]:
    named = re.findall(r"`([a-z_0-9]+(?:/[A-Za-z_.0-9-]+)+)`", page.read_text())
    return [path for path in named if path.split("/")[0] in FIRST_PARTS]


@pytest.mark.parametrize("package", ["workbench", "controller", "embedded", "kind"])
def test_every_package_has_a_typing_marker(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_the_architecture_page_names_every_package() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    packages = [init.parent for top in ("workbench", "controller", "embedded", "kind")
                for init in (ROOT / top).glob("*/__init__.py")]  # fmt: skip
    names = [str(package.relative_to(ROOT)) for package in packages]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_label_and_annotation_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api-objects.md").read_text()
    names = [
        value for key, value in vars(labels).items() if key.isupper() and re.fullmatch(r"[a-z0-9.]+/[a-z-]+", value)
    ]
    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in page] == []
