"""Rules on variables, images and lists: unique, not reserved, with a fixed tag."""

from __future__ import annotations

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


def _images(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_mappings(data.get("steps")):
        images: list[tuple[Path, Any]] = [(("steps", index, "image"), step.get("image"))]
        images += [
            (("steps", index, "services", n, "image"), s.get("image")) for n, s in iter_mappings(step.get("services"))
        ]
        for path, image in images:
            if not isinstance(image, str) or not image or "@" in image or "{{" in image:
                continue
            tag = image.rpartition("/")[2].partition(":")[2]
            if tag in ("", "latest"):
                message = f"the image {quote(image)} has no fixed tag, so it can change between runs"
                hint = f"name a version, such as {image.removesuffix(':latest').rpartition('/')[2]}:1.2"
                yield source_map.diagnostic(path, "image-tag", message, hint, severity="hint")
            elif any(character.isspace() for character in image):
                yield source_map.diagnostic(
                    path, "wrong-form", f"{quote(image)} can't be an image", "remove the spaces"
                )


def _duplicate_entries(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for field in ("branches", "events", "paths"):
        seen: set[str] = set()
        for n, value in iter_strings(data.get(field)):
            if value in seen:
                message = f"{quote(value)} is listed twice"
                yield source_map.diagnostic((field, n), "listed-twice", message, "keep one", severity="hint")
            seen.add(value)


RULES = (_duplicate_variables, _reserved_variables, _images, _duplicate_entries)
