"""Parameters, loops and `{{…}}` of Argo.

Source: https://argo-workflows.readthedocs.io/en/latest/variables/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.importer.containers import unknown_value
from workbench.importer.draft import MAX_STEPS, PipelineDraft, StepDraft
from workbench.importer.placeholders import replace_placeholders
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.values import items, number, table, tables, text, texts

PLACEHOLDER = re.compile(r"\{\{([^{}]{1,500})\}\}")
_MATRIX_ITEM = "{{matrix.item}}"
_CONTEXT = {
    "workflow.name": ("$C8S_RUN", "{{run.name}}"),
    "workflow.uid": ("$C8S_RUN", "{{run.name}}"),
    "pod.name": ("$C8S_RUN-$C8S_STEP", "{{run.name}}"),
    "retries": ("$((C8S_ATTEMPT - 1))", "0"),
}


@dataclass(frozen=True)
class LoopItem:
    """One pass of a loop; `values` are what `{{item}}` and `{{item.key}}` stand for."""

    values: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Loop:
    """The passes of a loop: one with `dimensions` for the matrix of the step, or each written out."""

    items: tuple[LoopItem, ...] = (LoopItem(),)
    dimensions: dict[str, list[str]] = field(default_factory=dict)
    note: str = ""


def loop_items(task: SourceMap, leaf: bool) -> Loop:
    """The loop of a task. `leaf`: its template is a container, so that a matrix can stand for it.

    Raises:
        ImportFileError: it has more passes than a pipeline may have steps.
    """
    if "withParam" in task and not (values := _literal_list(text(task["withParam"]))):
        return Loop(note=f"a loop over values that are computed has no counterpart ({text(task['withParam'])[:100]})")
    if "withParam" in task:
        found: list[Any] = values
    elif "withSequence" in task:
        sequence = _sequence(table(task["withSequence"]))
        if sequence is None:
            return Loop(note="a sequence whose length is computed has no counterpart")
        found = sequence
    elif "withItems" in task:
        found = items(task["withItems"])
    else:
        return Loop()
    if not found:
        return Loop(note="a loop without items")
    if len(found) > MAX_STEPS:
        raise ImportFileError(f"line {task.line('name')}: a loop has {len(found):,} items, more than {MAX_STEPS}")
    plain = [text(item) for item in found]
    distinct = all(not isinstance(item, dict | list) for item in found) and len(set(plain)) == len(plain)
    if leaf and distinct and all("\n" not in value and "{{" not in value and len(value) <= 253 for value in plain):
        return Loop((LoopItem({"item": _MATRIX_ITEM}),), {"item": plain})
    return Loop(tuple(_item(each, number_) for number_, each in enumerate(found, 1)))


def _item(value: Any, number_: int) -> LoopItem:
    if isinstance(value, dict):
        values = {f"item.{key}": text(each) for key, each in value.items()}
        label = next((text(each) for each in value.values() if text(each)), str(number_))
        return LoopItem({**values, "item": json.dumps(value)[:10_000]}, label)
    shown = json.dumps(value)[:10_000] if isinstance(value, list) else text(value)
    return LoopItem({"item": shown}, shown[:20] or str(number_))


def _literal_list(value: str) -> list[Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, list):
        return []
    return [each if isinstance(each, dict | list | str) else json.dumps(each) for each in found]


def _sequence(given: SourceMap) -> list[str] | None:
    start = number(given.get("start")) or 0
    if (count := number(given.get("count"))) is not None:
        end = start + count - 1
    elif (last := number(given.get("end"))) is not None:
        end = last
    else:
        return None
    if abs(end - start) >= MAX_STEPS:
        raise ImportFileError(f"a sequence has {abs(end - start) + 1:,} items, more than {MAX_STEPS}")
    step = 1 if end >= start else -1
    return [str(value) for value in range(start, end + step, step)]


def arguments_of(given: SourceMap, key: str) -> list[str]:
    """The texts in a field."""
    return texts(given.get(key))


def resolve_arguments(task: SourceMap, outer: Mapping[str, str], item: Mapping[str, str]) -> dict[str, str]:
    """The arguments of a call, with the caller's parameters and the loop's item filled in."""
    made = {}
    for each in tables(table(task.get("arguments")).get("parameters")):
        value = text(each.get("value", each.get("default")))
        made[text(each.get("name"))] = replace_placeholders(PLACEHOLDER, value, lambda name: _outer(name, outer, item))
    return made


def _outer(name: str, outer: Mapping[str, str], item: Mapping[str, str]) -> str:
    wanted = name.strip()
    if wanted in item:
        return item[wanted]
    if wanted.startswith("inputs.parameters.") and (key := wanted.removeprefix("inputs.parameters.")) in outer:
        return outer[key]
    return f"{{{{{wanted}}}}}"


def depends_on(task: SourceMap) -> list[str]:
    """The tasks that a task of a DAG waits for."""
    if "depends" in task:
        words = re.findall(r"[A-Za-z0-9_][\w-]{0,200}(?:\.[A-Za-z]{1,20})?", text(task["depends"]))
        return list(dict.fromkeys(word.partition(".")[0] for word in words))
    return texts(task.get("dependencies"))


@dataclass
class ArgoValues:
    """What the placeholders of a template stand for."""

    draft: PipelineDraft
    step: StepDraft
    template: SourceMap
    given: Mapping[str, str]
    items: Mapping[str, str]

    def fill(self, value: str, shell: bool) -> str:
        """A text of the template with its placeholders replaced."""
        return replace_placeholders(PLACEHOLDER, value, lambda name: self._resolve(name.strip(), shell, 0))

    def _resolve(self, name: str, shell: bool, depth: int) -> str:
        if name == "matrix.item":
            return _MATRIX_ITEM
        if name in self.items:
            return self.items[name]
        if name.startswith("inputs.parameters.") and depth == 0:
            value = self._input(name.removeprefix("inputs.parameters."))
            if value is not None:
                return replace_placeholders(PLACEHOLDER, value, lambda inner: self._resolve(inner.strip(), shell, 1))
        if name.startswith("workflow.parameters."):
            param = self.draft.param(name.removeprefix("workflow.parameters."), "")
            return f"$PARAM_{param.upper()}" if shell else f"{{{{params.{param}}}}}"
        if name in _CONTEXT:
            return _CONTEXT[name][0 if shell else 1]
        if match := re.fullmatch(r"(?:inputs|outputs)\.artifacts\.([\w-]{1,100})\.path", name):
            return self._artifact_path(match[1])
        return unknown_value(self.step, name, 0, shell=shell)

    def _input(self, name: str) -> str | None:
        if name in self.given:
            return self.given[name]
        for each in tables(table(self.template.get("inputs")).get("parameters")):
            if text(each.get("name")) == name and ("value" in each or "default" in each):
                return text(each.get("value", each.get("default")))
        return None

    def _artifact_path(self, name: str) -> str:
        for direction in ("inputs", "outputs"):
            for each in tables(table(self.template.get(direction)).get("artifacts")):
                if text(each.get("name")) == name:
                    return text(each.get("path"))
        return f"/tmp/{name}"  # noqa: S108 (a path in a container)
