"""Twenty-odd common layouts of repositories, each as the contents of its files, for tests of `c8s init`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """A repository. `commands` must be among those of the named step; `tools` are the programs that run it offline.

    `tools` is empty for layouts whose tools need a package registry.
    """

    files: Mapping[str, str]
    image: str
    commands: Mapping[str, tuple[str, ...]]
    tools: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Create the files in a new git repository at `folder`."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        return folder


_UNITTEST = """import unittest

class AddTest(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(2, 1 + 1)
"""
_PYTEST = "def test_adds():\n    assert 1 + 1 == 2\n"
_PYPROJECT = '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
_NODE_TEST = 'const test = require("node:test");\ntest("adds", () => { if (1 + 1 !== 2) throw new Error(); });\n'


def _package(**more: object) -> str:
    return json.dumps({"name": "app", "version": "1.0.0", **more})


_LOCK = json.dumps({"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {}})
_CRATE = '[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
_RUST_TEST = "#[test]\nfn adds() {\n    assert_eq!(2, 1 + 1);\n}\n"

LAYOUTS: Mapping[str, Layout] = {
    "python-scripts": Layout(
        {"requirements.txt": "", "app.py": "print(1)\n"},
        "python:3.13",
        {"test": ("pip install -r requirements.txt", "python -m compileall -q -x '/\\.venv/' .")},
        ("python3",),
    ),
    "python-unittest": Layout(
        {"setup.cfg": "", "app/__init__.py": "", "tests/__init__.py": "", "tests/test_app.py": _UNITTEST},
        "python:3.13",
        {"test": ("python -m unittest discover -v -t . -s tests",)},
        ("python3",),
    ),
    "python-unittest-src-without-packaging": Layout(
        {
            "requirements.txt": "",
            "src/app/__init__.py": "",
            "tests/test_app.py": "import app\n" + _UNITTEST,
        },
        "python:3.13",
        {"test": ("python -m unittest discover -v -s tests",)},
    ),
    "python-package-pytest": Layout(
        {
            "pyproject.toml": _PYPROJECT
            + '[project]\nname = "my_App"\nversion = "1"\nrequires-python = ">=3.9,<3.12"\n'
            '[project.optional-dependencies]\ntest = ["pytest>=7"]\n[tool.ruff]\nline-length = 100\n',
            "src/app/__init__.py": "",
            "tests/test_app.py": _PYTEST,
        },
        "python:3.11",
        {
            "test": ("pip install -e '.[test]'", "pytest"),
            "lint": ("pip install ruff", "ruff check ."),
            "package": ("python -m build",),
        },
    ),
    "python-uv-workspace": Layout(
        {
            "pyproject.toml": '[project]\nname = "root"\nversion = "1"\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
            '[dependency-groups]\ndev = ["pytest"]\n',
            "uv.lock": "version = 1\n",
            "packages/one/pyproject.toml": '[project]\nname = "one"\nversion = "1"\n',
            "packages/one/tests/test_one.py": _PYTEST,
        },
        "python:3.13",
        {"test": ("uv sync --locked --all-packages --group dev", "uv run --no-sync pytest")},
    ),
    "python-poetry": Layout(
        {
            "pyproject.toml": '[tool.poetry]\nname = "app"\n[tool.poetry.dependencies]\npython = "^3.10"\n'
            '[tool.poetry.group.dev.dependencies]\npytest = "^8"\n[build-system]\nrequires = ["poetry-core"]\n',
            "poetry.lock": "",
            "tests/test_app.py": _PYTEST,
        },
        "python:3.13",
        {"test": ("pip install poetry", "poetry install --no-interaction", "poetry run pytest")},
    ),
    "python-django": Layout(
        {
            "requirements.txt": "django==5.1  # framework\n",
            "manage.py": "",
            "site/models.py": "",
            ".python-version": "3.12.4\n",
        },
        "python:3.12",
        {"test": ("pip install -r requirements.txt", "python manage.py test")},
    ),
    "node-without-dependencies": Layout(
        {"package.json": _package(), "app.test.js": _NODE_TEST},
        "node:22",
        {"test": ("node --test",)},
        ("node",),
    ),
    "node-npm": Layout(
        {
            "package.json": _package(
                scripts={
                    "test": "node --test",
                    "lint": "node --check app.js",
                    "build": "mkdir -p dist && cp app.js dist/",
                },
                engines={"node": ">=18 <21"},
            ),
            "package-lock.json": _LOCK,
            "app.js": "",
            "app.test.js": _NODE_TEST,
        },
        "node:20",
        {"lint": ("npm run lint",), "test": ("npm run test",), "build": ("npm run build",)},
        ("node", "npm"),
    ),
    "node-npm-dependencies": Layout(
        {
            "package.json": _package(dependencies={"left-pad": "1"}, scripts={"test": "jest"}),
            "package-lock.json": _LOCK,
            ".nvmrc": "v20.1.0\n",
        },
        "node:20",
        {"test": ("npm ci", "npm run test")},
    ),
    "node-npm-workspaces": Layout(
        {
            "package.json": _package(private=True, workspaces=["packages/*"]),
            "packages/one/package.json": json.dumps(
                {"name": "one", "version": "1.0.0", "scripts": {"test": "node --test"}}
            ),
            "packages/one/one.test.js": _NODE_TEST,
        },
        "node:22",
        {"test": ("npm install", "npm run --workspaces --if-present test")},
        ("node", "npm"),
    ),
    "node-pnpm-workspace": Layout(
        {
            "package.json": _package(packageManager="pnpm@9.1.0", scripts={"build": "turbo build"}),
            "pnpm-workspace.yaml": "packages: [packages/*]\n",
            "pnpm-lock.yaml": "",
            "packages/one/package.json": _package(scripts={"test": "vitest"}),
        },
        "node:22",
        {
            "test": ("corepack pnpm install --frozen-lockfile", "corepack pnpm -r --if-present run test"),
            "build": ("corepack pnpm run build",),
        },
    ),
    "node-yarn": Layout(
        {"package.json": _package(devDependencies={"jest": "29"}, scripts={"test": "jest"}), "yarn.lock": ""},
        "node:22",
        {"test": ("corepack yarn install --frozen-lockfile", "corepack yarn run test")},
    ),
    "go-module": Layout(
        {
            "go.mod": "module example.com/app\n\ngo 1.25.1\n",
            "go.sum": "",
            "cmd/app/main.go": "package main\n\nfunc main() {}\n",
            "lib/lib_test.go": "package lib\n",
        },
        "golang:1.25",
        {"vet": ("go vet ./...",), "test": ("go test ./...",), "build": ("go build -o dist/ ./cmd/app",)},
    ),
    "go-workspace": Layout(
        {
            "go.work": "go 1.22\n\nuse (\n\t./api // first\n\t./lib\n)\n",
            "api/go.mod": "module example.com/api\n",
            "lib/go.mod": "module example.com/lib\n",
        },
        "golang:1.24",
        {"test": ("go test ./api/... ./lib/...",)},
    ),
    "rust-crate": Layout(
        {"Cargo.toml": _CRATE.format(name="app"), "src/main.rs": "fn main() {}\n" + _RUST_TEST},
        "rust:1",
        {"test": ("cargo test",), "build": ("cargo build --release",)},
        ("cargo",),
    ),
    "rust-workspace": Layout(
        {
            "Cargo.toml": '[workspace]\nmembers = ["one", "two"]\nresolver = "2"\n',
            "one/Cargo.toml": _CRATE.format(name="one"),
            "one/src/lib.rs": _RUST_TEST,
            "two/Cargo.toml": _CRATE.format(name="two"),
            "two/src/lib.rs": _RUST_TEST,
        },
        "rust:1",
        {"test": ("cargo test --workspace",)},
        ("cargo",),
    ),
    "java-maven": Layout(
        {"pom.xml": "<project><properties><maven.compiler.release>16</maven.compiler.release></properties></project>"},
        "maven:3.9-eclipse-temurin-17",
        {"verify": ('mvn --batch-mode --no-transfer-progress -Dmaven.repo.local="$MAVEN_REPOSITORY" verify',)},
    ),
    "java-gradle-wrapper": Layout(
        {
            "settings.gradle.kts": 'include("app")\n',
            "app/build.gradle.kts": "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }\n",
            "gradlew": "#!/bin/sh\n",
        },
        "eclipse-temurin:21",
        {"build": ("sh ./gradlew --no-daemon build",)},
    ),
    "make-c": Layout(
        {
            "Makefile": "CFLAGS := -O2\n.PHONY: all test\nall: app\n\n"
            "app:\n\techo built > app\n\ntest: app\n\tgrep -q built app\n",
            "main.c": "",
        },
        "gcc:14",
        {"build": ("make all",), "test": ("make test",)},
        ("make",),
    ),
    "docker-only": Layout(
        {"Dockerfile": "FROM scratch\n"},
        "docker:28-cli",
        {"image": ('docker build --file Dockerfile --tag "built:$C8S_RUN" .',)},
    ),
    "monorepo": Layout(
        {
            "services/api/setup.py": "",
            "services/api/test_api.py": _UNITTEST,
            "web/package.json": _package(scripts={"test": "node --test"}),
            "web/app.test.js": _NODE_TEST,
            "web/Dockerfile": "FROM scratch\n",
            "examples/skipped/package.json": _package(scripts={"test": "false"}),
        },
        "python:3.13",
        {"services-api-test": ("python -m unittest discover -v -t . -s .",), "web-test": ("npm run test",)},
    ),
    "monorepo-offline": Layout(
        {
            "tools/requirements.txt": "",
            "tools/test_tool.py": _UNITTEST,
            "web/package.json": _package(scripts={"test": "node --test"}),
            "web/app.test.js": _NODE_TEST,
        },
        "python:3.13",
        {"tools-test": ("python -m unittest discover -v -t . -s .",), "web-test": ("npm run test",)},
        ("python3", "node", "npm"),
    ),
    "unknown": Layout({"README": "text\n"}, "busybox:1.36", {"check": ("ls -la",)}, ("ls",)),
}
