"""Variables of GitLab jobs: what they are in a pipeline file, and what stands for the predefined ones.

Source: https://docs.gitlab.com/ci/variables/predefined_variables/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.importer.draft import PipelineDraft, StepDraft
from workbench.importer.source import ImportFileError
from workbench.importer.values import table, text

_REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_]\w{0,100})\}|\$([A-Za-z_]\w{0,100})")
_PREDEFINED = {
    "CI_COMMIT_SHA": ("$C8S_COMMIT", "{{run.commit}}"),
    "CI_COMMIT_SHORT_SHA": ('$(printf %.8s "$C8S_COMMIT")', "{{run.commit}}"),
    "CI_COMMIT_BRANCH": ("$C8S_BRANCH", "{{run.branch}}"),
    "CI_COMMIT_REF_NAME": ("$C8S_BRANCH", "{{run.branch}}"),
    "CI_COMMIT_REF_SLUG": ('$(printf %s "$C8S_BRANCH" | tr A-Z a-z | tr -c a-z0-9 -)', "{{run.branch}}"),
    "CI_DEFAULT_BRANCH": ("main", "main"),
    "CI_PIPELINE_ID": ("$C8S_RUN", "{{run.number}}"),
    "CI_PIPELINE_IID": ("$C8S_RUN", "{{run.number}}"),
    "CI_JOB_ID": ("$C8S_RUN-$C8S_STEP", "{{run.number}}"),
    "CI_JOB_NAME": ("$C8S_STEP", ""),
    "CI_PROJECT_DIR": ("$C8S_WORKSPACE", "/workspace"),
    "CI_BUILDS_DIR": ("$C8S_WORKSPACE", "/workspace"),
}
"""What commands and other fields have in place of a variable."""
_SHELL_VARIABLES = frozenset(
    {"PATH", "HOME", "PWD", "OLDPWD", "USER", "SHELL", "LANG", "IFS", "HOSTNAME", "RANDOM", "UID"}
)
_MAX_DEPTH = 5
_MAX_EXPANDED = 10_000


@dataclass
class JobVariables:
    """The variables of a job. `dimensions` are those that have their values from its matrix."""

    draft: PipelineDraft
    step: StepDraft
    given: Mapping[str, Any]
    dimensions: frozenset[str]
    line: int
    _static: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            # A variable may be a map with its value, a description and options.
            self._static[name] = text(table(value).get("value")) if isinstance(value, Mapping) else text(value)

    def static(self) -> dict[str, str]:
        """The variables that do not refer to others."""
        return {name: value for name, value in self._static.items() if "$" not in value}

    def expand(self, value: str, line: int, depth: int = 0) -> str:
        """A field that no shell reads, with its variables replaced; parameters stand for unknown ones."""

        def replace(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if not name:
                return "$"
            if name in self.dimensions:
                return f"{{{{matrix.{name}}}}}"
            if name in self._static and depth < _MAX_DEPTH:
                return self.expand(self._static[name], line, depth + 1)
            if name in _PREDEFINED:
                return _PREDEFINED[name][1]
            param = self.draft.param(name, None, f"`${name}` of GitLab: a variable that is not defined in the file")
            self.step.note(line, f"${name} is not defined in the file: it is the parameter {param} now")
            return f"{{{{params.{param}}}}}"

        made = _REFERENCE.sub(replace, value)
        if len(made) > _MAX_EXPANDED:
            raise ImportFileError(f"line {line}: a value is too long once its variables are filled in")
        return made

    def exports(self, commands: Sequence[str]) -> list[str]:
        """The commands that set what the others need, and the step's `env` for what is the same always."""
        exports = []
        used = {match[1] or match[2] for command in commands for match in _REFERENCE.finditer(command)}
        used |= {name for value in self._static.values() for name in re.findall(r"\$\{?([A-Za-z_]\w{0,100})", value)}
        if "node" in self.dimensions and {"CI_NODE_INDEX", "CI_NODE_TOTAL"} & used:
            count = len((self.step.matrix or {}).get("dimensions", {}).get("node", ()))
            exports += ['export CI_NODE_INDEX="{{matrix.node}}"', f"export CI_NODE_TOTAL={count}"]
            used -= {"CI_NODE_INDEX", "CI_NODE_TOTAL"}
        for name in sorted(used & set(_PREDEFINED) - set(self._static)):
            exports.append(f'export {name}="{_PREDEFINED[name][0]}"')
        exports += [f'export {name}="{{{{matrix.{name}}}}}"' for name in sorted(self.dimensions - {"node"})]
        for name, value in self._static.items():
            if not re.fullmatch(r"[A-Za-z_]\w{0,200}", name) or name in self.dimensions:
                continue
            if "$" not in value:
                self.step.env[name] = value
            else:
                escaped = re.sub(r'(["\\`])', r"\\\1", value.replace("$$", "\\$")).replace("$(", "\\$(")
                exports.append(f'export {name}="{escaped}"')
        unknown = sorted(
            name
            for name in used
            if re.match(r"(CI|GITLAB)_", name) and name not in _PREDEFINED and name not in self._static
        )
        self._note_undefined(used, "\n".join(commands))
        if unknown:
            self.step.note(self.line, f"its commands use {', '.join('$' + name for name in unknown)}, which is not set")
        return exports

    def _note_undefined(self, used: set[str], script: str) -> None:
        """Note the variables that look like those of a project: in capitals, and set nowhere in the file."""
        assigned = set(re.findall(r"\b([A-Z][A-Z0-9_]{2,100})=", script))
        assigned |= set(re.findall(r"\b(?:for|read(?: -r)?) ([A-Z][A-Z0-9_]{2,100})", script))
        known = assigned | set(self._static) | self.dimensions | _SHELL_VARIABLES
        names = sorted(
            name
            for name in used
            if re.fullmatch(r"[A-Z][A-Z0-9_]{2,100}", name) and not name.startswith(("CI_", "GITLAB_"))
        )
        if missing := [name for name in names if name not in known]:
            message = f"its commands use {', '.join('$' + name for name in missing)}, which the file does not set"
            self.step.note(self.line, f"{message}: name variables of the project in `secrets` or `env`")

    def workspace_path(self, path: str, line: int) -> str | None:
        """A path below the workspace; None, with a note, for one that is not."""
        made = self.expand(path, line).removeprefix("/workspace/").removeprefix("./").rstrip("/")
        if not made or made[0] in "/~$" or ".." in made.split("/") or "{{params" in made or "\\" in made:
            self.step.note(line, f"{path} is not a path in the workspace, and is left out")
            return None
        return made[:1000]

    def cache_key(self, key: str, line: int) -> str:
        """The key of a cache. Caches belong to branches anyway."""
        plain = re.sub(r"\$\{?CI_COMMIT_(REF_SLUG|REF_NAME|BRANCH)\}?", "", key)
        plain = re.sub(r"\$\{?CI_JOB_NAME(_SLUG)?\}?", self.step.source, plain)
        return self.expand(plain, line).strip("-_ /")
