"""Go modules and workspaces."""

from __future__ import annotations

import re

from workbench.scaffold.files import Folder
from workbench.scaffold.plan import CachedFolder, PlannedStep, Project

MANIFESTS = ("go.mod", "go.work")
_NEWEST = "1.24"


def detect(folder: Folder) -> Project | None:
    """The Go module or workspace of a folder, or None."""
    if not folder.has(*MANIFESTS):
        return None
    manifest = "go.work" if folder.has("go.work") else "go.mod"
    image = f"golang:{_version(folder.text(manifest))}"
    packages = " ".join(_packages(folder, manifest))
    caches = _caches(folder)
    steps = [
        PlannedStep("vet", image, (f"go vet {packages}",), "Finds suspicious code.", caches=caches),
        PlannedStep("test", image, (f"go test {packages}",), "Tests of all packages.", caches=caches),
    ]
    if programs := _programs(folder):
        build = tuple(f"go build -o dist/ ./{path}" if path else "go build -o dist/ ." for path in programs)
        why = "The programs, kept as artifacts."
        steps.append(PlannedStep("build", image, build, why, ("vet", "test"), ("dist/*",), caches))
    notes: tuple[str, ...] = ()
    if folder.has(".golangci.yml", ".golangci.yaml", ".golangci.toml"):
        notes = ("golangci-lint is configured; a step with its image (golangci/golangci-lint) can run it",)
    what = "Go workspace" if manifest == "go.work" else "Go module"
    return Project("Go", folder.path, what, (manifest,), tuple(steps), notes)


def covers(folder: Folder) -> bool:
    """Whether the steps of this folder also check the modules below."""
    return folder.has("go.work")


def _version(text: str) -> str:
    """Of the `toolchain` or `go` line, if it is newer than the default."""
    found: list[str] = re.findall(r"^(?:toolchain go|go )(1\.\d{1,3})", text, re.MULTILINE)
    return f"1.{max(int(version.split('.')[1]) for version in (_NEWEST, *found))}"


def _packages(folder: Folder, manifest: str) -> list[str]:
    """Patterns for all packages. A workspace has no pattern for the packages of all of its modules."""
    if manifest == "go.mod":
        return ["./..."]
    text = re.sub(r"//.*", "", folder.text("go.work"))
    uses = re.findall(r"^use\s+([^\s(]+)\s*$", text, re.MULTILINE)
    for block in re.findall(r"^use\s*\(([^()]*)\)", text, re.MULTILINE):
        uses += block.split()
    modules = [use.strip('"').removeprefix("./").rstrip("/") for use in uses]
    safe = [name for name in modules if re.fullmatch(r"[A-Za-z0-9_./-]+", name)]
    return [f"./{name}/..." if name != "." else "./..." for name in safe] or ["./..."]


def _programs(folder: Folder) -> list[str]:
    """The folders with a `package main`, of the root and `cmd/`."""
    candidates = [name for name in folder.matching("*.go") if re.fullmatch(r"(cmd/[A-Za-z0-9_-]+/)?[^/]+\.go", name)]
    found = dict.fromkeys(
        name.rpartition("/")[0]
        for name in candidates
        if not name.endswith("_test.go") and re.search(r"^package main\b", folder.text(name), re.MULTILINE)
    )
    return list(found)


def _caches(folder: Folder) -> tuple[CachedFolder, ...]:
    if not folder.has("go.sum"):
        return ()
    return (CachedFolder("go", "go.sum", ".cache/go", "GOMODCACHE"),)
