"""Converts a Tekton Pipeline with the Tasks in the same file: each task becomes a step, or a chain of steps.

A task whose steps have different images becomes a chain, because a step has one image.
Source: https://tekton.dev/docs/pipelines/pipeline-api/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.importer.containers import (
    add_program,
    add_script,
    add_services,
    note_rest,
    set_environment,
    set_resources,
)
from workbench.importer.draft import PipelineDraft, StepDraft, placeholder
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.tekton.values import TaskValues, declare_params, param_values, read_matrices
from workbench.importer.values import duration, items, number, seconds, table, tables, text, texts

_TASK_KEYS = frozenset(
    {
        "name",
        "displayName",
        "description",
        "taskRef",
        "taskSpec",
        "runAfter",
        "params",
        "when",
        "matrix",
        "timeout",
        "retries",
        "onError",
        "workspaces",
    }
)
_STEP_KEYS = frozenset(
    {
        "name",
        "image",
        "script",
        "command",
        "args",
        "env",
        "envFrom",
        "workingDir",
        "computeResources",
        "resources",
        "volumeMounts",
        "onError",
        "timeout",
        "imagePullPolicy",
        "securityContext",
        "results",
    }
)
_SPEC_KEYS = frozenset(
    {
        "params",
        "steps",
        "stepTemplate",
        "sidecars",
        "workspaces",
        "results",
        "description",
        "volumes",
        "displayName",
        "metadata",
        "spec",
    }
)
_SOURCE_TASKS = ("git-clone", "git-batch-merge")


def recognizes(documents: list[Any]) -> bool:
    """Whether the file has objects of Tekton."""
    return any(text(table(each).get("apiVersion")).startswith("tekton.dev/") for each in documents)


def convert(documents: list[Any], file_name: str) -> PipelineDraft:
    """The draft of the first pipeline of a file, or of its first task.

    Raises:
        ImportFileError: there is none, or it is too large.
    """
    objects = [each for each in documents if isinstance(each, SourceMap)]
    tasks = {_name(each): table(each.get("spec")) for each in objects if text(each.get("kind")).endswith("Task")}
    pipelines = [each for each in objects if text(each.get("kind")) in ("Pipeline", "PipelineRun") and _pipeline(each)]
    runs = [each for each in objects if text(each.get("kind")) in ("Task", "TaskRun") and _task_spec(each)]
    if not pipelines and not runs:
        raise ImportFileError("the file has no Pipeline, and no PipelineRun or Task with its definition")
    first = (pipelines or runs)[0]
    draft = PipelineDraft("Tekton", _name(first) or file_name)
    draft.note(
        0, "the file does not say what starts it: a push to any branch does, unless you set `events` and `branches`"
    )
    if len(pipelines) > 1:
        others = ", ".join(_name(each) or "without a name" for each in pipelines[1:])
        draft.note(0, f"the file has other pipelines, which are not converted: {others}")
    values = _run_params(objects)
    if pipelines:
        _add_pipeline(draft, _pipeline(first), tasks, values)
    else:
        spec = _task_spec(first)
        declare_params(draft, items(spec.get("params")), values)
        _add_task(draft, "run", spec, SourceMap(), {}, [])
    return draft


def _name(given: SourceMap) -> str:
    metadata = table(given.get("metadata"))
    return text(metadata.get("name")) or text(metadata.get("generateName")).rstrip("-")


def _pipeline(given: SourceMap) -> SourceMap:
    spec = table(given.get("spec"))
    return spec if text(given.get("kind")) == "Pipeline" else table(spec.get("pipelineSpec"))


def _task_spec(given: SourceMap) -> SourceMap:
    spec = table(given.get("spec"))
    return spec if text(given.get("kind")) == "Task" else table(spec.get("taskSpec"))


def _run_params(objects: list[SourceMap]) -> dict[str, Any]:
    runs = [table(each.get("spec")) for each in objects if text(each.get("kind")).endswith("Run")]
    return param_values(runs[0].get("params")) if runs else {}


def _add_pipeline(
    draft: PipelineDraft, spec: SourceMap, tasks: Mapping[str, SourceMap], run: Mapping[str, Any]
) -> None:
    draft.description = text(spec.get("description"))
    declare_params(draft, items(spec.get("params")), run)
    if spec.get("workspaces"):
        message = "each step has a workspace of its own with the source; files reach later steps as `artifacts`"
        draft.note(spec.line("workspaces"), message)
    ordinary, last = tables(spec.get("tasks")), tables(spec.get("finally"))
    for task in ordinary:
        _add_pipeline_task(draft, task, tasks, texts(task.get("runAfter")), finally_=False)
    names = [text(task.get("name")) for task in ordinary]
    for task in last:
        _add_pipeline_task(draft, task, tasks, names, finally_=True)


def _add_pipeline_task(
    draft: PipelineDraft, task: SourceMap, tasks: Mapping[str, SourceMap], after: list[str], *, finally_: bool
) -> None:
    name = text(task.get("name"))
    reference = table(task.get("taskRef"))
    wanted = text(reference.get("name")) or next(
        (text(each.get("value")) for each in tables(reference.get("params")) if text(each.get("name")) == "name"), ""
    )
    if wanted in _SOURCE_TASKS:
        draft.note(task.line("taskRef"), f"{name} is left out: every step has the source in its workspace")
        return
    embedded = table(task.get("taskSpec"))
    spec = table(embedded.get("spec")) if "steps" not in embedded and "spec" in embedded else embedded
    spec = spec or tasks.get(wanted, SourceMap())
    extra = {"when": "always"} if finally_ else {}
    if not spec:
        step = StepDraft(name, "busybox:1.36", depends_on=after, conditional=dict(extra))
        placeholder(step, task.line("taskRef") or task.line("name"), f"the task {wanted or name}, not in this file,")
        _set_options(step, task, TaskValues(draft, step, {}, frozenset()))
        draft.add(step)
        return
    _add_task(draft, name, spec, task, extra, after)


def _add_task(
    draft: PipelineDraft, name: str, spec: SourceMap, task: SourceMap, extra: Mapping[str, str], after: list[str]
) -> None:
    """Add the steps of a task, once or for each combination of a matrix that is written out."""
    for matrix in read_matrices(table(task.get("matrix"))):
        given = param_values(spec.get("params"), default=True) | param_values(task.get("params")) | matrix.values
        groups = _groups(spec)
        for index, group in enumerate(groups):
            last = index == len(groups) - 1
            source = name if last else f"{name}\0{matrix.label}\0{index}"
            step = StepDraft(source, depends_on=list(after) if index == 0 else [f"{name}\0{matrix.label}\0{index - 1}"])
            step.name = "-".join(
                part for part in (name, matrix.label, "" if last else _step_name(group, index)) if part
            )
            step.matrix = {"dimensions": matrix.dimensions} if matrix.dimensions else None
            step.conditional |= extra
            for note in matrix.notes:
                step.note(task.line("matrix"), note)
            values = TaskValues(draft, step, given, frozenset(matrix.dimensions))
            _fill(step, group, spec, task, values)
            step.depends_on += [each for each in values.depends_on if index == 0]
            if len(groups) > 1 and index == 0:
                message = "its steps have different images, so each is a step: name what the next needs as `artifacts`"
                step.note(spec.line("steps"), message)
            draft.add(step)


def _step_name(group: list[SourceMap], index: int) -> str:
    return text(group[0].get("name")) or str(index + 1)


def _groups(spec: SourceMap) -> list[list[SourceMap]]:
    """The steps of a task, those in a row with the same image together."""
    groups: list[list[SourceMap]] = []
    for step in tables(spec.get("steps")):
        if groups and text(groups[-1][0].get("image")) == text(step.get("image")):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups or [[]]


def _fill(step: StepDraft, group: list[SourceMap], spec: SourceMap, task: SourceMap, values: TaskValues) -> None:
    template = table(spec.get("stepTemplate"))
    if group:
        step.image = values.fill(text(group[0].get("image")) or text(template.get("image")), False)
    step.image = step.image or "busybox:1.36"
    for given in (template, *group):
        set_environment(step, given, values.fill)
        set_resources(step, given.get("computeResources") or given.get("resources"))
    for each in group:
        _add_step(step, each, values)
    if not step.commands:
        placeholder(step, spec.line("steps"), f"the task {step.source}")
    if group:
        add_services(step, spec.get("sidecars"), values.fill)
    _set_options(step, task, values)
    note_rest(step, spec, _SPEC_KEYS)
    note_rest(step, task, _TASK_KEYS)
    if spec.get("results"):
        step.note(spec.line("results"), "results have no counterpart: pass values in files, as `artifacts`")


def _add_step(step: StepDraft, given: SourceMap, values: TaskValues) -> None:
    line = given.line("image") or given.line("ref")
    if "ref" in given:
        step.note(given.line("ref"), f"the StepAction {text(table(given['ref']).get('name'))} has no counterpart")
        return
    folder = values.fill(text(given.get("workingDir")), False)
    before = len(step.commands)
    if text(given.get("script")):
        add_script(step, text(given["script"]), (), values.fill)
    elif not add_program(step, given, values.fill):
        what = f"the program of the image {text(given.get('image'))}"
        step.note(line, f"{what} is not known here: write its command, with {' '.join(texts(given.get('args')))[:100]}")
        step.commands.append(f"echo 'not converted: the program of the image of step {step.name[:60]}' >&2; exit 1")
    if folder and not folder.startswith("/"):
        step.commands[before:] = [f'(\ncd "{folder}"\n' + "\n".join(step.commands[before:]) + "\n)"]
    elif folder and folder != "/workspace":
        step.note(given.line("workingDir"), f"the folder {folder} is not in the workspace")
    if text(given.get("onError")) == "continue":
        step.commands[before:] = ["{\n" + "\n".join(step.commands[before:]) + "\n} || echo 'failed, and goes on'"]
    note_rest(step, given, _STEP_KEYS)


def _set_options(step: StepDraft, task: SourceMap, values: TaskValues) -> None:
    step.retries = number(task.get("retries")) or 0
    if (limit := seconds(text(task.get("timeout")))) is not None and limit > 0:
        step.timeout = duration(limit)
    step.allow_failure = text(task.get("onError")) == "continue"
    for condition in tables(task.get("when")):
        wanted = ", ".join(texts(condition.get("values")))
        shown = text(condition.get("cel")) or (
            f"{text(condition.get('input'))} {text(condition.get('operator'))} {wanted}"
        )
        found = values.static_condition(condition)
        if found is False:
            step.require_review(task.line("when"), f"when: {shown} (never true)")
        elif found is None:
            step.require_review(task.line("when"), f"when: {shown}")
