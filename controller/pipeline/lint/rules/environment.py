"""Rules on variables, images and lists: unique, not reserved, with a fixed tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.lint.rules.accessors import Path, env_scopes, env_variables, iter_mappings, iter_strings

Json = dict[str, Any]

RESERVED = frozenset(
    (
        "CI",
        "C8S",
        "C8S_RUN",
        "C8S_STEP",
        "C8S_ATTEMPT",
        "C8S_COMMIT",
        "C8S_BRANCH",
        "C8S_WORKSPACE",
        "COMMIT_SHA",
        "BRANCH",
    )
)
"""Variables that c8s sets in every step, whatever `env` holds."""
_EXPANDED_ELSEWHERE = frozenset(("PATH", "HOME", "PWD", "USER", "TMPDIR", *RESERVED))
_REFERENCE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}|\(([A-Za-z_]\w*)\))")
_MAX_HINT_LENGTH = 80
_VARIABLE = re.compile(r"\{\{[^{}]{0,256}\}\}")
_NOT_IN_IMAGE = re.compile(r"[\s\x00-\x1f\x7f]")


_MAX_VARIABLE_BYTES = 131_071
"""Linux takes no longer `NAME=value` for a program (MAX_ARG_STRLEN, without the byte that ends it)."""


def _long_variables(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, scope in _all_scopes(data):
        for at, name, value in _values(path, scope):
            size = len(name.encode(errors="replace")) + 1 + len(value.encode(errors="replace"))
            if size > _MAX_VARIABLE_BYTES:
                message = f"{quote(name)} has {size:,} bytes with its name; no program starts with more than 128 KiB"
                hint = "write the text to a file in `commands`, with `cat > FILE <<'END'`"
                yield source_map.diagnostic(at, "variable-too-long", message, hint)


def _duplicate_variables(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, scope in env_scopes(data):
        seen: dict[str, int] = {}
        for below, name in env_variables(scope):
            at = (*path, *below)
            if name in seen:
                message = f"{quote(name)} is set twice; the first is on line {seen[name]}"
                yield source_map.diagnostic(at, "duplicate-variable", message, "keep one")
            seen.setdefault(name, source_map.key_position(at)[0])


def _reserved_variables(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, scope in env_scopes(data):
        for below, name in env_variables(scope):
            if name in RESERVED:
                message, hint = f"{quote(name)} is set by c8s; this value is not used", "give yours another name"
                at = (*path, *below)
                yield source_map.diagnostic(at, "reserved-variable", message, hint, severity="warning", at_key=True)
        for n, use in iter_mappings(scope.get("secrets")):
            field = "envVar" if use.get("envVar") else "key"
            variable = use.get(field)
            if not use.get("file") and isinstance(variable, str) and variable in RESERVED:
                message = f"the secret would take the place of {quote(variable)}, which c8s sets"
                at = (*path, "secrets", n, field)
                yield source_map.diagnostic(at, "reserved-variable", message, "give it another name with `envVar`")


def _unexpanded_variables(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    """Values that name variables, as a shell would expand: they are taken literally."""
    for path, scope in _all_scopes(data):
        for at, name, value in _values(path, scope):
            known = {name, *_EXPANDED_ELSEWHERE}
            used = [found.group(0) for found in _REFERENCE.finditer(value) if _referenced(found) in known]
            if used:
                message = f"{quote(used[0])} in {quote(name)} is taken literally: `env` is not read by a shell"
                text = value if len(value) <= _MAX_HINT_LENGTH else f"{used[0]}:…"
                hint = f'set it in the commands instead: export {name}="{text}"'
                yield source_map.diagnostic(at, "env-not-expanded", message, hint, severity="warning")


def _all_scopes(data: Json) -> Iterator[tuple[Path, Json]]:
    """Everything that may have `env`, with its path: the pipeline, its steps and their services."""
    yield from env_scopes(data)
    for index, step in iter_mappings(data.get("steps")):
        for n, service in iter_mappings(step.get("services")):
            yield ("steps", index, "services", n), service


def _values(path: Path, scope: Json) -> Iterator[tuple[Path, str, str]]:
    """The path, name and value of each variable in `env`, in either form."""
    env = scope.get("env")
    if isinstance(env, dict):
        yield from (((*path, "env", name), name, value) for name, value in env.items() if isinstance(value, str))
    for n, entry in iter_mappings(env):
        if isinstance(entry.get("name"), str) and isinstance(entry.get("value"), str):
            yield (*path, "env", n, "value"), entry["name"], entry["value"]


def _referenced(found: re.Match[str]) -> str | None:
    return found.group(1) or found.group(2) or found.group(3)


def _images(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_mappings(data.get("steps")):
        images: list[tuple[Path, Any]] = [(("steps", index, "image"), step.get("image"))]
        images += [
            (("steps", index, "services", n, "image"), s.get("image")) for n, s in iter_mappings(step.get("services"))
        ]
        for path, image in images:
            if not isinstance(image, str) or not image:
                continue
            if _NOT_IN_IMAGE.search(_VARIABLE.sub("", image)):
                message = f"{quote(image)} can't be an image: no image has spaces or control characters in its name"
                yield source_map.diagnostic(path, "wrong-form", message, "remove them")
                continue
            tag = image.rpartition("/")[2].partition(":")[2]
            if "@" not in image and "{{" not in image and tag in ("", "latest"):
                message = f"the image {quote(image)} has no fixed tag, so it can change between runs"
                hint = f"name a version, such as {image.removesuffix(':latest').rpartition('/')[2]}:1.2"
                yield source_map.diagnostic(path, "image-tag", message, hint, severity="hint")


def _duplicate_entries(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for field in ("branches", "events", "paths"):
        seen: set[str] = set()
        for n, value in iter_strings(data.get(field)):
            if value in seen:
                message = f"{quote(value)} is listed twice"
                yield source_map.diagnostic((field, n), "listed-twice", message, "keep one", severity="hint")
            seen.add(value)


RULES = (_long_variables, _duplicate_variables, _reserved_variables, _unexpanded_variables, _images, _duplicate_entries)
