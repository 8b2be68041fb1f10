"""Converts an Argo Workflow: each container or script that the entrypoint reaches becomes a step.

`steps` and `dag` templates are unfolded, with their arguments filled in.
Source: https://argo-workflows.readthedocs.io/en/latest/fields/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from workbench.importer.argo.values import (
    ArgoValues,
    arguments_of,
    depends_on,
    loop_items,
    resolve_arguments,
)
from workbench.importer.containers import (
    add_program,
    add_script,
    add_services,
    note_rest,
    set_environment,
    set_resources,
)
from workbench.importer.draft import MAX_STEPS, PipelineDraft, StepDraft, placeholder
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.values import duration, items, number, seconds, slug, table, tables, text

_KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")
_MAX_DEPTH = 12
_TEMPLATE_KEYS = frozenset(
    {
        "name",
        "inputs",
        "outputs",
        "container",
        "script",
        "retryStrategy",
        "activeDeadlineSeconds",
        "sidecars",
        "timeout",
        "metadata",
    }
)
_CONTAINER_KEYS = frozenset(
    {
        "name",
        "image",
        "command",
        "args",
        "env",
        "envFrom",
        "resources",
        "workingDir",
        "source",
        "imagePullPolicy",
        "volumeMounts",
        "securityContext",
    }
)
_SPEC_KEYS = frozenset(
    {
        "entrypoint",
        "templates",
        "arguments",
        "parallelism",
        "activeDeadlineSeconds",
        "onExit",
        "serviceAccountName",
        "ttlStrategy",
        "podGC",
        "workflowSpec",
        "schedule",
        "schedules",
        "timezone",
    }
)


@dataclass
class _Call:
    """A use of a template: the values it gets, what it waits for, and where it is written."""

    path: str
    after: list[str]
    values: Mapping[str, str]
    dimensions: dict[str, list[str]] = field(default_factory=dict)
    conditional: dict[str, str] = field(default_factory=dict)
    review: list[tuple[int, str]] = field(default_factory=list)
    allow_failure: bool = False
    items: Mapping[str, str] = field(default_factory=dict)
    """What `{{item}}` stands for, in a loop around the template."""


def recognizes(documents: list[Any]) -> bool:
    """Whether the file has a workflow of Argo."""
    return any(
        text(table(each).get("apiVersion")).startswith("argoproj.io/") and text(table(each).get("kind")) in _KINDS
        for each in documents
    )


def convert(documents: list[Any], file_name: str) -> PipelineDraft:
    """The draft of the first workflow of a file.

    Raises:
        ImportFileError: it has no entrypoint, calls itself, or is too large.
    """
    found = [each for each in documents if isinstance(each, SourceMap) and text(each.get("kind")) in _KINDS]
    if not found:
        raise ImportFileError("the file has no Workflow, WorkflowTemplate or CronWorkflow")
    # Templates come first in files that also have the workflow that uses them.
    chosen = next((each for each in found if table(_spec(each)).get("entrypoint")), found[0])
    metadata = table(chosen.get("metadata"))
    name = text(metadata.get("name")) or text(metadata.get("generateName")).rstrip("-") or file_name
    draft = PipelineDraft("Argo Workflows", name)
    draft.note(
        0, "the file does not say what starts it: a push to any branch does, unless you set `events` and `branches`"
    )
    if text(chosen.get("kind")) == "CronWorkflow":
        draft.note(table(chosen.get("spec")).line("schedule"), "`schedule` has no counterpart")
    converter = _Converter(draft, _spec(chosen))
    converter.run()
    for each in found:
        if each is not chosen:
            draft.note(
                0, f"another workflow of the file is not converted: {text(table(each.get('metadata')).get('name'))}"
            )
    return draft


def _spec(workflow: SourceMap) -> SourceMap:
    spec = table(workflow.get("spec"))
    return table(spec.get("workflowSpec")) if "workflowSpec" in spec else spec


class _Converter:
    def __init__(self, draft: PipelineDraft, spec: SourceMap) -> None:
        self._draft = draft
        self._spec = spec
        self._templates = {text(each.get("name")): each for each in tables(spec.get("templates"))}
        self._calls = 0

    def run(self) -> None:
        """Convert the entrypoint and the handler of the workflow's end."""
        spec = self._spec
        for each in tables(table(spec.get("arguments")).get("parameters")):
            value = each.get("value", each.get("default"))
            default = None if value is None and "valueFrom" not in each else text(value)
            self._draft.param(
                text(each.get("name")), default, text(each.get("description")), arguments_of(each, "enum")
            )
        self._draft.max_parallel = min(number(spec.get("parallelism")) or 0, 1000)
        if (limit := number(spec.get("activeDeadlineSeconds"))) and limit > 0:
            self._draft.timeout = duration(limit)
        for key in spec:
            if key not in _SPEC_KEYS:
                self._draft.note(spec.line(key), f"`{key}` has no counterpart")
        entrypoint = text(spec.get("entrypoint")) or next(iter(self._templates), "")
        template = self._templates.get(entrypoint)
        if template is None:
            reference = table(spec.get("workflowTemplateRef")).get("name")
            where = f"; it is in the WorkflowTemplate {text(reference)}" if reference else ""
            raise ImportFileError(f"the entrypoint {entrypoint or 'of the workflow'} is not in this file{where}")
        ends = self._call(template, _Call("", [], {}), entrypoint, 0)
        if handler := self._templates.get(text(spec.get("onExit"))):
            everything = [step.source for step in self._draft.steps] or ends
            call = _Call("on-exit", everything, {}, conditional={"when": "always"})
            self._call(handler, call, text(spec.get("onExit")), 0)

    def _call(self, template: SourceMap, call: _Call, name: str, depth: int) -> list[str]:
        """Add the steps of a template, and return those that its end waits for."""
        self._calls += 1
        if depth > _MAX_DEPTH or self._calls > 20 * MAX_STEPS:
            raise ImportFileError(f"the template {name} calls itself, or makes too many calls")
        if "dag" in template:
            return self._dag(table(template["dag"]), template, call, depth)
        if "steps" in template:
            return self._groups(template, call, depth)
        return [self._leaf(template, call, name)]

    def _dag(self, dag: SourceMap, template: SourceMap, call: _Call, depth: int) -> list[str]:
        tasks = tables(dag.get("tasks"))
        ends: dict[str, list[str]] = {}
        waiting = {text(task.get("name")): depends_on(task) for task in tasks}
        self._note_unhandled(template, dag)
        by_name = {text(task.get("name")): task for task in tasks}
        # In the order of their dependencies, because a task is known by the steps at its end.
        for name in self._order(waiting, template):
            if name in by_name:
                after = [end for each in waiting[name] for end in ends.get(each, [])] or list(call.after)
                ends[name] = self._task(by_name[name], call, after, depth)
        used = {each for names in waiting.values() for each in names}
        return [end for name, each in ends.items() if name not in used for end in each] or list(call.after)

    @staticmethod
    def _order(waiting: Mapping[str, list[str]], template: SourceMap) -> list[str]:
        try:
            return list(TopologicalSorter(waiting).static_order())
        except CycleError as error:
            cycle = " -> ".join(error.args[1])[:200]
            raise ImportFileError(f"tasks of {text(template.get('name'))} depend on each other: {cycle}") from None

    def _groups(self, template: SourceMap, call: _Call, depth: int) -> list[str]:
        self._note_unhandled(template, SourceMap())
        after = list(call.after)
        for group in items(template["steps"]):
            members = tables(group) if isinstance(group, list) else tables([group])
            after = [end for task in members for end in self._task(task, call, after, depth)] or after
        return after

    def _note_unhandled(self, template: SourceMap, dag: SourceMap) -> None:
        for key in template:
            if key not in {"name", "inputs", "dag", "steps", "outputs", "metadata"}:
                self._draft.note(
                    template.line(key), f"`{key}` of the template {text(template.get('name'))} has no counterpart"
                )
        for key in dag:
            if key not in {"tasks", "failFast"}:
                self._draft.note(
                    dag.line(key), f"`{key}` of the template {text(template.get('name'))} has no counterpart"
                )

    def _task(self, task: SourceMap, call: _Call, after: list[str], depth: int) -> list[str]:
        """Add the steps of a task or step of a template, once for each item that must be written out."""
        name = text(task.get("name"))
        inline = table(task.get("inline"))
        template = inline or self._templates.get(text(task.get("template")))
        leaf = template is None or not ({"dag", "steps"} & set(template))
        loop = loop_items(task, leaf)
        ends = []
        for item in loop.items:
            path = "-".join(part for part in (call.path, name, slug(item.label, 20)) if part)
            values = resolve_arguments(task, call.values, item.values)
            nested = _Call(
                path, after, values, loop.dimensions or call.dimensions, dict(call.conditional), list(call.review)
            )
            nested.items = item.values or call.items
            nested.allow_failure = call.allow_failure or bool(task.get("continueOn"))
            self._set_condition(nested, task)
            if loop.note:
                self._draft.note(task.line("name"), f"{name}: {loop.note}")
            if template is None:
                ends.append(self._missing(task, nested))
            else:
                ends += self._call(template, nested, text(task.get("template")), depth + 1)
        return ends

    @staticmethod
    def _set_condition(call: _Call, task: SourceMap) -> None:
        depends = text(task.get("depends"))
        if depends and (".Failed" in depends or ".Errored" in depends) and ".Succeeded" not in depends:
            call.conditional["when"] = "failure"
        elif depends and ("||" in depends or "!" in depends or ".Failed" in depends):
            call.conditional["when"] = "always"
            call.review.append((task.line("depends"), f"depends: {depends}"))
        if task.get("when"):
            call.review.append((task.line("when"), f"when: {text(task['when'])}"))

    def _missing(self, task: SourceMap, call: _Call) -> str:
        reference = table(task.get("templateRef"))
        what = text(reference.get("template")) or text(task.get("template")) or text(task.get("name"))
        step = self._new_step(call, what)
        placeholder(step, task.line("templateRef") or task.line("template"), f"the template {what}, not in this file,")
        self._draft.add(step)
        return step.source

    def _new_step(self, call: _Call, name: str) -> StepDraft:
        step = StepDraft(f"{len(self._draft.steps)}\0{call.path}", "busybox:1.36", depends_on=list(call.after))
        step.name = call.path or name
        step.conditional |= call.conditional
        step.allow_failure = call.allow_failure
        step.matrix = {"dimensions": call.dimensions} if call.dimensions else None
        for line, condition in call.review:
            step.require_review(line, condition)
        return step

    def _leaf(self, template: SourceMap, call: _Call, name: str) -> str:
        """Add a container or a script as a step."""
        step = self._new_step(call, name)
        values = ArgoValues(self._draft, step, template, call.values, call.items)
        container = table(template.get("script")) or table(template.get("container"))
        step.image = values.fill(text(container.get("image")), False) or step.image
        set_environment(step, container, values.fill)
        set_resources(step, container.get("resources"))
        line = template.line("container") or template.line("script") or template.line("name")
        if "script" in template:
            words = [text(word) for word in items(container.get("command"))]
            add_script(step, text(container.get("source")), words, values.fill)
        elif not container or not add_program(step, container, values.fill):
            kinds = [
                key for key in template if key in ("resource", "suspend", "http", "containerSet", "data", "plugin")
            ]
            what = (
                f"the program of the image {text(container.get('image'))}"
                if container
                else f"a template with {kinds or 'no container'}"
            )
            placeholder(step, line, f"{what} ({name})")
        add_services(step, template.get("sidecars"), values.fill)
        retries = table(template.get("retryStrategy"))
        step.retries = (number(retries.get("limit")) or 2) if retries else 0
        if (limit := seconds(text(template.get("activeDeadlineSeconds")) or text(template.get("timeout")))) is not None:
            step.timeout = duration(limit)
        for direction in ("inputs", "outputs"):
            artifacts = tables(table(template.get(direction)).get("artifacts"))
            if artifacts:
                names = ", ".join(text(each.get("name")) for each in artifacts)
                message = (
                    f"the {direction} {names}: name files of the workspace as `artifacts`; paths outside are not kept"
                )
                step.note(template.line(direction), message)
        if table(template.get("outputs")).get("parameters"):
            step.note(
                template.line("outputs"), "output parameters have no counterpart: pass values in files, as `artifacts`"
            )
        note_rest(step, template, _TEMPLATE_KEYS)
        note_rest(step, container, _CONTAINER_KEYS)
        self._draft.add(step)
        return step.source
