"""What detectors propose: projects of a repository, and the steps of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CachedFolder:
    """A folder of the workspace that is kept between runs, under a key of the content of `key_file`.

    `variable` tells the tool to use it. Paths are relative to the workspace.
    """

    name: str
    key_file: str
    path: str
    variable: str


@dataclass(frozen=True)
class PlannedStep:
    """A step of a project, which runs in the project's folder.

    `why` is the comment above it; `depends_on` and `name` are names within the project.
    """

    name: str
    image: str
    commands: tuple[str, ...]
    why: str
    depends_on: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    """Patterns relative to the project's folder; all of them may match nothing."""
    caches: tuple[CachedFolder, ...] = ()
    git: bool = False
    """Whether it needs the repository's history."""
    junit: tuple[str, ...] = ()
    """Patterns of the reports of its tests, relative to the project's folder."""


@dataclass(frozen=True)
class Project:
    """A project in a folder. `found` says what it is, `evidence` names the files that say so.

    `notes` are things the user should know, for the comment in the file and for the terminal.
    """

    kind: str
    folder: str
    found: str
    evidence: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """The pipeline for a repository. `notes` concern the whole repository."""

    name: str
    projects: tuple[Project, ...]
    notes: tuple[str, ...]
