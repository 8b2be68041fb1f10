"""A pipeline while it is converted: steps, which refer to each other by their original names, and notes.

`finish` names the steps, and makes the text of the pipeline file, with every note as a comment where it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.importer.source import ImportFileError
from workbench.importer.values import slug
from workbench.pipeline_file.commented_yaml import Commented, write_pipeline_text
from workbench.pipeline_file.load import lint_pipeline

MAX_STEPS = 300
MAX_TEXT = 1024 * 1024
"""Characters of all commands together."""
MAX_VARIABLES = 1000
"""Variables of a step, as in a pipeline file."""
_MAX_VALUES = 20_000
"""Commands, variables and other values of all steps together."""
_MAX_NOTES = 200
"""Notes of a step, and of the whole file; more are not kept."""
REVIEW = "review-the-condition/*"
"""Branches that stand for a condition without counterpart, so that the step does not run before it is reviewed."""
_MAX_NOTE = 300
_ENV_NAME = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]{0,252}")


@dataclass(frozen=True)
class Note:
    """Something without a counterpart, or changed in meaning. `line` is 0 where there is none."""

    line: int
    text: str

    def __str__(self) -> str:
        shown = " ".join(self.text.split())
        shown = shown if len(shown) <= _MAX_NOTE else shown[: _MAX_NOTE - 1] + "…"
        return f"line {self.line}: {shown}" if self.line else shown


@dataclass
class StepDraft:
    """A step. `depends_on` has names of the other system, each of which may have become several steps."""

    source: str
    image: str = ""
    commands: list[str] = field(default_factory=list)
    shell: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Keys of the Secret by variable."""
    secret_refs: dict[str, str] = field(default_factory=dict)
    """The Secret's name by variable, where it is not that of the pipeline."""
    depends_on: list[str] = field(default_factory=list)
    artifacts: dict[str, bool] = field(default_factory=dict)
    """Patterns, and whether they may match nothing."""
    caches: list[tuple[str, list[str]]] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    conditional: dict[str, Any] = field(default_factory=dict)
    matrix: dict[str, Any] | None = None
    retries: int = 0
    timeout: str | None = None
    allow_failure: bool = False
    working_dir: str = ""
    git: bool = False
    resources: dict[str, str] = field(default_factory=dict)
    is_placeholder: bool = False
    name: str = ""
    """What to call it; by default its name in the other system."""
    notes: list[Note] = field(default_factory=list)

    def note(self, line: int, message: str) -> None:
        """Add a note, unless it is there already."""
        _add_note(self.notes, line, message)

    def require_review(self, line: int, condition: str) -> None:
        """Keep the step from running under a condition that has no counterpart."""
        self.conditional["branch"] = REVIEW
        message = f"its condition has no counterpart: {condition}. Replace `branch: {REVIEW}` by one that has"
        self.note(line, message)


@dataclass
class PipelineDraft:
    """A pipeline. `notes` concern the whole file."""

    system: str
    name: str
    description: str = ""
    branches: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    max_parallel: int = 0
    timeout: str | None = None
    concurrency: dict[str, str] = field(default_factory=dict)
    steps: list[StepDraft] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _text: int = 0
    _values: int = 0

    def note(self, line: int, message: str) -> None:
        """Add a note, unless it is there already."""
        _add_note(self.notes, line, message)

    def add(self, step: StepDraft) -> None:
        """Add a step.

        Raises:
            ImportFileError: all steps together are larger than a pipeline may be.
        """
        self.steps.append(step)
        self._text += sum(map(len, step.commands))
        self._values += sum(map(len, (step.commands, step.env, step.depends_on, step.artifacts, step.secrets)))
        if len(self.steps) > MAX_STEPS:
            raise ImportFileError(f"the file makes more than {MAX_STEPS} steps")
        if self._text > MAX_TEXT or self._values > _MAX_VALUES or len(step.commands) > 1000:
            raise ImportFileError(f"the commands and variables of the steps up to {step.source[:60]} are too many")

    def param(self, name: str, default: str | None, description: str = "", options: Iterable[str] = ()) -> str:
        """Declare a parameter, and return its name in the pipeline file."""
        known = re.sub(r"[^A-Za-z0-9_]", "_", name)[:60] or "value"
        known = f"p_{known}" if known[0].isdigit() else known
        if known not in self.params:
            declared: dict[str, Any] = {"name": known}
            if description:
                declared["description"] = " ".join(description.split())[:1000]
            if default is not None:
                declared["default"] = default
            choices = list(dict.fromkeys(options))
            if choices:
                declared["options"] = choices if default is None or default in choices else [default, *choices]
            self.params[known] = declared
        return known


def _add_note(notes: list[Note], line: int, message: str) -> None:
    note = Note(line, message[: 2 * _MAX_NOTE])
    if len(notes) < _MAX_NOTES and note not in notes:
        notes.append(note)


@dataclass(frozen=True)
class ImportedPipeline:
    """The result of an import. `secrets` are the keys that steps need, by name of the Secret."""

    system: str
    text: str
    steps: int
    kept: Mapping[str, int]
    """How many of what was converted."""
    notes: tuple[tuple[str, Note], ...]
    """What has no counterpart, with the step that it concerns; empty for the whole file."""
    secrets: Mapping[str, tuple[str, ...]]


def placeholder(step: StepDraft, line: int, what: str) -> None:
    """Give a step without convertible commands one that fails and says why."""
    step.is_placeholder = True
    step.note(line, f"{what} has no counterpart: write its commands here")
    said = re.sub(r"[^A-Za-z0-9 ./:@_-]", " ", what)[:200]
    step.commands = [f"echo 'not converted: {said}' >&2", "exit 1"]


def finish(draft: PipelineDraft, file: str) -> ImportedPipeline:
    """Name the steps and write the file.

    Raises:
        ImportFileError: there is nothing to convert, too much, or the result is not valid.
    """
    if not draft.steps:
        why = "".join(f"; {note}" for note in draft.notes[:5])
        raise ImportFileError(f"the file has no job of its own that can be converted{why}")
    _share_variables(draft)
    names = _name_steps(draft.steps)
    shells: set[int] = set()
    text = _text(draft, file, names, shells)
    outcome = lint_pipeline(text)
    # Systems that prefer bash where it exists are full of scripts that need it.
    for problem in outcome.problems:
        if problem.code == "bash-in-sh" and (match := re.match(r"steps\[(\d+)\]", problem.path)):
            shells.add(int(match[1]))
    if shells:
        text = _text(draft, file, names, shells)
        outcome = lint_pipeline(text)
    if error := next((problem for problem in outcome.problems if problem.severity == "error"), None):
        raise ImportFileError(f"the converted pipeline is not valid: {error.path}: {error.message}")
    notes = [("", note) for note in draft.notes]
    notes += [(name, note) for name, step in zip(names, draft.steps, strict=True) for note in step.notes]
    return ImportedPipeline(draft.system, text, len(draft.steps), _kept(draft), tuple(notes), _secrets(draft))


def _share_variables(draft: PipelineDraft) -> None:
    """Move the variables that all steps have to the pipeline."""
    steps = [step for step in draft.steps if not step.is_placeholder]
    if len(steps) < 2:
        return
    shared = set.intersection(*(set(step.env.items()) for step in steps))
    draft.env |= {name: value for name, value in steps[0].env.items() if (name, value) in shared and value}
    for step in draft.steps:
        step.env = {name: value for name, value in step.env.items() if draft.env.get(name) != value}


def _name_steps(steps: list[StepDraft]) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for step in steps:
        wanted = slug(step.name or step.source) or "step"
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted[:57]}-{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _text(draft: PipelineDraft, file: str, names: list[str], bash: set[int]) -> str:
    by_source: dict[str, list[str]] = {}
    for name, step in zip(names, draft.steps, strict=True):
        by_source.setdefault(step.source, []).append(name)
    definition: dict[str, Any] = {"version": "v1alpha1", "name": slug(draft.name, 50) or "imported"}
    if draft.description:
        definition["description"] = draft.description[:4000]
    for field_name in ("branches", "events", "paths"):
        if values := list(dict.fromkeys(getattr(draft, field_name)))[:100]:
            definition[field_name] = values
    if draft.params:
        definition["params"] = list(draft.params.values())[:100]
    if draft.env:
        definition["env"] = draft.env
    if draft.timeout:
        definition["timeout"] = draft.timeout
    if draft.max_parallel:
        definition["maxParallel"] = draft.max_parallel
    if draft.concurrency:
        definition["concurrency"] = draft.concurrency
    definition["steps"] = [
        Commented(_step(draft, step, name, by_source, number in bash), tuple(comments))
        for number, (name, step, comments) in enumerate(
            zip(names, draft.steps, _comments(names, draft.steps), strict=True)
        )
    ]
    header = [f"Converted by `c8s import` from {file} ({draft.system}). Lines in comments are those of that file."]
    return write_pipeline_text(definition, [*header, *(str(note) for note in draft.notes)])


def _comments(names: list[str], steps: list[StepDraft]) -> Iterator[list[str]]:
    """The comments of each step. Those that repeat the ones of an earlier step refer to it."""
    seen: dict[tuple[Note, ...], str] = {}
    for name, step in zip(names, steps, strict=True):
        earlier = seen.setdefault(tuple(step.notes), name)
        repeated = len(step.notes) > 1 and earlier != name
        yield [f"As for {earlier}: see its comments."] if repeated else [str(note) for note in step.notes]


def _step(
    draft: PipelineDraft, step: StepDraft, name: str, by_source: Mapping[str, list[str]], bash: bool
) -> dict[str, Any]:
    content: dict[str, Any] = {"name": name, "image": step.image}
    wanted = [each for source in dict.fromkeys(step.depends_on) for each in by_source.get(source, [])]
    optional: dict[str, Any] = {
        "shell": step.shell or ("bash" if bash else None),
        "workingDir": step.working_dir,
        "git": "full" if step.git else None,
        "dependsOn": [each for each in dict.fromkeys(wanted) if each != name][:MAX_STEPS],
        "conditional": step.conditional,
        "matrix": step.matrix,
        "env": {key: value for key, value in step.env.items() if _ENV_NAME.fullmatch(key) and len(value) < 100_000},
        "secrets": _step_secrets(draft, step),
        "resources": step.resources,
        "timeout": step.timeout,
        "retryPolicy": {"maxRetries": min(step.retries, 10)} if step.retries else None,
        "allowFailure": step.allow_failure or None,
        "cache": [{"key": key, "paths": paths} for key, paths in step.caches],
        "services": step.services,
        "commands": [command for command in step.commands if command.strip()] or ["true"],
        "artifacts": [{"path": path, "optional": True} if maybe else path for path, maybe in step.artifacts.items()],
    }
    content.update({key: value for key, value in optional.items() if value})
    return content


def _step_secrets(draft: PipelineDraft, step: StepDraft) -> list[dict[str, str]]:
    secrets = []
    for name, key in step.secrets.items():
        entry = {"secretRef": step.secret_refs.get(name) or secret_name(draft), "key": key}
        secrets.append(entry | ({"envVar": name} if name != key else {}))
    return secrets[:100]


def secret_name(draft: PipelineDraft) -> str:
    """The Secret that stands for the other system's secrets."""
    return slug(draft.name, 50) or "imported"


def _kept(draft: PipelineDraft) -> dict[str, int]:
    steps = draft.steps
    counts = {
        "commands": sum(len(step.commands) for step in steps),
        "dependencies": sum(len(set(step.depends_on)) for step in steps),
        "matrices": sum(step.matrix is not None for step in steps),
        "services": sum(len(step.services) for step in steps),
        "conditions": sum(bool(step.conditional) and step.conditional.get("branch") != REVIEW for step in steps),
        "caches": sum(len(step.caches) for step in steps),
        "artifacts": sum(len(step.artifacts) for step in steps),
        "variables": len(draft.env) + sum(len(step.env) for step in steps),
        "parameters": len(draft.params),
    }
    return {what: count for what, count in counts.items() if count}


def _secrets(draft: PipelineDraft) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for step in draft.steps:
        for entry in _step_secrets(draft, step):
            found.setdefault(entry["secretRef"], set()).add(entry["key"])
    return {name: tuple(sorted(keys)) for name, keys in sorted(found.items())}
