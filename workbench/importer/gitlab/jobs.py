"""The jobs of a `.gitlab-ci.yml` as they are after defaults, `extends` and `!reference`.

Source: https://docs.gitlab.com/ci/yaml/yaml_optimization/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.importer.draft import MAX_STEPS, Note, PipelineDraft
from workbench.importer.source import ImportFileError, Reference, SourceList, SourceMap
from workbench.importer.values import table, text, texts

_DEFAULTS = ("image", "before_script", "after_script", "services", "cache", "artifacts", "retry", "timeout", "tags")
_GLOBAL = frozenset(
    {
        *("stages", "variables", "default", "include", "workflow", "spec", "types"),
        *("image", "before_script", "after_script", "services", "cache"),
    }
)
_STAGES = (".pre", "build", "test", "deploy", ".post")
_MAX_DEPTH = 11
"""GitLab's limit for `extends`."""
_MAX_COPIES = 500_000
"""Values that `extends` and `!reference` may copy for all jobs together."""


@dataclass
class DefinedJob:
    """A job with all that it inherits. `stage` is the number of its stage."""

    name: str
    content: SourceMap
    stage: int
    depends_on: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class _Reader:
    def __init__(self, root: SourceMap) -> None:
        self._root = root
        self._copies = 0
        self.notes: list[Note] = []

    def job(self, name: str, depth: int = 0) -> SourceMap:
        """A job with what it extends, the last one winning; lists are replaced, maps are merged."""
        own = table(self._root.get(name))
        made = SourceMap()
        for parent in texts(own.get("extends")):
            if parent not in self._root:
                self.notes.append(Note(own.line("extends"), f"it extends {parent}, which is not in this file"))
            elif depth >= _MAX_DEPTH or parent == name:
                raise ImportFileError(f"line {own.line('extends')}: {name} extends itself, or too many others")
            else:
                self._merge(made, self.job(parent, depth + 1), depth=0)
        self._merge(made, own, depth=0)
        made.pop("extends", None)
        return made

    def resolve(self, value: Any, depth: int = 0) -> Any:
        """The value with its references replaced, in lists by the entries of what they name."""
        if depth > _MAX_DEPTH:
            raise ImportFileError("`!reference` refers to itself, or is nested too deep")
        if isinstance(value, Reference):
            return self._named(value, depth)
        if isinstance(value, SourceList):
            made = SourceList()
            for item, line in zip(value, value.lines, strict=True):
                self._count()
                found = self.resolve(item, depth + isinstance(item, Reference))
                inside = found if isinstance(item, Reference) and isinstance(found, list) else [found]
                made += inside
                made.lines += [line] * len(inside)
                self._count(len(inside))
            return made
        if isinstance(value, SourceMap):
            copied = SourceMap()
            for key, item in value.items():
                self._count()
                copied[key] = self.resolve(item, depth + isinstance(item, Reference))
            copied.lines = value.lines
            return copied
        return value

    def _named(self, reference: Reference, depth: int) -> Any:
        path = texts(list(reference))
        value: Any = self.job(path[0]) if path and isinstance(self._root.get(path[0]), SourceMap) else None
        for part in path[1:]:
            value = value.get(part) if isinstance(value, SourceMap) else None
        if value is None:
            line = reference.lines[0] if reference.lines else 0
            self.notes.append(Note(line, f"!reference [{', '.join(path)}] names nothing in this file"))
            return SourceList()
        return self.resolve(value, depth + 1)

    def _merge(self, target: SourceMap, source: SourceMap, depth: int) -> None:
        for key, value in source.items():
            self._count()
            if isinstance(value, SourceMap) and isinstance(target.get(key), SourceMap) and depth < _MAX_DEPTH:
                merged = SourceMap()
                self._merge(merged, target[key], depth + 1)
                self._merge(merged, value, depth + 1)
                target[key] = merged
            else:
                target[key] = value
            target.lines[key] = source.line(key)

    def _count(self, number: int = 1) -> None:
        self._copies += number
        if self._copies > _MAX_COPIES:
            raise ImportFileError("`extends` and `!reference` make the pipeline too large")


def read_jobs(root: SourceMap, draft: PipelineDraft) -> list[DefinedJob]:
    """The jobs that run, in the order of the file.

    Raises:
        ImportFileError: a job extends itself, or there are too many.
    """
    reader = _Reader(root)
    stages = [*(texts(root.get("stages")) or _STAGES)]
    stages = [".pre", *(stage for stage in stages if stage not in (".pre", ".post")), ".post"]
    jobs: list[DefinedJob] = []
    for name, value in root.items():
        if name.startswith(".") or name in _GLOBAL or not isinstance(value, SourceMap):
            continue
        if len(jobs) >= MAX_STEPS:
            raise ImportFileError(f"the file has more than {MAX_STEPS} jobs")
        reader.notes = []
        content = table(reader.resolve(reader.job(name)))
        _inherit(content, root)
        stage = text(content.get("stage")) or text(content.pop("type", None)) or "test"
        if stage not in stages:
            reader.notes.append(Note(content.line("stage"), f"the stage {stage} is not in `stages`"))
            stages.insert(-1, stage)
        jobs.append(DefinedJob(name, content, stages.index(stage), notes=reader.notes))
    return jobs


def _inherit(content: SourceMap, root: SourceMap) -> None:
    default = table(root.get("default"))
    inherit = table(content.get("inherit")).get("default")
    if inherit is False:
        return
    for key in _DEFAULTS:
        source = default if key in default else root
        if key not in content and key in source and (not isinstance(inherit, list) or key in inherit):
            content[key] = source[key]
            content.lines[key] = source.line(key)
