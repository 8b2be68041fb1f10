"""How the inputs of a step differ from those of the same step in another run: by names, never by values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

ADDED, REMOVED, CHANGED = "+", "-", "~"
_SHOWN_APART = frozenset(("name", "image", "commands", "env", "secrets"))


@dataclass(frozen=True)
class StepInputs:
    """What a step is made from, as far as it is known.

    Attributes:
        resolved: its definition with variables filled in, see `reuse.resolved_definition`.
        files: the fingerprint of each of its inputs, by path; None if they are not known.
        source: what names the whole source, where files are not known.
        upstream: the input digest of each step that it depends on.
        digest: of all of this and the values of its secrets; None if it was not known.
    """

    resolved: Json
    files: Mapping[str, str] | None = None
    source: Any = None
    upstream: Mapping[str, str | None] = field(default_factory=dict)
    digest: str | None = None


@dataclass(frozen=True)
class InputDifference:
    """What was added (`+`), removed (`-`) or changed (`~`).

    Attributes:
        kind: file, source, image, commands, environment, parameter, matrix, secret, field or upstream.
    """

    kind: str
    name: str
    change: str


def compare_inputs(before: StepInputs, after: StepInputs) -> Iterator[InputDifference]:
    """What differs, with files last.

    Values of secrets are not known here: they have changed if nothing else has, and the digests differ.
    """
    found = [*_definition_differences(before.resolved, after.resolved), *_upstream_differences(before, after)]
    files = list(_file_differences(before, after))
    yield from found
    secrets = after.resolved["definition"].get("secrets") or []
    are_known = None not in (before.digest, after.digest, before.files, after.files)
    if not found and not files and secrets and are_known and before.digest != after.digest:
        yield InputDifference("secret", ", ".join(map(_secret_name, secrets)), CHANGED)
    yield from files


def _definition_differences(before: Json, after: Json) -> Iterator[InputDifference]:
    old, new = before["definition"], after["definition"]
    if old.get("image") != new.get("image"):
        yield InputDifference("image", str(new.get("image")), CHANGED)
    if old.get("commands") != new.get("commands"):
        yield InputDifference("commands", "commands", CHANGED)
    yield from _by_name("environment", _environment(before), _environment(after))
    yield from _by_name("parameter", before["params"], after["params"])
    yield from _by_name("matrix", before["matrix"], after["matrix"])
    yield from _by_name("secret", _secret_uses(old), _secret_uses(new))
    for name in sorted((old.keys() | new.keys()) - _SHOWN_APART):
        if old.get(name) != new.get(name):
            yield InputDifference("field", name, CHANGED)


def _upstream_differences(before: StepInputs, after: StepInputs) -> Iterator[InputDifference]:
    for name in sorted(before.upstream.keys() | after.upstream.keys()):
        if name not in before.upstream:
            yield InputDifference("upstream", name, ADDED)
        elif name not in after.upstream:
            yield InputDifference("upstream", name, REMOVED)
        elif before.upstream[name] != after.upstream[name]:
            yield InputDifference("upstream", name, CHANGED)


def _file_differences(before: StepInputs, after: StepInputs) -> Iterator[InputDifference]:
    if before.files is not None and after.files is not None:
        yield from _by_name("file", before.files, after.files)
    elif before.source != after.source:
        yield InputDifference("source", "source", CHANGED)


def _by_name(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[InputDifference]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield InputDifference(kind, name, ADDED)
        elif name not in after:
            yield InputDifference(kind, name, REMOVED)
        elif before[name] != after[name]:
            yield InputDifference(kind, name, CHANGED)


def _environment(resolved: Json) -> dict[str, Any]:
    return {**resolved["env"], **(resolved["definition"].get("env") or {})}


def _secret_uses(definition: Json) -> dict[str, Any]:
    uses: Sequence[Json] = definition.get("secrets") or ()
    return {_secret_name(use): use for use in uses}


def _secret_name(use: Json) -> str:
    return f"{use['secretRef']}/{use['key']}"
