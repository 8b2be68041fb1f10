"""Writes a proposal as a commented pipeline file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workbench.pipeline_file.commented_yaml import Commented, write_pipeline_text
from workbench.scaffold.plan import PlannedStep, Project, Proposal

_HEADER = (
    "Written by `c8s init` from what it found in this repository; change it as you like.",
    "`c8s lint` checks it, `c8s run` runs it on your working tree.",
)


def write_proposal(proposal: Proposal) -> str:
    """The text of the pipeline file. A proposal without projects becomes one step to start from."""
    names = _unique_names(proposal)
    steps = [_step(project, step, names) for project in proposal.projects for step in project.steps]
    definition: dict[str, Any] = {
        "version": "v1alpha1",
        "name": proposal.name,
        "events": Commented(["push", "pull_request"], ("What starts a run once the repository is connected.",)),
        "steps": steps or [_first_step()],
    }
    header = [*_HEADER, *_found(proposal)]
    return write_pipeline_text(definition, header)


def _found(proposal: Proposal) -> Iterator[str]:
    for project in proposal.projects:
        yield ""
        yield f"{project.folder or 'At the root'}: {project.found} ({', '.join(project.evidence)})."
        yield from (f"  Note: {note}." for note in project.notes)
    if proposal.notes:
        yield ""
        yield from (f"Note: {note}." for note in proposal.notes)


def _unique_names(proposal: Proposal) -> dict[tuple[str, str, str], str]:
    """The name of each step in the pipeline, by kind, folder and name of the step: `api-test` for `test` in `api`."""
    several_kinds = len({project.kind for project in proposal.projects if not project.folder}) > 1
    names: dict[tuple[str, str, str], str] = {}
    for project in proposal.projects:
        prefix = project.folder or (project.kind if several_kinds else "")
        for step in project.steps:
            slug = re.sub(r"[^a-z0-9]+", "-", f"{prefix}-{step.name}".lower())[-60:].strip("-")
            name, number = slug, 2
            while name in names.values():
                name, number = f"{slug[:56]}-{number}", number + 1
            names[(project.kind, project.folder, step.name)] = name
    return names


def _step(project: Project, step: PlannedStep, names: dict[tuple[str, str, str], str]) -> Commented:
    def within(path: str) -> str:
        return f"{project.folder}/{path}" if project.folder else path

    exports = [f'export {cache.variable}="$C8S_WORKSPACE/{within(cache.path)}"' for cache in step.caches]
    content: dict[str, Any] = {"name": names[(project.kind, project.folder, step.name)], "image": step.image}
    if project.folder:
        content["workingDir"] = project.folder
    if step.git:
        content["git"] = "full"
    if step.depends_on:
        content["dependsOn"] = [names[(project.kind, project.folder, name)] for name in step.depends_on]
    if step.caches:
        content["cache"] = [
            {"key": f"{cache.name}-{{{{hash {within(cache.key_file)}}}}}", "paths": [within(cache.path)]}
            for cache in step.caches
        ]
    content["commands"] = [*exports, *step.commands]
    if step.junit:
        content["reports"] = {"junit": [within(pattern) for pattern in step.junit]}
    if step.artifacts:
        content["artifacts"] = [{"path": within(pattern), "optional": True} for pattern in step.artifacts]
    comments = [step.why]
    if project.folder:
        comments.append(f'To run it only when its files changed: conditional: {{paths: ["{project.folder}/**"]}}')
    return Commented(content, tuple(comments))


def _first_step() -> Commented:
    why = "Nothing was recognised in this repository: replace the command by those that check it."
    return Commented({"name": "check", "image": "busybox:1.36", "commands": ["ls -la"]}, (why,))
