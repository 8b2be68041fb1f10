"""Rules on the `inputs` of steps: they stay in the source, and commands name no file that they leave out."""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.lint.rules.accessors import Path, iter_steps, iter_strings
from controller.pipeline.values.inputs import NEGATION, clean_glob, select_inputs

Json = dict[str, Any]

_WORD = re.compile(r"[A-Za-z0-9_@%+.,/-]+")
_WITH_SUBCOMMANDS = frozenset(
    ("bazel", "bun", "cargo", "deno", "docker", "git", "go", "gradle", "gradlew", "helm", "hg", "just", "kubectl",
     "make", "mvn", "ninja", "nox", "npm", "npx", "pdm", "pnpm", "podman", "poetry", "rake", "task", "terraform", "tox",
     "uv", "yarn")
)  # fmt: skip
"""Programs whose arguments are often the names of tasks: a folder of such a name is another thing."""
_MAX_SECONDS = 2.0
"""How long all globs may be matched with files; what is left then is not compared."""
_MAX_WORDS = 2_000
"""Words of a step's commands that are compared with files."""


def _globs(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        seen: set[str] = set()
        for number, glob in iter_strings(step.get("inputs")):
            path = ("steps", index, "inputs", number)
            parts = [part for part in glob.removeprefix(NEGATION).split("/") if part not in ("", ".")]
            if glob.removeprefix(NEGATION).startswith("/") or ".." in parts or not parts:
                message = f"{quote(glob)} does not stay below the root of the source"
                hint = 'inputs are named from the root, without a leading / and without ..; "**" is every file'
                yield source_map.diagnostic(path, "input-outside", message, hint)
            elif glob in seen:
                message, hint = f"{quote(glob)} is listed twice", "the last one decides: remove the other"
                yield source_map.diagnostic(path, "listed-twice", message, hint, severity="hint")
            seen.add(glob)


RULES = (_globs,)


def unlisted_files(data: Json, source_map: SourceMap, files: Collection[str]) -> Iterator[Diagnostic]:
    """A warning for each existing file or folder that a command names and the step's `inputs` leave out.

    Args:
        files: the paths of all files of the source.
    """
    paths, end = sorted(files), time.monotonic() + _MAX_SECONDS

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError

    known, folders = set(paths), _folders(paths)
    for index, step in iter_steps(data):
        globs = [glob for _, glob in iter_strings(step.get("inputs"))]
        if not isinstance(step.get("inputs"), list) or any("{{" in glob for glob in globs):
            continue
        try:
            selected = select_inputs([glob for glob in globs if clean_glob(glob)], paths, check)
        except TimeoutError:
            return
        read = selected | _folders(selected)
        folder = step.get("workingDir") if isinstance(step.get("workingDir"), str) else ""
        named: set[str] = set()
        for at, word in _words(index, step):
            path = posixpath.normpath(posixpath.join(folder or "", word))
            if path in named or path in read or (path not in known and path not in folders):
                continue
            named.add(path)
            what = "file" if path in known else "folder"
            message = f"a command names the {what} {quote(path)}, which is not among the step's inputs"
            hint = f"add {quote(path)} to `inputs`: otherwise the result is reused after a change there"
            yield source_map.diagnostic(at, "input-not-listed", message, hint, severity="warning")


def _folders(paths: Collection[str]) -> set[str]:
    """All folders that these files are in."""
    found: set[str] = set()
    for path in paths:
        folder = posixpath.dirname(path)
        while folder and folder not in found:
            found.add(folder)
            folder = posixpath.dirname(folder)
    return found


def _words(index: int, step: Json) -> Iterator[tuple[Path, str]]:
    """The words of the step's commands that may name a file, each with the path of its command."""
    left = _MAX_WORDS
    for number, command in iter_strings(step.get("commands")):
        for line in re.split(r"[\n;|&]+", command):
            words = _WORD.findall(line)
            yield from ((("steps", index, "commands", number), word) for word in _named(words)[:left])
            left = max(0, left - len(words))


def _named(words: Sequence[str]) -> list[str]:
    """The words that may be paths: not the options, and of some programs no word that may be a task."""
    program = posixpath.basename(words[0]) if words else ""
    may_be_task = program in _WITH_SUBCOMMANDS
    paths = [word.rstrip(".,") if word.endswith(",") else word for word in words if not word.startswith("-")]
    return [word for word in paths if not may_be_task or "/" in word or "." in word]
