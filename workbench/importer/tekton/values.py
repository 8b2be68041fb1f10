"""Parameters, matrices and `$(…)` of Tekton.

Source: https://tekton.dev/docs/pipelines/variables/
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.importer.containers import unknown_value
from workbench.importer.draft import MAX_STEPS, PipelineDraft, StepDraft
from workbench.importer.placeholders import replace_placeholders
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.values import slug, table, tables, text, texts

PLACEHOLDER = re.compile(r"\$\(([A-Za-z][^()\s]{0,300})\)")
_PARAM = re.compile(r"(?:inputs\.)?params(?:\.([\w.-]{1,200}?)|\[[\"']([^\"'\]]{1,200})[\"']\])(?:\[(\*|\d{1,4})\])?")
_CONTEXT = {
    "context.pipelineRun.name": ("$C8S_RUN", "{{run.name}}"),
    "context.taskRun.name": ("$C8S_RUN-$C8S_STEP", "{{run.name}}"),
    "context.task.name": ("$C8S_STEP", ""),
    "context.pipelineTask.name": ("$C8S_STEP", ""),
    "context.task.retry-count": ("$((C8S_ATTEMPT - 1))", "0"),
}


@dataclass(frozen=True)
class TaskMatrix:
    """One way to run a task: with `dimensions` for the matrix of its step, or with values of one written out."""

    dimensions: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    notes: tuple[str, ...] = ()


def param_values(given: Any, *, default: bool = False) -> dict[str, Any]:
    """The values of a list of params, or the defaults of a list of declarations."""
    key = "default" if default else "value"
    return {text(each.get("name")): each.get(key) for each in tables(given) if each.get("name") and key in each}


def declare_params(draft: PipelineDraft, declared: list[Any], run: Mapping[str, Any]) -> None:
    """Declare the parameters of a pipeline; a PipelineRun in the same file gives defaults."""
    for each in tables(declared):
        name = text(each.get("name"))
        value = run.get(name, each.get("default"))
        plain = _plain(value)
        known = value is not None
        if isinstance(value, SourceMap):
            for key, item in value.items():
                draft.param(f"{name}.{key}", text(item), text(each.get("description")))
            continue
        draft.param(name, plain if known else None, text(each.get("description")), texts(each.get("enum")))
    for name, value in run.items():
        if not isinstance(value, SourceMap):
            draft.param(name, _plain(value))


def _plain(value: Any) -> str:
    return " ".join(texts(value)) if isinstance(value, list) else text(value)


def read_matrices(matrix: SourceMap) -> list[TaskMatrix]:
    """The ways in which a task runs. Raises ImportFileError for more than a pipeline may have steps."""
    if not matrix:
        return [TaskMatrix()]
    notes: list[str] = []
    dimensions: dict[str, list[str]] = {}
    for each in tables(matrix.get("params")):
        values = each.get("value")
        if isinstance(values, list) and values:
            dimensions[text(each.get("name"))] = list(dict.fromkeys(texts(values)))
        else:
            notes.append(f"the dimension {text(each.get('name'))} is computed while the pipeline runs")
    include = [param_values(each.get("params")) for each in tables(matrix.get("include"))]
    if not include:
        return [TaskMatrix(dimensions, notes=tuple(notes))]
    size = math.prod(len(values) for values in dimensions.values())
    if size > MAX_STEPS or len(include) > MAX_STEPS:
        raise ImportFileError(f"a matrix has {max(size, len(include)):,} combinations, more than {MAX_STEPS}")
    combinations: list[dict[str, Any]] = [
        dict(zip(dimensions, values, strict=True)) for values in itertools.product(*dimensions.values()) if values
    ]
    for extra in include:
        fits = [made for made in combinations if all(made.get(key, value) == value for key, value in extra.items())]
        shares = any(key in dimensions for key in extra)
        for combination in fits if shares else []:
            combination.update(extra)
        if not shares or not fits:
            combinations.append(extra)
    return [
        TaskMatrix({}, made, slug("-".join(text(value) for value in made.values()), 25) or str(index), tuple(notes))
        for index, made in enumerate(combinations, 1)
    ]


@dataclass
class TaskValues:
    """What the placeholders of a task stand for. `depends_on` are the tasks whose results it uses."""

    draft: PipelineDraft
    step: StepDraft
    given: Mapping[str, Any]
    dimensions: frozenset[str]
    depends_on: list[str] = field(default_factory=list)

    def fill(self, value: str, shell: bool) -> str:
        """A text of the task with its placeholders replaced."""
        return replace_placeholders(PLACEHOLDER, value, lambda name: self._of_task(name, shell))

    def _of_task(self, name: str, shell: bool) -> str:
        match = _PARAM.fullmatch(name)
        if match is None:
            return self._other(name, shell)
        param, index = match[1] or match[2], match[3]
        if param in self.dimensions:
            return f"{{{{matrix.{param}}}}}"
        first, _, key = param.partition(".")
        if param in self.given:
            value: Any = self.given[param]
        elif isinstance(self.given.get(first), SourceMap):
            value = table(self.given[first]).get(key)
        else:
            return self._of_pipeline(name, shell)
        if isinstance(value, list) and index and index != "*":
            value = value[int(index)] if int(index) < len(value) else ""
        # A value may refer to parameters of the pipeline, and not to those of the task.
        return replace_placeholders(PLACEHOLDER, _plain(value), lambda inner: self._of_pipeline(inner, shell))

    def _of_pipeline(self, name: str, shell: bool) -> str:
        match = _PARAM.fullmatch(name)
        if match is None:
            return self._other(name, shell)
        param = self.draft.param(match[1] or match[2], None)
        return f"$PARAM_{param.upper()}" if shell else f"{{{{params.{param}}}}}"

    def _other(self, name: str, shell: bool) -> str:
        if name in _CONTEXT:
            return _CONTEXT[name][0 if shell else 1]
        if re.fullmatch(r"workspaces\.[\w-]{1,100}\.path", name):
            return "$C8S_WORKSPACE" if shell else "/workspace"
        if re.fullmatch(r"workspaces\.[\w-]{1,100}\.bound", name):
            return "true"
        if result := re.fullmatch(r"(?:step\.)?results\.([\w-]{1,100})\.path", name):
            return f"/tmp/result-{result[1]}"  # noqa: S108 (a path in a container)
        if match := re.fullmatch(r"tasks\.([\w-]{1,100})\..{1,200}", name):
            self.depends_on.append(match[1])
        return unknown_value(self.step, name, 0, shell=shell)

    def static_condition(self, condition: SourceMap) -> bool | None:
        """Whether a condition holds, if it does not depend on the run."""
        wanted, values = text(condition.get("input")), texts(condition.get("values"))
        if "cel" in condition or any("$(" in each for each in [wanted, *values]):
            return None
        inside = wanted in values
        return inside if text(condition.get("operator")) == "in" else not inside
