"""Converts a workflow of GitHub Actions: each job becomes a step, or one for each combination of its matrix.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.importer.draft import REVIEW, PipelineDraft, StepDraft, placeholder, secret_name
from workbench.importer.github.expressions import EXPRESSION, Scope, condition
from workbench.importer.github.matrix import is_other_system, label, read_matrix
from workbench.importer.github.steps import add_step, add_variables, service
from workbench.importer.source import SourceMap
from workbench.importer.values import number, slug, table, tables, text, texts

IMAGE = "ubuntu:24.04"
_EVENTS = {"push": "push", "pull_request": "pull_request", "pull_request_target": "pull_request", "merge_group": "push"}
_JOB_KEYS_WITHOUT_MEANING = frozenset(
    {
        "name",
        "runs-on",
        "needs",
        "if",
        "strategy",
        "steps",
        "env",
        "services",
        "container",
        "timeout-minutes",
        "continue-on-error",
        "defaults",
    }
)


def recognizes(documents: list[Any]) -> bool:
    """Whether this is a workflow: it has `jobs`, and what starts it."""
    return len(documents) == 1 and isinstance(documents[0], SourceMap) and {"on", "jobs"} <= set(documents[0])


def convert(documents: list[Any], file_name: str) -> PipelineDraft:
    """The draft of a workflow. Raises ImportFileError for one that is too large."""
    workflow = table(documents[0])
    name = text(workflow.get("name"))
    draft = PipelineDraft("GitHub Actions", name if slug(name) else file_name)
    _set_triggers(draft, workflow)
    _set_concurrency(draft, workflow)
    env = table(workflow.get("env"))
    jobs = table(workflow.get("jobs"))
    for job_name, job in jobs.items():
        if isinstance(job, SourceMap):
            _add_job(draft, workflow, job_name, job, jobs.line(job_name))
    if env and not draft.steps:
        draft.note(workflow.line("env"), "variables without a job that uses them")
    if any(step.secrets for step in draft.steps):
        draft.note(
            0, f"secrets are read from the Secret {secret_name(draft)}: c8s secrets set {secret_name(draft)} KEY"
        )
    if any(step.image == IMAGE for step in draft.steps):
        draft.note(
            0, f"{IMAGE} has far fewer programs than the machines of GitHub: name images that have what jobs need"
        )
    return draft


def _set_triggers(draft: PipelineDraft, workflow: SourceMap) -> None:
    on = workflow.get("on")
    triggers: Mapping[str, Any] = table(on) if isinstance(on, SourceMap) else dict.fromkeys(texts(on))
    line = workflow.line("on")
    path_lists = []
    for name, value in triggers.items():
        given = table(value)
        where = triggers.line(name) if isinstance(triggers, SourceMap) else line
        if name in _EVENTS:
            if name != "push" or not given or "branches" in given or "branches-ignore" in given or "tags" not in given:
                draft.events.append(_EVENTS[name])
            draft.branches += _patterns(given.get("branches"))
            path_lists.append(_patterns(given.get("paths")))
            if name == "push" and (given.get("tags") or not given):
                draft.events.append("tag")
            for key in ("branches-ignore", "paths-ignore", "tags-ignore", "types"):
                if key in given:
                    draft.note(given.line(key), f"`{key}` of {name} has no counterpart")
        elif name in ("workflow_dispatch", "workflow_call"):
            _add_inputs(draft, table(given.get("inputs")))
        else:
            draft.note(where, f"the event {name} has no counterpart")
    _check_triggers(draft, triggers, line)
    if path_lists and all(path_lists):
        draft.paths = [path for paths in path_lists for path in paths]
    elif any(path_lists):
        draft.note(line, "`paths` of only some events have no counterpart: any file starts a run")


def _check_triggers(draft: PipelineDraft, triggers: Mapping[str, Any], line: int) -> None:
    """Note where more events start the pipeline than did the workflow, and keep it from starting if none is left."""
    if not draft.events:
        draft.branches = [REVIEW]
        draft.note(line, f"none of its events has a counterpart: replace `{REVIEW}` in `branches` by what may start it")
    tags = _patterns(table(triggers.get("push")).get("tags"))
    if tags and not {"*", "**"} & set(tags):
        draft.note(line, f"any tag starts a run, not only {', '.join(tags)}: use `conditional: {{tag: …}}` in steps")
    branches = {tuple(sorted(_patterns(table(triggers[name]).get("branches")))) for name in triggers if name in _EVENTS}
    if len(branches) > 1:
        draft.note(line, "its events have different branches: `branches` has all of them, for each event")


def _patterns(value: Any) -> list[str]:
    return [pattern[:1000] for pattern in texts(value) if pattern and not pattern.startswith("!")]


def _add_inputs(draft: PipelineDraft, inputs: SourceMap) -> None:
    for name, value in inputs.items():
        given = table(value)
        default = text(given.get("default"))
        options = texts(given.get("options"))
        draft.param(name, default or (options[0] if options else ""), text(given.get("description")), options)


def _set_concurrency(draft: PipelineDraft, workflow: SourceMap) -> None:
    given = workflow.get("concurrency")
    if not given:
        return
    cancel = table(given).get("cancel-in-progress") not in (None, False)
    group = text(given) or text(table(given).get("group"))
    variable_part = EXPRESSION.sub(lambda match: "" if match[1].strip() == "github.workflow" else match[0], group)
    by_branch = any(name in variable_part for name in ("github.ref", "github.head_ref"))
    if "${{" in variable_part and not by_branch:
        draft.note(workflow.line("concurrency"), f"the group of `concurrency` has no counterpart: {group}")
        return
    draft.concurrency = {
        "group": "{{run.branch}}" if by_branch else "all",
        "policy": "cancel-running" if cancel else "queue",
    }


def _add_job(draft: PipelineDraft, workflow: SourceMap, name: str, job: SourceMap, line: int) -> None:
    if "uses" in job:
        step = StepDraft(name, IMAGE, depends_on=texts(job.get("needs")))
        placeholder(step, job.line("uses"), f"the reusable workflow {text(job['uses'])}")
        draft.add(step)
        return
    runs_on = " ".join(texts(job.get("runs-on"))) or text(table(job.get("runs-on")).get("group"))
    matrix = read_matrix(table(job.get("strategy")), runs_on)
    if is_other_system(runs_on) or matrix.empty:
        draft.note(
            line, f"the job {name} is left out: it runs on {runs_on or 'another system'}, and steps run on Linux"
        )
        return
    for combination in matrix.combinations if matrix.combinations is not None else (None,):
        step = StepDraft(name, depends_on=texts(job.get("needs")), matrix=matrix.native)
        if combination is not None:
            step.name = f"{slug(name, 40)}-{label(combination)}"
        for note in matrix.notes:
            step.note(table(job.get("strategy")).line("matrix"), note)
        dimensions = frozenset(matrix.native["dimensions"]) if matrix.native else frozenset()
        scope = Scope(draft, step, dimensions, combination)
        _fill_step(scope, workflow, job)
        draft.add(step)


def _fill_step(scope: Scope, workflow: SourceMap, job: SourceMap) -> None:
    step = scope.step
    scope.set_env(table(workflow.get("env")))
    scope.set_env(table(job.get("env")))
    container = job.get("container")
    step.image = scope.value(
        table(container).get("image") if isinstance(container, dict) else container, job.line("container")
    )
    scope.set_env(table(table(container).get("env")))
    _set_condition(scope, job)
    if minutes := number(job.get("timeout-minutes")):
        step.timeout = f"{min(minutes, 500_000)}m"
    step.allow_failure = job.get("continue-on-error") is True
    run_defaults = _run_defaults(workflow, job)
    step.working_dir = scope.value(run_defaults.get("working-directory"), 0).removeprefix("./")
    services = table(job.get("services"))
    for name, value in services.items():
        if (made := service(scope, name, value, services.line(name))) is not None:
            step.services.append(made)
    setup = len(step.commands)
    for each in tables(job.get("steps")):
        add_step(scope, each, run_defaults)
    if len(step.commands) == setup:
        placeholder(step, job.line("steps"), "a job without commands of its own")
    add_variables(scope)
    step.image = step.image or IMAGE
    for key in job:
        if key not in _JOB_KEYS_WITHOUT_MEANING:
            step.note(job.line(key), f"`{key}` has no counterpart")


def _run_defaults(workflow: SourceMap, job: SourceMap) -> SourceMap:
    made = SourceMap()
    for source in (workflow, job):
        made.update(table(table(source.get("defaults")).get("run")))
    return made


def _set_condition(scope: Scope, job: SourceMap) -> None:
    if "if" not in job:
        return
    expression = text(job["if"])
    found = condition(expression)
    if found is None:
        scope.step.require_review(job.line("if"), f"if: {expression}")
    else:
        scope.step.conditional |= found
