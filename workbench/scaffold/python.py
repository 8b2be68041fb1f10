"""Python projects: the installer from the lock file or the build system, the test runner from the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from workbench.scaffold.files import Folder, Table
from workbench.scaffold.plan import CachedFolder, PlannedStep, Project

MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "manage.py", "tox.ini")
_NEWEST = 13
"""Minor version of Python 3 to use unless the project says otherwise."""
_EXTRAS = ("test", "tests", "testing", "dev", "develop", "development")
_REQUIREMENTS = tuple(
    form.format(kind=kind)
    for kind in ("test", "tests", "testing", "dev", "ci", "develop", "development")
    for form in (
        "requirements-{kind}.txt",
        "requirements_{kind}.txt",
        "{kind}-requirements.txt",
        "requirements/{kind}.txt",
    )
)
_ENVIRONMENT = ("python3 -m venv .venv", ". .venv/bin/activate")
_SCM_VERSIONS = ("setuptools_scm", "setuptools-scm", "hatch-vcs", "versioneer", "poetry-dynamic-versioning", "pbr")
_MAX_TESTS_READ = 50
_PYTEST, _REPORT = "pytest", "test-results.xml"


@dataclass(frozen=True)
class _Setup:
    """How to install the project and its tools. `declared` are requirements by normalised name."""

    file: str
    install: tuple[str, ...]
    prefix: str
    """Before commands that run in the project's environment, such as `uv run `."""
    declared: dict[str, str]
    locked: bool


def detect(folder: Folder) -> Project | None:
    """The Python project of a folder, or None."""
    pyproject = folder.toml("pyproject.toml")
    if not _is_project(folder, pyproject):
        return None
    setup = _setup(folder, pyproject)
    image = f"python:3.{_minor_version(folder, pyproject)}"
    git = any(name in _build_text(folder, pyproject) for name in _SCM_VERSIONS)
    caches = _caches(folder, setup)
    tests, runner = _test_commands(folder, pyproject, setup)
    steps = [*_lint_steps(folder, pyproject, setup, image, git)]
    junit = (_REPORT,) if runner == _PYTEST else ()
    commands = (*_ENVIRONMENT, *setup.install, *tests)
    steps.append(PlannedStep("test", image, commands, f"Tests: {runner}.", caches=caches, git=git, junit=junit))
    if _is_package(folder, pyproject) and (pyproject.get("build-system") or folder.has("setup.py")):
        build = (*_ENVIRONMENT, "pip install build", "python -m build")
        why = "The source and binary distributions, kept as artifacts."
        steps.append(PlannedStep("package", image, build, why, ("test",), ("dist/*",), git=git))
    evidence = tuple(name for name in (setup.file, folder.first(*MANIFESTS)) if name)
    notes: tuple[str, ...] = ("its version comes from git, so its steps have `git: full`",) if git else ()
    if folder.has("environment.yml", "environment.yaml"):
        notes += ("packages of its conda environment are not installed",)
    return Project("Python", folder.path, f"Python, {runner}", tuple(dict.fromkeys(evidence)), tuple(steps), notes)


def covers(folder: Folder) -> bool:
    """Whether the steps of this folder also check the projects below: a uv workspace."""
    return bool(folder.toml("pyproject.toml").table("tool", "uv", "workspace"))


def _is_project(folder: Folder, pyproject: Table) -> bool:
    if folder.has("setup.py", "Pipfile", "manage.py") or _is_package(folder, pyproject):
        return True
    sources = folder.matching("*.py")
    return bool(sources) and folder.has(*MANIFESTS)


def _is_package(folder: Folder, pyproject: Table) -> bool:
    """Whether pip can install the folder."""
    if folder.has("setup.py"):
        return True
    return bool(
        pyproject.table("build-system") and (pyproject.table("project") or pyproject.table("tool", "poetry"))
    ) or (bool(pyproject.string("project", "name")) and not pyproject.table("tool", "uv", "workspace"))


def _build_text(folder: Folder, pyproject: Table) -> str:
    tools = " ".join(pyproject.table("tool"))
    return " ".join([*pyproject.strings("build-system", "requires"), tools, folder.text("setup.py")])


def _minor_version(folder: Folder, pyproject: Table) -> int:
    """Of `.python-version`, else the newest that `requires-python` allows."""
    if match := re.match(r"(?:python-)?3\.(\d{1,2})\b", folder.text(".python-version").strip()):
        return int(match[1])
    wanted = pyproject.string("project", "requires-python") or pyproject.string(
        "tool", "poetry", "dependencies", "python"
    )
    newest = _NEWEST
    for operator, minor in re.findall(r"(<=|<|===?)\s*3\.(\d{1,2})", wanted):
        newest = min(newest, int(minor) - (operator == "<" and not re.search(rf"<\s*3\.{minor}\.[1-9]", wanted)))
    if match := re.search(r">=?\s*3\.(\d{1,2})", wanted):
        newest = max(newest, int(match[1]))
    return newest


def _setup(folder: Folder, pyproject: Table) -> _Setup:
    declared = {_name(text): text for text in _requirements(folder, pyproject)}
    extras = [name for name in pyproject.table("project", "optional-dependencies") if name in _EXTRAS]
    groups = [name for name in pyproject.table("dependency-groups") if name in _EXTRAS]
    if folder.has("uv.lock"):
        options = [f"--extra {name}" for name in extras] + [f"--group {name}" for name in groups]
        if covers(folder):
            options.insert(0, "--all-packages")
        install = ("pip install uv", " ".join(["uv sync --locked", *options]))
        return _Setup("uv.lock", install, "uv run --no-sync ", declared, True)
    if folder.has("poetry.lock"):
        options = ["--extras " + name for name in pyproject.table("tool", "poetry", "extras") if name in _EXTRAS]
        install = ("pip install poetry", " ".join(["poetry install --no-interaction", *options]))
        return _Setup("poetry.lock", install, "poetry run ", declared, True)
    if folder.has("pdm.lock"):
        return _Setup("pdm.lock", ("pip install pdm", "pdm install --frozen-lockfile"), "pdm run ", declared, True)
    if lock := folder.first("Pipfile.lock", "Pipfile"):
        how = "sync --dev" if lock == "Pipfile.lock" else "install --dev --skip-lock"
        return _Setup(lock, ("pip install pipenv", f"pipenv {how}"), "pipenv run ", declared, lock == "Pipfile.lock")
    return _Setup("", tuple(_pip_commands(folder, pyproject, extras, groups)), "", declared, False)


def _pip_commands(folder: Folder, pyproject: Table, extras: list[str], groups: list[str]) -> Iterator[str]:
    files = [name for name in ("requirements.txt", *_REQUIREMENTS) if folder.has(name)]
    if files:
        yield "pip install " + " ".join(f"-r {name}" for name in files)
    if _is_package(folder, pyproject):
        yield f"pip install -e '.[{','.join(extras)}]'" if extras else "pip install -e ."
    if groups:
        yield "pip install --upgrade 'pip>=25.1'"
        yield "pip install " + " ".join(f"--group {name}" for name in groups)


def _requirements(folder: Folder, pyproject: Table) -> Iterator[str]:
    """All requirements for running and testing, as written; of Poetry and Pipenv only the names."""
    yield from pyproject.strings("project", "dependencies")
    for group in ("project", "optional-dependencies"), ("dependency-groups",):
        for name in pyproject.table(*group):
            if name in _EXTRAS:
                yield from pyproject.strings(*group, name)
    yield from pyproject.strings("tool", "uv", "dev-dependencies")
    for table in [
        pyproject.table("tool", "poetry", "dependencies"),
        pyproject.table("tool", "poetry", "dev-dependencies"),
    ]:
        yield from table
    for name in pyproject.table("tool", "poetry", "group"):
        yield from pyproject.table("tool", "poetry", "group", name, "dependencies")
    pipfile = folder.toml("Pipfile")
    yield from (*pipfile.table("packages"), *pipfile.table("dev-packages"))
    for file in ("requirements.txt", *_REQUIREMENTS):
        for line in folder.text(file).splitlines():
            if re.match(r"[A-Za-z0-9]", line.strip()):
                yield re.split(r"\s#|;|\s--", line.strip())[0].strip()


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def _test_commands(folder: Folder, pyproject: Table, setup: _Setup) -> tuple[list[str], str]:
    """The commands that run the tests, and what runs them."""
    files = [*folder.matching("test_*.py"), *folder.matching("*_test.py")]
    if folder.has("manage.py") and not _uses_pytest(folder, pyproject, setup, files):
        return [f"{setup.prefix}python manage.py test"], "Django's tests"
    if files and _uses_pytest(folder, pyproject, setup, files):
        return [*_tool(_PYTEST, setup), f"{setup.prefix}pytest --junitxml={_REPORT}"], _PYTEST
    if files:
        return [_unittest(folder, setup, files)], "unittest"
    if folder.has("tox.ini"):
        return ["pip install tox", "tox"], "tox"
    return ["python -m compileall -q -x '/\\.venv/' ."], "no tests found, so its files are only compiled"


def _uses_pytest(folder: Folder, pyproject: Table, setup: _Setup, tests: list[str]) -> bool:
    if "pytest" in setup.declared or folder.has("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py"):
        return True
    if pyproject.table("tool", "pytest") or "[tool:pytest]" in folder.text("setup.cfg"):
        return True
    if "[pytest]" in folder.text("tox.ini"):
        return True
    # Functions outside of classes are tests for pytest only.
    return any(
        re.search(r"^(import pytest|from pytest|(async )?def test)", folder.text(name), re.MULTILINE)
        for name in tests[:_MAX_TESTS_READ]
    )


def _unittest(folder: Folder, setup: _Setup, tests: list[str]) -> str:
    top = PurePosixPath(tests[0]).parts[0] if "/" in tests[0] else "."
    path = "PYTHONPATH=src " if not setup.install and folder.matching("src/*/*.py") else ""
    if top == "." or folder.has(f"{top}/__init__.py"):
        return f"{path}{setup.prefix}python -m unittest discover -v -t . -s {top}"
    return f"{path}{setup.prefix}python -m unittest discover -v -s {PurePosixPath(tests[0]).parent}"


def _tool(name: str, setup: _Setup) -> list[str]:
    """The command that installs a tool that the project itself does not install."""
    if name in setup.declared:
        return []
    return [f"{'uv ' if setup.prefix.startswith('uv') else ''}pip install {name}"]


def _lint_steps(folder: Folder, pyproject: Table, setup: _Setup, image: str, git: bool) -> Iterator[PlannedStep]:
    configured = f"{folder.text('setup.cfg')}\n{folder.text('tox.ini')}"
    commands: list[str] = []
    if pyproject.table("tool", "ruff") or folder.has("ruff.toml", ".ruff.toml"):
        commands += [*_pinned("ruff", setup), f"{setup.prefix if 'ruff' in setup.declared else ''}ruff check ."]
    if folder.has(".flake8") or re.search(r"^\[flake8\]", configured, re.MULTILINE):
        prefix = setup.prefix if "flake8" in setup.declared else ""
        commands += [*_pinned("flake8", setup), f"{prefix}flake8 --extend-exclude .venv"]
    if commands:
        install = setup.install if setup.prefix and {"ruff", "flake8"} & set(setup.declared) else ()
        yield PlannedStep(
            "lint", image, (*_ENVIRONMENT, *install, *commands), "The linters that are configured.", git=git
        )
    if "mypy" in setup.declared and (pyproject.table("tool", "mypy") or folder.has("mypy.ini", ".mypy.ini")):
        mypy = pyproject.table("tool", "mypy")
        what = "" if {"files", "packages", "modules"} & set(mypy) else " src" if folder.matching("src/*/*.py") else " ."
        commands = [*setup.install, f"{setup.prefix}mypy{what}"]
        yield PlannedStep("types", image, (*_ENVIRONMENT, *commands), "Type checks.", git=git)


def _pinned(name: str, setup: _Setup) -> list[str]:
    """The command that installs a linter alone, in the version that the project asks for."""
    if setup.prefix and name in setup.declared:
        return []
    wanted = setup.declared.get(name, name)
    return [
        f"pip install '{wanted}'"
        if re.fullmatch(r"[A-Za-z0-9_.,<>=!~ -]+", wanted) and wanted != name
        else f"pip install {name}"
    ]


def _caches(folder: Folder, setup: _Setup) -> tuple[CachedFolder, ...]:
    """A cache of downloaded packages, where a file fixes their versions."""
    key = setup.file if setup.locked else folder.first("requirements.txt")
    if not key:
        return ()
    tool, variable = ("uv", "UV_CACHE_DIR") if key == "uv.lock" else ("pip", "PIP_CACHE_DIR")
    return (CachedFolder(tool, key, f".cache/{tool}", variable),)
