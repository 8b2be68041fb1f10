"""Completion indexes of Indexed Jobs: the index of a pod, and the text form of sets of indexes (`0,2-4`). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

Json = dict[str, Any]

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
FAILURE_COUNT_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURE_COUNT_ANNOTATION = "batch.kubernetes.io/job-index-ignored-failure-count"
_MAX_GENERATE_NAME_LENGTH = 58


def parse_indexes(text: str, limit: int) -> frozenset[int]:
    """The indexes below `limit` in a text; invalid parts are ignored."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first) + 1, limit)))
    return frozenset(index for index in found if index < limit)


def format_indexes(indexes: Iterable[int]) -> str:
    """The text form of a set of indexes; three or more consecutive ones are a range."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if index is not None and run and index == run[-1] + 1:
            run.append(index)
            continue
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(number) for number in run]
        run = [] if index is None else [index]
    return ",".join(parts)


def index_of(pod: Json, completions: int) -> int | None:
    """The index of a pod; None if it has none, or one that is out of range."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX_ANNOTATION, "")
    return int(text) if text.isdigit() and int(text) < completions else None


def index_failures(pod: Json) -> tuple[int, int]:
    """(counted, ignored) failures of a pod's index before the pod was created; a policy ignores failures."""
    annotations = pod["metadata"].get("annotations") or {}
    counted, ignored = (
        str(annotations.get(name, "0")) for name in (FAILURE_COUNT_ANNOTATION, IGNORED_FAILURE_COUNT_ANNOTATION)
    )
    return (int(counted) if counted.isdigit() else 0, int(ignored) if ignored.isdigit() else 0)


def pending_indexes(completions: int, taken: Collection[int]) -> Iterator[int]:
    """The indexes that are neither done nor active, the lowest first; lazy, as there may be very many."""
    return (index for index in range(completions) if index not in taken)


def apply_index(pod: Json, job: str, index: int, failures: tuple[int, int] | None) -> None:
    """Set the index of a new pod, in place: name, host name, label, annotations, variable.

    Args:
        failures: see `index_failures`.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    suffix = f"-{index}-"
    metadata["generateName"] = job[: _MAX_GENERATE_NAME_LENGTH - len(suffix)] + suffix
    annotations = metadata.setdefault("annotations", {})
    annotations[INDEX_ANNOTATION] = metadata["labels"][INDEX_ANNOTATION] = str(index)
    if failures is not None:
        annotations[FAILURE_COUNT_ANNOTATION] = str(failures[0])
        if failures[1]:
            annotations[IGNORED_FAILURE_COUNT_ANNOTATION] = str(failures[1])
    spec["hostname"] = f"{job}-{index}"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX_ANNOTATION}']"}}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        variables = container.setdefault("env", [])
        if all(variable.get("name") != "JOB_COMPLETION_INDEX" for variable in variables):
            variables.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
