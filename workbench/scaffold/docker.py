"""Dockerfiles. Building an image takes an engine, so a step does it only where nothing else can be checked."""

from __future__ import annotations

from workbench.scaffold.files import Folder
from workbench.scaffold.plan import PlannedStep, Project

MANIFESTS = ("Dockerfile", "Containerfile")


def detect(folder: Folder) -> Project | None:
    """A step that builds the image of a folder, or None without a Dockerfile."""
    manifest = folder.first(*MANIFESTS)
    if manifest is None:
        return None
    command = f'docker build --file {manifest} --tag "built:$C8S_RUN" .'
    step = PlannedStep("image", "docker:28-cli", (command,), "Builds the image; the step needs a Docker daemon.")
    notes = (
        "the step that builds the image works where docker reaches a daemon: on a machine with Docker, not in a pod",
    )
    return Project("Docker", folder.path, f"{manifest}", (manifest,), (step,), notes)


def note(folder: Folder) -> str | None:
    """What to say of a Dockerfile beside other projects, for which no step is proposed."""
    manifest = folder.first(*MANIFESTS)
    if manifest is None:
        return None
    where = f"{folder.path}/{manifest}" if folder.path else manifest
    return f"{where}: no step builds it, because that takes an engine such as BuildKit, which pods do not have"
