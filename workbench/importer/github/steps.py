"""The steps within a GitHub job: `run` becomes commands, and actions that everybody uses become what they stand for."""

from __future__ import annotations

import re
from typing import Any

from workbench.importer.github.expressions import EXPRESSION, Scope, shell_test
from workbench.importer.source import SourceMap
from workbench.importer.values import table, text

# Image, input with the version, and the version without one, of actions that install a language.
_LANGUAGES = {
    "actions/setup-python": ("python", "python-version", "3.13"),
    "actions/setup-node": ("node", "node-version", "22"),
    "actions/setup-go": ("golang", "go-version", "1.24"),
    "actions/setup-java": ("eclipse-temurin", "java-version", "21"),
    "actions/setup-dotnet": ("mcr.microsoft.com/dotnet/sdk", "dotnet-version", "8.0"),
    "ruby/setup-ruby": ("ruby", "ruby-version", "3.3"),
    "shivammathur/setup-php": ("php", "php-version", "8.3"),
    "dtolnay/rust-toolchain": ("rust", "toolchain", "1"),
    "actions-rs/toolchain": ("rust", "toolchain", "1"),
    "erlef/setup-beam": ("elixir", "elixir-version", "1.17"),
    "oven-sh/setup-bun": ("oven/bun", "bun-version", "1"),
    "denoland/setup-deno": ("denoland/deno", "deno-version", "2.0.0"),
}
_LEAVES_TRACES = re.compile(r"(?:^|[\s;&|(])(?:cd|exit|set|export|source|pushd|shopt|trap|unset)(?:\s|$)", re.MULTILINE)
_FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")
_VARIABLES = {
    "GITHUB_SHA": "$C8S_COMMIT",
    "GITHUB_REF_NAME": "$C8S_BRANCH",
    "GITHUB_HEAD_REF": "$C8S_BRANCH",
    "GITHUB_REF": "refs/heads/$C8S_BRANCH",
    "GITHUB_WORKSPACE": "$C8S_WORKSPACE",
    "GITHUB_RUN_ID": "$C8S_RUN",
    "GITHUB_RUN_NUMBER": "$C8S_RUN",
    "GITHUB_JOB": "$C8S_STEP",
    "GITHUB_ACTIONS": "true",
    "RUNNER_OS": "Linux",
    "RUNNER_TEMP": "/tmp",  # noqa: S108 (a path in a container)
}


def add_step(scope: Scope, step: SourceMap, defaults: SourceMap) -> None:
    """Add what a step within a job does to the job's commands, image, caches and artifacts."""
    line = step.line("run") or step.line("uses")
    if "run" in step:
        _add_run(scope, step, defaults, line)
    elif "uses" in step:
        _add_action(scope, text(step["uses"]), table(step.get("with")), step, line)


def add_variables(scope: Scope) -> None:
    """Set the variables of GitHub that the commands use."""
    commands = "\n".join(scope.step.commands)
    used = set(re.findall(r"\b((?:GITHUB|RUNNER)_[A-Z_]{1,40})\b", commands))
    exports = [f'export {name}="{_VARIABLES[name]}"' for name in sorted(used & set(_VARIABLES))]
    if files := sorted(used & set(_FILES)):
        exports += [f"export {name}=/dev/null" for name in files]
        scope.step.note(0, f"what its commands write to {', '.join('$' + name for name in files)} is not read")
    own = set(scope.step.env) | set(scope.step.secrets) | set(scope.draft.env)
    if unknown := sorted(used - set(_VARIABLES) - set(_FILES) - own):
        scope.step.note(0, f"its commands use {', '.join('$' + name for name in unknown)}, which is not set")
    scope.step.commands[:0] = exports


def _add_run(scope: Scope, step: SourceMap, defaults: SourceMap, line: int) -> None:
    test = ""
    if "if" in step:
        found = shell_test(text(step["if"]), scope, step.line("if"))
        if found is None:
            scope.step.note(line, f"left out, its `if` has no counterpart: {text(step['if'])} — {text(step['run'])}")
            return
        test = found
    shell = text(step.get("shell") or defaults.get("shell")) or "bash"
    script = scope.command(text(step["run"]).strip("\n"), line)
    program = shell.split()[0] if shell.split() else "bash"
    if program == "python":
        script = f"python3 - <<'C8S_SCRIPT'\n{script}\nC8S_SCRIPT"
    elif program not in ("bash", "sh"):
        scope.step.note(line, f"left out, its shell is {program}: {script}")
        return
    if program == "bash" and ("shell" in step or "shell" in defaults):
        scope.step.shell = "bash"
    folder = scope.value(step.get("working-directory"), line)
    exports = _exports(scope, table(step.get("env")))
    if test:
        script = f"if {test}; then\n{script}\nfi"
    if exports or folder or _LEAVES_TRACES.search(script):
        # Each `run` has a shell of its own, which leaves no variables and no folder to the next.
        inside = [*exports, *([f"cd {_quote(folder)}"] if folder else []), script]
        script = "(\n" + "\n".join(inside) + "\n)"
    if step.get("continue-on-error") is True:
        script = f"{{\n{script}\n}} || echo 'failed, and goes on'"
    scope.step.commands.append(script)


def _quote(folder: str) -> str:
    return f'"{folder}"' if re.search(r"[^A-Za-z0-9_./{}-]", folder) and '"' not in folder else folder


def _exports(scope: Scope, env: SourceMap) -> list[str]:
    exports = []
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            scope.step.note(env.line(name), f"the variable {name} is left out: its name is not one of the shell")
        elif key := scope.is_secret(value):
            scope.step.secrets[name] = key
        else:
            exports.append(scope.export(name, value, env.line(name)))
    return exports


def _add_action(scope: Scope, uses: str, given: SourceMap, step: SourceMap, line: int) -> None:
    action = uses.partition("@")[0]
    if action in _LANGUAGES:
        _set_language(scope, action, given, uses, line)
    elif action == "actions/checkout":
        scope.step.git = scope.step.git or text(given.get("fetch-depth")) == "0"
        for name in ("repository", "path", "ref"):
            if given.get(name):
                scope.step.note(
                    given.line(name), f"checkout with `{name}` has no counterpart; the workspace has the source"
                )
    elif action in ("actions/cache", "actions/cache/restore"):
        _add_cache(scope, given, line)
    elif action == "actions/upload-artifact":
        _add_artifacts(scope, given, line)
    elif action == "actions/download-artifact":
        if given.get("path"):
            message = "artifacts of the steps it depends on have their original path, not that of `path`"
            scope.step.note(line, message)
    else:
        name = f" ({text(step.get('name'))})" if step.get("name") else ""
        scope.step.note(line, f"the action {uses}{name} has no counterpart: write commands that do the same")


def _set_language(scope: Scope, action: str, given: SourceMap, uses: str, line: int) -> None:
    image, key, default = _LANGUAGES[action]
    wanted = text(given.get(key)) or (uses.partition("@")[2] if "rust" in action else "")
    version = scope.value(wanted.split("\n")[0], given.line(key))
    version = re.sub(r"^[v^~>=\s]{1,5}|[.-]x$", "", version.strip())
    if not re.fullmatch(r"[0-9][0-9A-Za-z.-]{0,40}|\{\{[\w.-]{1,100}\}\}", version):
        version = default
    if scope.step.image:
        scope.step.note(line, f"{uses}: the image {scope.step.image} may lack it; a step has one image")
    else:
        scope.step.image = f"{image}:{version}"


def _add_cache(scope: Scope, given: SourceMap, line: int) -> None:
    paths = [path for path in text(given.get("path")).split("\n") if path.strip()]
    inside = [made for path in paths if (made := workspace_path(scope, path, line)) is not None]
    key = EXPRESSION.sub(lambda match: _key_part(match[1]) or match[0], text(given.get("key")))
    key = scope.value(key, line).strip("-_ ")
    if inside and key:
        scope.step.caches.append((key[:1000], inside[:100]))
    if len(inside) < len(paths):
        scope.step.note(line, f"cache: only folders in the workspace can be kept, not {', '.join(paths)[:200]}")


def _key_part(expression: str) -> str | None:
    if not (match := re.fullmatch(r"\s?hashFiles\(([^)]{0,500})\)\s?", expression)):
        return None
    patterns = [part.strip().strip("'\"") for part in match[1].split(",")]
    return "-".join(f"{{{{hash {pattern}}}}}" for pattern in patterns if re.fullmatch(r"[\w./*@-]{1,200}", pattern))


def workspace_path(scope: Scope, path: str, line: int) -> str | None:
    """A path in the workspace, without the parts that are not needed; None for one outside."""
    made = scope.value(path.strip(), line).removeprefix("/workspace/").removeprefix("./").rstrip("/")
    if made == "." or path.strip() in ("./", "${{ github.workspace }}"):
        return "**"
    if not made or made[0] in "/~!$" or ".." in made.split("/") or "\\" in made:
        return None
    return made[:1000]


def _add_artifacts(scope: Scope, given: SourceMap, line: int) -> None:
    optional = text(given.get("if-no-files-found")) != "error"
    for path in text(given.get("path")).split("\n"):
        if not path.strip():
            continue
        made = workspace_path(scope, path, line)
        if made is None:
            scope.step.note(line, f"artifacts: {path.strip()} is not a pattern in the workspace")
        else:
            scope.step.artifacts[made] = optional


def service(scope: Scope, name: str, value: Any, line: int) -> dict[str, Any] | None:
    """A service of a job; None for one without an image."""
    from workbench.importer.services import make_service

    given = table(value)
    image = scope.value(given.get("image") if given else value, line)
    env = table(given.get("env"))
    variables = {key: scope.value(each, env.line(key)) for key, each in env.items()}
    for key, each in env.items():
        if "secrets." in text(each):
            scope.step.note(env.line(key), f"the service {name} can't have secrets: set {key} to a value for tests")
    if given.get("volumes") or given.get("credentials"):
        scope.step.note(line, f"volumes and credentials of the service {name} have no counterpart")
    ports = [text(port) for port in given.get("ports") or []] if isinstance(given.get("ports"), list) else []
    return make_service(scope.step, name, image, variables, ports, line)
