"""What a run has reused of an earlier one, and why its other steps ran again. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.pipeline.values.inputs import select_inputs
from controller.run_types.phases import StepPhase
from workbench.client.models import Run, Step
from workbench.report.details import matrix_values, step_definition
from workbench.report.report import step_spans
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label

_NO_EFFECT = frozenset(
    ("name", "description", "dependsOn", "timeout", "retryPolicy", "matrix", "allowFailure", "conditional",
     "keepOnFailure", "inputs")
)  # fmt: skip
"""Fields of a step that change nothing of what it makes; the controller ignores them too."""
_OWN_TEXT = ("image", "env", "commands", "secrets")
"""Fields whose changes are described in detail."""
_MATRIX = re.compile(r"\$?\{\{\s*matrix\.([\w-]+)\s*\}\}")
_VARIABLES = re.compile(r"\{\{\s*run\.(branch|commit)\s*\}\}")
_MAX_FILES = 5
"""Maximum number of files that are named."""
_MAX_CHANGES = 3
"""Maximum number of changed commands that are shown."""
_MAX_VALUE = 40


@dataclass(frozen=True)
class ReuseCount:
    """How much of a run was reused. `saved` is the time in seconds that the reused steps took when they ran."""

    earlier: str
    reused: int
    total: int
    saved: float

    def __str__(self) -> str:
        """`11 of 12 reused, saved 41.0s`."""
        saved = f", saved {format_duration(self.saved)}" if self.saved else ""
        return f"{self.reused} of {self.total} reused{saved}"


@dataclass(frozen=True)
class FileChanges:
    """Names of files that differ between the sources of two runs."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.modified)

    def __str__(self) -> str:
        """`+new.py -old.py ~changed.py and 3 more`."""
        marked = [
            *(f"~{name}" for name in self.modified),
            *(f"+{name}" for name in self.added),
            *(f"-{name}" for name in self.removed),
        ]
        more = f" and {len(marked) - _MAX_FILES} more" if len(marked) > _MAX_FILES else ""
        return " ".join(sanitize_label(name, 80) for name in marked[:_MAX_FILES]) + more


def step_changes(files: FileChanges, definition: Mapping[str, Any] | None, matrix: Mapping[str, str]) -> FileChanges:
    """Those of the changes that a step reads, by its `inputs`; all of them where these have other variables.

    Args:
        matrix: the step's values, which its inputs may name.
    """
    inputs = (definition or {}).get("inputs")
    if not isinstance(inputs, (list, tuple)):
        return files
    globs = [_MATRIX.sub(lambda found: matrix.get(found[1], found[0]), str(glob)) for glob in inputs]
    if any("{{" in glob for glob in globs):
        return files
    read = select_inputs(globs, sorted({*files.added, *files.removed, *files.modified}))
    kept = (tuple(name for name in each if name in read) for each in (files.added, files.removed, files.modified))
    return FileChanges(*kept)


def changed_files(before: Mapping[str, str], after: Mapping[str, str]) -> FileChanges:
    """Compare two sources, given as checksums by file name."""
    return FileChanges(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )


def count_reuse(run: Run, find: Callable[[str], Run | None], now: datetime) -> ReuseCount | None:
    """How much the run has reused; None if it was not started to reuse anything.

    `find` returns a run by its name, if it is known: the times of steps whose run is not known are not counted.
    """
    if not run.may_reuse:
        return None
    reused = [step for step in run.steps if step.reused is not None]
    return ReuseCount(
        run.reuse_from or "earlier runs", len(reused), len(run.steps), sum(_seconds(step, find, now) for step in reused)
    )


def _seconds(step: Step, find: Callable[[str], Run | None], now: datetime) -> float:
    origin = find(step.reused.run) if step.reused is not None else None
    made = origin.step(step.reused.slug) if origin is not None and step.reused is not None else None
    if origin is None or made is None:
        return 0.0
    # Waiting for a place is not saved: the other steps wait for it as well.
    return sum(span.seconds(now) for span in step_spans(origin, made) if span.part != "queued")


def explain_reruns(run: Run, earlier: Run, files: FileChanges | None = None) -> dict[str, tuple[str, ...]]:
    """For each step that ran although the run may reuse steps of `earlier`: what is different, as short sentences.

    Args:
        run: with its definition, as is `earlier`.
        files: the differences of their sources; None if they are not known.
    """

    def source(step: Step) -> str:
        read = step_changes(files, step_definition(run, step), matrix_values(step.name)) if files is not None else None
        return _source_change(run, earlier, read)

    return {
        step.name: tuple(_reasons(run, earlier, step, source(step))) or (_unexplained(step, earlier),)
        for step in run.steps
        if step.reused is None and step.attempts
    }


def _reasons(run: Run, earlier: Run, step: Step, source: str) -> Iterator[str]:
    before = earlier.step(step.name)
    if before is None:
        yield f"{earlier.name} has no such step"
        return
    if before.phase != StepPhase.SUCCEEDED:
        yield f"{before.phase.lower()} in {earlier.name}"
    if step_definition(run, step) is None:
        return  # It clones the repository.
    if step.inputs is None or step.inputs != before.inputs:
        yield from own_changes(run, earlier, step)
        if source:
            yield source
    for needed in step.depends_on:
        other = run.step(needed)
        if other is not None and other.reused is None and other.attempts and step_definition(run, other) is not None:
            yield f"upstream {needed} ran again"


def _unexplained(step: Step, earlier: Run) -> str:
    before = earlier.step(step.name)
    if before is not None and before.inputs is not None and step.inputs not in (None, before.inputs):
        return "its inputs changed"
    return f"the result of {earlier.name} can't be reused any more"


def _source_change(run: Run, earlier: Run, files: FileChanges | None) -> str:
    """How the sources differ; empty if they do not, as far as that is known."""
    if files is not None:
        return f"source files: {files}" if files else ""
    if run.source_commit and earlier.source_commit:
        if run.source_commit == earlier.source_commit:
            return ""
        return f"source: commit {earlier.source_commit[:7]} → {run.source_commit[:7]}"
    if not any(_only_source_differs(run, earlier, step) for step in run.steps):
        return ""
    commits = (earlier.commit or "", run.commit or "")
    known = all(commits) and commits[0] != commits[1]
    return f"source files, commit {_commit(commits[0])} → {_commit(commits[1])}" if known else "source files"


def _commit(label: str) -> str:
    return sanitize_label(label[:7] + ("-dirty" if label.endswith("-dirty") else ""), 20)


def _only_source_differs(run: Run, earlier: Run, step: Step) -> bool:
    """Whether nothing but the source can have changed the inputs of the step."""
    before = earlier.step(step.name)
    if before is None or None in (step.inputs, before.inputs) or step.inputs == before.inputs:
        return False
    if step_definition(run, step) is None or any(own_changes(run, earlier, step)):
        return False
    needs = ((run.step(name), earlier.step(name)) for name in step.depends_on)
    return all(ours is not None and theirs is not None and ours.inputs == theirs.inputs for ours, theirs in needs)


def own_changes(run: Run, earlier: Run, step: Step) -> Iterator[str]:
    """What differs in the definition of the step from that in `earlier`, and in what fills it in."""
    before_step = earlier.step(step.name)
    before = step_definition(earlier, before_step) if before_step is not None else None
    after = step_definition(run, step)
    if before is None or after is None or before_step is None:
        return
    if before.get("image") != after.get("image"):
        yield f"image {_value(before.get('image'))} → {_value(after.get('image'))}"
    yield from _list_changes("commands", before.get("commands"), after.get("commands"))
    yield from _map_changes("environment", _environment(earlier, before), _environment(run, after))
    yield from _map_changes("parameter", _params(earlier), _params(run))
    yield from _list_changes("secrets", _secrets(before), _secrets(after))
    for field in sorted((before.keys() | after.keys()) - _NO_EFFECT - {*_OWN_TEXT, "shell"}):
        if before.get(field) != after.get(field):
            yield f"{sanitize_label(field, 40)} changed"
    if ("inputs" in before) != ("inputs" in after):
        # What the step is made from is computed in another way.
        yield "inputs changed"
    if _shell(earlier, before) != _shell(run, after):
        yield f"shell {_shell(earlier, before)} → {_shell(run, after)}"
    yield from _list_changes("dependencies", before_step.depends_on, step.depends_on)
    yield from _variable_changes(run, earlier, after)


def _variable_changes(run: Run, earlier: Run, definition: Mapping[str, Any]) -> Iterator[str]:
    """Changes of the variables of the run that the definition is filled in with."""
    text = json.dumps([definition, (run.definition or {}).get("env")])
    for name in sorted(set(_VARIABLES.findall(text))):
        before, after = (getattr(each, name) or "" for each in (earlier, run))
        if before != after:
            yield f"{name} {_value(before)} → {_value(after)}"


def _environment(run: Run, definition: Mapping[str, Any]) -> dict[str, Any]:
    pipeline = (run.definition or {}).get("env")
    own = definition.get("env")
    return {**(pipeline if isinstance(pipeline, dict) else {}), **(own if isinstance(own, dict) else {})}


def _params(run: Run) -> dict[str, Any]:
    declared = (run.definition or {}).get("params")
    defaults = {
        str(each["name"]): each.get("default")
        for each in (declared if isinstance(declared, list) else ())
        if isinstance(each, dict) and "name" in each
    }
    return {**defaults, **run.params}


def _secrets(definition: Mapping[str, Any]) -> list[str]:
    uses = definition.get("secrets")
    return [
        f"{use.get('secretRef')}/{use.get('key')}"
        + (f" as {to}" if (to := use.get("envVar") or use.get("file")) else "")
        for use in (uses if isinstance(uses, list) else ())
        if isinstance(use, dict)
    ]


def _shell(run: Run, definition: Mapping[str, Any]) -> str:
    return sanitize_label(str(definition.get("shell") or (run.definition or {}).get("shell") or "sh"), 20)


def _list_changes(what: str, before: object, after: object) -> Iterator[str]:
    """Added and removed items: `commands: +make -j4 -make`. A new order alone is a change as well."""
    old, new = (list(each) if isinstance(each, (list, tuple)) else [] for each in (before, after))
    if old == new:
        return
    marked = [f"+{_value(item)}" for item in new if item not in old] + [f"-{_value(i)}" for i in old if i not in new]
    more = f" and {len(marked) - _MAX_CHANGES} more" if len(marked) > _MAX_CHANGES else ""
    yield f"{what}: {', '.join(marked[:_MAX_CHANGES])}{more}" if marked else f"{what}: another order"


def _map_changes(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        label = sanitize_label(name, 60)
        if name not in before:
            yield f"{what} +{label}"
        elif name not in after:
            yield f"{what} -{label}"
        elif before[name] != after[name]:
            yield f"{what} {label}: {_value(before[name])} → {_value(after[name])}"


def _value(value: object) -> str:
    return sanitize_label(str(value if value is not None else "").replace("\n", " "), _MAX_VALUE) or '""'
