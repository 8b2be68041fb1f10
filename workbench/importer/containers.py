"""Containers of Kubernetes in Tekton and Argo: their program, variables, resources and services as a step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from workbench.importer.draft import StepDraft
from workbench.importer.services import make_service
from workbench.importer.source import SourceMap
from workbench.importer.values import items, table, tables, text, texts, variable

Fill = Callable[[str, bool], str]
"""Replaces what stands for values, in a text for a shell (True) or for another field."""

_SHELLS = {"sh": "sh", "bash": "bash", "ash": "sh", "dash": "sh"}
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")


def add_program(step: StepDraft, container: SourceMap, fill: Fill) -> bool:
    """Add what a container runs to the commands; False if that is the program of its image, which is not known here."""
    command, arguments = texts(container.get("command")), texts(container.get("args"))
    words = command + arguments
    if not command:
        return False
    shell = _SHELLS.get(command[0].rpartition("/")[2])
    options = [index for index, word in enumerate(words[1:], 1) if re.fullmatch(r"-[a-z]*c", word)]
    if shell and options and options[0] <= 3 and len(words) == options[0] + 2:
        step.shell = "bash" if shell == "bash" else step.shell
        step.commands.append(_within(fill(words[-1].strip(), True)))
        return True
    step.commands.append(" ".join(shell_word(word, fill) for word in words))
    return True


def add_script(step: StepDraft, script: str, interpreter: Sequence[str], fill: Fill) -> None:
    """Add a script, which its first line or `interpreter` runs."""
    first, _, rest = script.partition("\n")
    program = list(interpreter)
    if first.startswith("#!"):
        program, script = first[2:].split() or ["sh"], rest
        program = program[1:] if program[0].endswith("/env") and len(program) > 1 else program
    name = program[0].rpartition("/")[2] if program else "sh"
    filled = fill(script.strip("\n"), True)
    if name in _SHELLS:
        step.shell = "bash" if name == "bash" else step.shell
        options = [word for word in program[1:] if re.fullmatch(r"-[a-z]+", word)]
        step.commands.append(_within("\n".join([*(f"set {word}" for word in options if "c" not in word), filled])))
        return
    step.commands.append(f"cat > /tmp/c8s-script <<'C8S_SCRIPT'\n{filled}\nC8S_SCRIPT")
    step.commands.append(f"{shlex.join(program)} /tmp/c8s-script")


def _within(script: str) -> str:
    """A script in a shell of its own if it could affect the commands after it."""
    affects = re.search(r"(?:^|[\s;&|(])(?:cd|exit|set|export|source|pushd|trap|unset|exec)(?:\s|$)", script)
    return f"(\n{script}\n)" if affects else script


def shell_word(word: str, fill: Fill) -> str:
    """An argument as a word of the shell, in which values keep being one word."""
    filled = fill(word, True)
    if filled == word:
        return shlex.quote(word)
    escaped = re.sub(r'(["\\`])', r"\\\1", filled)
    return f'"{escaped}"'


def set_environment(step: StepDraft, container: SourceMap, fill: Fill) -> None:
    """Take the variables of a container; those from Secrets become secrets."""
    for entry in tables(container.get("env")):
        name, line = text(entry.get("name")), entry.line("name")
        secret = table(table(entry.get("valueFrom")).get("secretKeyRef"))
        if secret.get("key") and re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", text(secret.get("name"))):
            step.secrets[name] = text(secret["key"])
            step.secret_refs[name] = text(secret["name"])
        elif "valueFrom" in entry:
            step.env[name] = ""
            step.note(line, f"the value of {name} comes from a place that has no counterpart: set it")
        elif name:
            step.env[name] = fill(text(entry.get("value")), False)
    if container.get("envFrom"):
        step.note(container.line("envFrom"), "`envFrom` has no counterpart: name each variable")


def set_resources(step: StepDraft, given: Any) -> None:
    """Take CPU and memory: the limit, else the request."""
    resources = table(given)
    for name in ("cpu", "memory"):
        value = text(table(resources.get("limits")).get(name)) or text(table(resources.get("requests")).get(name))
        if _QUANTITY.fullmatch(value) and len(value) <= 20:
            step.resources[name] = value


def add_services(step: StepDraft, sidecars: Any, fill: Fill) -> None:
    """Take sidecars as services."""
    for number, sidecar in enumerate(tables(sidecars), 1):
        line = sidecar.line("name") or sidecar.line("image")
        name = text(sidecar.get("name")) or f"service-{number}"
        env = {text(each.get("name")): fill(text(each.get("value")), False) for each in tables(sidecar.get("env"))}
        ports = [text(port.get("containerPort")) for port in tables(sidecar.get("ports"))]
        made = make_service(step, name, fill(text(sidecar.get("image")), False), env, ports, line)
        if made is None:
            continue
        words = texts(sidecar.get("command")) + texts(sidecar.get("args"))
        if text(sidecar.get("script")):
            made["commands"] = [fill(text(sidecar["script"]), False)]
        elif words and sidecar.get("command"):
            made["commands"] = [" ".join(shlex.quote(fill(word, False)) for word in words)]
        step.services.append(made)


def note_rest(step: StepDraft, given: SourceMap, handled: frozenset[str]) -> None:
    """Note the fields that have no counterpart."""
    for key in given:
        if key not in handled:
            step.note(given.line(key), f"`{key}` has no counterpart")


def unknown_value(step: StepDraft, expression: str, line: int, *, shell: bool) -> str:
    """What stands for a value that is not known here: a variable to set, or nothing."""
    shown = " ".join(expression.split())[:200]
    if not shell:
        step.note(line, f"`{shown}` has no counterpart here and is left out")
        return ""
    name = variable(shown)
    step.env.setdefault(name, "")
    step.note(line, f"`{shown}` has no counterpart: set ${name}")
    return f"${name}"


def strings(value: Any) -> list[str]:
    """The scalars of a list, each as one text."""
    return [text(item) for item in items(value) if not isinstance(item, dict | list)]
