"""Rules on paths: artifacts, caches and working folders are below the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.lint.rules.accessors import maps, steps, strings
from controller.pipeline.problems import Places, Problem, quoted

Json = dict[str, Any]


def _artifacts(data: Json, places: Places) -> Iterator[Problem]:
    for index, step in steps(data):
        seen: set[str] = set()
        for n, glob in strings(step.get("artifacts")):
            path = ("steps", index, "artifacts", n)
            if _leads_out(glob):
                message = f"{quoted(glob)} does not stay below the workspace"
                hint = "artifacts are named from the workspace's root, without a leading / and without .."
                yield places.problem(path, "artifact-outside", message, hint)
            elif glob in seen:
                message = f"{quoted(glob)} is listed twice"
                yield places.problem(path, "listed-twice", message, "keep one", severity="hint")
            seen.add(glob)


def _folders(data: Json, places: Places) -> Iterator[Problem]:
    for index, step in steps(data):
        folder = step.get("workingDir")
        if isinstance(folder, str) and folder and (folder.startswith("/") or ".." in folder.split("/")):
            message = f"{quoted(folder)} leads out of the workspace"
            hint = "name a folder in it, such as services/api"
            yield places.problem(("steps", index, "workingDir"), "working-dir-outside", message, hint)
        for n, cache in maps(step.get("cache")):
            for m, kept in strings(cache.get("paths")):
                if _leads_out(kept):
                    message, hint = f"{quoted(kept)} does not stay below the workspace", "name a folder in it"
                    yield places.problem(("steps", index, "cache", n, "paths", m), "cache-outside", message, hint)


def _leads_out(path: str) -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return path.startswith("/") or ".." in parts or not parts


RULES = (_artifacts, _folders)
