"""What makes sense beyond the schema: names that exist, no cycles, no text pasted into shells, times that fit.

Each rule is a generator over plain data and takes what has the right shape,
so that a mistake in one place does not hide those in others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from controller.pipeline import cycles, duration, expansion
from controller.pipeline.problems import Places, Problem, did_you_mean

Json = dict[str, Any]
Rule = Callable[[Json, Places], Iterable[Problem]]

_TEMPLATE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_TEMPLATED = ("env", "image", "artifacts", "cache")
_RUN_VARIABLES = ("run.commit", "run.branch", "run.name", "run.number")
MAX_STEPS = 300


def check(data: Json, places: Places) -> list[Problem]:
    """All problems of a pipeline that was read; shapes that the schema refuses are passed over."""
    return [problem for rule in RULES for problem in rule(data, places)]


def _steps(data: Json) -> Iterator[tuple[int, Json]]:
    steps = data.get("steps")
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        if isinstance(step, dict):
            yield index, step


def _strings(value: Any) -> Iterator[tuple[int, str]]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, str):
            yield index, item


def _names(data: Json) -> list[str]:
    return [step["name"] for _, step in _steps(data) if isinstance(step.get("name"), str)]


def _duplicate_steps(data: Json, places: Places) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, step in _steps(data):
        name = step.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            line = places.of(("steps", first[name], "name"))[0]
            message = f"there are two steps named `{name}`; the first is on line {line}"
            yield places.problem(("steps", index, "name"), "duplicate-step", message, "give one another name")
        first.setdefault(name, index)


def _dependencies(data: Json, places: Places) -> Iterator[Problem]:
    names = _names(data)
    for index, step in _steps(data):
        seen: set[str] = set()
        for n, wanted in _strings(step.get("dependsOn")):
            path = ("steps", index, "dependsOn", n)
            if wanted == step.get("name"):
                yield places.problem(path, "self-dependency", f"`{wanted}` depends on itself", "remove it")
            elif wanted not in names:
                hint = did_you_mean(wanted, names) or f"steps here: {', '.join(names)}"
                yield places.problem(path, "unknown-dependency", f"there is no step `{wanted}`", hint)
            elif wanted in seen:
                message = f"`{wanted}` is listed twice"
                yield places.problem(path, "duplicate-dependency", message, "keep one", severity="warning")
            seen.add(wanted)


def _cycle(data: Json, places: Places) -> Iterator[Problem]:
    index_of: dict[str, int] = {}
    needs: dict[str, list[str]] = {}
    for index, step in _steps(data):
        name = step.get("name")
        if isinstance(name, str):
            index_of.setdefault(name, index)
            needs.setdefault(name, [w for _, w in _strings(step.get("dependsOn")) if w != name])
    found = cycles.find(needs)
    if found is not None:
        written = " -> ".join(found)
        path = ("steps", index_of[found[0]], "dependsOn")
        yield places.problem(path, "cycle", f"these steps wait for each other: {written}", "remove one of the arrows")


def _pasted_text(data: Json, places: Places) -> Iterator[Problem]:
    for index, step in _steps(data):
        for n, command in _strings(step.get("commands")):
            for match in _TEMPLATE.finditer(command):
                variable = match.group(1)
                advice = _as_variable(variable)
                message = f"`{match.group()}` would be pasted into a shell, where its text could become a command"
                yield places.problem(("steps", index, "commands", n), "template-in-command", message, advice)


def _as_variable(variable: str) -> str:
    kind, _, name = variable.partition(".")
    names = {
        "params": f"PARAM_{name.upper()}",
        "matrix": f"MATRIX_{name.upper()}",
        "run": {"commit": "C8S_COMMIT", "branch": "C8S_BRANCH", "name": "C8S_RUN"}.get(name, ""),
    }
    known = names.get(kind)
    if known:
        return f'use the environment variable instead: "${known}"'
    return "set it in the step's `env` and use that variable"


def _templates(data: Json, places: Places) -> Iterator[Problem]:
    params = _listed(data.get("params"), "name")
    for index, step in _steps(data):
        dimensions = {*_dimensions(data), *_dimensions(step)}
        known = {*_RUN_VARIABLES, *(f"params.{p}" for p in params), *(f"matrix.{d}" for d in dimensions)}
        for field in _TEMPLATED:
            for path, text in _texts(step.get(field), ("steps", index, field)):
                yield from _unknown_variables(text, path, known, places, hash_allowed=field == "cache")
    known = {*_RUN_VARIABLES, *(f"params.{p}" for p in params), *(f"matrix.{d}" for d in _dimensions(data))}
    for path, text in _texts(data.get("env"), ("env",)):
        yield from _unknown_variables(text, path, known, places)


def _unknown_variables(
    text: str, path: tuple[str | int, ...], known: set[str], places: Places, *, hash_allowed: bool = False
) -> Iterator[Problem]:
    for match in _TEMPLATE.finditer(text):
        variable = match.group(1)
        if variable in known or (hash_allowed and variable.startswith("hash ")):
            continue
        hint = did_you_mean(variable, known) or f"known here: {', '.join(sorted(known))}"
        yield places.problem(path, "unknown-variable", f"there is no variable `{variable}`", hint)


def _listed(value: Any, field: str) -> list[str]:
    entries = value if isinstance(value, list) else []
    return [e[field] for e in entries if isinstance(e, dict) and isinstance(e.get(field), str)]


def _dimensions(holder: Json) -> list[str]:
    matrix = holder.get("matrix")
    dimensions = matrix.get("dimensions") if isinstance(matrix, dict) else None
    return list(dimensions) if isinstance(dimensions, dict) else []


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _timeouts(data: Json, places: Places) -> Iterator[Problem]:
    whole = _seconds(data.get("timeout"))
    for index, step in _steps(data):
        own = _seconds(step.get("timeout"))
        if own == 0:
            path = ("steps", index, "timeout")
            yield places.problem(path, "timeout-zero", "a timeout of nothing ends the step at once", "leave it out")
        if whole and own and own > whole:
            message = f"the step may take {step['timeout']}, but the whole run only {data['timeout']}"
            path = ("steps", index, "timeout")
            yield places.problem(path, "timeout-too-long", message, "shorten one or lengthen the other")


def _seconds(text: Any) -> int | None:
    try:
        return duration.seconds(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _globs(data: Json, places: Places) -> Iterator[Problem]:
    for index, step in _steps(data):
        for n, glob in _strings(step.get("artifacts")):
            if glob.startswith("/") or ".." in glob.split("/"):
                message = f"`{glob}` leads out of the workspace"
                hint = "artifacts are named from the workspace's root, without a leading / and without .."
                yield places.problem(("steps", index, "artifacts", n), "artifact-outside", message, hint)
        folder = step.get("workingDir")
        if isinstance(folder, str) and (folder.startswith("/") or ".." in folder.split("/")):
            message = f"`{folder}` leads out of the workspace"
            yield places.problem(("steps", index, "workingDir"), "working-dir-outside", message, "name a folder in it")


def _secrets(data: Json, places: Places) -> Iterator[Problem]:
    for index, step in _steps(data):
        uses = step.get("secrets") if isinstance(step.get("secrets"), list) else []
        variables: dict[str, int] = {}
        for n, use in enumerate(uses):
            if not isinstance(use, dict) or not isinstance(use.get("key"), str):
                continue
            variable, path = use.get("envVar") or use["key"], ("steps", index, "secrets", n)
            if use.get("file"):
                if use.get("envVar"):
                    yield places.problem(path, "secret-twice", "a secret is a variable or a file, not both", "pick one")
                continue
            if not isinstance(variable, str):
                continue
            if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", variable):
                message = f"the key `{variable}` can't be the name of a variable"
                yield places.problem(path, "secret-variable", message, "give the variable's name with `envVar`")
            elif variable in variables:
                message = f"two secrets end up in the variable `{variable}`"
                yield places.problem(path, "secret-variable", message, "name them apart with `envVar`")
            elif variable in (step.get("env") or {}):
                message = f"`{variable}` is set in `env` and by a secret; the secret wins"
                yield places.problem(path, "secret-variable", message, "remove one", severity="warning")
            variables[variable] = n
        yield from _printed_secrets(index, step, list(variables), places)


def _printed_secrets(index: int, step: Json, variables: list[str], places: Places) -> Iterator[Problem]:
    for n, command in _strings(step.get("commands")):
        path = ("steps", index, "commands", n)
        for variable in variables:
            if re.search(rf"\b(echo|printf)\b[^|;&>]*\$\{{?{re.escape(variable)}\b(?![^|;&]*[|>])", command):
                message = f"this prints the secret `{variable}`; the log shows *** in its place"
                yield places.problem(path, "secret-printed", message, "leave it out", severity="warning")
        if variables and re.search(r"\bset\s+-[a-z]*x", command):
            message = "`set -x` prints commands with the values of secrets in them"
            yield places.problem(path, "secret-traced", message, "leave it out", severity="warning")


def _images(data: Json, places: Places) -> Iterator[Problem]:
    for index, step in _steps(data):
        image = step.get("image")
        if isinstance(image, str) and "@" not in image and "{{" not in image:
            if ":" not in image.rpartition("/")[2] or image.endswith(":latest"):
                message = f"the image `{image}` has no fixed tag: tomorrow it may be another"
                yield places.problem(("steps", index, "image"), "image-tag", message, "name a version", severity="hint")


def _params(data: Json, places: Places) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, param in enumerate(data["params"] if isinstance(data.get("params"), list) else []):
        if not isinstance(param, dict):
            continue
        name, options, default = param.get("name"), param.get("options"), param.get("default")
        if isinstance(name, str) and name.upper() in seen:
            message = f"the parameter `{name}` is declared twice"
            yield places.problem(("params", index, "name"), "duplicate-param", message, "keep one")
        seen.add(str(name).upper())
        if isinstance(options, list) and options and default is not None and default not in options:
            message = f"the default {default!r} is not among the options"
            hint = did_you_mean(str(default), [str(option) for option in options])
            yield places.problem(("params", index, "default"), "param-default", message, hint)


def _matrices(data: Json, places: Places) -> Iterator[Problem]:
    total, holders = 0, [((), data), *((("steps", i), step) for i, step in _steps(data))]
    for path, holder in holders:
        matrix = holder.get("matrix")
        if not _is_matrix(matrix):
            continue
        sizes = 1
        for values in matrix["dimensions"].values():
            sizes *= len(values)
        if sizes > MAX_STEPS:
            message = f"the matrix has {sizes} combinations; a pipeline may have {MAX_STEPS} steps"
            yield places.problem((*path, "matrix"), "matrix-too-large", message, "leave values out")
            return
        for n, excluded in enumerate(matrix.get("exclude") or []):
            if isinstance(excluded, dict) and not expansion.excludes_any(matrix["dimensions"], excluded):
                message = "no combination of the matrix is like this one"
                at = (*path, "matrix", "exclude", n)
                yield places.problem(at, "exclude-nothing", message, "check names and values", severity="warning")
    outer = _combinations(data)
    for index, step in _steps(data):
        count = outer * _combinations(step)
        if count == 0:
            message = "the matrix excludes every combination: this step would never run"
            yield places.problem(("steps", index), "matrix-empty", message, "exclude less")
        total += count
    if total > MAX_STEPS:
        message = f"{total} steps once the matrix is expanded; at most {MAX_STEPS} are allowed"
        yield places.problem(("steps",), "too-many-steps", message, "leave values out")


def _is_matrix(matrix: Any) -> bool:
    dimensions = matrix.get("dimensions") if isinstance(matrix, dict) else None
    if not isinstance(dimensions, dict) or not dimensions:
        return False
    return all(isinstance(v, list) and v and all(isinstance(i, str) for i in v) for v in dimensions.values())


def _combinations(holder: Json) -> int:
    matrix = holder.get("matrix")
    if not _is_matrix(matrix):
        return 1
    exclude = [e for e in matrix.get("exclude") or [] if isinstance(e, dict)]
    return len(expansion.combinations(matrix["dimensions"], exclude))


def _conditions(data: Json, places: Places) -> Iterator[Problem]:
    events = data.get("events") if isinstance(data.get("events"), list) else ["push"]
    for index, step in _steps(data):
        conditional = step.get("conditional")
        if not isinstance(conditional, dict):
            continue
        path = ("steps", index, "conditional")
        if conditional.get("when") is not None and conditional.get("onSuccess") is not None:
            message = "`when` and `onSuccess` say the same thing; give one"
            yield places.problem(path, "when-twice", message, "`onSuccess: false` is `when: always`")
        event = conditional.get("event")
        if isinstance(event, str) and isinstance(events, list) and event not in events:
            message = f"this step never runs: the pipeline has no event `{event}`"
            hint = (
                did_you_mean(event, [str(e) for e in events]) or f"the pipeline's events: {', '.join(map(str, events))}"
            )
            yield places.problem((*path, "event"), "never-runs", message, hint, severity="warning")
        if conditional.get("when") == "failure" and not step.get("dependsOn"):
            message = "this step never runs: it waits for a failure and depends on no step"
            yield places.problem((*path, "when"), "never-runs", message, "add `dependsOn`", severity="warning")


RULES: tuple[Rule, ...] = (
    _duplicate_steps,
    _dependencies,
    _cycle,
    _pasted_text,
    _templates,
    _timeouts,
    _globs,
    _secrets,
    _images,
    _params,
    _matrices,
    _conditions,
)
