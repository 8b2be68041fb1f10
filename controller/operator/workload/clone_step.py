"""The clone step: the first step of a run on a repository; the others unpack the snapshot that it creates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controller.operator import names
from controller.operator.settings import OperatorSettings
from controller.operator.workload import entrypoint
from controller.pipeline.graph.expand import ExpandedStep, slug_of
from controller.pipeline.model import Step

if TYPE_CHECKING:
    from controller.run_types.objects import GitSource, RunObject

Json = dict[str, Any]

CREDENTIALS_FOLDER = "/var/run/c8s-git"
DEFAULT_PIPELINE_FILE = ".c8s.yaml"
NAME = "source"


class ReservedNameError(Exception):
    """A step of the pipeline has the name of the clone step, which has run already."""


def git_source(run: RunObject) -> GitSource | None:
    """The git source of a run; None for any other source."""
    source = run["spec"].get("source")
    return source.get("git") if source is not None else None


def add_clone_step(run: RunObject, steps: Sequence[ExpandedStep]) -> tuple[tuple[ExpandedStep, ...], str | None]:
    """(the steps, with the clone step first if the run is on a repository; the name of that step, or None).

    A step of the file that is named `source` keeps its name, except where the clone step ran before the file was read.

    Raises:
        ReservedNameError: the file has such a step, and the run takes its pipeline from the repository.
    """
    if git_source(run) is None:
        return tuple(steps), None
    taken = {step.name for step in steps} | {step.slug for step in steps}
    if run["spec"].get("pipelineFrom") and NAME in taken:
        raise ReservedNameError(
            f"the name `{NAME}` is that of the step that clones the repository; give the step of the pipeline another"
        )
    name = next(n for n in (NAME, *(f"{NAME}-{at}" for at in range(2, 1000))) if n not in taken)
    # With artifacts, the step succeeds only once the API has recorded its snapshot.
    clones = Step(name=name, image="c8s-agent", commands=["c8s-agent source"], artifacts=["**"])
    first = ExpandedStep(name, slug_of(name), clones, {}, (), name, ())
    return (first, *(_after(name, step) for step in steps)), name


def _after(name: str, step: ExpandedStep) -> ExpandedStep:
    return replace(step, depends_on=(name, *step.depends_on), depends_on_groups=(name, *step.depends_on_groups))


def container(
    run: RunObject, slug: str, attempt: int, settings: OperatorSettings, security: Json, *, history: bool
) -> Json:
    """The container that clones. Credentials are files: variables and arguments are too easily visible.

    `history`: whether the snapshot has the repository's `.git`, for steps with `git: full`.
    """
    git: Mapping[str, Any] = git_source(run) or {}
    environment = {
        "C8S_API_URL": settings.agent_api_url,
        "C8S_TOKEN_FILE": f"{names.TOKEN_FOLDER}/token",
        "C8S_WORKSPACE": names.WORKSPACE,
        "C8S_STEP_SLUG": slug,
        "C8S_ATTEMPT": str(attempt),
        "C8S_GIT_URL": str(git.get("url", "")),
        "C8S_GIT_REVISION": str(git.get("revision") or "HEAD"),
        "C8S_GIT_SUBMODULES": "1" if git.get("submodules") else "0",
        "C8S_GIT_HISTORY": "1" if history else "0",
    }
    if git.get("ref"):
        environment["C8S_GIT_REF"] = str(git["ref"])
    if not run["spec"].get("pipeline"):
        environment |= _definition_environment(run)
    mounts: list[Json] = [
        {"name": "workspace", "mountPath": names.WORKSPACE},
        names.token_mount("source"),
    ]
    if git.get("secretRef"):
        environment["C8S_GIT_CREDENTIALS"] = CREDENTIALS_FOLDER
        mounts.append({"name": "git", "mountPath": CREDENTIALS_FOLDER, "readOnly": True})
    return {
        "name": names.STEP_CONTAINER,
        "image": settings.agent_image,
        "command": [*(entrypoint.escape_expansion(word) for word in settings.agent_command), "source"],
        "env": [{"name": name, "value": entrypoint.escape_expansion(value)} for name, value in environment.items()],
        "workingDir": names.WORKSPACE,
        "volumeMounts": mounts,
        "securityContext": security,
    }


def _definition_environment(run: RunObject) -> dict[str, str]:
    """What the clone step reports besides the snapshot, for a run that takes its pipeline from the repository."""
    spec = run["spec"]
    found = {"C8S_PIPELINE_FILE": spec.get("pipelineFile") or DEFAULT_PIPELINE_FILE}
    trigger = spec.get("trigger") or {}
    if "changedFiles" not in spec and trigger.get("base"):
        found["C8S_GIT_BASE"] = trigger["base"]
        found["C8S_GIT_BASE_IS_BRANCH"] = "1" if spec.get("event") == "pull_request" else "0"
    return found


def volumes(run: RunObject, slug: str, attempt: int) -> list[Json]:
    """The volumes of the pod that clones."""
    token = names.token_volume(run, slug, attempt, "source")
    found: list[Json] = [{"name": "workspace", "emptyDir": {}}, token]
    git = git_source(run)
    if git is not None and git.get("secretRef"):
        # The run's copy, of which its logs are masked: the Secret itself may be changed at any time.
        name = names.run_secret_name(run)
        items = [{"key": names.git_secret_key(key), "path": key} for key in names.GIT_CREDENTIAL_KEYS]
        found.append(
            {"name": "git", "secret": {"secretName": name, "items": items, "optional": True, "defaultMode": 0o444}}
        )
    return found
