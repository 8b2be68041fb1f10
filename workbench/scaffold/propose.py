"""Finds the projects of a repository, and puts their steps together to one pipeline."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.scaffold import docker, go, java, make, node, python, rust
from workbench.scaffold.files import Folder, RepositoryFiles, is_foreign, is_safe_folder
from workbench.scaffold.plan import Project, Proposal

MAX_PROJECTS = 20
_MAX_DEPTH = 4
_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


@dataclass(frozen=True)
class _Ecosystem:
    manifests: tuple[str, ...]
    detect: Callable[[Folder], Project | None]
    covers: Callable[[Folder], bool]
    """Whether the steps of a folder also check the projects below it."""
    weak: tuple[str, ...] = ()
    """Manifests that, alone, are no project of their own below a project of the same kind."""


_ECOSYSTEMS = (
    _Ecosystem(python.MANIFESTS, python.detect, python.covers, ("requirements.txt", "setup.cfg", "tox.ini")),
    _Ecosystem(node.MANIFESTS, node.detect, node.covers),
    _Ecosystem(go.MANIFESTS, go.detect, go.covers),
    _Ecosystem(rust.MANIFESTS, rust.detect, rust.covers),
    _Ecosystem(java.MANIFESTS, java.detect, java.covers, ("build.gradle", "build.gradle.kts")),
)


def propose(files: RepositoryFiles) -> Proposal:
    """The projects of a repository and what there is to say about it. It never raises for what files contain."""
    notes: list[str] = []
    projects = [project for ecosystem in _ECOSYSTEMS for project in _find(files, ecosystem, notes)]
    projects.sort(key=lambda project: project.folder)
    for detector in (make.detect, docker.detect):
        if not projects and (project := detector(files.folder(""))) is not None:
            projects.append(project)
    if len(projects) > MAX_PROJECTS:
        left_out = ", ".join(project.folder or "." for project in projects[MAX_PROJECTS:][:10])
        notes.append(
            f"{len(projects)} projects were found; the file has steps for the first {MAX_PROJECTS}. Without: {left_out}"
        )
        projects = projects[:MAX_PROJECTS]
    notes += _other_notes(files, projects)
    return Proposal(_pipeline_name(files), tuple(projects), (*notes, *files.problems))


def _find(files: RepositoryFiles, ecosystem: _Ecosystem, notes: list[str]) -> list[Project]:
    """The projects of one kind, those in outer folders first."""
    found: list[Project] = []
    covered: list[str] = []
    for path in _folders_with(files, ecosystem.manifests):
        inside = [outer for outer in covered if _is_below(path, outer)]
        outer_projects = [project for project in found if _is_below(path, project.folder)]
        folder = files.folder(path)
        manifests = [name for name in ecosystem.manifests if folder.has(name)]
        if inside or (outer_projects and set(manifests) <= set(ecosystem.weak)):
            continue
        if not is_safe_folder(path):
            notes.append(f"the folder {path} is left out: its name has characters that would need quotes in commands")
            continue
        project = ecosystem.detect(folder)
        if project is None:
            continue
        found.append(project)
        if ecosystem.covers(folder):
            covered.append(path)
    return found


def _folders_with(files: RepositoryFiles, manifests: Sequence[str]) -> list[str]:
    wanted = frozenset(manifests)
    folders = {folder for folder, _, name in (each.rpartition("/") for each in files.names) if name in wanted}
    near = [folder for folder in folders if folder.count("/") < _MAX_DEPTH and not is_foreign(folder)]
    return sorted(near, key=lambda folder: (folder.count("/") + bool(folder), folder))


def _is_below(path: str, outer: str) -> bool:
    return path != outer and (not outer or path.startswith(outer + "/"))


def _other_notes(files: RepositoryFiles, projects: Sequence[Project]) -> list[str]:
    notes: list[str] = []
    kinds = {project.kind for project in projects}
    if "Docker" not in kinds:
        for path in [path for path in _folders_with(files, docker.MANIFESTS) if is_safe_folder(path)][:5]:
            notes += [text for text in [docker.note(files.folder(path))] if text]
    root = files.folder("")
    if "Make" not in kinds and projects and (manifest := root.first(*make.MANIFESTS)):
        useful = sorted(make.targets(root.text(manifest)) & {"lint", "test", "check", "build", "all", "ci"})
        if useful:
            notes.append(f"{manifest}: its targets ({', '.join(useful)}) are not used; a step can call them")
    if compose := root.first(*_COMPOSE_FILES):
        notes.append(f"{compose}: what tests need from it, such as a database, a step can have as `services`")
    return notes


def _pipeline_name(files: RepositoryFiles) -> str:
    """The name of the project at the root, or of the repository's folder, in the form of a pipeline's."""
    root = files.folder("")
    named = (
        root.toml("pyproject.toml").string("project", "name"),
        root.json("package.json").string("name").rpartition("/")[2],
        root.toml("Cargo.toml").string("package", "name"),
        files.name,
    )
    slugs = (re.sub(r"[^a-z0-9]+", "-", name.lower())[:50].strip("-") for name in named)
    return next((slug for slug in slugs if slug), "pipeline")
