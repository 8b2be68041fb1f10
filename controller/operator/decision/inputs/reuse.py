"""Which steps need not run again, because an earlier run executed them with the same inputs.

The inputs of a step are its rendered definition without the variables of the run itself, the source or those of its
files that `inputs` names, the versions of its secrets, and the inputs of all steps upstream. Two steps with the same
digest would do the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from controller.operator.run_object import status_of
from controller.pipeline.graph.expand import ExpandedStep, topological_order
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext, render, template_context
from controller.run_types.phases import StepPhase

if TYPE_CHECKING:
    from controller.run_types.objects import (
        ArtifactCount,
        ReusedAttempt,
        RunObject,
        RunSpec,
        SourceSnapshot,
        StepStatus,
    )

Json = dict[str, Any]

_RUN_VARIABLES = ("run.name", "run.number")
# How often and how long a step is tried, and what for, changes nothing of what it makes.
_WITHOUT_EFFECT = (
    *("description", "dependsOn", "timeout", "retryPolicy", "matrix", "allowFailure", "conditional", "keepOnFailure"),
    # What these select counts, not how that is written.
    "inputs",
    *("reports", "rerunFailed"),
)


@dataclass(frozen=True)
class KnownInputs:
    """What is known so far of what steps are made from, besides their definitions.

    Attributes:
        cloned: `status.source` of a run on a git source, once it is there.
        source_step: the name of the step that clones, in such a run.
        files: of steps with `inputs`: the digest of the files that they select.
        secrets: of steps with secrets: a digest of their values, which only the controller can compute.
    """

    cloned: SourceSnapshot | None = None
    source_step: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReusableStep:
    """The result of a step in an earlier run. `reused` is the attempt that produced it: `{run, uid, slug, attempt}`."""

    reused: ReusedAttempt
    artifacts: ArtifactCount | None = None
    """How many files it stored, and their size: `{files, bytes}`."""
    source: SourceSnapshot | None = None
    """Of the step that cloned: the snapshot."""


def reuses_any_run(spec: RunSpec, pipeline: Pipeline) -> bool:
    """Whether a run may take the results of any earlier run of its pipeline.

    Runs of pull requests from forks take none and give none: what they store is written by strangers.
    """
    is_from_fork = (spec.get("trigger") or {}).get("fork")
    return not is_from_fork and spec.get("reuse", pipeline.reuse)


def source_identity(spec: RunSpec, cloned: SourceSnapshot | None) -> Json | None:
    """What names the source's content: nothing for none; None while a repository is not cloned yet."""
    source = spec.get("source") or {}
    if source.get("git"):
        return {"commit": cloned["commit"]} if cloned else None
    if source.get("kept"):
        return {"kept": source["kept"]}
    archive = source.get("archive")
    if archive is None or not archive.get("contents"):
        return {"contents": archive["digest"] if archive is not None else None}
    # An edit of the pipeline's own file alone, which lies among the others, makes no other source. Two sources that
    # leave out different files are different.
    return {"contents": archive["contents"], "without": archive.get("pipelineFile")}


def definition_digests(pipeline: Pipeline, steps: Sequence[ExpandedStep], facts: RunContext) -> dict[str, str]:
    """Step name -> digest of the step's rendered definition, which does not change while the run goes on."""
    return {step.name: _digest(resolved_definition(pipeline, step, facts)) for step in steps}


def input_digests(
    steps: Sequence[ExpandedStep],
    definitions: Mapping[str, str],
    spec: RunSpec,
    known: KnownInputs,
) -> dict[str, str]:
    """Step name -> digest of the step's inputs, as far as they are known.

    Args:
        definitions: the digests of the steps' definitions, by name.
    """
    content = source_identity(spec, known.cloned)
    failed_tests = spec.get("failedTests")
    partial = (
        {each["step"]: [failed_tests["uid"], each["attempt"]] for each in failed_tests["steps"]} if failed_tests else {}
    )
    found: dict[str, str] = {}
    for step in topological_order(steps):
        if step.name == known.source_step:
            git = spec["source"]["git"]
            # Where a branch leads to may be another commit by now.
            if _is_commit(git.get("revision", "")):
                found[step.name] = _digest(git)
            continue
        needs = [name for name in step.depends_on if name != known.source_step]
        files = _files_of(step, content, known)
        is_known = files is not None and (not step.step.secrets or step.name in known.secrets)
        # What the driver mounts is known only when the step runs.
        is_known = is_known and not step.step.secret_providers
        if not is_known or any(name not in found for name in needs):
            continue
        made_of: Json = {
            "source": files,
            "step": definitions[step.name],
            "needs": [found[n] for n in needs],
        }
        if step.step.secrets:
            made_of["secrets"] = known.secrets[step.name]
        if step.slug in partial:
            # It is no result of the whole step.
            made_of["failedTests"] = partial[step.slug]
        found[step.name] = _digest(made_of)
    return found


def _files_of(step: ExpandedStep, source: Json | None, known: KnownInputs) -> Json | None:
    """What names the content of the files that a step reads; None as long as that is not known."""
    if step.step.inputs is None:
        return source
    digest = known.files.get(step.name)
    return {"files": digest} if digest is not None else None


def resolved_definition(pipeline: Pipeline, step: ExpandedStep, facts: RunContext) -> Json:
    """What a step is made from, apart from files, secrets and other steps: with variables filled in."""
    values = {name: value for name, value in template_context(facts, step.matrix).items() if name not in _RUN_VARIABLES}
    definition = step.step.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    for name in _WITHOUT_EFFECT:
        definition.pop(name, None)
    if pipeline.shell != "sh":
        definition.setdefault("shell", pipeline.shell)
    return {
        "name": step.name,
        "definition": _render_values(definition, values),
        "env": _render_values(dict(pipeline.env), values),
        "params": dict(facts.params),
        "matrix": dict(step.matrix),
    }


def _render_values(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return render(value, values)
    if isinstance(value, Mapping):
        return {key: _render_values(item, values) for key, item in value.items()}
    return [_render_values(item, values) for item in value] if isinstance(value, list) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _is_commit(revision: str) -> bool:
    return len(revision) in (40, 64) and all(char in "0123456789abcdef" for char in revision)


def reusable_steps(run: RunObject) -> dict[str, ReusableStep]:
    """The reusable steps of an earlier run, by input digest."""
    status = status_of(run)
    made = {"run": run["metadata"]["name"], "uid": run["metadata"]["uid"]}
    return dict(_iter_reusable(made, status.get("steps") or [], status.get("source")))


def _iter_reusable(
    run: Json, steps: Iterable[StepStatus], source: SourceSnapshot | None
) -> Iterable[tuple[str, ReusableStep]]:
    for step in steps:
        if step.get("phase") != StepPhase.SUCCEEDED or not step.get("inputs"):
            continue
        done = [
            attempt["number"] for attempt in step.get("attempts") or [] if attempt.get("phase") == StepPhase.SUCCEEDED
        ]
        reused = step.get("reused") or ({**run, "slug": step["slug"], "attempt": done[-1]} if done else None)
        # Results that were recorded without the run's uid could be another run's by now.
        if reused and reused.get("uid"):
            yield step["inputs"], ReusableStep(cast("ReusedAttempt", reused), _artifact_count(step), source)


def _artifact_count(step: StepStatus) -> ArtifactCount | None:
    """Of a step's status; older ones list the files."""
    found: Any = step.get("artifacts")
    if isinstance(found, list):
        return {"files": len(found), "bytes": sum(file["size"] for file in found)}
    return cast("ArtifactCount", found) if found else None
