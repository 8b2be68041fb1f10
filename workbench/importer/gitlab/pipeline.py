"""Converts a `.gitlab-ci.yml`: each job becomes a step, or one for each combination of `parallel:matrix`.

Source: https://docs.gitlab.com/ci/yaml/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.importer.draft import MAX_VARIABLES, REVIEW, PipelineDraft, StepDraft, placeholder
from workbench.importer.gitlab.jobs import DefinedJob, read_jobs
from workbench.importer.gitlab.rules import job_condition
from workbench.importer.gitlab.variables import JobVariables
from workbench.importer.services import make_service
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.values import duration, items, number, seconds, slug, table, tables, text, texts

IMAGE = "buildpack-deps:bookworm"
_HANDLED = frozenset(
    {
        "stage",
        "script",
        "before_script",
        "after_script",
        "image",
        "services",
        "variables",
        "needs",
        "dependencies",
        "rules",
        "only",
        "except",
        "when",
        "allow_failure",
        "retry",
        "timeout",
        "artifacts",
        "cache",
        "parallel",
        "extends",
        "trigger",
    }
)


def recognizes(documents: list[Any]) -> bool:
    """Whether this is a pipeline of GitLab: a map in which something has a `script`, or that names stages."""
    first = documents[-1]
    if not isinstance(first, SourceMap):
        return False
    return "stages" in first or any(
        isinstance(job, SourceMap) and ({"script", "trigger", "extends"} & set(job)) for job in first.values()
    )


def convert(documents: list[Any], file_name: str) -> PipelineDraft:
    """The draft of a pipeline. Raises ImportFileError for one that is too large."""
    # A file with inputs has its `spec` in a document before the pipeline.
    root = table(documents[-1])
    draft = PipelineDraft("GitLab CI", file_name, events=["push", "tag"])
    for spec in documents[:-1]:
        inputs = table(table(table(spec).get("spec")).get("inputs"))
        draft.note(
            0, f"the inputs {', '.join(inputs) or 'of the file'} have no counterpart: replace $[[ … ]] by values"
        )
    for key in ("include", "workflow", "pages"):
        if key in root and (key != "pages" or not isinstance(root[key], SourceMap)):
            what = "the files that it includes are not read" if key == "include" else "it has no counterpart"
            draft.note(root.line(key), f"`{key}`: {what}")
    globals_ = table(root.get("variables"))
    jobs = read_jobs(root, draft)
    _set_dependencies(jobs)
    for job in jobs:
        _add_job(draft, job, globals_)
    if any(step.conditional.get("event") == "pull_request" for step in draft.steps):
        _add_merge_requests(draft)
    if any(step.image == IMAGE for step in draft.steps):
        draft.note(0, f"jobs without `image` run in {IMAGE}: name the image that your runner has for them")
    return draft


def _add_merge_requests(draft: PipelineDraft) -> None:
    """Start the pipeline for pull requests, too, without the jobs that do not run for merge requests."""
    draft.events.append("pull_request")
    for step in draft.steps:
        if "event" not in step.conditional and step.conditional.get("branch") != REVIEW:
            step.conditional["event"] = "push"
            step.note(0, "it runs on pushes only, not for pull requests and tags")


def _set_dependencies(jobs: list[DefinedJob]) -> None:
    """Jobs with `needs` wait for those, others for all jobs of the stage before."""
    by_stage: dict[int, list[str]] = {}
    for job in jobs:
        by_stage.setdefault(job.stage, []).append(job.name)
    for job in jobs:
        if "needs" in job.content:
            needs = job.content["needs"]
            job.depends_on = [
                text(each.get("job")) if isinstance(each, SourceMap) else text(each)
                for each in (needs if isinstance(needs, list) else [needs])
            ]
        elif earlier := [stage for stage in by_stage if stage < job.stage]:
            job.depends_on = by_stage[max(earlier)]


def _add_job(draft: PipelineDraft, job: DefinedJob, globals_: SourceMap) -> None:
    for number_, combination in enumerate(_combinations(job)):
        step = StepDraft(job.name, depends_on=list(job.depends_on))
        if combination.get("written out"):
            step.name = f"{slug(job.name, 40)}-{slug('-'.join(combination['values'].values()), 20) or number_ + 1}"
        else:
            step.matrix = {"dimensions": combination["dimensions"]} if combination.get("dimensions") else None
        for note in job.notes:
            step.note(note.line, note.text)
        dimensions = frozenset(combination.get("dimensions") or ())
        given = {**globals_, **table(job.content.get("variables")), **combination.get("values", {})}
        if len(given) > MAX_VARIABLES:
            raise ImportFileError(f"the job {job.name[:60]} has more than {MAX_VARIABLES:,} variables")
        variables = JobVariables(draft, step, given, dimensions, job.content.line("variables"))
        _fill_step(step, job, variables)
        draft.add(step)


def _combinations(job: DefinedJob) -> list[dict[str, Any]]:
    """How often a job runs: `dimensions` for a matrix of its step, or `values` of one that is written out."""
    parallel = job.content.get("parallel")
    if (count := number(parallel)) is not None:
        if count > 200:
            raise ImportFileError(f"line {job.content.line('parallel')}: `parallel` is at most 200")
        return [{"dimensions": {"node": [str(index) for index in range(1, count + 1)]}, "count": count}]
    entries = tables(table(parallel).get("matrix"))
    if not entries:
        return [{}]
    if len(entries) == 1:
        dimensions = {name: list(dict.fromkeys(texts(values)))[:300] for name, values in entries[0].items()}
        return [{"dimensions": {name: values for name, values in dimensions.items() if values}}]
    made: list[dict[str, Any]] = []
    for entry in entries:
        combinations: list[dict[str, str]] = [{}]
        for name, values in entry.items():
            combinations = [{**each, name: value} for each in combinations for value in texts(values)]
            if len(combinations) + len(made) > 300:
                raise ImportFileError(f"line {job.content.line('parallel')}: a matrix has more than 300 combinations")
        made += [{"values": each, "written out": True} for each in combinations]
    return made


def _fill_step(step: StepDraft, job: DefinedJob, variables: JobVariables) -> None:
    content = job.content
    image = content.get("image")
    name = text(image.get("name")) if isinstance(image, SourceMap) else text(image)
    step.image = variables.expand(name, content.line("image")) or IMAGE
    _set_services(step, content, variables)
    _set_artifacts(step, content, variables)
    _set_caches(step, content, variables)
    job_condition(step, content)
    if (limit := seconds(text(content.get("timeout")))) is not None:
        step.timeout = duration(limit)
    allowed = content.get("allow_failure")
    step.allow_failure = allowed is True
    if isinstance(allowed, SourceMap):
        step.note(content.line("allow_failure"), "`allow_failure` with exit codes has no counterpart")
    retry = content.get("retry")
    step.retries = number(table(retry).get("max") if isinstance(retry, SourceMap) else retry) or 0
    if "trigger" in content:
        placeholder(step, content.line("trigger"), "a job that triggers another pipeline")
    else:
        _set_commands(step, content, variables)
    for key in content:
        if key not in _HANDLED:
            step.note(content.line(key), f"`{key}` has no counterpart")


def _set_commands(step: StepDraft, content: SourceMap, variables: JobVariables) -> None:
    commands = [*texts(content.get("before_script")), *texts(content.get("script"))]
    if not any(command.strip() for command in commands):
        placeholder(step, content.line("script"), "a job without a script of its own")
        return
    if after := texts(content.get("after_script")):
        step.note(content.line("after_script"), "`after_script` runs only if the commands before it succeed")
        commands.append("(\n" + "\n".join(after) + "\n) || true")
    commands = [command.replace("${{", "$ {{") for command in commands]
    if any("$[[" in command for command in commands):
        step.note(content.line("script"), "its commands use $[[ inputs… ]], which have no counterpart")
    step.commands = [*variables.exports(commands), *commands]


def _set_services(step: StepDraft, content: SourceMap, variables: JobVariables) -> None:
    line = content.line("services")
    for value in items(content.get("services")):
        given = table(value)
        image = variables.expand(text(given.get("name")) if given else text(value), line)
        alias = text(given.get("alias")).split(",")[0].split(" ")[0] or image.rpartition("/")[2].partition(":")[0]
        own = {name: variables.expand(text(each), line) for name, each in table(given.get("variables")).items()}
        # Services of GitLab see the variables of their job; those of their image begin with its name.
        prefix = image.rpartition("/")[2].partition(":")[0].upper()[:8]
        shared = {name: value for name, value in variables.static().items() if name.startswith(prefix) and prefix}
        if (made := make_service(step, alias, image, {**shared, **own}, (), line)) is not None:
            if command := texts(given.get("command")):
                import shlex

                made["commands"] = [shlex.join(command)]
            step.services.append(made)


def _set_artifacts(step: StepDraft, content: SourceMap, variables: JobVariables) -> None:
    artifacts = table(content.get("artifacts"))
    paths = texts(artifacts.get("paths"))
    reports = table(artifacts.get("reports"))
    for kind, value in reports.items():
        found = texts(table(value).get("path")) if isinstance(value, SourceMap) else texts(value)
        paths += found
        step.note(reports.line(kind), f"the report {kind} is kept as an artifact only")
    for path in paths:
        made = variables.workspace_path(path, artifacts.line("paths"))
        if made is not None:
            step.artifacts[made] = True
    for key in ("exclude", "untracked"):
        if artifacts.get(key):
            step.note(artifacts.line(key), f"`artifacts:{key}` has no counterpart")


def _set_caches(step: StepDraft, content: SourceMap, variables: JobVariables) -> None:
    given = content.get("cache")
    for cache in tables(given) if isinstance(given, list) else [table(given)]:
        line = content.line("cache")
        paths = [variables.workspace_path(path, line) for path in texts(cache.get("paths"))]
        inside = [path for path in paths if path is not None][:100]
        if cache.get("untracked"):
            step.note(line, "`cache:untracked` has no counterpart")
        if not inside:
            continue
        key = cache.get("key")
        files = [path for path in texts(table(key).get("files")) if path]
        parts = [variables.cache_key(text(table(key).get("prefix")) if isinstance(key, Mapping) else text(key), line)]
        parts += [f"{{{{hash {path}}}}}" for path in files if "{" not in path and "}" not in path]
        if not files:
            step.note(line, "a saved cache is not changed: put {{hash FILE}} of a lock file into its key")
        step.caches.append(("-".join(part for part in parts if part)[:1000] or "default", inside))
